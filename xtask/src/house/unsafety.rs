//! `unsafe` in one crate only. The lint `unsafe_code` denies it, but a crate could allow it, or not take the
//! workspace's lints.

use super::sources::Source;
use proc_macro2::{TokenStream, TokenTree};

/// The only folder whose files may have `unsafe` code.
const ALLOWED: &str = "crates/kernels/";
/// What a manifest says to take the workspace's lints.
const LINTS: &str = "[lints]\nworkspace = true";

/// Finds `unsafe` code and the permission for it outside of [`ALLOWED`].
///
/// # Errors
/// If a file cannot be split into tokens.
pub fn check(sources: &[Source]) -> Result<Vec<String>, String> {
    let mut problems = Vec::new();
    for source in sources.iter().filter(|s| !s.path.starts_with(ALLOWED)) {
        let tokens: TokenStream = source
            .text
            .parse()
            .map_err(|e| format!("{}: is not Rust: {e}", source.path))?;
        find(tokens, &mut |line, word| {
            problems.push(format!(
                "{}:{line}: has `{word}` (move the code to {ALLOWED}, the only crate with unsafe code)",
                source.path
            ));
        });
    }
    Ok(problems)
}

/// Finds manifests that do not take the workspace's lints; each is a path and its text.
pub fn check_manifests(manifests: &[(String, String)]) -> Vec<String> {
    let lacks = |(_, text): &&(String, String)| !text.replace("\r\n", "\n").contains(LINTS);
    let told = |(path, _): &(String, String)| {
        format!("{path}: does not take the workspace's lints (add {LINTS:?})")
    };
    manifests.iter().filter(lacks).map(told).collect()
}

/// Calls `report` for each `unsafe` and each `unsafe_code`. Comments and texts are not tokens of this kind.
fn find(tokens: TokenStream, report: &mut impl FnMut(usize, &str)) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => find(group.stream(), report),
            TokenTree::Ident(ident) if ident == "unsafe" || ident == "unsafe_code" => {
                report(ident.span().start().line, &ident.to_string());
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let source = Source {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        check(&[source]).unwrap()
    }

    #[test]
    fn unsafe_code_and_its_permission_are_found_outside_of_kernels() {
        for (text, line) in [
            ("fn f() {\n    unsafe { g() }\n}", 2),
            ("#![allow(unsafe_code)]", 1),
            ("\n#[expect(unsafe_code)]\nfn f() {}", 2),
            ("unsafe impl Send for X {}", 1),
            ("macro_rules! m { () => { unsafe { } } }", 1),
            ("unsafe extern \"C\" { fn f(); }", 1),
        ] {
            let problems = found("crates/dicom/src/a.rs", text);
            assert_eq!(problems.len(), 1, "{text}");
            let place = format!("crates/dicom/src/a.rs:{line}: ");
            assert!(problems[0].starts_with(&place), "{problems:?}");
            assert!(found("crates/kernels/src/a.rs", text).is_empty());
        }
    }

    #[test]
    fn words_in_comments_and_texts_are_not_code() {
        let text =
            "// unsafe\n/* unsafe { } */ /// unsafe\nconst A: &str = \"unsafe 'unsafe-inline'\";";
        assert!(found("crates/a/src/lib.rs", text).is_empty());
    }

    #[test]
    fn a_manifest_without_the_workspaces_lints_is_found() {
        let with = "[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n";
        let manifests = [
            ("crates/a/Cargo.toml".to_owned(), with.to_owned()),
            ("crates/b/Cargo.toml".to_owned(), "[package]\n".to_owned()),
        ];
        let problems = check_manifests(&manifests);
        assert_eq!(problems.len(), 1);
        assert!(
            problems[0].starts_with("crates/b/Cargo.toml: "),
            "{problems:?}"
        );
    }
}
