//! The self-check refuses objects that lost an attribute or refer to what does not exist.

use super::support::*;
use dicom_core::PrimitiveValue;
use dicom_core::dictionary::DataDictionary;
use dicom_core::ops::{ApplyOp, AttributeAction, AttributeOp};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use multirnet_dicom::ErrorKind;
use multirnet_dicom::write::check::check_object;
use multirnet_dicom::write::*;

/// A change of an object: an attribute, and what is done with it. Without an index, a path goes
/// through the first item of each sequence.
type Change<'a> = (&'a str, AttributeAction);

fn text(value: &str) -> AttributeAction {
    AttributeAction::SetStr(value.to_owned().into())
}

fn number(value: u16) -> AttributeAction {
    AttributeAction::Set(PrimitiveValue::from(value))
}

fn remove() -> AttributeAction {
    AttributeAction::Remove
}

/// Changes `object` and expects that the check refuses it by the attribute's name.
#[track_caller]
fn refuse(scan: &Analysed, object: &ResultObject, (path, action): Change) {
    let full = path.replace('/', "[0].").replace("][0].", "].");
    let selector = StandardDataDictionary.parse_selector(&full).unwrap();
    let mut changed = parse(object);
    let shown = format!("{path} {action:?}");
    changed.apply(AttributeOp::new(selector, action)).unwrap();
    let bytes = bytes_of(&changed);
    assert!(bytes != object.bytes, "{shown} changed nothing");
    let segmentation = scan.binary();
    let error = check_object(&bytes, &scan.scan.reference, Some(&segmentation.bytes))
        .expect_err(&format!("{shown}: not refused"));
    assert_eq!(error.kind(), ErrorKind::NotShown, "{shown}: {error}");
    assert!(error.advice().is_some(), "{error}");
}

const FRAME: &str = "PerFrameFunctionalGroupsSequence[1]";

#[test]
fn what_validators_overlook_in_a_segmentation_is_refused() {
    let scan = analysed_series();
    let object = scan.binary();
    let in_frame = |path: &str| format!("{FRAME}/{path}");
    let attributes = [
        "FrameOfReferenceUID".to_owned(),
        "ReferencedSeriesSequence".to_owned(),
        "ReferencedSeriesSequence/ReferencedInstanceSequence".to_owned(),
        "ReferencedSeriesSequence/SeriesInstanceUID".to_owned(),
        "SourceImageSequence".to_owned(),
        "SegmentsOverlap".to_owned(),
        "SegmentationType".to_owned(),
        "PositionReferenceIndicator".to_owned(),
        "ContentDescription".to_owned(),
        "DeviceSerialNumber".to_owned(),
        "StudyID".to_owned(),
        "PatientName".to_owned(),
        "DimensionIndexSequence".to_owned(),
        "DimensionOrganizationSequence".to_owned(),
        "SegmentSequence[2]/RecommendedDisplayCIELabValue".to_owned(),
        "SegmentSequence[2]/TrackingID".to_owned(),
        "SegmentSequence[2]/TrackingUID".to_owned(),
        "SegmentSequence[2]/SegmentLabel".to_owned(),
        "SegmentSequence[2]/SegmentedPropertyTypeCodeSequence".to_owned(),
        "SegmentSequence[2]/SegmentedPropertyCategoryCodeSequence".to_owned(),
        "SegmentSequence[2]/SegmentationAlgorithmIdentificationSequence".to_owned(),
        "SharedFunctionalGroupsSequence/PixelMeasuresSequence".to_owned(),
        "SharedFunctionalGroupsSequence/PixelMeasuresSequence/PixelSpacing".to_owned(),
        "SharedFunctionalGroupsSequence/PixelMeasuresSequence/SliceThickness".to_owned(),
        "SharedFunctionalGroupsSequence/PlaneOrientationSequence".to_owned(),
        in_frame("DerivationImageSequence"),
        in_frame("DerivationImageSequence/SourceImageSequence"),
        in_frame("DerivationImageSequence/SourceImageSequence/ReferencedSOPInstanceUID"),
        in_frame("PlanePositionSequence"),
        in_frame("FrameContentSequence"),
        in_frame("FrameContentSequence/DimensionIndexValues"),
        in_frame("SegmentIdentificationSequence"),
        "PixelData".to_owned(),
    ];
    for attribute in &attributes {
        refuse(&scan, &object, (attribute, remove()));
    }
}

