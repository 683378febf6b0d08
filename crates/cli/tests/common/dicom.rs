//! A CT series as DICOM files.

use multirnet_dicom::write::{SyntheticScan, write_synthetic_slice};
use multirnet_volume::Volume;
use std::fs;
use std::path::Path;

/// Writes a scan as a series of DICOM files, one per slice, of the patient `PHANTOM` with the number
/// `study`.
pub fn write_series(folder: &Path, scan: &Volume<i16>, study: u8) {
    fs::create_dir_all(folder).unwrap();
    let synthetic = SyntheticScan {
        volume: scan,
        id: &format!("PHANTOM{study}"),
        description: "Phantom",
    };
    for z in 0..scan.shape()[0] {
        let bytes = write_synthetic_slice(&synthetic, z).unwrap();
        fs::write(folder.join(format!("{z:03}.dcm")), bytes).unwrap();
    }
}
