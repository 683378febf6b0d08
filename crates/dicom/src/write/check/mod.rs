//! Self-check of results: reads an object back and refuses one that a viewer would silently not show.
//!
//! Validators such as dciodvfy do not notice when a segmentation loses its frame of reference, the
//! derivation or the position of its frames, the size of its pixels, its colours or its tracking UIDs.
//! Viewers then list the segments and draw nothing.

mod common;
mod part;
mod picture;
mod report;
mod segmentation;

use crate::Result;
use crate::reference::SeriesReference;
use dicom_dictionary_std::{tags, uids};
use part::{Opened, fault};

/// Checks any object of this crate by its SOP class. `segmentation` has the bytes of the segmentation
/// that a report refers to.
///
/// # Errors
/// `NotShown` with the attribute at fault, `Malformed` for bytes that are not DICOM.
pub fn check_object(
    bytes: &[u8],
    source: &SeriesReference,
    segmentation: Option<&[u8]>,
) -> Result<()> {
    let class = Opened::parse(bytes)?.root().text(tags::SOP_CLASS_UID)?;
    match class.as_str() {
        uids::SEGMENTATION_STORAGE | uids::LABEL_MAP_SEGMENTATION_STORAGE => {
            check_segmentation(bytes, source)
        }
        uids::COMPREHENSIVE3_DSR_STORAGE | uids::ENHANCED_SR_STORAGE => {
            check_report(bytes, source, segmentation)
        }
        uids::SECONDARY_CAPTURE_IMAGE_STORAGE => check_picture(bytes, source),
        uids::ENCAPSULATED_PDF_STORAGE => check_pdf(bytes, source),
        other => Err(fault(format!("results do not have the SOP class {other}"))),
    }
}

/// Checks a segmentation against its source.
///
/// # Errors
/// As [`check_object`].
pub fn check_segmentation(bytes: &[u8], source: &SeriesReference) -> Result<()> {
    segmentation::check(&Opened::parse(bytes)?, source)
}

/// Checks a report against its source and the segmentation that it refers to.
///
/// # Errors
/// As [`check_object`].
pub fn check_report(
    bytes: &[u8],
    source: &SeriesReference,
    segmentation: Option<&[u8]>,
) -> Result<()> {
    let segmentation = segmentation.map(Opened::parse).transpose()?;
    report::check(&Opened::parse(bytes)?, source, segmentation.as_ref())
}

/// Checks a picture against its source.
///
/// # Errors
/// As [`check_object`].
pub fn check_picture(bytes: &[u8], source: &SeriesReference) -> Result<()> {
    picture::check(&Opened::parse(bytes)?, source)
}

/// Checks an encapsulated PDF against its source.
///
/// # Errors
/// As [`check_object`].
pub fn check_pdf(bytes: &[u8], source: &SeriesReference) -> Result<()> {
    picture::check_pdf(&Opened::parse(bytes)?, source)
}
