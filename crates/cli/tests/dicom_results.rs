//! Results as DICOM objects: what is written, that a repeat writes the same, and what is refused.

mod common;

use common::{both, dicom, expect, multirnet, names, phantom, save};
use multirnet_volume::Diagnosis;
use std::fs;
use std::path::Path;
use std::process::Output;

fn run_in(folder: &Path, line: &str) -> Output {
    let mut command = multirnet();
    command.args(line.split_whitespace()).current_dir(folder);
    command.output().unwrap()
}

/// The study `study/`, a CT of a phantom, and the same scan as NIfTI.
fn study() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let ct = phantom(Diagnosis::Covid19, 6)
        .ct
        .map(|hu| hu.round() as i16);
    dicom::write_series(&folder.path().join("study"), &ct, 1);
    save(folder.path(), "scan.nii.gz", &ct);
    folder
}

/// The value of the first element with this tag and a short text in an explicit VR file.
fn text(file: &[u8], [group, element]: [u16; 2], vr: &str) -> String {
    let head = [
        &group.to_le_bytes()[..],
        &element.to_le_bytes(),
        vr.as_bytes(),
    ]
    .concat();
    let at = file.windows(6).position(|w| w == head).unwrap();
    let length = u16::from_le_bytes([file[at + 6], file[at + 7]]);
    let value = &file[at + 8..at + 8 + usize::from(length)];
    String::from_utf8_lossy(value)
        .trim_matches(['\0', ' '])
        .to_owned()
}

const INSTANCE_UID: [u16; 2] = [0x0008, 0x0018];
const STUDY_UID: [u16; 2] = [0x0020, 0x000D];
const SERIES_NUMBER: [u16; 2] = [0x0020, 0x0011];
const PATIENT_ID: [u16; 2] = [0x0010, 0x0020];

#[test]
fn results_join_the_study_and_a_repeat_has_the_same_uids() {
    let folder = study();
    let at = |path: &str| folder.path().join(path);
    expect(&run_in(folder.path(), "predict study --dicom -o a"), 0);
    let slice = fs::read(at("study/000.dcm")).unwrap();
    let study_uid = text(&slice, STUDY_UID, "UI");
    let objects = names(&at("a/dicom"));
    let expected = [
        "measurements.dcm",
        "overview.dcm",
        "report.dcm",
        "segmentation.dcm",
    ];
    assert_eq!(objects, expected);
    expect(&run_in(folder.path(), "predict study --dicom -o b"), 0);
    // What `dicom` makes of the folder is the same again.
    expect(&run_in(folder.path(), "predict study -o c"), 0);
    expect(&run_in(folder.path(), "dicom c --source study"), 0);
    for (name, number) in objects.iter().zip(["910", "920", "930", "900"]) {
        let files = ["a", "b", "c"].map(|run| fs::read(at(run).join("dicom").join(name)).unwrap());
        let uids = files.each_ref().map(|file| text(file, INSTANCE_UID, "UI"));
        assert!(uids[0].starts_with("2.25."), "{name}: {}", uids[0]);
        assert_eq!([&uids[1], &uids[2]], [&uids[0]; 2], "{name}");
        assert_eq!(text(&files[0], STUDY_UID, "UI"), study_uid, "{name}");
        assert_eq!(text(&files[0], PATIENT_ID, "LO"), "PHANTOM1", "{name}");
        assert_eq!(text(&files[0], SERIES_NUMBER, "IS"), number, "{name}");
    }
    let masks = ["a", "c"].map(|run| fs::read(at(run).join("dicom/segmentation.dcm")).unwrap());
    // Only the content's date and time may differ.
    assert_eq!(masks[0].len(), masks[1].len());

    // The picture does not show where the scan lies: another path to it gives the same pixels.
    let path = at("study");
    let line = format!("predict {} --dicom -o d", path.display());
    expect(&run_in(folder.path(), &line), 0);
    let pictures = ["a", "d"].map(|run| fs::read(at(run).join("dicom/overview.dcm")).unwrap());
    let pixels = pictures
        .each_ref()
        .map(|file| &file[file.len() - 1_000_000..]);
    assert!(pixels[0] == pixels[1]);

    let line = "dicom c --source study --labelmap --enhanced-sr --all-frames";
    expect(&run_in(folder.path(), line), 0);
    assert!(names(&at("c/dicom")).contains(&"labelmap.dcm".to_owned()));
    assert!(names(&at("c/dicom")).contains(&"measurements-enhanced.dcm".to_owned()));
}

#[test]
fn a_scan_that_is_not_a_series_or_another_scan_is_refused() {
    let folder = study();
    let output = run_in(folder.path(), "predict scan.nii.gz --dicom -o out");
    expect(&output, 3);
    let said = both(&output);
    assert!(
        said.contains("scan.nii.gz: the scan is nifti, not a DICOM series"),
        "{said}"
    );
    assert!(!folder.path().join("out").exists());

    expect(&run_in(folder.path(), "predict study -o out"), 0);
    let other = phantom(Diagnosis::Normal, 1).ct.map(|hu| hu.round() as i16);
    dicom::write_series(&folder.path().join("other"), &other, 2);
    let output = run_in(folder.path(), "dicom out --source other");
    expect(&output, 3);
    assert!(both(&output).contains("finding.json: the results are those of another scan"));
    assert!(!folder.path().join("out/dicom").exists());
}

#[test]
fn a_refused_scan_gets_objects_that_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    // A box of tissue is not a chest, and a series without one of its slices is not a volume.
    let ct = phantom(Diagnosis::Normal, 1).ct.map(|_| 40i16);
    dicom::write_series(&at("tissue"), &ct, 1);
    dicom::write_series(&at("gap"), &ct, 2);
    fs::remove_file(at("gap/005.dcm")).unwrap();
    for (scan, told) in [("tissue", "all"), ("gap", "1 slice is missing")] {
        let output = run_in(
            folder.path(),
            &format!("predict {scan} --dicom -o out-{scan}"),
        );
        expect(&output, 3);
        let out = at(&format!("out-{scan}"));
        assert_eq!(names(&out), ["dicom"]);
        let objects = names(&out.join("dicom"));
        assert_eq!(objects, ["not-analysed-report.dcm", "not-analysed.dcm"]);
        let report = fs::read(out.join("dicom/not-analysed-report.dcm")).unwrap();
        let report = String::from_utf8_lossy(&report);
        let expected = format!("Could not be analysed: {told}");
        assert!(report.contains(&expected), "{}", both(&output));
        // The path of a file is nobody's business in an archive.
        assert!(!report.contains(&format!("{scan}:")));
    }
}
