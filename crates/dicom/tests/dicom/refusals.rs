//! Input that is refused, and the messages of the refusals.

use crate::support::*;
use multirnet_dicom::{Error, ErrorKind, ReadOptions, is_dicom};

fn refused(slices: &[Slice]) -> Error {
    read_slices(slices, false).expect_err("this should have been refused")
}

#[test]
fn series_that_are_not_axial_ct_are_refused() {
    type Change = fn(&mut Slice);
    let cases: [(&str, Change); 7] = [
        ("not CT (modality MR)", |s| s.modality = "MR"),
        ("a colour image", |s| s.samples = 3),
        ("a localizer", |s| {
            s.image_type = "DERIVED\\SECONDARY\\LOCALIZER"
        }),
        ("a maximum intensity projection", |s| {
            s.image_type = "DERIVED\\SECONDARY\\MIP"
        }),
        ("no pixel spacing", |s| s.spacing = None),
        ("no image position", |s| s.position = None),
        ("sagittal, not axial", |s| {
            s.orientation = [0.0, 1.0, 0.0, 0.0, 0.0, -1.0]
        }),
    ];
    for (reason, change) in cases {
        let mut slices = series(4);
        slices.iter_mut().for_each(change);
        let error = refused(&slices);
        assert_eq!(error.kind(), ErrorKind::NoSeries, "{error}");
        assert!(error.to_string().contains(reason), "{error}");
        assert!(error.to_string().contains("`series`"), "{error}");
    }
}

#[test]
fn too_few_slices_are_refused() {
    for n in [1, 2] {
        let error = refused(&series(n));
        let text = format!("{n} of the 3 slices that a volume needs");
        assert!(error.to_string().contains(&text), "{error}");
    }
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &series(1));
    let error = read(&folder.path().join("00.dcm")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(
        error.to_string().contains("1 slice does not make a volume"),
        "{error}"
    );
    assert!(error.to_string().contains("give the folder"), "{error}");
}

#[test]
fn a_multi_frame_file_without_positions_is_refused() {
    let mut s = slice(0);
    s.frames = Some(4);
    s.values = vec![0; 64];
    let error = refused(&[s]);
    assert!(error.to_string().contains("no image position"), "{error}");
}

#[test]
fn unsupported_compression_is_named() {
    let mut slices = series(3);
    for s in &mut slices {
        s.syntax = "1.2.840.10008.1.2.4.201";
        s.fragment = Some(vec![1, 2, 3, 4]);
    }
    let error = refused(&slices);
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let text = error.to_string();
    assert!(
        text.contains("00.dcm") && text.contains("1.2.840.10008.1.2.4.201"),
        "{text}"
    );
    assert!(text.contains("High-Throughput JPEG 2000"), "{text}");
    assert!(text.contains("gdcmconv"), "{text}");
}

#[test]
fn an_unknown_series_is_refused_with_the_listing() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &series(3));
    for asked in ["2", "0", "1.2.99", ""] {
        let options = ReadOptions {
            series: Some(asked.to_owned()),
            ..ReadOptions::default()
        };
        let error = multirnet_dicom::read(folder.path(), &options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSeries);
        assert!(error.to_string().contains("\"Chest\" (3 files)"), "{error}");
    }
}

#[test]
fn a_series_of_two_patients_is_refused() {
    let mut slices = series(4);
    slices[2].patient = "OTHER";
    let error = refused(&slices);
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(error.to_string().contains("2 patients"), "{error}");
    assert!(!error.to_string().contains("OTHER"), "{error}");
}

#[test]
fn several_studies_are_warned_of() {
    let mut slices = series(4);
    let mut others = series(3);
    for s in &mut others {
        s.series = "7.1";
        s.study = "7";
    }
    slices.extend(others);
    let scan = read_slices(&slices, false).unwrap();
    assert!(
        scan.warnings[0].contains("2 studies"),
        "{:?}",
        scan.warnings
    );
}

