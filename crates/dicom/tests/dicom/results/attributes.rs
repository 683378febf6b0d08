//! Attributes and content items against those of highdicom's objects.

use super::support::*;
use dicom_dictionary_std::{StandardDataDictionary, tags};
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;
use multirnet_dicom::write::{Encoding, ReportForm};
use std::collections::BTreeSet;

fn keyword(element: &InMemElement) -> String {
    use dicom_core::Tag;
    use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
    use dicom_core::header::Header;
    let tag: Tag = element.tag();
    let entry = StandardDataDictionary.by_tag(tag).unwrap();
    entry.alias().to_owned()
}

fn paths(object: &InMemDicomObject, above: &str, found: &mut BTreeSet<String>) {
    for element in object.iter() {
        let path = format!("{above}{}", keyword(element));
        for item in element.items().unwrap_or_default() {
            paths(item, &format!("{path}/"), found);
        }
        found.insert(path);
    }
}

fn content(object: &InMemDicomObject, above: &str, found: &mut BTreeSet<String>) {
    let below = object.element_opt(tags::CONTENT_SEQUENCE).unwrap();
    for item in below.and_then(|e| e.items()).unwrap_or_default() {
        let name = &items(item, tags::CONCEPT_NAME_CODE_SEQUENCE)[0];
        let path = format!(
            "{above}/{}:{}:{}",
            text(item, tags::RELATIONSHIP_TYPE),
            text(item, tags::VALUE_TYPE),
            text(name, tags::CODE_VALUE)
        );
        content(item, &path, found);
        found.insert(path);
    }
}

#[track_caller]
fn check(golden: &str, found: &BTreeSet<String>) {
    let missing: Vec<&str> = golden.lines().filter(|l| !found.contains(*l)).collect();
    assert!(missing.is_empty(), "missing: {missing:#?}");
}

#[test]
fn segmentations_have_all_attributes_of_highdicoms() {
    let scan = analysed_series();
    for (encoding, golden) in [
        (
            Encoding::Binary,
            include_str!("../../golden/objects_segmentation.txt"),
        ),
        (
            Encoding::LabelMap,
            include_str!("../../golden/objects_labelmap.txt"),
        ),
    ] {
        let mut found = BTreeSet::new();
        paths(&parse(&scan.segmentation(encoding, false)), "", &mut found);
        check(golden, &found);
    }
}

#[test]
fn reports_have_all_attributes_and_items_of_highdicoms() {
    let scan = analysed_series();
    let segmentation = scan.binary();
    for form in [ReportForm::Comprehensive3D, ReportForm::Enhanced] {
        let object = parse(&scan.report(form, &segmentation));
        let mut found = BTreeSet::new();
        paths(&object, "", &mut found);
        check(include_str!("../../golden/objects_report.txt"), &found);
        let mut found = BTreeSet::new();
        content(&object, "", &mut found);
        check(include_str!("../../golden/objects_content.txt"), &found);
    }
}
