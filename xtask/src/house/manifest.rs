//! The dependencies in the Cargo.toml of a crate.

use std::fs;
use std::path::Path;
use toml::{Table, Value};

/// The sections whose dependencies become part of a crate. Tests may use any crate.
const SECTIONS: [&str; 2] = ["dependencies", "build-dependencies"];

/// A crate's manifest.
#[derive(Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The crate's folder under `crates/`.
    pub folder: String,
    /// The package's name.
    pub package: String,
    /// The packages that it depends on.
    pub uses: Vec<Dependency>,
}

/// A dependency of a manifest.
#[derive(Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The section that names it.
    pub section: String,
    /// The package's own name, also where the manifest renames it.
    pub package: String,
}

/// The manifests of all folders under `crates/`, sorted by folder.
///
/// # Errors
/// If a manifest is missing or broken.
pub fn read_all(root: &Path) -> Result<Vec<Manifest>, String> {
    let workspace = table(root, "Cargo.toml")?;
    folders(root)?
        .into_iter()
        .map(|folder| {
            let path = format!("crates/{folder}/Cargo.toml");
            manifest(folder, &table(root, &path)?, &workspace)
        })
        .collect()
}

/// The folders under `crates/`, sorted.
///
/// # Errors
/// If they cannot be listed.
pub fn folders(root: &Path) -> Result<Vec<String>, String> {
    let failed = |e: std::io::Error| format!("crates: cannot be listed: {e}");
    let mut folders = Vec::new();
    for entry in fs::read_dir(root.join("crates")).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.path().is_dir() {
            folders.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    folders.sort();
    Ok(folders)
}

fn table(root: &Path, path: &str) -> Result<Table, String> {
    let text =
        fs::read_to_string(root.join(path)).map_err(|e| format!("{path}: cannot be read: {e}"))?;
    text.parse()
        .map_err(|e| format!("{path}: is not valid TOML: {e}"))
}

/// Reads `table`, the manifest of a crate's folder. The manifest of the workspace gives the own names
/// of packages that it renames.
fn manifest(folder: String, table: &Table, workspace: &Table) -> Result<Manifest, String> {
    let package = table
        .get("package")
        .and_then(|package| package.get("name"))
        .and_then(Value::as_str)
        .ok_or_else(|| {
            format!("crates/{folder}/Cargo.toml: lacks the package's name (add `package.name`)")
        })?
        .to_owned();
    let shared = workspace
        .get("workspace")
        .and_then(|workspace| workspace.get("dependencies"))
        .and_then(Value::as_table);
    let mut uses = Vec::new();
    let mut add = |table: &Table, prefix: &str| {
        for name in SECTIONS {
            let dependencies = table.get(name).and_then(Value::as_table);
            for (key, value) in dependencies.into_iter().flatten() {
                uses.push(Dependency {
                    section: format!("{prefix}{name}"),
                    package: package_name(key, value, shared),
                });
            }
        }
    };
    add(table, "");
    let targets = table.get("target").and_then(Value::as_table);
    for (target, value) in targets.into_iter().flatten() {
        if let Some(table) = value.as_table() {
            add(table, &format!("target.'{target}'."));
        }
    }
    Ok(Manifest {
        folder,
        package,
        uses,
    })
}

/// The package behind the key of a dependency.
fn package_name(key: &str, value: &Value, shared: Option<&Table>) -> String {
    let renamed = |value: &Value| Some(value.get("package")?.as_str()?.to_owned());
    let is_shared = value.get("workspace").and_then(Value::as_bool) == Some(true);
    renamed(value)
        .or_else(|| shared.filter(|_| is_shared)?.get(key).and_then(renamed))
        .unwrap_or_else(|| key.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uses(manifest_text: &str) -> Vec<(String, String)> {
        let workspace = "[workspace.dependencies]\nshapes = { package = \"multirnet-volume\" }\n";
        let table = manifest_text.parse().unwrap();
        manifest("a".to_owned(), &table, &workspace.parse().unwrap())
            .unwrap()
            .uses
            .into_iter()
            .map(|dependency| (dependency.section, dependency.package))
            .collect()
    }

    #[test]
    fn optional_target_and_build_dependencies_count_and_dev_dependencies_do_not() {
        let found = uses(
            "[package]\nname = \"a\"\n\
             [dependencies]\nb = { path = \"../b\", optional = true }\n\
             [build-dependencies]\nc = \"1\"\n\
             [dev-dependencies]\nd = \"1\"\n\
             [target.'cfg(unix)'.dependencies]\ne = \"1\"\n",
        );
        let expected = [
            ("dependencies", "b"),
            ("build-dependencies", "c"),
            ("target.'cfg(unix)'.dependencies", "e"),
        ];
        assert_eq!(found, expected.map(|(s, p)| (s.to_owned(), p.to_owned())));
    }

    #[test]
    fn renamed_packages_are_known_by_their_own_names() {
        let found = uses(
            "[package]\nname = \"a\"\n\
             [dependencies]\nx = { package = \"multirnet-nn\", path = \"../nn\" }\n\
             shapes.workspace = true\n",
        );
        let packages: Vec<&str> = found.iter().map(|(_, package)| package.as_str()).collect();
        assert_eq!(packages, ["multirnet-volume", "multirnet-nn"]);
    }

    #[test]
    fn a_manifest_without_a_name_is_refused() {
        let message = manifest("a".to_owned(), &Table::new(), &Table::new()).unwrap_err();
        assert!(message.contains("lacks the package's name"), "{message}");
    }
}
