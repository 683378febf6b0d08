//! `cargo xtask house`: checks what ARCHITECTURE.md promises about crates and files.

mod architecture;
mod circles;
mod graph;
mod layers;
mod long_files;
mod manifest;
mod sources;
mod unsafety;

use std::fs;
use std::path::Path;

/// The folders whose Rust files may not be long.
const FOLDERS: [&str; 4] = ["crates", "benches", "python", "xtask"];

/// Manifests besides those of the crates.
const OTHER_MANIFESTS: [&str; 3] = [
    "benches/Cargo.toml",
    "python/Cargo.toml",
    "xtask/Cargo.toml",
];

/// Checks the workspace in the folder `root` and prints what is wrong with it.
///
/// # Errors
/// If anything is wrong, after all checks have run.
pub fn run(root: &Path) -> Result<(), String> {
    let mut problems = Vec::new();
    for check in [check_layers, check_circles, check_long_files, check_unsafe] {
        // A check that cannot run must not hide what the others find.
        match check(root) {
            Ok(found) => problems.extend(found),
            Err(message) => problems.push(message),
        }
    }
    for problem in &problems {
        eprintln!("{problem}");
    }
    match problems.len() {
        0 => Ok(()),
        1 => Err("house failed with 1 problem: read the lines above".to_owned()),
        count => Err(format!(
            "house failed with {count} problems: read the lines above"
        )),
    }
}

fn architecture(root: &Path) -> Result<String, String> {
    let path = architecture::FILE;
    fs::read_to_string(root.join(path)).map_err(|e| format!("{path}: cannot be read: {e}"))
}

fn check_layers(root: &Path) -> Result<Vec<String>, String> {
    let rows = architecture::rows(&architecture(root)?)?;
    Ok(layers::check(&rows, &manifest::read_all(root)?))
}

fn check_circles(root: &Path) -> Result<Vec<String>, String> {
    let mut packages: Vec<String> = manifest::folders(root)?
        .into_iter()
        .map(|folder| format!("crates/{folder}"))
        .collect();
    // The Python package's and the gate's own files follow the same rule.
    packages.extend(["python", "xtask"].map(str::to_owned));
    let mut problems = Vec::new();
    for package in packages {
        let folder = format!("{package}/src");
        problems.extend(circles::check(&folder, &sources::read(root, &folder)?));
    }
    Ok(problems)
}

fn check_unsafe(root: &Path) -> Result<Vec<String>, String> {
    let mut sources = Vec::new();
    for folder in FOLDERS {
        sources.extend(sources::read(root, folder)?);
    }
    let mut problems = unsafety::check(&sources)?;
    let folders = manifest::folders(root)?.into_iter();
    let mut manifests = Vec::new();
    for path in folders
        .map(|f| format!("crates/{f}/Cargo.toml"))
        .chain(OTHER_MANIFESTS.map(str::to_owned))
    {
        let text = fs::read_to_string(root.join(&path))
            .map_err(|e| format!("{path}: cannot be read: {e}"))?;
        manifests.push((path, text));
    }
    problems.extend(unsafety::check_manifests(&manifests));
    Ok(problems)
}

fn check_long_files(root: &Path) -> Result<Vec<String>, String> {
    let mut sources = Vec::new();
    for folder in FOLDERS {
        sources.extend(sources::read(root, folder)?);
    }
    let allowed = architecture::long_files(&architecture(root)?)?;
    let (list, problems) = long_files::check(&sources, &allowed);
    eprintln!(
        "files of more than {} lines: {}",
        long_files::LIMIT,
        list.len()
    );
    for line in list {
        eprintln!("    {line}");
    }
    Ok(problems)
}
