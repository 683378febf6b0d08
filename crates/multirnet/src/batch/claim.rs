//! The claim of a process on a scan.

use crate::{Error, Result};
use multirnet_base::{files, host};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// A scan is given up after this many starts that had no end. Otherwise a scan that ends the process (by
/// taking all memory, for instance) would keep the rest of its part from being analysed for ever.
pub const MAX_STARTS: usize = 3;

/// A process's claim on a scan: a locked file with one line for each start of its analysis.
#[derive(Debug)]
pub(super) struct Claim {
    path: PathBuf,
    file: File,
    /// Number of earlier starts that had no end.
    pub earlier: usize,
    /// Length of the file before this start.
    length: u64,
}

impl Claim {
    /// Claims the scan of the file `path`; `None` if another process holds it. Where a file system has
    /// no locks, every process gets its claim.
    pub fn take(path: &Path) -> Result<Option<Self>> {
        files::make_dir(files::parent(path))?;
        let fail = |e| Error::write(path, "write the claim", e);
        loop {
            let mut options = OpenOptions::new();
            let opened = options.read(true).append(true).create(true).open(path);
            let mut file = opened.map_err(fail)?;
            if let Err(TryLockError::WouldBlock) = file.try_lock() {
                return Ok(None);
            }
            // The holder may have ended and removed the file after it was opened here.
            if !path.exists() {
                continue;
            }
            let mut text = String::new();
            file.read_to_string(&mut text).map_err(fail)?;
            return Ok(Some(Self {
                path: path.to_owned(),
                file,
                earlier: text.lines().count(),
                length: text.len() as u64,
            }));
        }
    }

    /// Notes a start.
    pub fn start(&mut self) -> Result<()> {
        let line = format!("{} {}\n", host::name(), std::process::id());
        let written = self.file.write_all(line.as_bytes());
        written.map_err(|e| Error::write(&self.path, "write the claim", e))
    }

    /// Ends the claim of a scan that has its results, or whose failure is recorded.
    ///
    /// # Errors
    /// `Write` if the file cannot be removed. The next run then removes it with [`Claim::remove_left`].
    pub fn end(self) -> Result<()> {
        match fs::remove_file(&self.path) {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                Err(Error::write(&self.path, "remove the claim", e))
            }
            _ => Ok(()),
        }
    }

    /// Removes the claim of a scan that has its results, if the process that made them could not.
    pub fn remove_left(path: &Path) {
        // A claim without a use does not matter.
        let _ = fs::remove_file(path);
    }

    /// Takes the start back: the process was asked to stop, and that is not the scan's fault.
    pub fn give_back(self) {
        if self.earlier == 0 {
            // If this fails, the scan has a start too many. It has three.
            let _ = self.end();
        } else {
            let _ = self.file.set_len(self.length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_keeps_others_out_and_counts_starts_without_an_end() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("claims/3f/scan");
        for earlier in 0..3 {
            let mut claim = Claim::take(&path).unwrap().unwrap();
            assert_eq!(claim.earlier, earlier);
            claim.start().unwrap();
            assert!(Claim::take(&path).unwrap().is_none(), "it is held");
            // As by a kill.
            drop(claim);
        }
        let mut claim = Claim::take(&path).unwrap().unwrap();
        claim.start().unwrap();
        claim.give_back();
        let claim = Claim::take(&path).unwrap().unwrap();
        assert_eq!(claim.earlier, 3, "a stop is not counted");
        claim.end().unwrap();
        let mut claim = Claim::take(&path).unwrap().unwrap();
        assert_eq!(claim.earlier, 0);
        claim.start().unwrap();
        claim.give_back();
        assert!(!path.exists());
    }
}
