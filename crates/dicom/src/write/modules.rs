//! Modules that every result has: patient, study, series, equipment, and references to the source.

use super::codes::{Code, SEGMENTATION, SOURCE_IMAGE};
use super::dataset::Dataset;
use super::{ResultContext, Role};
use crate::reference::{InstanceReference, SeriesReference};
use dicom_dictionary_std::tags;

/// Patient, study, series, equipment and SOP common modules of the result `role`.
pub(crate) fn common(context: &ResultContext, role: Role) -> Dataset {
    let source = context.source;
    let equipment = context.equipment;
    let date = &context.made_at.date;
    let time = &context.made_at.time;
    Dataset::new()
        .text(tags::SPECIFIC_CHARACTER_SET, "ISO_IR 192")
        .source(&source.attributes)
        .or_empty(&[
            tags::STUDY_DATE,
            tags::STUDY_TIME,
            tags::ACCESSION_NUMBER,
            tags::REFERRING_PHYSICIAN_NAME,
            tags::PATIENT_NAME,
            tags::PATIENT_ID,
            tags::PATIENT_BIRTH_DATE,
            tags::PATIENT_SEX,
            tags::STUDY_ID,
        ])
        .text(tags::STUDY_INSTANCE_UID, &source.study_uid)
        .text(tags::SERIES_INSTANCE_UID, context.series_uid(role))
        .text(tags::SERIES_NUMBER, role.series_number().to_string())
        .text(tags::SERIES_DESCRIPTION, role.series_description())
        .text(tags::MODALITY, role.modality())
        .text(tags::INSTANCE_NUMBER, "1")
        .text(tags::SOP_CLASS_UID, role.sop_class_uid())
        .text(tags::SOP_INSTANCE_UID, context.instance_uid(role))
        .text(tags::INSTANCE_CREATION_DATE, date)
        .text(tags::INSTANCE_CREATION_TIME, time)
        .text(tags::CONTENT_DATE, date)
        .text(tags::CONTENT_TIME, time)
        .text(tags::MANUFACTURER, &equipment.manufacturer)
        .text(tags::MANUFACTURER_MODEL_NAME, &equipment.model_name)
        .text(tags::DEVICE_SERIAL_NUMBER, &equipment.serial_number)
        .text(tags::SOFTWARE_VERSIONS, &equipment.software_version)
        .with(body_part(source, role))
        .with(replacement(context, role))
}

/// The body part as the source has it. Reports and documents do not have this attribute. A secondary
/// capture without it needs a laterality, which is then given as unknown.
fn body_part(source: &SeriesReference, role: Role) -> Dataset {
    let set = Dataset::new();
    match (role.modality(), source.body_part_examined.as_str()) {
        ("SR" | "DOC", _) | ("SEG", "") => set,
        (_, "") => set.empty(tags::LATERALITY),
        (_, part) => set.text(tags::BODY_PART_EXAMINED, part),
    }
}

/// Images say in words which earlier one they replace. Reports and documents do so elsewhere.
fn replacement(context: &ResultContext, role: Role) -> Dataset {
    match (role.modality(), context.replacement_text(role)) {
        ("SEG" | "OT", Some(text)) => Dataset::new().text(tags::IMAGE_COMMENTS, text),
        _ => Dataset::new(),
    }
}

/// The instances of the source, each once, in the order of the slices.
pub(crate) fn distinct_instances(source: &SeriesReference) -> Vec<&InstanceReference> {
    let mut seen = std::collections::HashSet::new();
    let instances = source.instances.iter();
    instances
        .filter(|i| seen.insert(i.instance_uid.as_str()))
        .collect()
}

/// A reference to an instance.
pub(crate) fn reference(sop_class_uid: &str, instance_uid: &str) -> Dataset {
    Dataset::new()
        .text(tags::REFERENCED_SOP_CLASS_UID, sop_class_uid)
        .text(tags::REFERENCED_SOP_INSTANCE_UID, instance_uid)
}

/// References to all instances of the source.
pub(crate) fn instance_references(source: &SeriesReference) -> Vec<Dataset> {
    let instances = distinct_instances(source).into_iter();
    instances
        .map(|i| reference(&i.sop_class_uid, &i.instance_uid))
        .collect()
}

/// All instances of the source with the purpose of the reference.
pub(crate) fn source_images(source: &SeriesReference, purpose: Code) -> Vec<Dataset> {
    let references = instance_references(source).into_iter();
    references
        .map(|r| r.code(tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, purpose))
        .collect()
}

/// The derivation of a frame from the slice `instance`.
pub(crate) fn derivation(instance: &InstanceReference) -> Dataset {
    let mut image = reference(&instance.sop_class_uid, &instance.instance_uid)
        .text(tags::SPATIAL_LOCATIONS_PRESERVED, "YES")
        .code(tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, SOURCE_IMAGE);
    if let Some(frame) = instance.frame {
        image = image.text(tags::REFERENCED_FRAME_NUMBER, frame.to_string());
    }
    Dataset::new()
        .code(tags::DERIVATION_CODE_SEQUENCE, SEGMENTATION)
        .sequence(tags::SOURCE_IMAGE_SEQUENCE, [image])
}
