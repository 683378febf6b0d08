//! Files that appear whole or not at all.

use crate::{Error, ErrorKind, Result};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Writes `path` by way of a temporary file beside it, which is renamed when `write` is done and
/// removed when it fails. An existing file is replaced.
///
/// # Errors
/// `Io` that names `path`, whichever step failed.
pub fn write_atomic(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<()> {
    let (temporary, file) = create_beside(path)?;
    let guard = Guard(&temporary);
    let fail = |e: std::io::Error| {
        let error = Error::io(path, "write the file", e);
        match error.io_kind() {
            Some(std::io::ErrorKind::StorageFull) => error.hint("free some space"),
            _ => error,
        }
    };
    let mut writer = BufWriter::with_capacity(1 << 18, file);
    write(&mut writer).map_err(fail)?;
    writer.into_inner().map_err(|e| fail(e.into_error()))?;
    std::fs::rename(&temporary, path).map_err(fail)?;
    std::mem::forget(guard);
    Ok(())
}

/// Removes an unfinished file, also when writing panics.
struct Guard<'a>(&'a Path);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        // Nothing more can be done if even this fails.
        let _ = std::fs::remove_file(self.0);
    }
}

fn create_beside(path: &Path) -> Result<(PathBuf, File)> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let Some(name) = path.file_name() else {
        return Err(Error::new(ErrorKind::Io, "this path names no file").at(path));
    };
    if path.is_dir() {
        return Err(Error::new(ErrorKind::Io, "this is a directory")
            .hint("name a file to write")
            .at(path));
    }
    loop {
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}-{count}.part", std::process::id()));
        let temporary = path.with_file_name(temporary);
        match OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&temporary)
        {
            Ok(file) => return Ok((temporary, file)),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => {
                let hint = match e.kind() {
                    std::io::ErrorKind::NotFound => "create the directory first",
                    _ => "is the directory writable?",
                };
                return Err(Error::io(path, "create the file", e).hint(hint));
            }
        }
    }
}
