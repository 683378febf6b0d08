//! Writing files whole or not at all, and digests.

use crate::{Error, Result};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Writes `bytes` to a temporary file beside `path`, then renames it; on failure nothing is left.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    // Two threads may write the same cache entry at once.
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let folder = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p.to_owned(),
        _ => PathBuf::from("."),
    };
    fs::create_dir_all(&folder).map_err(|e| Error::write(&folder, "create the folder", &e))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(
        ".{name}.{}-{}.tmp",
        std::process::id(),
        COUNTER.fetch_add(1, Ordering::Relaxed)
    ));
    let written = fs::File::create(&temporary)
        .and_then(|mut f| f.write_all(bytes).and_then(|()| f.sync_all()))
        .and_then(|()| fs::rename(&temporary, path));
    written.map_err(|e| {
        let _ = fs::remove_file(&temporary);
        Error::write(path, "write", &e)
    })
}

/// SHA-256 of a file, or of a folder's files in the order of their names.
pub(crate) fn digest_path(path: &Path) -> Result<String> {
    let mut hasher = Sha256::new();
    feed(path, &mut hasher)?;
    Ok(hex(&hasher.finalize()))
}

fn feed(path: &Path, hasher: &mut Sha256) -> Result<()> {
    if path.is_dir() {
        let io = |e: std::io::Error| Error::io(path, "read the folder", &e);
        let mut entries = fs::read_dir(path)
            .map_err(io)?
            .map(|e| e.map(|e| e.path()).map_err(io))
            .collect::<Result<Vec<_>>>()?;
        entries.sort();
        return entries.iter().try_for_each(|p| feed(p, hasher));
    }
    let io = |e: std::io::Error| Error::io(path, "read", &e);
    let mut file = fs::File::open(path).map_err(io)?;
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer).map_err(io)? {
            0 => return Ok(()),
            n => hasher.update(&buffer[..n]),
        }
    }
}

/// SHA-256 of several byte strings, each preceded by its length.
pub(crate) fn digest_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hex(&hasher.finalize())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
