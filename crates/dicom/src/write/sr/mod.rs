//! Structured reports (PS3.16 TID 1500, Measurement Report).
//!
//! | content | template | rows |
//! |---|---|---|
//! | root | TID 1500 | language (TID 1204), observer (TID 1002, 1004: a device), procedure reported, container Imaging Measurements |
//! | group with a segment | TID 1411 | tracking (rows 2, 3), Finding, Referenced Segment with Source series for segmentation, Finding Site with Laterality, NUM by TID 1419 |
//! | group without a segment (zones) | TID 1501 | tracking, Finding, Finding Site with Laterality, NUM by TID 300 |
//! | classes | TID 1501 | tracking; one NUM Probability a class, whose modifier Finding names the class; a comment in words |
//! | each NUM | TID 4019 | Algorithm Name, Version, Parameters as modifiers of the NUM |
//! | refusal | TID 1500 | container Qualitative Evaluations: Finding = Not Attempted, the reason as Comment |
//!
//! The edition of the templates that PixelMed's validator of 2022 has takes every measurement group for
//! TID 1411. It therefore reports groups of TID 1501 as incomplete; `.ci/peers/dicom_objects.py` lists
//! these lines.

mod content;
mod groups;
mod input;

pub use input::{Classification, MeasurementGroup, Report, ReportForm, Share};

use super::context::check_long_text;
use super::dataset::Dataset;
use super::modules::{common, instance_references, reference};
use super::{ResultContext, ResultObject, Role, check, codes};
use crate::Result;
use content::{Relation, code, container, root, text, uid_reference};
use dicom_dictionary_std::tags;

/// Writes a report of measurements.
///
/// # Errors
/// `Invalid` for texts and numbers that DICOM cannot hold, `IncompleteSource` for a source without UIDs,
/// `NotShown` if the self-check finds a fault, for example a segment that the segmentation does not have.
pub fn write_report(context: &ResultContext, report: &Report) -> Result<ResultObject> {
    context.check()?;
    report.check()?;
    let mut groups: Vec<Dataset> = report
        .groups
        .iter()
        .map(|group| groups::measurements(context, report, group))
        .collect();
    if let Some(classes) = report.classes {
        groups.push(groups::classification(context, report.algorithm, classes));
    }
    let role = match report.form {
        ReportForm::Comprehensive3D => Role::Measurements,
        ReportForm::Enhanced => Role::EnhancedMeasurements,
    };
    let content = container(codes::IMAGING_MEASUREMENTS, None, groups);
    write(context, role, content, report.segmentation)
}

/// Writes a report which says why the scan was not analysed.
///
/// # Errors
/// As [`write_report`].
pub fn write_refusal_report(
    context: &ResultContext,
    form: ReportForm,
    reason: &str,
) -> Result<ResultObject> {
    context.check()?;
    check_long_text("the reason", reason, 10240)?;
    let role = match form {
        ReportForm::Comprehensive3D => Role::Refusal,
        ReportForm::Enhanced => Role::EnhancedRefusal,
    };
    let items = vec![
        code(Relation::Contains, codes::FINDING, codes::NOT_ATTEMPTED),
        text(Relation::Contains, codes::COMMENT, reason),
    ];
    let content = container(codes::QUALITATIVE_EVALUATIONS, None, items);
    write(context, role, content, None)
}

fn write(
    context: &ResultContext,
    role: Role,
    content: Dataset,
    segmentation: Option<&ResultObject>,
) -> Result<ResultObject> {
    let mut items = vec![code(
        Relation::HasConceptModifier,
        codes::LANGUAGE,
        codes::ENGLISH,
    )];
    items.extend(observer(context));
    items.push(code(
        Relation::HasConceptModifier,
        codes::PROCEDURE_REPORTED,
        codes::CT_UNSPECIFIED_BODY_REGION,
    ));
    items.push(content);
    let set = common(context, role)
        .sequence(tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, [])
        .sequence(tags::PERFORMED_PROCEDURE_CODE_SEQUENCE, [])
        .text(tags::COMPLETION_FLAG, "COMPLETE")
        .text(tags::VERIFICATION_FLAG, "UNVERIFIED")
        .text(tags::PRELIMINARY_FLAG, "PRELIMINARY")
        .sequence(
            tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE,
            [evidence(context, segmentation)],
        )
        .with(predecessors(context, role))
        .with(root(codes::IMAGING_MEASUREMENT_REPORT, "1500", items));
    let bytes = set.encode()?;
    check::check_report(&bytes, context.source, segmentation.map(|s| &s.bytes[..]))?;
    Ok(ResultObject::new(context, role, bytes))
}

/// The reports that this one replaces.
fn predecessors(context: &ResultContext, role: Role) -> Dataset {
    let replaced = context.replaced_by(role);
    if replaced.is_empty() {
        return Dataset::new();
    }
    let series = replaced.into_iter().map(|earlier| {
        let instance = reference(&earlier.sop_class_uid, &earlier.instance_uid);
        Dataset::new()
            .text(tags::SERIES_INSTANCE_UID, &earlier.series_uid)
            .sequence(tags::REFERENCED_SOP_SEQUENCE, [instance])
    });
    let study = Dataset::new()
        .text(tags::STUDY_INSTANCE_UID, &context.source.study_uid)
        .sequence(tags::REFERENCED_SERIES_SEQUENCE, series);
    Dataset::new().sequence(tags::PREDECESSOR_DOCUMENTS_SEQUENCE, [study])
}

/// The device that observed (TID 1002, 1004).
fn observer(context: &ResultContext) -> Vec<Dataset> {
    let equipment = context.equipment;
    let say = |name, value: &str| text(Relation::HasObservationContext, name, value);
    vec![
        code(
            Relation::HasObservationContext,
            codes::OBSERVER_TYPE,
            codes::DEVICE,
        ),
        uid_reference(
            Relation::HasObservationContext,
            codes::DEVICE_OBSERVER_UID,
            &context.device_uid(),
        ),
        say(codes::DEVICE_OBSERVER_NAME, "multirnet"),
        say(codes::DEVICE_OBSERVER_MANUFACTURER, &equipment.manufacturer),
        say(codes::DEVICE_OBSERVER_MODEL_NAME, &equipment.model_name),
        say(
            codes::DEVICE_OBSERVER_SERIAL_NUMBER,
            &equipment.serial_number,
        ),
    ]
}

/// The instances that the report rests on: the source's slices and the segmentation.
fn evidence(context: &ResultContext, segmentation: Option<&ResultObject>) -> Dataset {
    let series = |uid: &str, instances: Vec<Dataset>| {
        Dataset::new()
            .text(tags::SERIES_INSTANCE_UID, uid)
            .sequence(tags::REFERENCED_SOP_SEQUENCE, instances)
    };
    let source = context.source;
    let mut all = vec![series(&source.series_uid, instance_references(source))];
    if let Some(object) = segmentation {
        let instance = reference(object.role.sop_class_uid(), &object.instance_uid);
        all.push(series(&object.series_uid, vec![instance]));
    }
    Dataset::new()
        .text(tags::STUDY_INSTANCE_UID, &source.study_uid)
        .sequence(tags::REFERENCED_SERIES_SEQUENCE, all)
}
