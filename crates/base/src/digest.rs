//! SHA-256 digests, in hexadecimal.

use crate::{Error, Result};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::Read;
use std::path::Path;

/// Computes a SHA-256 digest of bytes that arrive in pieces.
#[derive(Debug, Clone, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// A hasher without any bytes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all added bytes, in lower-case hexadecimal.
    pub fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

/// SHA-256 of `bytes`, in lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// SHA-256 of `bytes` as 32 bytes, for files that hold their own digest.
pub fn sha256_bytes(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// SHA-256 of several byte strings, each preceded by its length (`u64`, little-endian). The lengths
/// tell `ab`, `c` from `a`, `bc`.
pub fn sha256_of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hasher = Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finish()
}

/// SHA-256 of a file, or of a folder's files one after the other in the order of their names.
///
/// Calls `stop` before each piece of 256 KiB and returns `None` as soon as `stop` returns true.
///
/// # Errors
/// `Read`, with the path, if a file or folder cannot be read.
pub fn sha256_of_path(path: &Path, stop: &dyn Fn() -> bool) -> Result<Option<String>> {
    let mut hasher = Hasher::new();
    Ok(feed(path, &mut hasher, stop)?.then(|| hasher.finish()))
}

/// Adds a file or folder to `hasher`. Returns false if `stop` ended this early.
fn feed(path: &Path, hasher: &mut Hasher, stop: &dyn Fn() -> bool) -> Result<bool> {
    if path.is_dir() {
        let io = |e| Error::io(path, "read the folder", e);
        let mut entries = fs::read_dir(path)
            .map_err(io)?
            .map(|e| e.map(|e| e.path()).map_err(io))
            .collect::<Result<Vec<_>>>()?;
        entries.sort();
        for entry in &entries {
            if !feed(entry, hasher, stop)? {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    let io = |e| Error::io(path, "read the file", e);
    let mut file = fs::File::open(path).map_err(io)?;
    let mut buffer = vec![0; 1 << 18];
    loop {
        if stop() {
            return Ok(false);
        }
        match file.read(&mut buffer).map_err(io)? {
            0 => return Ok(true),
            n => hasher.update(&buffer[..n]),
        }
    }
}

/// Bytes in hexadecimal, lower case.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|b| [b >> 4, b & 15])
        .map(|d| char::from(DIGITS[usize::from(d)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_fips_180() {
        assert_eq!(
            sha256(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let digest = |parts: &[&[u8]]| sha256_of_parts(parts.iter().copied());
        assert_ne!(digest(&[b"ab", b"c"]), digest(&[b"a", b"bc"]));
    }

    #[test]
    fn a_folder_is_its_files_in_order_and_a_stop_ends_it() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("2"), b"c").unwrap();
        fs::write(dir.path().join("1"), b"ab").unwrap();
        let digest = |stop: &dyn Fn() -> bool| sha256_of_path(dir.path(), stop).unwrap();
        assert_eq!(digest(&|| false), Some(sha256(b"abc")));
        assert_eq!(digest(&|| true), None);
        let error = sha256_of_path(&dir.path().join("3"), &|| false).unwrap_err();
        assert!(error.to_string().contains("check the path"), "{error}");
    }
}
