//! Folders whose files appear together or not at all.

use crate::files::{
    LOCK, create_locked, finished, make_dir, parent, place_to_write, remove_stale, unfinished,
};
use crate::{Error, ErrorKind, Result};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// A folder of results in the making: files are written to an unfinished folder beside the target and
/// moved in by [`StagedFolder::publish`]. Dropped before that, nothing is left.
#[derive(Debug)]
pub struct StagedFolder {
    target: PathBuf,
    folder: PathBuf,
    /// Held, and with it the lock, as long as the folder is in the making.
    _lock: File,
}

impl StagedFolder {
    /// Prepares to write to `target`, which is made if it does not exist.
    ///
    /// # Errors
    /// `Write` if `target` is a file, or the folder beside it cannot be made.
    pub fn new(target: &Path) -> Result<Self> {
        refuse_file(target)?;
        let beside = parent(target);
        make_dir(beside)?;
        remove_stale(beside);
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let fail = |e| Error::write(beside, "create a folder in it", e);
        let (folder, ()) = unfinished(beside, &name, |p| fs::create_dir(p)).map_err(fail)?;
        match create_locked(&folder.join(LOCK)) {
            Ok(lock) => Ok(Self {
                target: target.to_owned(),
                folder,
                _lock: lock,
            }),
            Err(e) => {
                let _ = fs::remove_dir(&folder);
                Err(fail(e))
            }
        }
    }

    /// Checks that a folder can be made at `target` or written if it is there, and leaves nothing
    /// behind: for work that takes long before it writes.
    ///
    /// # Errors
    /// As [`StagedFolder::new`].
    pub fn check(target: &Path) -> Result<()> {
        let mut lowest = target;
        while !lowest.as_os_str().is_empty() && !lowest.exists() {
            lowest = parent(lowest);
            if lowest == Path::new(".") {
                break;
            }
        }
        refuse_file(lowest)?;
        let fail = |e| Error::write(lowest, "create a folder in it", e);
        let (probe, ()) = unfinished(lowest, "probe", |p| fs::create_dir(p)).map_err(fail)?;
        finished(&probe);
        fs::remove_dir(&probe).map_err(fail)
    }

    /// Where to write files for now.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where to write the file `name` for now.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes the file `name`, whose folder is made if it does not exist.
    ///
    /// # Errors
    /// `Write` that names the file's final place.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path(name);
        make_dir(parent(&path))?;
        fs::write(&path, bytes)
            .map_err(|e| Error::write(&self.target.join(name), "write the file", e))
    }

    /// Moves everything to the target; files of the same names are replaced.
    ///
    /// # Errors
    /// `Write` that names the file or folder.
    pub fn publish(self) -> Result<()> {
        move_into(&self.folder, &self.target, true)
    }
}

impl Drop for StagedFolder {
    fn drop(&mut self) {
        // Nothing more can be done if even this fails; the next run tries again.
        let _ = fs::remove_dir_all(&self.folder);
        finished(&self.folder);
    }
}

fn refuse_file(folder: &Path) -> Result<()> {
    if folder.exists() && !folder.is_dir() {
        return Err(Error::new(ErrorKind::Write, "is not a folder")
            .hint("choose another folder for results")
            .at(folder));
    }
    Ok(())
}

/// Moves what the folder `from` holds into the folder `to`, folders file by file.
fn move_into(from: &Path, to: &Path, top: bool) -> Result<()> {
    make_dir(to)?;
    let fail = |e| Error::write(from, "list the folder", e);
    for entry in fs::read_dir(from).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        if top && entry.file_name() == LOCK {
            continue;
        }
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            move_into(&entry.path(), &target, false)?;
        } else {
            let place = place_to_write(&target)?;
            let renamed = fs::rename(entry.path(), &place);
            renamed.map_err(|e| Error::write(&target, "write the file", e))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_appear_only_when_published() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("out");
        let staged = StagedFolder::new(&target).unwrap();
        staged.write("a.txt", b"a").unwrap();
        assert!(!target.exists());
        drop(staged);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);

        let staged = StagedFolder::new(&target).unwrap();
        staged.write("a.txt", b"b").unwrap();
        staged.publish().unwrap();
        assert_eq!(fs::read(target.join("a.txt")).unwrap(), b"b");
        assert_eq!(fs::read_dir(&target).unwrap().count(), 1);

        // Folders in it join those that are there.
        for name in ["old", "new"] {
            let staged = StagedFolder::new(&target).unwrap();
            staged.write(&format!("pictures/{name}"), b"").unwrap();
            staged.publish().unwrap();
        }
        assert_eq!(fs::read_dir(target.join("pictures")).unwrap().count(), 2);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("out");
        fs::write(&target, b"").unwrap();
        let below = target.join("a/b");
        for error in [
            StagedFolder::new(&target).unwrap_err(),
            StagedFolder::check(&target).unwrap_err(),
            StagedFolder::check(&below).unwrap_err(),
        ] {
            let text = error.to_string();
            assert!(text.contains("out: is not a folder"), "{text}");
        }
    }

    #[test]
    fn a_check_of_a_folder_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        StagedFolder::check(&root.path().join("a/b/c")).unwrap();
        StagedFolder::check(root.path()).unwrap();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
