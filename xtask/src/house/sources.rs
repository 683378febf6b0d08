//! The Rust files of the workspace.

use std::fs;
use std::path::Path;

/// A Rust file.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its path from the workspace's folder, with `/` on every system.
    pub path: String,
    /// Its content.
    pub text: String,
}

impl Source {
    /// Number of lines.
    pub fn lines(&self) -> usize {
        self.text.lines().count()
    }
}

/// All Rust files under `folder`, a path from the workspace's folder `root`, sorted by path.
///
/// # Errors
/// If a folder or a file cannot be read.
pub fn read(root: &Path, folder: &str) -> Result<Vec<Source>, String> {
    let mut found = Vec::new();
    collect(root, folder, &mut found)?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn collect(root: &Path, folder: &str, found: &mut Vec<Source>) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("{folder}: cannot be listed: {e}");
    for entry in fs::read_dir(root.join(folder)).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{folder}/{name}");
        if entry.path().is_dir() {
            // Build results are not the workspace's files.
            if name != "target" {
                collect(root, &path, found)?;
            }
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(entry.path())
                .map_err(|e| format!("{path}: cannot be read: {e}"))?;
            found.push(Source { path, text });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust_files_of_all_depths_are_found_and_build_results_are_not() {
        let root = tempfile::tempdir().unwrap();
        for path in [
            "a/src/deep/b.rs",
            "a/src/lib.rs",
            "a/target/c.rs",
            "a/notes.md",
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "// x\n// y\n").unwrap();
        }
        let sources = read(root.path(), "a").unwrap();
        let paths: Vec<&str> = sources.iter().map(|source| source.path.as_str()).collect();
        assert_eq!(paths, ["a/src/deep/b.rs", "a/src/lib.rs"]);
        assert_eq!(sources[0].lines(), 2);
    }
}
