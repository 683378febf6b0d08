//! Paths of callers: what lies below an allowed root, and nothing that only seems to.

use super::Queue;
use crate::{Error, ErrorKind, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// Most files and folders that a scan's folder may have.
const MOST_ENTRIES: usize = 200_000;
/// Deepest nesting of a scan's folder.
const MOST_DEPTH: usize = 32;

impl Queue {
    /// The real path of `path`, which must be a file or folder below an allowed root.
    ///
    /// # Errors
    /// `Forbidden`. Whether something lies elsewhere is nobody's concern.
    pub(crate) fn allowed(&self, path: &Path) -> Result<PathBuf> {
        self.below_root(path).map(|(real, _)| real)
    }

    /// The real path of `path`, as [`Queue::allowed`] gives it, if everything that is read with it lies
    /// below the same root: every file of a folder, and the neighbours of a DICOM file. A link that
    /// leads out of the root, and anything that is neither file nor folder, is refused: a pipe would
    /// never end.
    ///
    /// # Errors
    /// `Forbidden`.
    pub(crate) fn allowed_whole(&self, path: &Path) -> Result<PathBuf> {
        let (real, root) = self.below_root(path)?;
        let mut left = MOST_ENTRIES;
        if real.is_dir() {
            check_folder(&real, &root, MOST_DEPTH, &mut left)?;
        } else if let Some(folder) = real.parent()
            && is_dicom(&real)
        {
            check_folder(folder, &root, 0, &mut left)?;
        }
        Ok(real)
    }

    /// The real path and the root that it lies below.
    fn below_root(&self, path: &Path) -> Result<(PathBuf, PathBuf)> {
        let forbidden = || {
            Error::new(
                ErrorKind::Forbidden,
                "the path is not below an allowed folder, or is not there",
            )
            .hint("allow its folder with --allow-root")
        };
        let real = fs::canonicalize(path).map_err(|_| forbidden())?;
        let roots = self.config.allow_roots.iter();
        let mut roots = roots.filter_map(|r| fs::canonicalize(r).ok());
        let root = roots.find(|root| real.starts_with(root));
        let root = root.ok_or_else(forbidden)?;
        let found = fs::metadata(&real).map_err(|_| forbidden())?;
        match found.is_dir() || found.is_file() {
            true => Ok((real, root)),
            false => Err(Error::new(
                ErrorKind::Forbidden,
                "the path is neither a file nor a folder",
            )),
        }
    }
}

/// Whether the reader looks at the file's neighbours too, which belong to its series.
fn is_dicom(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = fs::File::open(path).and_then(|file| {
        use std::io::Read;
        file.take(132).read_to_end(&mut head)
    });
    let volumes = [".nii", ".nii.gz", ".nrrd", ".mha"];
    let name = path.to_string_lossy().to_ascii_lowercase();
    read.is_ok() && !head.starts_with(b"PK") && !volumes.iter().any(|v| name.ends_with(v))
}

fn check_folder(folder: &Path, root: &Path, depth: usize, left: &mut usize) -> Result<()> {
    let forbidden = |reason: &str, hint: &str| {
        let error = Error::new(ErrorKind::Forbidden, reason);
        Err(error.hint(hint))
    };
    let read = |e| Error::io(folder, "read the folder", e);
    for entry in fs::read_dir(folder).map_err(read)? {
        let entry = entry.map_err(read)?;
        *left = left.saturating_sub(1);
        if *left == 0 {
            let reason = format!("the folder has more than {MOST_ENTRIES} files");
            return forbidden(&reason, "name the folder of one study");
        }
        let kind = entry.file_type().map_err(read)?;
        let path = entry.path();
        if kind.is_dir() {
            if depth > 0 {
                check_folder(&path, root, depth - 1, left)?;
            }
            continue;
        }
        if kind.is_file() {
            continue;
        }
        // The reader does not follow links to folders.
        let real = match kind.is_symlink() {
            true => fs::canonicalize(&path).ok(),
            false => Some(path),
        };
        let Some(real) = real else { continue };
        if !real.starts_with(root) {
            return forbidden(
                "the folder has a link that leads out of the allowed folder",
                "put the file itself there",
            );
        }
        if !real.is_file() && !real.is_dir() {
            return forbidden(
                "the folder has something that is neither a file nor a folder",
                "remove it",
            );
        }
    }
    Ok(())
}
