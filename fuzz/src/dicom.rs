//! DICOM files and archives of them.

use crate::files::in_memory;
use crate::seeds::{SERIES, files_of, golden};
use crate::{INFLATED, Target, nothing};
use multirnet_dicom::{FileIdentity, ObjectIdentity, ReadOptions, check_lengths};
use std::path::Path;

/// The target `dicom_file`.
pub static DICOM_FILE: Target = Target {
    name: "dicom_file",
    about: "single DICOM files",
    longest: 8192,
    fixed: VOLUME_BYTES,
    per_byte: 8 * INFLATED,
    has_threads: false,
    prepare: nothing,
    parse: file,
    seeds: || {
        golden(SERIES, ".zip")
            .iter()
            .flat_map(|zip| files_of(zip))
            .collect()
    },
};
/// The target `dicom_zip`.
pub static DICOM_ZIP: Target = Target {
    name: "dicom_zip",
    about: "zip archives of DICOM files",
    longest: 8192,
    fixed: VOLUME_BYTES,
    per_byte: 8 * INFLATED,
    has_threads: false,
    prepare: nothing,
    parse: zip,
    seeds: || golden(SERIES, ".zip"),
};

/// Voxels that a volume may have here. The program's own limit would need 8 GiB.
const MAX_VOXELS: usize = 1 << 20;
/// Values, stored values and a resampled copy, and buffers.
pub const VOLUME_BYTES: usize = 16 * MAX_VOXELS + (4 << 20);

/// Options that let as much code run as possible.
pub fn options() -> ReadOptions {
    ReadOptions {
        allow_irregular: true,
        max_voxels: MAX_VOXELS,
        ..ReadOptions::default()
    }
}

fn file(input: &[u8]) {
    let _ = check_lengths(input);
    let _ = ObjectIdentity::read(input, "1.2.840.10008.1.2");
    in_memory("slice.dcm", input, |path| {
        let _ = FileIdentity::read(path);
        read(path);
    });
}

fn zip(input: &[u8]) {
    in_memory("study.zip", input, read);
}

fn read(path: &Path) {
    if multirnet_dicom::is_dicom(path) {
        let _ = multirnet_dicom::read(path, &options());
        let _ = multirnet_dicom::refused_series(path, None);
    }
}
