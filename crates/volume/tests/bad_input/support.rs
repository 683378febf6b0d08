//! A good volume to damage, and the check of a refusal.

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use multirnet_volume::{Error, ErrorKind, Geometry, Volume, io};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A directory with one good volume as bytes.
pub struct Bench {
    pub directory: tempfile::TempDir,
    pub good: Vec<u8>,
}

impl Bench {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let geometry = Geometry::axial([4, 5, 6], [2.0, 0.7, 0.7]).unwrap();
        let volume = Volume::from_fn(geometry, |[z, y, x]| (z * 30 + y * 6 + x) as i16);
        let path = directory.path().join("good.nii");
        io::write_nifti(&path, &volume).unwrap();
        let good = std::fs::read(path).unwrap();
        Self { directory, good }
    }

    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// The good file with bytes changed at offsets.
    pub fn patched(&self, patches: &[(usize, &[u8])]) -> Vec<u8> {
        let mut bytes = self.good.clone();
        for (at, patch) in patches {
            bytes[*at..at + patch.len()].copy_from_slice(patch);
        }
        bytes
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[track_caller]
pub fn refused(path: &Path, kind: ErrorKind, says: &str) -> Error {
    let error = io::read(path).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "{text}");
    assert!(text.contains(says), "{text:?} does not say {says:?}");
    assert!(
        text.starts_with(&path.parent().unwrap().display().to_string()),
        "{text:?} does not name the file"
    );
    error
}
