//! Layers: a crate uses only what the table of ARCHITECTURE.md allows.

use super::architecture::{CRATES, FILE, Row, Uses};
use super::graph;
use super::manifest::{Dependency, Manifest};
use std::collections::HashMap;

/// The differences between the manifests and the table.
pub fn check(rows: &[Row], manifests: &[Manifest]) -> Vec<String> {
    let mut problems = compare_folders(rows, manifests);
    let (edges, unknown) = edges(rows);
    problems.extend(unknown);
    for circle in graph::circles(&edges) {
        let names: Vec<&str> = circle.iter().map(|&i| rows[i].folder.as_str()).collect();
        problems.push(format!(
            "{FILE}: the table of crates has a circle: {} may use each other \
             (remove a crate from the uses of another)",
            names.join(", ")
        ));
    }
    let folder_of: HashMap<&str, &str> = manifests
        .iter()
        .map(|manifest| (manifest.package.as_str(), manifest.folder.as_str()))
        .collect();
    for manifest in manifests {
        // A crate without a row is reported above, and nothing says what it may use.
        let Some(row) = rows.iter().position(|row| row.folder == manifest.folder) else {
            continue;
        };
        if rows[row].uses == Uses::All {
            continue;
        }
        let allowed = reachable(&edges, row);
        for used in &manifest.uses {
            let is_allowed = folder_of
                .get(used.package.as_str())
                .is_none_or(|folder| allowed.iter().any(|&i| rows[i].folder == *folder));
            if !is_allowed {
                let folder = folder_of[used.package.as_str()];
                problems.push(forbidden(&manifest.folder, folder, used));
            }
        }
    }
    problems
}

fn forbidden(user: &str, used: &str, dependency: &Dependency) -> String {
    format!(
        "crates/{user}/Cargo.toml: [{}] names `{}`, which {user} may not use (remove the \
         dependency, or add {used} to the uses of `crates/{user}` in the table {CRATES:?} of {FILE})",
        dependency.section, dependency.package
    )
}

/// Folders without a row, rows without a folder, and rows that occur twice.
fn compare_folders(rows: &[Row], manifests: &[Manifest]) -> Vec<String> {
    let mut problems = Vec::new();
    for manifest in manifests {
        let folder = &manifest.folder;
        let count = rows.iter().filter(|row| row.folder == *folder).count();
        if count == 0 {
            problems.push(format!(
                "crates/{folder}: the table {CRATES:?} of {FILE} does not name this folder \
                 (add a row that says what it may use)"
            ));
        }
        if count > 1 {
            problems.push(format!(
                "{FILE}: the table of crates has {count} rows of `crates/{folder}` (keep one)"
            ));
        }
    }
    for row in rows {
        if manifests.iter().all(|known| known.folder != row.folder) {
            problems.push(format!(
                "{FILE}: the table of crates names `crates/{}`, which is not a folder \
                 (remove the row or correct its name)",
                row.folder
            ));
        }
    }
    problems
}

/// What each row names, as indices of rows, and the names that are not rows.
fn edges(rows: &[Row]) -> (Vec<Vec<usize>>, Vec<String>) {
    let mut unknown = Vec::new();
    let edges = rows
        .iter()
        .enumerate()
        .map(|(index, row)| match &row.uses {
            Uses::All => (0..rows.len()).filter(|&other| other != index).collect(),
            Uses::Listed(names) => names
                .iter()
                .filter_map(|name| {
                    let found = rows.iter().position(|other| other.folder == *name);
                    if found.is_none() {
                        unknown.push(format!(
                            "{FILE}: the row of `crates/{}` uses `{name}`, which is not a crate of \
                             the table (correct the name or add its row)",
                            row.folder
                        ));
                    }
                    found
                })
                .collect(),
        })
        .collect();
    (edges, unknown)
}

