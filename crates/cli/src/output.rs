//! Writing results: whole or not at all.

use crate::failure::{Failure, Outcome};
use multirnet_volume::io;
use serde::Serialize;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// A folder of results that appears only when it is complete: files are written to a temporary
/// folder beside it, and moved in by [`Staged::publish`]. Dropped before that, nothing is left.
pub struct Staged {
    target: PathBuf,
    dir: tempfile::TempDir,
}

impl Staged {
    /// Prepares to write to `target`, which is made if it does not exist.
    pub fn new(target: &Path) -> Outcome<Self> {
        let parent = match target.parent() {
            Some(p) if !p.as_os_str().is_empty() => p.to_owned(),
            _ => PathBuf::from("."),
        };
        make_dir(&parent)?;
        if target.exists() && !target.is_dir() {
            return Err(Failure::output(format!(
                "{}: is not a folder (choose another -o/--out)",
                target.display()
            )));
        }
        let dir = tempfile::Builder::new()
            .prefix(".multirnet-partial-")
            .tempdir_in(&parent)
            .map_err(|e| failed(&parent, "create a folder in", &e))?;
        Ok(Self {
            target: target.to_owned(),
            dir,
        })
    }

    /// Where to write files for now.
    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// Where to write the file `name` for now.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file of bytes.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Outcome {
        let path = self.path(name);
        fs::write(&path, bytes).map_err(|e| failed(&self.target.join(name), "write", &e))
    }

    /// Writes a value as indented JSON.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Outcome {
        self.write(name, to_json(value)?.as_bytes())
    }

    /// Moves everything to the target; files of the same names are replaced.
    pub fn publish(self) -> Outcome {
        move_into(self.dir.path(), &self.target)
    }
}

/// Moves what the folder `from` holds into the folder `to`, folders file by file.
fn move_into(from: &Path, to: &Path) -> Outcome {
    make_dir(to)?;
    let entries = fs::read_dir(from).map_err(|e| failed(from, "list", &e))?;
    for entry in entries {
        let entry = entry.map_err(|e| failed(from, "list", &e))?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            move_into(&entry.path(), &target)?;
        } else {
            fs::rename(entry.path(), &target).map_err(|e| failed(&target, "write", &e))?;
        }
    }
    Ok(())
}

/// Writes one file through a temporary name.
pub fn write_file(path: &Path, bytes: &[u8]) -> Outcome {
    let parent = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    make_dir(parent)?;
    io::write_atomic(path, |file| file.write_all(bytes)).map_err(Failure::output)
}

/// A value as indented JSON with a final newline.
pub fn to_json(value: &impl Serialize) -> Outcome<String> {
    serde_json::to_string_pretty(value)
        .map(|text| text + "\n")
        .map_err(|e| {
            Failure::new(
                crate::failure::Exit::Internal,
                format!("cannot write JSON: {e}"),
            )
        })
}

/// Prints data to stdout; a closed pipe is no error.
pub fn print(text: &str) -> Outcome {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::output(format!(
            "cannot write to standard output: {e}"
        ))),
        _ => Ok(()),
    }
}

/// Makes a folder and its parents.
pub fn make_dir(path: &Path) -> Outcome {
    fs::create_dir_all(path).map_err(|e| failed(path, "create", &e))
}

fn failed(path: &Path, doing: &str, error: &std::io::Error) -> Failure {
    let hint = match error.kind() {
        std::io::ErrorKind::StorageFull => {
            " (free some space and run again; nothing half written is left)"
        }
        std::io::ErrorKind::PermissionDenied => " (choose a folder you may write to)",
        _ => "",
    };
    Failure::output(format!("{}: cannot {doing}: {error}{hint}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_appear_only_when_published() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("out");
        let staged = Staged::new(&target).unwrap();
        staged.write("a.txt", b"a").unwrap();
        assert!(!target.exists());
        drop(staged);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);

        let staged = Staged::new(&target).unwrap();
        staged.write("a.txt", b"b").unwrap();
        staged.publish().unwrap();
        assert_eq!(fs::read(target.join("a.txt")).unwrap(), b"b");

        // Folders in it join those that are there.
        for name in ["old", "new"] {
            let staged = Staged::new(&target).unwrap();
            make_dir(&staged.path("pictures")).unwrap();
            staged.write(&format!("pictures/{name}"), b"").unwrap();
            staged.publish().unwrap();
        }
        assert_eq!(fs::read_dir(target.join("pictures")).unwrap().count(), 2);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_written_file_is_as_readable_as_others() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().unwrap();
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
        let (ours, plain) = (root.path().join("ours"), root.path().join("plain"));
        write_file(&ours, b"x").unwrap();
        fs::write(&plain, b"x").unwrap();
        assert_eq!(mode(&ours), mode(&plain));
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("out");
        fs::write(&target, b"").unwrap();
        let Err(failure) = Staged::new(&target) else {
            panic!("a file was taken for a folder")
        };
        assert!(failure.to_string().contains("out: is not a folder"));
    }
}
