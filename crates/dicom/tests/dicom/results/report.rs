//! Reports: their values and references.

use super::support::*;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use multirnet_dicom::ErrorKind;
use multirnet_dicom::write::*;

/// The measurement groups, or the container of evaluations.
fn content(object: &InMemDicomObject) -> &InMemDicomObject {
    let root = items(object, tags::CONTENT_SEQUENCE);
    root.iter()
        .find(|i| text(i, tags::VALUE_TYPE) == "CONTAINER")
        .unwrap()
}

fn named<'a>(item: &'a InMemDicomObject, value: &str) -> Vec<&'a InMemDicomObject> {
    let is_it = |i: &&InMemDicomObject| {
        let name = &items(i, tags::CONCEPT_NAME_CODE_SEQUENCE)[0];
        text(name, tags::CODE_VALUE) == value
    };
    items(item, tags::CONTENT_SEQUENCE)
        .iter()
        .filter(is_it)
        .collect()
}

#[test]
fn groups_have_the_values_they_were_given() {
    let scan = analysed_series();
    let segmentation = scan.binary();
    let object = parse(&scan.report(ReportForm::Comprehensive3D, &segmentation));
    let groups = named(content(&object), codes::MEASUREMENT_GROUP.value);
    assert_eq!(groups.len(), 4);
    let template = |g: &InMemDicomObject| {
        let template = &items(g, tags::CONTENT_TEMPLATE_SEQUENCE)[0];
        text(template, tags::TEMPLATE_IDENTIFIER)
    };
    let templates: Vec<String> = groups.iter().map(|g| template(g)).collect();
    assert_eq!(templates, ["1411", "1411", "1501", "1501"]);
    for (code, value, unit) in [
        (codes::VOLUME, "1.25", "cm3"),
        (codes::ATTENUATION_COEFFICIENT, "-700.5", "[hnsf'U]"),
        (codes::VOLUME_RATIO, "12.5", "%"),
    ] {
        let number = named(groups[0], code.value)[0];
        let measured = &items(number, tags::MEASURED_VALUE_SEQUENCE)[0];
        assert_eq!(text(measured, tags::NUMERIC_VALUE), value);
        let units = &items(measured, tags::MEASUREMENT_UNITS_CODE_SEQUENCE)[0];
        assert_eq!(text(units, tags::CODE_VALUE), unit);
    }
    // The group's tracking UID is the segment's.
    let segments = parse(&segmentation);
    let tracking = text(
        &items(&segments, tags::SEGMENT_SEQUENCE)[2],
        tags::TRACKING_UID,
    );
    let of_group = named(groups[1], codes::TRACKING_UNIQUE_IDENTIFIER.value)[0];
    assert_eq!(text(of_group, tags::UID), tracking);
    let image = named(groups[1], codes::REFERENCED_SEGMENT.value)[0];
    let reference = &items(image, tags::REFERENCED_SOP_SEQUENCE)[0];
    assert_eq!(
        text(reference, tags::REFERENCED_SOP_INSTANCE_UID),
        segmentation.instance_uid
    );
}

#[test]
fn probabilities_name_their_classes_and_are_told_in_words() {
    let scan = analysed_series();
    let object = parse(&scan.report(ReportForm::Comprehensive3D, &scan.binary()));
    let groups = named(content(&object), codes::MEASUREMENT_GROUP.value);
    let classes = groups[3];
    assert!(named(classes, codes::FINDING.value).is_empty());
    let found: Vec<(String, String)> = named(classes, codes::PROBABILITY.value)
        .into_iter()
        .map(|n| {
            let class = named(n, codes::FINDING.value)[0];
            let class = &items(class, tags::CONCEPT_CODE_SEQUENCE)[0];
            let measured = &items(n, tags::MEASURED_VALUE_SEQUENCE)[0];
            (
                text(class, tags::CODE_MEANING),
                text(measured, tags::NUMERIC_VALUE),
            )
        })
        .collect();
    let expected = [
        ("Normal", "0.05"),
        ("Community acquired pneumonia", "0.15"),
        ("COVID-19", "0.8"),
    ];
    assert_eq!(found, expected.map(|(c, p)| (c.to_owned(), p.to_owned())));
    let comment = text(named(classes, codes::COMMENT.value)[0], tags::TEXT_VALUE);
    assert_eq!(
        comment,
        "Normal 5.0 %, Community acquired pneumonia 15.0 %, COVID-19 80.0 %. \
         Not validated on patients. Research use only."
    );
}

#[test]
fn a_refusal_gives_its_reason() {
    let scan = analysed_series();
    let reason = "The scan was not analysed, because it is not a chest CT.\nSee the manual.";
    for form in [ReportForm::Comprehensive3D, ReportForm::Enhanced] {
        let object = write_refusal_report(&scan.context(), form, reason).unwrap();
        assert!(object.role.series_number() >= 950);
        let object = parse(&object);
        let evaluations = content(&object);
        let comment = named(evaluations, codes::COMMENT.value)[0];
        assert_eq!(text(comment, tags::TEXT_VALUE), reason);
    }
}

#[test]
fn reports_that_dicom_cannot_hold_are_refused() {
    let scan = analysed_series();
    let segmentation = scan.binary();
    let change: [fn(&mut MeasurementGroup); 5] = [
        |g| g.volume_cm3 = f64::NAN,
        |g| g.mean_hu = Some(f64::INFINITY),
        |g| g.segment = Some(0),
        |g| g.tracking_id.clear(),
        |g| {
            g.share_percent = Some(Share {
                percent: 1.0,
                of: String::new(),
            })
        },
    ];
    let write = |groups: &[MeasurementGroup], segmentation| {
        let report = Report {
            form: ReportForm::Comprehensive3D,
            algorithm: &scan.algorithm,
            groups,
            classes: None,
            segmentation,
        };
        write_report(&scan.context(), &report).map_err(|e| (e.kind(), e.to_string()))
    };
    for change in change {
        let mut groups = scan.groups();
        change(&mut groups[0]);
        let (kind, message) = write(&groups, Some(&segmentation)).unwrap_err();
        assert_eq!(kind, ErrorKind::Invalid, "{message}");
    }
    assert_eq!(
        write(&scan.groups(), None).unwrap_err().0,
        ErrorKind::Invalid
    );
    assert_eq!(write(&[], None).unwrap_err().0, ErrorKind::Invalid);
    // A segment that the segmentation does not have, or the segment of another finding.
    for number in [9, 2] {
        let mut groups = scan.groups();
        groups[0].segment = Some(number);
        let (kind, message) = write(&groups, Some(&segmentation)).unwrap_err();
        assert_eq!(kind, ErrorKind::NotShown, "{message}");
    }
}
