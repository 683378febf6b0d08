//! What all results share, pictures and documents.

use super::support::*;
use crate::support::{Slice, Writer, series};
use dicom_dictionary_std::tags;
use multirnet_dicom::ErrorKind;
use multirnet_dicom::write::*;

/// A series with attributes that results copy: names beyond ASCII, a sequence, a body part.
fn rich() -> Vec<Slice> {
    let mut slices = series(4);
    let mut code = Writer::default();
    code.text((0x0008, 0x0100), "SH", "113100")
        .text((0x0008, 0x0102), "SH", "DCM")
        .text(
            (0x0008, 0x0104),
            "LO",
            "Basic Application Confidentiality Profile",
        );
    for s in &mut slices {
        s.patient = "M\u{fc}ller^J\u{f6}rg";
        s.more
            .text((0x0008, 0x0020), "DA", "20200229")
            .text((0x0008, 0x0050), "SH", "A-17")
            .text((0x0010, 0x1010), "AS", "085Y")
            .text((0x0012, 0x0062), "CS", "YES")
            .sequence((0x0012, 0x0064), &[code.clone()])
            .text((0x0018, 0x0015), "CS", "CHEST")
            .text((0x0020, 0x1040), "LO", "SN");
    }
    slices
}

fn all(scan: &Analysed) -> Vec<ResultObject> {
    let segmentation = scan.binary();
    let refusal = |form| write_refusal_report(&scan.context(), form, "Not a chest CT.").unwrap();
    let picture = Picture {
        rows: 1,
        columns: 1,
        rgb: &[0; 3],
        description: "Reason",
    };
    vec![
        scan.report(ReportForm::Comprehensive3D, &segmentation),
        scan.report(ReportForm::Enhanced, &segmentation),
        segmentation,
        scan.segmentation(Encoding::LabelMap, false),
        scan.picture(),
        scan.pdf(),
        refusal(ReportForm::Comprehensive3D),
        refusal(ReportForm::Enhanced),
        write_picture(&scan.context(), PictureRole::Refusal, &picture).unwrap(),
    ]
}

#[test]
fn patient_and_study_are_those_of_the_source() {
    let scan = analysed(&rich());
    for object in all(&scan) {
        let set = parse(&object);
        for (tag, expected) in [
            (tags::PATIENT_NAME, "M\u{fc}ller^J\u{f6}rg"),
            (tags::PATIENT_AGE, "085Y"),
            (tags::STUDY_DATE, "20200229"),
            (tags::ACCESSION_NUMBER, "A-17"),
            (tags::STUDY_INSTANCE_UID, "1.2"),
            (tags::PATIENT_SEX, ""),
            (tags::CONTENT_DATE, "20260102"),
            (tags::MANUFACTURER, "multirnet"),
        ] {
            assert_eq!(text(&set, tag), expected, "{:?} {tag}", object.role);
        }
        let method = &items(&set, tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE)[0];
        assert_eq!(text(method, tags::CODE_VALUE), "113100");
        // Nothing invented: the source has no age of this kind and no weight.
        assert!(set.get(tags::PATIENT_WEIGHT).is_none());
        assert!(set.get(tags::LATERALITY).is_none());
        let part = set.get(tags::BODY_PART_EXAMINED).is_some();
        assert_eq!(part, matches!(object.role.modality(), "SEG" | "OT"));
    }
    let set = parse(&scan.binary());
    assert_eq!(text(&set, tags::POSITION_REFERENCE_INDICATOR), "SN");
    // Without a body part, the laterality is given as unknown.
    let plain = parse(&analysed_series().picture());
    assert_eq!(text(&plain, tags::LATERALITY), "");
    assert!(plain.get(tags::BODY_PART_EXAMINED).is_none());
}