#[test]
fn a_segmentation_that_contradicts_itself_or_its_source_is_refused() {
    let scan = analysed_series();
    let object = scan.binary();
    let source =
        format!("{FRAME}/DerivationImageSequence/SourceImageSequence/ReferencedSOPInstanceUID");
    let index = format!("{FRAME}/FrameContentSequence/DimensionIndexValues");
    let indices =
        |a: u32, b: u32| AttributeAction::Set(PrimitiveValue::U32([a, b].as_slice().into()));
    let changes: Vec<Change> = vec![
        ("NumberOfFrames", text("9")),
        ("Rows", number(5)),
        ("BitsAllocated", number(8)),
        ("FrameOfReferenceUID", text("1.2.5")),
        ("StudyInstanceUID", text("1.2.5")),
        ("SeriesInstanceUID", text("1.2.3")),
        ("SeriesNumber", text("1")),
        ("PatientID", text("SOMEONE")),
        ("SegmentSequence[1]/SegmentNumber", number(7)),
        (
            "SharedFunctionalGroupsSequence/PixelMeasuresSequence/PixelSpacing",
            text("0.6\\0.8"),
        ),
        (
            "SharedFunctionalGroupsSequence/PixelMeasuresSequence/SliceThickness",
            text("0"),
        ),
        (
            "SharedFunctionalGroupsSequence/PlaneOrientationSequence/ImageOrientationPatient",
            text("1\\0\\0\\0\\-1\\0"),
        ),
        (
            "PerFrameFunctionalGroupsSequence[1]/PlanePositionSequence/ImagePositionPatient",
            text("-10\\-20\\-90"),
        ),
        // Another slice of the source, and one that it does not have.
        (&source, text("1.2.3.4")),
        (&source, text("1.2.3.9")),
        (
            "PerFrameFunctionalGroupsSequence[1]/SegmentIdentificationSequence/ReferencedSegmentNumber",
            number(9),
        ),
        // The index of another segment, of another position, beyond all positions, and none.
        (&index, indices(2, 2)),
        (&index, indices(1, 3)),
        (&index, indices(1, 9)),
        (&index, indices(1, 0)),
        (
            "PixelData",
            AttributeAction::Set(PrimitiveValue::from(vec![0u8; 18])),
        ),
        ("SegmentSequence/TrackingUID", text("1.02")),
    ];
    for change in changes {
        refuse(&scan, &object, change);
    }
}

#[test]
fn a_label_map_with_faults_is_refused() {
    let scan = analysed_series();
    let object = scan.segmentation(Encoding::LabelMap, false);
    let pixels = AttributeAction::Set(PrimitiveValue::from(vec![9u8; 64]));
    for change in [
        ("PixelPaddingValue", remove()),
        ("SegmentsOverlap", text("YES")),
        ("SegmentSequence/SegmentNumber", number(9)),
        ("PixelData", pixels),
    ] {
        refuse(&scan, &object, change);
    }
}

#[test]
fn frames_of_a_multi_frame_source_need_their_numbers() {
    let scan = analysed_enhanced();
    let object = scan.binary();
    let path = format!("{FRAME}/DerivationImageSequence/SourceImageSequence/ReferencedFrameNumber");
    refuse(&scan, &object, (&path, remove()));
    refuse(&scan, &object, (&path, text("7")));
}

#[test]
fn bits_behind_the_last_frame_are_refused() {
    // Ten frames of 16 bits fill their bytes; one frame of 5 × 5 does not.
    let mut slices = crate::support::series(3);
    for s in &mut slices {
        (s.rows, s.columns) = (5, 5);
    }
    let scan = analysed(&slices);
    let object = scan.binary();
    let mut bytes = object.bytes.clone();
    let last = bytes.len() - 1;
    let frames = bytes.len();
    check_object(&bytes, &scan.scan.reference, None).unwrap();
    bytes[last] |= 0x80;
    assert_eq!(frames, bytes.len());
    let error = check_object(&bytes, &scan.scan.reference, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotShown, "{error}");
}