/// All nodes that `from` reaches.
fn reachable(edges: &[Vec<usize>], from: usize) -> Vec<usize> {
    let mut found = Vec::new();
    let mut open = edges[from].clone();
    while let Some(node) = open.pop() {
        if !found.contains(&node) {
            found.push(node);
            open.extend(&edges[node]);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(folder: &str, uses: &[&str]) -> Row {
        Row {
            folder: folder.to_owned(),
            uses: Uses::Listed(uses.iter().map(|&name| name.to_owned()).collect()),
        }
    }

    fn manifest(folder: &str, uses: &[&str]) -> Manifest {
        Manifest {
            folder: folder.to_owned(),
            package: format!("multirnet-{folder}"),
            uses: uses
                .iter()
                .map(|&package| Dependency {
                    section: "dependencies".to_owned(),
                    package: package.to_owned(),
                })
                .collect(),
        }
    }

    #[track_caller]
    fn assert_only(problems: &[String], parts: &[&str]) {
        assert_eq!(problems.len(), 1, "{problems:#?}");
        for part in parts {
            assert!(problems[0].contains(part), "{} lacks {part}", problems[0]);
        }
    }

    #[test]
    fn what_the_table_allows_directly_or_through_others_passes() {
        let rows = [
            row("base", &[]),
            row("volume", &["base"]),
            row("dicom", &["volume"]),
        ];
        let manifests = [
            manifest("base", &["serde"]),
            manifest("volume", &["multirnet-base"]),
            manifest("dicom", &["multirnet-base", "multirnet-volume"]),
        ];
        assert!(check(&rows, &manifests).is_empty());
    }

    #[test]
    fn all_allows_every_other_crate() {
        let rows = [
            row("base", &[]),
            Row {
                folder: "cli".to_owned(),
                uses: Uses::All,
            },
        ];
        let manifests = [manifest("base", &[]), manifest("cli", &["multirnet-base"])];
        assert!(check(&rows, &manifests).is_empty());
    }

    #[test]
    fn a_forbidden_dependency_names_manifest_dependency_and_remedy() {
        let rows = [row("base", &[]), row("volume", &[])];
        let manifests = [
            manifest("base", &["multirnet-volume"]),
            manifest("volume", &[]),
        ];
        assert_only(
            &check(&rows, &manifests),
            &[
                "crates/base/Cargo.toml",
                "`multirnet-volume`",
                "add volume to the uses",
            ],
        );
    }

    #[test]
    fn a_folder_without_a_row_is_reported() {
        let manifests = [
            manifest("base", &[]),
            manifest("extra", &["multirnet-base"]),
        ];
        assert_only(
            &check(&[row("base", &[])], &manifests),
            &["crates/extra", "add a row"],
        );
    }

    #[test]
    fn a_row_without_a_folder_is_reported() {
        let rows = [row("base", &[]), row("gone", &[])];
        assert_only(
            &check(&rows, &[manifest("base", &[])]),
            &["`crates/gone`", "not a folder"],
        );
    }

    #[test]
    fn a_row_that_occurs_twice_is_reported() {
        let rows = [row("base", &[]), row("base", &[])];
        assert_only(&check(&rows, &[manifest("base", &[])]), &["2 rows"]);
    }

    #[test]
    fn an_unknown_crate_in_a_row_is_reported() {
        let problems = check(&[row("base", &["bass"])], &[manifest("base", &[])]);
        assert_only(&problems, &["`crates/base`", "`bass`", "not a crate"]);
    }

    #[test]
    fn a_circle_of_the_table_is_reported() {
        let rows = [row("a", &["b"]), row("b", &["c"]), row("c", &["a"])];
        let manifests = ["a", "b", "c"].map(|folder| manifest(folder, &[]));
        assert_only(&check(&rows, &manifests), &["a circle: a, b, c"]);
        assert_only(
            &check(&[row("a", &["a"])], &manifests[..1]),
            &["a circle: a "],
        );
    }
}
