//! Synthetic scans as CT series, so that archives and viewers can be tried without a patient.

use super::context::check_text;
use super::dataset::Dataset;
use super::uid::derive;
use crate::{Error, ErrorKind, Result};
use dicom_dictionary_std::{tags, uids};
use multirnet_volume::Volume;

/// A synthetic scan.
#[derive(Debug, Clone, Copy)]
pub struct SyntheticScan<'a> {
    /// Hounsfield units.
    pub volume: &'a Volume<i16>,
    /// Patient ID, 1 to 64 characters; up to 16 it is the accession number, too. All UIDs follow from
    /// it.
    pub id: &'a str,
    /// Series description, 1 to 64 characters.
    pub description: &'a str,
}

/// The slice `z` of a synthetic scan as a DICOM file (CT Image Storage, PS3.3 A.3).
///
/// The patient is named `PHANTOM` and marked as a quality control subject. No date is given. Voxels
/// below −1024 HU are stored as they are.
///
/// # Errors
/// `Invalid` for texts that DICOM cannot hold, a slice that the scan does not have, or more than 65 535
/// rows or columns.
pub fn write_synthetic_slice(scan: &SyntheticScan, z: usize) -> Result<Vec<u8>> {
    check_text("the patient ID", scan.id, 64)?;
    check_text("the series description", scan.description, 64)?;
    let geometry = scan.volume.geometry();
    let [slices, rows, columns] = geometry.shape();
    let sides = [rows, columns].map(u16::try_from);
    let (true, [Ok(rows), Ok(columns)]) = (z < slices, sides) else {
        let reason = format!("slice {z} of a scan of {slices} × {rows} × {columns} voxels");
        return Err(Error::new(ErrorKind::Invalid, reason));
    };
    let uid = |what: &str| derive(&["multirnet", "synthetic scan", scan.id, what]);
    let [dz, dy, dx] = geometry.spacing_mm();
    let at = |y, x| geometry.index_to_world([z as f64, y, x]);
    let first = at(0.0, 0.0);
    let towards = |end: [f64; 3], length: f64| [0, 1, 2].map(|i| (end[i] - first[i]) / length);
    let axes = [towards(at(0.0, 1.0), dx), towards(at(1.0, 0.0), dy)].concat();
    let number = (z + 1).to_string();
    let pixels = scan.volume.plane(z).iter().flat_map(|v| v.to_le_bytes());
    Dataset::new()
        .text(tags::IMAGE_TYPE, "DERIVED\\PRIMARY\\AXIAL")
        .text(tags::SOP_CLASS_UID, uids::CT_IMAGE_STORAGE)
        .text(tags::SOP_INSTANCE_UID, uid(&format!("slice {number}")))
        .text(
            tags::ACCESSION_NUMBER,
            if scan.id.len() > 16 { "" } else { scan.id },
        )
        .text(tags::MODALITY, "CT")
        .text(tags::MANUFACTURER, "multirnet")
        .text(tags::STUDY_DESCRIPTION, "Synthetic scan, not a patient")
        .text(tags::SERIES_DESCRIPTION, scan.description)
        .text(tags::PATIENT_NAME, "PHANTOM")
        .text(tags::PATIENT_ID, scan.id)
        .text(tags::QUALITY_CONTROL_SUBJECT, "YES")
        .text(tags::BODY_PART_EXAMINED, "CHEST")
        .decimals(tags::SLICE_THICKNESS, &[dz])
        .text(tags::PATIENT_POSITION, "HFS")
        .text(tags::STUDY_INSTANCE_UID, uid("study"))
        .text(tags::SERIES_INSTANCE_UID, uid("series"))
        .text(tags::SERIES_NUMBER, "1")
        .text(tags::INSTANCE_NUMBER, number)
        .text(tags::FRAME_OF_REFERENCE_UID, uid("frame of reference"))
        .decimals(tags::IMAGE_POSITION_PATIENT, &first)
        .decimals(tags::IMAGE_ORIENTATION_PATIENT, &axes)
        // The standard wants these, which may be empty.
        .or_empty(&[
            tags::STUDY_DATE,
            tags::STUDY_TIME,
            tags::REFERRING_PHYSICIAN_NAME,
            tags::PATIENT_BIRTH_DATE,
            tags::PATIENT_SEX,
            tags::STUDY_ID,
            tags::POSITION_REFERENCE_INDICATOR,
            tags::KVP,
            tags::ACQUISITION_NUMBER,
        ])
        .shorts(tags::SAMPLES_PER_PIXEL, &[1])
        .text(tags::PHOTOMETRIC_INTERPRETATION, "MONOCHROME2")
        .shorts(tags::ROWS, &[rows])
        .shorts(tags::COLUMNS, &[columns])
        .decimals(tags::PIXEL_SPACING, &[dy, dx])
        .shorts(tags::BITS_ALLOCATED, &[16])
        .shorts(tags::BITS_STORED, &[16])
        .shorts(tags::HIGH_BIT, &[15])
        .shorts(tags::PIXEL_REPRESENTATION, &[1])
        .text(tags::RESCALE_INTERCEPT, "0")
        .text(tags::RESCALE_SLOPE, "1")
        .text(tags::RESCALE_TYPE, "HU")
        .words(tags::PIXEL_DATA, pixels.collect())
        .encode()
}