#[test]
fn the_same_input_gives_the_same_bytes_and_another_key_other_uids() {
    let (first, second) = (analysed_series(), analysed_series());
    assert!(all(&first) == all(&second));
    let mut context = first.context();
    context.key = "another model";
    for role in Role::ALL {
        assert_ne!(context.series_uid(role), first.context().series_uid(role));
        assert_ne!(context.instance_uid(role), context.series_uid(role));
        assert!(uid::is_valid(&context.instance_uid(role)));
        assert!(role.series_number() >= 900);
    }
}

#[test]
fn every_result_has_a_series_of_its_own() {
    let scan = analysed_series();
    let objects = all(&scan);
    let mut series: Vec<&str> = objects.iter().map(|o| o.series_uid.as_str()).collect();
    series.sort_unstable();
    series.dedup();
    assert_eq!(series.len(), Role::ALL.len());
    for object in &objects {
        let set = parse(object);
        assert_eq!(text(&set, tags::SERIES_INSTANCE_UID), object.series_uid);
        assert_eq!(text(&set, tags::SOP_INSTANCE_UID), object.instance_uid);
        assert_eq!(text(&set, tags::SOP_CLASS_UID), object.role.sop_class_uid());
        assert_eq!(
            set.meta().media_storage_sop_instance_uid(),
            object.instance_uid
        );
        let source = &scan.scan.reference;
        let segmentation = scan.binary();
        check::check_object(&object.bytes, source, Some(&segmentation.bytes)).unwrap();
    }
}

#[test]
fn documents_and_pictures_hold_what_they_were_given() {
    let scan = analysed_series();
    let set = parse(&scan.pdf());
    let document = set.element(tags::ENCAPSULATED_DOCUMENT).unwrap();
    assert_eq!(&document.to_bytes().unwrap()[..], b"%PDF-1.7\n%%EOF");
    assert_eq!(text(&set, tags::ENCAPSULATED_DOCUMENT_LENGTH), "14");
    let odd = write_pdf(&scan.context(), "odd", b"%PDF-1")
        .map(|o| parse(&o))
        .unwrap();
    assert_eq!(text(&odd, tags::ENCAPSULATED_DOCUMENT_LENGTH), "6");
    let set = parse(&scan.picture());
    let pixels = set.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap();
    assert_eq!(pixels.len(), 46);
    assert!(pixels[..45].iter().all(|&v| v == 77));
}

#[test]
fn pictures_and_documents_that_are_none_are_refused() {
    let scan = analysed_series();
    let error = write_pdf(&scan.context(), "report", b"<html>").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    for (rows, columns, bytes) in [(2, 2, 11), (0, 2, 0), (20_000, 1, 60_000)] {
        let picture = Picture {
            rows,
            columns,
            rgb: &vec![0; bytes],
            description: "Overview",
        };
        let error = write_picture(&scan.context(), PictureRole::Overview, &picture).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
    for (date, time) in [
        ("2026-01-02", "030405"),
        ("20261301", "030405"),
        ("20260102", "0304"),
    ] {
        assert_eq!(
            ContentTime::new(date, time).unwrap_err().kind(),
            ErrorKind::Invalid
        );
    }
}

#[test]
fn a_result_is_saved_whole() {
    let folder = tempfile::tempdir().unwrap();
    let object = analysed_series().picture();
    let path = folder.path().join("new/overview.dcm");
    object.save(&path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), object.bytes);
    let error = object.save(folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Write);
}

