//! Checks that all objects share.

use super::part::{Part, fault};
use crate::Result;
use crate::attributes::{self, SourceAttribute};
use crate::reference::{InstanceReference, SeriesReference};
use crate::write::Role;
use dicom_dictionary_std::tags;

/// What all objects need: patient and study of the source, a series of their own, the equipment.
pub(crate) fn check_common(root: &Part, source: &SeriesReference) -> Result<()> {
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
pub(crate) fn check_source_instance(
    part: &Part,
    source: &SeriesReference,
    frame: Option<u32>,
) -> Result<usize> {
    let instance_uid = part.text(tags::REFERENCED_SOP_INSTANCE_UID)?;
    let class = part.text(tags::REFERENCED_SOP_CLASS_UID)?;
    let is_it = |i: &InstanceReference| {
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
