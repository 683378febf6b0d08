//! Small crates with and without circles.

use super::*;

/// The problems of a crate whose files are given by their paths under `src`.
fn problems(files: &[(&str, &str)]) -> Vec<String> {
    let sources: Vec<Source> = files
        .iter()
        .map(|(path, text)| Source {
            path: format!("src/{path}"),
            text: (*text).to_owned(),
        })
        .collect();
    check("src", &sources)
}

#[track_caller]
fn assert_none(files: &[(&str, &str)]) {
    let problems = problems(files);
    assert!(problems.is_empty(), "{problems:#?}");
}

/// Asserts that there is one circle, and that it has these edges and no others.
#[track_caller]
fn assert_circle(files: &[(&str, &str)], edges: &[&str]) {
    let problems = problems(files);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    let found: Vec<&str> = problems[0].lines().skip(1).map(str::trim).collect();
    assert_eq!(found, edges);
}

#[test]
fn files_that_use_each_other_are_a_circle() {
    assert_circle(
        &[
            ("lib.rs", "mod a;\nmod b;\n"),
            ("a.rs", "use crate::b::B;\npub struct A(B);\n"),
            ("b.rs", "\npub struct B;\nfn f() { super::a::A::new(); }\n"),
        ],
        &[
            "src/a.rs:1 -> src/b.rs (crate::b::B)",
            "src/b.rs:3 -> src/a.rs (super::a::A::new)",
        ],
    );
}

#[test]
fn files_that_use_others_one_way_are_not_a_circle() {
    assert_none(&[
        ("lib.rs", "mod a;\nmod b;\nuse a::A;\nfn f(_: A) {}\n"),
        ("a.rs", "use crate::b::B;\npub struct A(B);\n"),
        ("b.rs", "pub struct B;\n"),
    ]);
}

#[test]
fn a_re_export_stands_for_the_file_that_defines_the_item() {
    assert_none(&[
        (
            "lib.rs",
            "mod a;\nmod error;\npub use a::A;\npub use error::Error;\n",
        ),
        ("a.rs", "use crate::Error;\npub struct A(Error);\n"),
        ("error.rs", "pub struct Error;\n"),
    ]);
    assert_circle(
        &[
            ("lib.rs", "mod a;\nmod nets;\npub use nets::Net;\n"),
            (
                "nets/mod.rs",
                "mod one;\nmod two;\npub use one::*;\npub use two::Two as Net;\n",
            ),
            ("nets/one.rs", "use crate::Net;\npub struct One(Net);\n"),
            ("nets/two.rs", "use super::One;\npub struct Two(One);\n"),
            ("a.rs", "use crate::nets::*;\npub struct A(One);\n"),
        ],
        &[
            "src/nets/one.rs:1 -> src/nets/two.rs (crate::Net)",
            "src/nets/two.rs:1 -> src/nets/one.rs (super::One)",
        ],
    );
}

#[test]
fn names_that_globs_bring_count_where_they_are_used() {
    let root = "mod a;\nmod nets;\n";
    let nets = "mod one;\npub use one::One;\n";
    let one = "pub struct One;\nfn f() { crate::a::g() }\n";
    let used = "use crate::nets::*;\npub fn g() { One; }\n";
    let unused = "use crate::nets::*;\npub fn g() {}\n";
    let files = |a| {
        [
            ("lib.rs", root),
            ("nets/mod.rs", nets),
            ("nets/one.rs", one),
            ("a.rs", a),
        ]
    };
    assert_circle(
        &files(used),
        &[
            "src/nets/one.rs:2 -> src/a.rs (crate::a::g)",
            "src/a.rs:2 -> src/nets/one.rs (One)",
        ],
    );
    assert_none(&files(unused));
}

#[test]
fn a_parent_and_a_child_that_use_each_other_are_a_circle() {
    let child = "pub fn run(_: super::Options) {}\n";
    assert_circle(
        &[
            (
                "lib.rs",
                "mod child;\nstruct Options;\nfn f() {\n child::run(Options)\n}\n",
            ),
            ("child.rs", child),
        ],
        &[
            "src/lib.rs:4 -> src/child.rs (child::run)",
            "src/child.rs:1 -> src/lib.rs (super::Options)",
        ],
    );
    // A parent that only declares and re-exports its child does not depend on it.
    assert_none(&[
        (
            "lib.rs",
            "mod child;\npub use child::run;\npub struct Options;\n",
        ),
        ("child.rs", child),
    ]);
}

