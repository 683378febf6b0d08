//! Seeds: small inputs that a target accepts, from which the fuzzer starts.
//!
//! They are golden files of other crates, what the program itself writes, and a few texts. None is kept
//! twice. Inputs that once broke something are in `fuzz/regressions/TARGET`.

use std::fs;
use std::io::{Cursor, Read as _};
use std::path::{Path, PathBuf};

/// Golden files of volumes.
pub(crate) const VOLUMES: &str = "crates/volume/tests/golden";
/// Golden files of DICOM series.
pub(crate) const SERIES: &str = "crates/dicom/tests/golden";

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The files of a folder of the workspace whose names end so, in the order of their names.
pub(crate) fn golden(folder: &str, ending: &str) -> Vec<Vec<u8>> {
    let found = fs::read_dir(workspace().join(folder)).into_iter().flatten();
    let mut paths: Vec<PathBuf> = found.flatten().map(|entry| entry.path()).collect();
    paths.retain(|p| p.is_file() && p.to_string_lossy().ends_with(ending));
    paths.sort();
    paths.iter().filter_map(|p| fs::read(p).ok()).collect()
}

pub(crate) fn texts(all: &[&str]) -> Vec<Vec<u8>> {
    all.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Inputs that once broke the target `name`.
#[must_use]
pub fn regressions(name: &str) -> Vec<Vec<u8>> {
    golden(&format!("fuzz/regressions/{name}"), "")
}

/// The files of an archive.
pub(crate) fn files_of(archive: &[u8]) -> Vec<Vec<u8>> {
    let mut archive = zip::ZipArchive::new(Cursor::new(archive)).expect("a golden archive");
    (0..archive.len())
        .map(|i| {
            let mut bytes = Vec::new();
            let mut entry = archive.by_index(i).expect("an entry");
            entry.read_to_end(&mut bytes).expect("a sound entry");
            bytes
        })
        .collect()
}
