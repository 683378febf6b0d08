//! Self-check of results: reads an object back and refuses one that a viewer would silently not show.
//!
//! Validators such as dciodvfy do not notice when a segmentation loses its frame of reference, the
//! derivation or the position of its frames, the size of its pixels, its colours or its tracking UIDs.
//! Viewers then list the segments and draw nothing.

mod part;
mod picture;
mod report;
mod segmentation;

use crate::attributes;
use crate::reference::SeriesReference;
use crate::write::Role;
use crate::{Result, attributes::SourceAttribute};
use dicom_dictionary_std::{tags, uids};
use part::{Opened, Part, fault};

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

/// What all objects need: patient and study of the source, a series of their own, the equipment.
fn check_common(root: &Part, source: &SeriesReference) -> Result<()> {
    let class = root.text(tags::SOP_CLASS_UID)?;
    let Some(role) = Role::ALL.into_iter().find(|r| r.sop_class_uid() == class) else {
        return Err(root.fault(tags::SOP_CLASS_UID, "is not one of results"));
    };
    root.equals(tags::MODALITY, role.modality())?;
    root.uid(tags::SOP_INSTANCE_UID)?;
    root.equals(tags::STUDY_INSTANCE_UID, &source.study_uid)?;
    if root.uid(tags::SERIES_INSTANCE_UID)? == source.series_uid {
        return Err(root.fault(tags::SERIES_INSTANCE_UID, "is that of the source"));
    }
    if root.integer(tags::SERIES_NUMBER)? < 900 {
        return Err(root.fault(tags::SERIES_NUMBER, "is below 900"));
    }
    root.texts(&[
        tags::INSTANCE_NUMBER,
        tags::CONTENT_DATE,
        tags::CONTENT_TIME,
        tags::MANUFACTURER,
        tags::MANUFACTURER_MODEL_NAME,
        tags::DEVICE_SERIAL_NUMBER,
        tags::SOFTWARE_VERSIONS,
    ])?;
    for tag in [
        tags::STUDY_DATE,
        tags::STUDY_TIME,
        tags::ACCESSION_NUMBER,
        tags::REFERRING_PHYSICIAN_NAME,
        tags::PATIENT_NAME,
        tags::PATIENT_ID,
        tags::PATIENT_BIRTH_DATE,
        tags::PATIENT_SEX,
        tags::STUDY_ID,
    ] {
        root.present(tag)?;
    }
    let copied = attributes::copy(root.reader.0);
    let lost = |a: &&SourceAttribute| !copied.contains(a);
    if let Some(attribute) = source.attributes.iter().find(lost) {
        return Err(fault(format!(
            "{attribute:?} is not that of the source, so an archive would see another patient or study"
        )));
    }
    Ok(())
}

/// Requires that the instance which `part` refers to is one of the source's; returns the slice's place
/// among them. `frame` is the frame's number in a multi-frame instance.
fn check_source_instance(
    part: &Part,
    source: &SeriesReference,
    frame: Option<u32>,
) -> Result<usize> {
    let instance_uid = part.text(tags::REFERENCED_SOP_INSTANCE_UID)?;
    let class = part.text(tags::REFERENCED_SOP_CLASS_UID)?;
    let is_it = |i: &crate::InstanceReference| {
        i.instance_uid == instance_uid
            && i.sop_class_uid == class
            && frame.is_none_or(|n| i.frame == Some(n))
    };
    let found = source.instances.iter().position(is_it);
    found.ok_or_else(|| {
        part.fault(
            tags::REFERENCED_SOP_INSTANCE_UID,
            "is not an instance of the source",
        )
    })
}
