//! The report of a study.

use crate::{Error, ErrorKind, Folder, Result};
use multirnet_train::load::Reader;
use std::path::{Path, PathBuf};

/// Draws the report of the study in `root`; `progress` is told what is drawn.
///
/// # Errors
/// As [`crate::results`], and `Figure`.
pub fn report(root: &Path, _read: &Reader<'_>, progress: &mut dyn FnMut(&str)) -> Result<PathBuf> {
    let (folder, config) = Folder::existing(root)?;
    let (results, _) = crate::results(&config, &folder)?;
    progress("tables");
    crate::write_tables(&folder, &results)?;
    Err(Error::new(ErrorKind::Figure, "not drawn"))
}