#[test]
fn a_report_with_faults_is_refused() {
    let scan = analysed_series();
    let object = scan.report(ReportForm::Comprehensive3D, &scan.binary());
    let root = parse(&object);
    let containers = items(&root, tags::CONTENT_SEQUENCE);
    let at = containers.len() - 1;
    // The first group: tracking (0, 1), finding (2), segment (3), series (4), site (5), volume (6).
    let group = format!("ContentSequence[{at}]/ContentSequence[0]");
    let item = |n: usize, path: &str| format!("{group}/ContentSequence[{n}]/{path}");
    let image = item(3, "ReferencedSOPSequence");
    let value = item(6, "MeasuredValueSequence");
    let changes: Vec<(String, AttributeAction)> = vec![
        ("ContentSequence".to_owned(), remove()),
        ("CompletionFlag".to_owned(), remove()),
        ("VerificationFlag".to_owned(), remove()),
        ("ContentTemplateSequence".to_owned(), remove()),
        ("ContentTemplateSequence/TemplateIdentifier".to_owned(), text("2000")),
        ("ReferencedPerformedProcedureStepSequence".to_owned(), remove()),
        ("PerformedProcedureCodeSequence".to_owned(), remove()),
        ("CurrentRequestedProcedureEvidenceSequence".to_owned(), remove()),
        (
            "CurrentRequestedProcedureEvidenceSequence/ReferencedSeriesSequence[0]/ReferencedSOPSequence[0]/ReferencedSOPInstanceUID".to_owned(),
            text("1.2.3.99"),
        ),
        (
            "CurrentRequestedProcedureEvidenceSequence/ReferencedSeriesSequence[1]/ReferencedSOPSequence[0]/ReferencedSOPInstanceUID".to_owned(),
            text("1.2.3.99"),
        ),
        (item(0, "TextValue"), remove()),
        (item(1, "UID"), text("1.2.3")),
        (item(1, "ConceptNameCodeSequence/CodeValue"), text("1")),
        (item(2, "ConceptCodeSequence"), remove()),
        (item(2, "ConceptCodeSequence/CodeMeaning"), remove()),
        (item(4, "UID"), text("1.2.9")),
        (format!("{image}/ReferencedSegmentNumber"), number(9)),
        (format!("{image}/ReferencedSegmentNumber"), number(2)),
        (format!("{image}/ReferencedSOPInstanceUID"), text("1.2.9")),
        (format!("{value}/NumericValue"), text("many")),
        (format!("{value}/MeasurementUnitsCodeSequence/CodeValue"), text("ml")),
        (
            format!("{value}/MeasurementUnitsCodeSequence/CodingSchemeDesignator"),
            text("DCM"),
        ),
        (item(6, "ValueType"), text("SCOORD")),
    ];
    for (path, action) in changes {
        refuse(&scan, &object, (&path, action));
    }
    // Without the segmentation, references to its segments cannot be resolved.
    let error = check_object(&object.bytes, &scan.scan.reference, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotShown, "{error}");
}

#[test]
fn pictures_and_documents_with_faults_are_refused() {
    let scan = analysed_series();
    let picture = scan.picture();
    for change in [
        ("Rows", number(4)),
        ("Columns", number(0)),
        ("PixelData", remove()),
        ("BurnedInAnnotation", text("NO")),
        ("PhotometricInterpretation", text("YBR_FULL")),
        (
            "SourceImageSequence/ReferencedSOPInstanceUID",
            text("1.2.9"),
        ),
        ("Modality", text("CT")),
    ] {
        refuse(&scan, &picture, change);
    }
    let pdf = scan.pdf();
    let html = AttributeAction::Set(PrimitiveValue::from(b"<html> <html> ".to_vec()));
    for change in [
        ("MIMETypeOfEncapsulatedDocument", text("text/html")),
        ("EncapsulatedDocument", html),
        ("EncapsulatedDocument", remove()),
        (
            "EncapsulatedDocumentLength",
            AttributeAction::Set(PrimitiveValue::from(99u32)),
        ),
        ("ConceptNameCodeSequence", remove()),
    ] {
        refuse(&scan, &pdf, change);
    }
}

#[test]
fn damaged_objects_are_refused_without_a_panic() {
    let scan = analysed_series();
    let object = scan.binary();
    for length in (0..object.bytes.len()).step_by(97) {
        let cut = &object.bytes[..length];
        assert!(check_object(cut, &scan.scan.reference, None).is_err());
    }
    for at in (132..object.bytes.len()).step_by(53) {
        let mut bytes = object.bytes.clone();
        bytes[at] ^= 0x55;
        // Some bytes do not matter, such as those of descriptions. None may cause a panic.
        let _ = check_object(&bytes, &scan.scan.reference, None);
    }
}
