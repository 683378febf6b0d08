//! Files that arrive piece by piece and are kept only when they are complete.

use crate::files::{create_locked, discard, make_dir, parent, remove_stale, sync_dir, unfinished};
use crate::{Error, Result};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A file in the making, under a temporary name. [`PartialFile::keep`] and [`PartialFile::keep_synced`]
/// give it its place; dropped before that, it is removed.
#[derive(Debug)]
pub struct PartialFile {
    temporary: PathBuf,
    writer: BufWriter<File>,
}

impl PartialFile {
    /// Creates a file in `folder`, which is made if it does not exist.
    ///
    /// # Errors
    /// `Write` that names the folder.
    pub fn create(folder: &Path) -> Result<Self> {
        make_dir(folder)?;
        remove_stale(folder);
        let (temporary, file) = unfinished(folder, "part", create_locked)
            .map_err(|e| Error::write(folder, "create a file in it", e))?;
        let writer = BufWriter::with_capacity(1 << 17, file);
        Ok(Self { temporary, writer })
    }

    /// Where the file lies for now.
    pub fn path(&self) -> &Path {
        &self.temporary
    }

    /// Moves the file to `path`, on the same disk and in a folder that exists. A file that is there is
    /// replaced.
    ///
    /// # Errors
    /// `Write` that names `path`; nothing is left then.
    pub fn keep(mut self, path: &Path) -> Result<()> {
        self.move_to(path)
    }

    /// As [`PartialFile::keep`], and waits until bytes and name are on the disk. The name comes first,
    /// since the disk then writes both at once, in half the time. A loss of power before the return can
    /// therefore leave a damaged file under the name; a kill of the program cannot.
    ///
    /// # Errors
    /// As [`PartialFile::keep`].
    pub fn keep_synced(mut self, path: &Path) -> Result<()> {
        self.move_to(path)?;
        let synced = self.writer.get_ref().sync_all();
        if let Err(e) = synced {
            // Nothing more can be done if even this fails.
            let _ = fs::remove_file(path);
            return Err(Error::write(path, "write the file", e));
        }
        sync_dir(parent(path))
    }

    fn move_to(&mut self, path: &Path) -> Result<()> {
        let fail = |e| Error::write(path, "write the file", e);
        self.writer.flush().map_err(fail)?;
        fs::rename(&self.temporary, path).map_err(fail)
    }
}

impl Write for PartialFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        // After the file was kept the name is gone.
        discard(&self.temporary);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_kept_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("kept");
        let mut file = PartialFile::create(dir.path()).unwrap();
        file.write_all(b"bytes").unwrap();
        file.keep_synced(&place).unwrap();
        let mut dropped = PartialFile::create(dir.path()).unwrap();
        dropped.write_all(b"other").unwrap();
        drop(dropped);
        assert_eq!(fs::read(&place).unwrap(), b"bytes");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
