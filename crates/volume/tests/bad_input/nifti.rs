//! NIfTI headers.

use crate::support::{Bench, gzip, refused};
use multirnet_volume::{ErrorKind, io};

#[test]
fn nifti_headers() {
    use ErrorKind::{Geometry, Malformed, Unsupported};
    let b = Bench::new();
    let i16s =
        |values: &[i16]| -> Vec<u8> { values.iter().flat_map(|v| v.to_le_bytes()).collect() };
    let f32s =
        |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|v| v.to_le_bytes()).collect() };
    let no_sform = (254, i16s(&[0]));
    let no_qform = (252, i16s(&[0]));
    let pixdim = |z: f32| (76, f32s(&[1.0, 0.7, 0.7, z]));
    type Case<'a> = (Vec<(usize, Vec<u8>)>, ErrorKind, &'a str);
    let cases: Vec<Case> = vec![
        (vec![(0, i16s(&[7]))], Malformed, "not a NIfTI-1"),
        (vec![(0, i16s(&[540]))], Unsupported, "NIfTI-2"),
        (vec![(0, vec![0, 0, 2, 28])], Unsupported, "NIfTI-2"),
        (vec![(344, b"ni1\0".to_vec())], Unsupported, "pair"),
        (vec![(344, vec![0; 4])], Malformed, "magic"),
        (vec![(40, i16s(&[2, 6, 20, 1]))], Unsupported, "image"),
        (vec![(40, i16s(&[4, 3, 5, 4, 2]))], Unsupported, "several"),
        (
            vec![(40, i16s(&[5, 3, 5, 4, 1, 2]))],
            Unsupported,
            "several",
        ),
        (vec![(40, i16s(&[0]))], Malformed, "0 dimensions"),
        (vec![(40, i16s(&[8]))], Malformed, "8 dimensions"),
        (vec![(40, i16s(&[3, -6]))], Malformed, "-6"),
        (vec![(40, i16s(&[3, 6, 0]))], Malformed, "entry of 0"),
        (
            vec![(40, i16s(&[3, 32767, 32767, 32767]))],
            Unsupported,
            "crop",
        ),
        (
            vec![(40, i16s(&[3, 1000, 1000, 1000]))],
            Malformed,
            "cut off",
        ),
        (vec![(70, i16s(&[128]))], Unsupported, "colour"),
        (vec![(70, i16s(&[2304]))], Unsupported, "colour"),
        (vec![(70, i16s(&[32]))], Unsupported, "complex"),
        (vec![(70, i16s(&[1]))], Unsupported, "bits"),
        (vec![(70, i16s(&[999]))], Unsupported, "999"),
        (vec![(108, f32s(&[12.0]))], Malformed, "vox_offset"),
        (vec![(108, f32s(&[-1.0]))], Malformed, "vox_offset"),
        (vec![(108, f32s(&[f32::NAN]))], Malformed, "vox_offset"),
        (vec![(108, f32s(&[1e30]))], Malformed, "cut off"),
        (
            vec![(280, f32s(&[0.0; 12])), no_qform.clone()],
            Geometry,
            "affine",
        ),
        (
            vec![(280, f32s(&[1.0; 12])), no_qform.clone()],
            Geometry,
            "singular",
        ),
        (
            vec![(280, f32s(&[f32::NAN])), no_qform.clone()],
            Geometry,
            "sform",
        ),
        (
            vec![no_sform.clone(), pixdim(0.0)],
            Geometry,
            "sform or qform",
        ),
        (
            vec![no_sform.clone(), no_qform.clone(), pixdim(0.0)],
            Geometry,
            "affine",
        ),
        (
            vec![no_sform.clone(), no_qform, pixdim(f32::INFINITY)],
            Geometry,
            "affine",
        ),
        (vec![no_sform, (256, f32s(&[f32::NAN]))], Geometry, "affine"),
    ];
    for (patches, kind, says) in cases {
        let patches: Vec<(usize, &[u8])> = patches.iter().map(|(at, p)| (*at, &p[..])).collect();
        let bytes = b.patched(&patches);
        refused(&b.file("a.nii", &bytes), kind, says);
        refused(&b.file("a.nii.gz", &gzip(&bytes)), kind, says);
    }
}

#[test]
fn nifti_headers_that_are_odd_but_fine() {
    let b = Bench::new();
    let good = io::read(&b.file("a.nii", &b.good)).unwrap();
    let nan = f32::NAN.to_le_bytes();
    for (patches, note) in [
        (&[(40usize, &[4u8, 0][..])][..], None),
        (&[(112, &nan)], None),
        (&[(112, &[0; 8])], None),
        (&[(108, &[0; 4])], None),
        (&[(116, &nan)], Some("not scaled")),
        (&[(123, &[7])], Some("millimetres")),
        (&[(280, &[0; 48])], Some("sform is unusable")),
        // The qform is rotated.
        (&[(256, &0.5f32.to_le_bytes())], Some("sform is taken")),
    ] {
        let path = b.file("a.nii", &b.patched(patches));
        let (volume, notes) = io::read_with_notes(&path).unwrap();
        assert_eq!(volume.data(), good.data());
        assert!(volume.geometry().matches(good.geometry(), 1e-5));
        assert_eq!(notes.len(), usize::from(note.is_some()), "{notes:?}");
        assert!(note.is_none_or(|note| notes[0].contains(note)), "{notes:?}");
    }
    let path = b.file("a.nii", &b.patched(&[(252, &[0; 4])]));
    let (volume, notes) = io::read_with_notes(&path).unwrap();
    assert!(notes[0].contains("cannot be trusted"), "{notes:?}");
    assert_eq!(volume.geometry().orientation().to_string(), "RAS");
}
