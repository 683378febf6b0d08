//! Checks of structured reports.

use super::common::check_common;
use super::part::{Opened, Part, fault};
use super::segmentation;
use crate::Result;
use crate::reference::SeriesReference;
use crate::write::codes::{self, Code, UNITS};
use dicom_dictionary_std::tags;
use std::collections::HashSet;

/// Deepest nesting of content items; reports of this crate have five levels.
const MAX_DEPTH: usize = 16;

/// What content items may refer to.
struct Known<'a> {
    series_uid: &'a str,
    /// Instances that the evidence lists.
    evidence: HashSet<String>,
    /// The segmentation's instance UID and segments.
    segmentation: Option<(String, segmentation::Segments)>,
}

pub(crate) fn check(
    object: &Opened,
    source: &SeriesReference,
    segmentation: Option<&Opened>,
) -> Result<()> {
    let root = object.root();
    check_common(&root, source)?;
    root.present(tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE)?;
    root.present(tags::PERFORMED_PROCEDURE_CODE_SEQUENCE)?;
    root.texts(&[
        tags::COMPLETION_FLAG,
        tags::VERIFICATION_FLAG,
        tags::PRELIMINARY_FLAG,
        tags::CONTINUITY_OF_CONTENT,
    ])?;
    root.equals(tags::VALUE_TYPE, "CONTAINER")?;
    root.code(tags::CONCEPT_NAME_CODE_SEQUENCE)?;
    let template = root.item(tags::CONTENT_TEMPLATE_SEQUENCE)?;
    template.equals(tags::MAPPING_RESOURCE, "DCMR")?;
    template.equals(tags::TEMPLATE_IDENTIFIER, "1500")?;

    let segmentation = segmentation
        .map(|object| -> Result<_> {
            let root = object.root();
            let uid = root.uid(tags::SOP_INSTANCE_UID)?;
            Ok((uid, segmentation::segments(&root)?))
        })
        .transpose()?;
    let known = Known {
        series_uid: &source.series_uid,
        evidence: evidence(&root, source)?,
        segmentation,
    };
    for item in root.items(tags::CONTENT_SEQUENCE)? {
        check_item(&item, &known, 0)?;
    }
    let has = |code: Code| {
        let items = root.items(tags::CONTENT_SEQUENCE)?;
        let named = items.iter().map(|i| is_named(i, code));
        named
            .collect::<Result<Vec<bool>>>()
            .map(|v| v.contains(&true))
    };
    if !has(codes::IMAGING_MEASUREMENTS)? && !has(codes::QUALITATIVE_EVALUATIONS)? {
        return Err(root.fault(
            tags::CONTENT_SEQUENCE,
            "has neither measurements nor evaluations",
        ));
    }
    for needed in [
        codes::LANGUAGE,
        codes::OBSERVER_TYPE,
        codes::DEVICE_OBSERVER_UID,
        codes::PROCEDURE_REPORTED,
    ] {
        if !has(needed)? {
            let what = format!("does not have the item {}", needed.meaning);
            return Err(root.fault(tags::CONTENT_SEQUENCE, &what));
        }
    }
    Ok(())
}

/// The instances of the evidence, which must have all slices of the source.
fn evidence(root: &Part, source: &SeriesReference) -> Result<HashSet<String>> {
    let tag = tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE;
    let study = root.item(tag)?;
    study.equals(tags::STUDY_INSTANCE_UID, &source.study_uid)?;
    let mut found = HashSet::new();
    for series in study.items(tags::REFERENCED_SERIES_SEQUENCE)? {
        series.source_uid(tags::SERIES_INSTANCE_UID)?;
        for object in series.items(tags::REFERENCED_SOP_SEQUENCE)? {
            object.source_uid(tags::REFERENCED_SOP_CLASS_UID)?;
            found.insert(object.source_uid(tags::REFERENCED_SOP_INSTANCE_UID)?);
        }
    }
    let missing = |i: &&crate::InstanceReference| !found.contains(&i.instance_uid);
    if let Some(missing) = source.instances.iter().find(missing) {
        let what = format!("does not have the slice {}", missing.instance_uid);
        return Err(root.fault(tag, &what));
    }
    Ok(found)
}

fn is_named(item: &Part, code: Code) -> Result<bool> {
    let (scheme, value) = item.code(tags::CONCEPT_NAME_CODE_SEQUENCE)?;
    Ok(scheme == code.scheme && value == code.value)
}

