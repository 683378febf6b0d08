//! Which files are to be sent.

use crate::{Error, ErrorKind, Result};
use multirnet_dicom::FileIdentity;
use std::fs;
use std::path::{Path, PathBuf};

/// The DICOM objects among `paths`, in the order of their names. Folders are searched with the folders
/// in them; what is not a DICOM object there is left out.
///
/// # Errors
/// `Read` for a path that does not exist or a file that is not a DICOM object; `Protocol` for a folder
/// without one.
pub fn dicom_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            FileIdentity::read(path).map_err(|e| Error::from(e).at(path))?;
            files.push(path.clone());
            continue;
        }
        let before = files.len();
        search(path, &mut files)?;
        if files.len() == before {
            let reason = "there are no DICOM objects in the folder";
            return Err(Error::new(ErrorKind::Protocol, reason).at(path));
        }
    }
    Ok(files)
}

fn search(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let io = |e| Error::io(folder, "read the folder", e);
    let entries = fs::read_dir(folder).map_err(io)?;
    let mut paths = entries
        .map(|e| e.map(|e| e.path()).map_err(io))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        // A link to a folder above would be searched without end.
        if path.is_dir() && !path.is_symlink() {
            search(&path, files)?;
        } else if path.is_file() && FileIdentity::read(&path).is_ok() {
            files.push(path);
        }
    }
    Ok(())
}