#[test]
fn paths_without_dicom_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let missing = read(&folder.path().join("missing")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Io);
    let empty = read(folder.path()).unwrap_err();
    assert_eq!(empty.kind(), ErrorKind::NotDicom);
    std::fs::write(folder.path().join("a.txt"), "text").unwrap();
    let text = read(folder.path()).unwrap_err().to_string();
    assert!(text.contains("the only file here is not DICOM"), "{text}");
    let file = read(&folder.path().join("a.txt")).unwrap_err();
    assert_eq!(file.kind(), ErrorKind::NotDicom);
    assert!(!is_dicom(folder.path()));
    assert!(!is_dicom(&folder.path().join("missing")));
}

#[test]
fn damaged_files_are_named_and_left_out_on_demand() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &series(6));
    let last = slice(5).bytes();
    for (content, reason) in [
        (&last[..last.len() - 7], "truncated"),
        (&last[..180], "ends inside an element"),
        (&[][..], "the file is empty"),
        (b"<html>not found</html>", "not a DICOM file"),
    ] {
        std::fs::write(folder.path().join("05.dcm"), content).unwrap();
        let error = read(folder.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
        assert_eq!(error.offending(), ["05.dcm"], "{error}");
        assert!(error.to_string().contains(reason), "{error}");
        let scan = read_anyhow(folder.path()).unwrap();
        assert_eq!(planes(&scan), [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert!(scan.warnings[0].contains("05.dcm"), "{:?}", scan.warnings);
    }
    // If the damaged file itself is given, the error names it.
    std::fs::write(folder.path().join("05.dcm"), &last[..last.len() - 7]).unwrap();
    let error = read(&folder.path().join("05.dcm")).unwrap_err();
    assert!(error.path().unwrap().ends_with("05.dcm"), "{error}");
}

#[test]
fn too_few_pixels_are_refused() {
    let mut slices = series(3);
    slices[1].values = vec![0; 15];
    let error = refused(&slices);
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(error.to_string().contains("01.dcm"), "{error}");
    assert!(error.to_string().contains("30 bytes"), "{error}");
}

#[test]
fn absurd_sizes_are_refused_before_they_are_allocated() {
    let mut slices = series(3);
    for s in &mut slices {
        s.values = vec![0; 16];
        s.rows = 65535;
        s.columns = 65535;
    }
    let error = refused(&slices);
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");

    // Mending one stray slice far away would need a huge grid.
    let mut slices = series(4);
    for s in &mut slices {
        s.rows = 512;
        s.columns = 512;
    }
    slices[3].position = Some([-10.0, -20.0, 90_000.0]);
    let error = read_slices(&slices, true).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
}

#[test]
fn the_callers_limit_of_voxels_holds_before_pixels_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut slices = series(6);
    slices.remove(1);
    write(folder.path(), &slices);
    // Five slices of 4 × 4 pixels, and six planes once the gap is filled.
    let read = |max_voxels, allow_irregular| {
        let options = ReadOptions {
            max_voxels,
            allow_irregular,
            ..ReadOptions::default()
        };
        multirnet_dicom::read(folder.path(), &options)
    };
    assert_eq!(read(96, true).unwrap().volume.shape(), [6, 4, 4]);
    for most in [95, 79, 0] {
        let error = read(most, true).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
        assert!(
            error.to_string().contains(&format!("more than {most}")),
            "{error}"
        );
    }
}

#[cfg(unix)]
#[test]
fn unreadable_files_are_named() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &series(4));
    let locked = folder.path().join("03.dcm");
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::File::open(&locked).is_ok() {
        return; // The superuser may read everything.
    }
    let error = read(folder.path()).unwrap_err();
    assert_eq!(error.offending(), ["03.dcm"]);
    assert!(error.to_string().contains("ermission denied"), "{error}");
    assert_eq!(planes(&read_anyhow(folder.path()).unwrap()).len(), 3);
}
