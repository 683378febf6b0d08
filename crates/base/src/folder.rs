//! Folders whose files appear together or not at all.

use crate::files::{
    LOCK, create_locked, discard, make_dir, parent, place_to_write, remove_stale, unfinished,
};
use crate::{Error, ErrorKind, Result};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

/// A staging folder for results. Files are written to an unfinished folder beside the target, and
/// [`StagedFolder::publish`] moves them into the target. If the value is dropped before that,
/// nothing is left.
#[derive(Debug)]
pub struct StagedFolder {
    target: PathBuf,
    folder: PathBuf,
    /// The open lock file. Its lock tells other programs that the folder is in use.
    _lock: File,
}

impl StagedFolder {
    /// Creates a staging folder for `target`. [`StagedFolder::publish`] creates `target` if it does
    /// not exist.
    ///
    /// # Errors
    /// `Write` if `target` is a file, or if no folder can be created beside it.
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
                discard(&folder);
                Err(fail(e))
            }
        }
    }

    /// Checks that `target` can be created, or written to if it exists, and leaves nothing behind.
    /// A command calls this before long work.
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
        let removed = fs::remove_dir(&probe).map_err(fail);
        discard(&probe);
        removed
    }

    /// The staging folder, which holds the files until they are published.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Path of the file `name` in the staging folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes the file `name`, and creates its folder if it does not exist.
    ///
    /// # Errors
    /// `Write`, with the file's path in the target, if it cannot be written.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path(name);
        make_dir(parent(&path))?;
        fs::write(&path, bytes)
            .map_err(|e| Error::write(&self.target.join(name), "write the file", e))
    }

    /// Moves all files into the target. Files of the same names are replaced. A target that does not
    /// exist appears with all its files at once. Into one that exists the files are moved one by one, so
    /// a disk that refuses in the middle leaves some of them.
    ///
    /// # Errors
    /// `Write`, with the path, if a file cannot be moved or a folder cannot be created.
    pub fn publish(self) -> Result<()> {
        if self.target.symlink_metadata().is_err() && self.rename_whole().is_ok() {
            return Ok(());
        }
        move_into(&self.folder, &self.target, true)
    }

    /// Gives the folder its name. The lock file goes first, since it is not a result. Without it the
    /// folder is not taken for a stale one, since it has just been changed.
    fn rename_whole(&self) -> std::io::Result<()> {
        fs::remove_file(self.folder.join(LOCK))?;
        fs::rename(&self.folder, &self.target)
    }
}

impl Drop for StagedFolder {
    fn drop(&mut self) {
        // A folder that was published is gone already.
        discard(&self.folder);
    }
}

fn refuse_file(folder: &Path) -> Result<()> {
    if folder.exists() && !folder.is_dir() {
        return Err(Error::new(ErrorKind::Write, "this is not a folder")
            .hint("choose another folder for results")
            .at(folder));
    }
    Ok(())
}

/// Moves the content of the folder `from` into the folder `to`, and merges subfolders file by file.
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

/// The lock of a folder that one program uses at a time. Dropped, it is free.
#[derive(Debug)]
pub struct FolderLock {
    /// Held, and with it the lock.
    _file: File,
    /// Whether the file system has locks. Without them nothing keeps other programs out.
    pub is_held: bool,
}

impl FolderLock {
    /// Locks `folder`, which is called `what` in the error: "another program uses this store".
    ///
    /// # Errors
    /// `Write` if another program holds the lock, or if its file cannot be opened.
    pub fn take(folder: &Path, what: &str) -> Result<Self> {
        let path = folder.join("lock");
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|e| Error::write(&path, "open the file", e))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Err(Error::new(
                ErrorKind::Write,
                format!("another program uses this {what}"),
            )
            .hint("stop that program, or choose another folder")
            .at(folder)),
            locked => Ok(Self {
                is_held: locked.is_ok(),
                _file: file,
            }),
        }
    }
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

        // Subfolders are merged into existing ones.
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
            assert!(text.contains("out: this is not a folder"), "{text}");
        }
    }

    #[test]
    fn a_check_of_a_folder_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        StagedFolder::check(&root.path().join("a/b/c")).unwrap();
        StagedFolder::check(root.path()).unwrap();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_locked_folder_is_refused_until_it_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let lock = FolderLock::take(dir.path(), "store").unwrap();
        assert!(lock.is_held);
        let error = FolderLock::take(dir.path(), "store").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Write);
        assert!(
            error
                .to_string()
                .contains("another program uses this store")
        );
        drop(lock);
        FolderLock::take(dir.path(), "store").unwrap();
    }
}