#[test]
fn sources_with_unusual_uids_and_attributes_are_copied_as_they_are() {
    let mut slices = series(4);
    let mut code = Writer::default();
    // An attribute that no dictionary knows, a private one, a number, and a name of a wrong type.
    code.text((0x0008, 0x0100), "SH", "113100")
        .text((0x0010, 0x00FE), "LO", "unknown")
        .text((0x0009, 0x0010), "LO", "private")
        .word((0x0028, 0x0010), 7);
    for (k, s) in slices.iter_mut().enumerate() {
        (s.study, s.series) = ("1.02.3", "1.2.003");
        s.frame_of_reference = "1.2.04";
        s.instance_uid = format!("1.2.003.0{k}");
        s.more
            .sequence((0x0012, 0x0064), std::slice::from_ref(&code))
            .sequence((0x0010, 0x2160), std::slice::from_ref(&code))
            .text((0x0010, 0x1001), "PN", "A^B\\C^D");
    }
    let scan = analysed(&slices);
    for object in all(&scan) {
        let set = parse(&object);
        assert_eq!(text(&set, tags::STUDY_INSTANCE_UID), "1.02.3");
        assert_eq!(text(&set, tags::OTHER_PATIENT_NAMES), "A^B\\C^D");
        let method = &items(&set, tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE)[0];
        assert_eq!(method.iter().count(), 1);
    }
}

#[test]
fn a_result_names_those_of_its_class_that_it_replaces() {
    let mut scan = analysed_series();
    let first = all(&scan);
    let earlier = |object: &ResultObject, number: usize| EarlierResult {
        series_uid: object.series_uid.clone(),
        sop_class_uid: object.role.sop_class_uid().to_owned(),
        instance_uid: format!("2.25.{}", 900 + number),
    };
    scan.replaces = first
        .iter()
        .enumerate()
        .map(|(i, o)| earlier(o, i))
        .collect();
    for object in all(&scan) {
        let set = parse(&object);
        let of_class = |r: &&EarlierResult| r.sop_class_uid == object.role.sop_class_uid();
        let replaced: Vec<_> = scan.replaces.iter().filter(of_class).collect();
        let uids: Vec<&str> = replaced.iter().map(|r| r.instance_uid.as_str()).collect();
        let said = format!("Replaces {}", uids.join(", "));
        match object.role.modality() {
            "SR" => {
                let study = &items(&set, tags::PREDECESSOR_DOCUMENTS_SEQUENCE)[0];
                assert_eq!(text(study, tags::STUDY_INSTANCE_UID), "1.2");
                let series = items(study, tags::REFERENCED_SERIES_SEQUENCE);
                let named: Vec<String> = series
                    .iter()
                    .map(|s| {
                        text(
                            &items(s, tags::REFERENCED_SOP_SEQUENCE)[0],
                            tags::REFERENCED_SOP_INSTANCE_UID,
                        )
                    })
                    .collect();
                assert_eq!(named, uids);
            }
            "DOC" => assert!(text(&set, tags::DOCUMENT_TITLE).ends_with(&said)),
            _ => assert_eq!(text(&set, tags::IMAGE_COMMENTS), said),
        }
    }
    // The same analysis again replaces nothing: its results have the same UIDs.
    scan.replaces = first
        .iter()
        .map(|o| EarlierResult {
            instance_uid: o.instance_uid.clone(),
            ..earlier(o, 0)
        })
        .collect();
    for (again, object) in all(&scan).iter().zip(&first) {
        assert_eq!(again.bytes, object.bytes, "{:?}", object.role);
    }
}

#[test]
fn a_series_that_cannot_be_read_still_gets_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let mut slices = series(6);
    slices.remove(3);
    crate::support::write(folder.path(), &slices);
    let error = crate::support::read(folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Irregular);
    let source = multirnet_dicom::refused_series(folder.path(), None).unwrap();
    assert_eq!(
        (source.instances.len(), source.study_uid.as_str()),
        (5, "1.2")
    );
    let mut scan = analysed_series();
    scan.scan.reference = source;
    let refusal = write_refusal_report(
        &scan.context(),
        ReportForm::default(),
        "A slice is missing.",
    );
    let set = parse(&refusal.unwrap());
    let study = &items(&set, tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE)[0];
    let series = &items(study, tags::REFERENCED_SERIES_SEQUENCE)[0];
    assert_eq!(items(series, tags::REFERENCED_SOP_SEQUENCE).len(), 5);
}