#[test]
fn tests_comments_and_strings_do_not_count() {
    assert_none(&[
        ("lib.rs", "mod a;\nmod b;\n#[cfg(test)]\nmod testing;\n"),
        ("testing.rs", "use crate::a::A;\n"),
        ("a.rs", "use crate::b::B;\npub struct A(B);\n"),
        (
            "b.rs",
            "//! crate::a::A\n// use crate::a::A;\npub struct B;\n\
             const TEXT: &str = \"crate::a::A\";\n\
             #[cfg(test)]\nmod tests {\n    use crate::a::A;\n    use super::*;\n}\n",
        ),
    ]);
}

#[test]
fn paths_in_macros_count() {
    assert_circle(
        &[
            ("lib.rs", "mod a;\nmod b;\n"),
            (
                "a.rs",
                "#[macro_export]\nmacro_rules! make { () => { $crate::b::B } }\nstruct A;\n",
            ),
            ("b.rs", "pub struct B;\nfn f() { vec![crate::make!()]; }\n"),
        ],
        &[
            "src/a.rs:2 -> src/b.rs ($crate::b::B)",
            "src/b.rs:2 -> src/a.rs (crate::make)",
        ],
    );
}

#[test]
fn a_plain_crate_in_an_exported_macro_is_the_crate_that_calls_it() {
    assert_none(&[
        ("lib.rs", "mod a;\nmod b;\n"),
        (
            "a.rs",
            "#[macro_export]\nmacro_rules! make { () => { crate::b::B } }\n",
        ),
        ("b.rs", "pub struct B;\nfn f() { crate::make!() }\n"),
    ]);
}

#[test]
fn an_imported_module_shows_its_use_where_a_path_goes_through_it() {
    let root = "mod a;\nmod b;\n";
    let b = "pub struct B;\npub fn f() { crate::a::g() }\n";
    assert_circle(
        &[
            ("lib.rs", root),
            ("a.rs", "use crate::b;\npub fn g() {\n b::f()\n}\n"),
            ("b.rs", b),
        ],
        &[
            "src/a.rs:3 -> src/b.rs (b::f)",
            "src/b.rs:2 -> src/a.rs (crate::a::g)",
        ],
    );
}

#[test]
fn macros_of_a_module_above_are_in_scope_without_an_import() {
    assert_circle(
        &[
            (
                "lib.rs",
                "macro_rules! make { () => {} }\nmod a;\nfn f() { a::g() }\n",
            ),
            ("a.rs", "pub fn g() {}\nmake!();\n"),
        ],
        &[
            "src/lib.rs:3 -> src/a.rs (a::g)",
            "src/a.rs:2 -> src/lib.rs (make)",
        ],
    );
}

#[test]
fn names_that_a_macro_defines_belong_to_the_file_that_calls_it() {
    assert_circle(
        &[
            (
                "lib.rs",
                "mod a;\nmod b;\nother::define!(Error);\nuse a::A;\n",
            ),
            ("a.rs", "pub struct A;\nfn f(_: crate::Error) {}\n"),
            ("b.rs", "fn g(_: super::Error) {}\n"),
        ],
        &[
            "src/lib.rs:4 -> src/a.rs (a::A)",
            "src/a.rs:2 -> src/lib.rs (crate::Error)",
        ],
    );
}

#[test]
fn variables_do_not_name_re_exported_functions() {
    let child = "pub fn size() -> usize { super::START }\n";
    assert_none(&[
        (
            "lib.rs",
            "mod child;\npub use child::size;\nconst START: usize = 1;\n\
             pub fn f(size: usize) -> usize { size + START }\n",
        ),
        ("child.rs", child),
    ]);
}

#[test]
fn modules_inside_a_file_belong_to_it() {
    assert_none(&[
        ("lib.rs", "mod a;\nmod b;\n"),
        (
            "a.rs",
            "struct A;\nmod inner {\n    use super::A;\n    use super::super::b::B;\n}\n",
        ),
        ("b.rs", "pub struct B;\n"),
    ]);
}

#[test]
fn files_outside_the_tree_are_reported() {
    let problems = problems(&[
        ("lib.rs", "mod gone;\n"),
        ("lost.rs", ""),
        ("main.rs", "fn ("),
    ]);
    assert_eq!(problems.len(), 3, "{problems:#?}");
    assert!(problems[0].contains("src/lib.rs:1: the module `gone` has no file"));
    assert!(problems[1].starts_with("src/main.rs:1: is not valid Rust"));
    assert!(problems[2].starts_with("src/lost.rs: no `mod` declaration"));
}