fn check_item(item: &Part, known: &Known, depth: usize) -> Result<()> {
    if depth >= MAX_DEPTH {
        return Err(item.fault(tags::CONTENT_SEQUENCE, "is nested too deeply"));
    }
    item.code(tags::CONCEPT_NAME_CODE_SEQUENCE)?;
    item.text(tags::RELATIONSHIP_TYPE)?;
    match item.text(tags::VALUE_TYPE)?.as_str() {
        "CODE" => item.code(tags::CONCEPT_CODE_SEQUENCE).map(drop)?,
        "TEXT" => item.text(tags::TEXT_VALUE).map(drop)?,
        "NUM" => check_number(item)?,
        "IMAGE" => check_image(item, known)?,
        "UIDREF" => {
            let uid = item.source_uid(tags::UID)?;
            if is_named(item, codes::SOURCE_SERIES)? && uid != known.series_uid {
                return Err(item.fault(tags::UID, "is not the source's series"));
            }
        }
        "CONTAINER" => {
            item.text(tags::CONTINUITY_OF_CONTENT)?;
            if is_named(item, codes::MEASUREMENT_GROUP)? {
                check_group(item, known)?;
            }
            item.items(tags::CONTENT_SEQUENCE)?;
        }
        other => {
            return Err(item.fault(tags::VALUE_TYPE, &format!("is {other}")));
        }
    }
    if item.reader.items(tags::CONTENT_SEQUENCE).is_empty() {
        return Ok(());
    }
    let mut below = item.items(tags::CONTENT_SEQUENCE)?.into_iter();
    below.try_for_each(|item| check_item(&item, known, depth + 1))
}

/// A number with a unit of UCUM.
fn check_number(item: &Part) -> Result<()> {
    let measured = item.item(tags::MEASURED_VALUE_SEQUENCE)?;
    measured.numbers::<1>(tags::NUMERIC_VALUE)?;
    let tag = tags::MEASUREMENT_UNITS_CODE_SEQUENCE;
    let (scheme, value) = measured.code(tag)?;
    if !UNITS.iter().any(|u| u.scheme == scheme && u.value == value) {
        return Err(measured.fault(tag, &format!("is {value} of {scheme}")));
    }
    Ok(())
}

fn check_image(item: &Part, known: &Known) -> Result<()> {
    let object = item.item(tags::REFERENCED_SOP_SEQUENCE)?;
    let uid = object.uid(tags::REFERENCED_SOP_INSTANCE_UID)?;
    if !known.evidence.contains(&uid) {
        return Err(object.fault(tags::REFERENCED_SOP_INSTANCE_UID, "is not in the evidence"));
    }
    Ok(())
}

/// A group has tracking identifiers; if it refers to a segment, that segment exists and has the same
/// tracking UID.
fn check_group(group: &Part, known: &Known) -> Result<()> {
    let template = group.item(tags::CONTENT_TEMPLATE_SEQUENCE)?;
    template.text(tags::TEMPLATE_IDENTIFIER)?;
    let (mut has_id, mut tracking, mut segment) = (false, None, None);
    for item in group.items(tags::CONTENT_SEQUENCE)? {
        if is_named(&item, codes::TRACKING_IDENTIFIER)? {
            has_id = true;
        } else if is_named(&item, codes::TRACKING_UNIQUE_IDENTIFIER)? {
            tracking = Some(item.uid(tags::UID)?);
        } else if is_named(&item, codes::REFERENCED_SEGMENT)? {
            segment = Some(item.item(tags::REFERENCED_SOP_SEQUENCE)?);
        }
    }
    let (true, Some(tracking)) = (has_id, tracking) else {
        return Err(group.fault(tags::CONTENT_SEQUENCE, "does not have tracking identifiers"));
    };
    let Some(reference) = segment else {
        return Ok(());
    };
    let Some((uid, segments)) = &known.segmentation else {
        return Err(fault(
            "a segment is referenced without its segmentation".to_owned(),
        ));
    };
    reference.equals(tags::REFERENCED_SOP_INSTANCE_UID, uid)?;
    let number = reference.integer(tags::REFERENCED_SEGMENT_NUMBER)?;
    match segments.get(&number) {
        Some(of_segment) if *of_segment == tracking => Ok(()),
        Some(_) => Err(group.fault(
            tags::CONTENT_SEQUENCE,
            &format!("has another tracking UID than segment {number}"),
        )),
        None => Err(reference.fault(
            tags::REFERENCED_SEGMENT_NUMBER,
            &format!("is {number}, which the segmentation does not have"),
        )),
    }
}
