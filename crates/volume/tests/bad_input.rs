//! Bad files give errors that name the file and say what is wrong; nothing panics or allocates on
//! a header's word.

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use multirnet_volume::{Error, ErrorKind, Geometry, Volume, io};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A directory with one good volume as bytes.
struct Bench {
    directory: tempfile::TempDir,
    good: Vec<u8>,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let geometry = Geometry::axial([4, 5, 6], [2.0, 0.7, 0.7]).unwrap();
        let volume = Volume::from_fn(geometry, |[z, y, x]| (z * 30 + y * 6 + x) as i16);
        let path = directory.path().join("good.nii");
        io::write_nifti(&path, &volume).unwrap();
        let good = std::fs::read(path).unwrap();
        Self { directory, good }
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// The good file with bytes changed at offsets.
    fn patched(&self, patches: &[(usize, &[u8])]) -> Vec<u8> {
        let mut bytes = self.good.clone();
        for (at, patch) in patches {
            bytes[*at..at + patch.len()].copy_from_slice(patch);
        }
        bytes
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[track_caller]
fn refused(path: &Path, kind: ErrorKind, says: &str) -> Error {
    let error = io::read(path).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "{text}");
    assert!(text.contains(says), "{text:?} does not say {says:?}");
    assert!(
        text.starts_with(&path.parent().unwrap().display().to_string()),
        "{text:?} does not name the file"
    );
    error
}

#[test]
fn files_that_are_none() {
    let b = Bench::new();
    let d = b.directory.path();
    refused(&d.join("none.nii"), ErrorKind::Io, "check the path");
    refused(&d.join("none"), ErrorKind::Io, "check the path");
    refused(d, ErrorKind::Io, "directory");
    std::fs::create_dir(d.join("d.nii.gz")).unwrap();
    refused(&d.join("d.nii.gz"), ErrorKind::Io, "directory");
    for name in ["e.nii", "e.nii.gz", "e.nrrd", "e.mha"] {
        refused(&b.file(name, b""), ErrorKind::Malformed, "empty");
    }
    refused(&b.file("a.png", b"x"), ErrorKind::Unsupported, ".nii.gz");
    refused(&b.file("a", b"x"), ErrorKind::Unsupported, ".nii.gz");
    for name in ["a.hdr", "a.img", "a.img.gz"] {
        refused(&b.file(name, &b.good), ErrorKind::Unsupported, "pair");
    }
    #[cfg(unix)]
    if Path::new("/dev/zero").exists() {
        let link = d.join("zero.nii");
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        refused(&link, ErrorKind::Io, "regular");
    }
}

#[cfg(unix)]
#[test]
fn permission_denied() {
    use std::os::unix::fs::PermissionsExt;
    let b = Bench::new();
    let path = b.file("a.nii", &b.good);
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o000)).unwrap();
    // Root may read everything.
    if std::fs::File::open(&path).is_err() {
        refused(&path, ErrorKind::Io, "permissions");
    }
}

#[test]
fn the_good_file_is_good_also_under_a_wrong_name() {
    let b = Bench::new();
    let good = io::read(&b.file("a.nii", &b.good)).unwrap();
    assert_eq!(good.at([3, 4, 5]), 119.0);
    let members = [gzip(&b.good[..100]), gzip(&b.good[100..])].concat();
    for (name, bytes) in [
        ("raw.nii.gz", b.good.clone()),
        ("packed.nii", gzip(&b.good)),
        ("members.nii.gz", members),
        ("trailing.nii.gz", [gzip(&b.good), vec![0; 64]].concat()),
    ] {
        assert_eq!(io::read(&b.file(name, &bytes)).unwrap(), good, "{name}");
    }
}

#[test]
fn truncated_at_every_byte() {
    let b = Bench::new();
    let packed = gzip(&b.good);
    for len in (1..b.good.len()).step_by(7) {
        refused(
            &b.file("a.nii", &b.good[..len]),
            ErrorKind::Malformed,
            "cut off",
        );
    }
    for len in 1..packed.len() {
        let path = b.file("a.nii.gz", &packed[..len]);
        let error = io::read(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{len}: {error}");
    }
}

#[test]
fn damaged_gzip() {
    let b = Bench::new();
    let mut packed = gzip(&b.good);
    let checksum = packed.len() - 6;
    packed[checksum] ^= 1;
    refused(
        &b.file("a.nii.gz", &packed),
        ErrorKind::Malformed,
        "damaged",
    );
    // Any byte: an error (of any kind: the checksum comes last) or, in the header's idle fields,
    // the same volume; never a panic or other values.
    let good = io::read(&b.file("a.nii", &b.good)).unwrap();
    for at in 2..packed.len() {
        let mut packed = gzip(&b.good);
        packed[at] ^= 0x55;
        if let Ok(volume) = io::read(&b.file("a.nii.gz", &packed)) {
            assert_eq!(volume, good, "byte {at}");
        }
    }
}

#[test]
fn any_changed_header_byte_is_survived() {
    let b = Bench::new();
    for at in 0..352 {
        for mask in [0xff, 0x80] {
            let byte = b.good[at] ^ mask;
            let path = b.file("a.nii", &b.patched(&[(at, &[byte])]));
            if let Err(error) = io::read(&path) {
                assert!(!error.to_string().is_empty());
            }
        }
    }
}

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
        // A qform that is turned.
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

const NRRD: &str = "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 2 2\nspace: LPS\n\
    space directions: (1,0,0) (0,1,0) (0,0,2)\nspace origin: (0,0,0)\nencoding: raw\n\n";

#[test]
fn nrrd_headers() {
    use ErrorKind::{Geometry, Malformed, Unsupported};
    let b = Bench::new();
    let write =
        |header: &str, voxels: &[u8]| b.file("a.nrrd", &[header.as_bytes(), voxels].concat());
    assert!(io::read(&write(NRRD, &[1; 8])).is_ok());
    refused(&write(NRRD, &[1; 7]), Malformed, "cut off");
    for (from, to, kind, says) in [
        ("NRRD", "NARD", Malformed, "not an NRRD"),
        ("type: uchar\n", "", Malformed, "\"type\""),
        ("uchar", "block", Unsupported, "block"),
        (
            "dimension: 3",
            "dimension: 99999999999",
            Malformed,
            "dimensions",
        ),
        ("dimension: 3", "dimension: x", Malformed, "dimension"),
        (
            "dimension: 3\nsizes: 2 2 2",
            "dimension: 3\nsizes: 2 2",
            Malformed,
            "sizes",
        ),
        ("2 2 2", "2 0 2", Malformed, "no voxels"),
        (
            "2 2 2",
            "9999999999 9999999999 9999999999",
            Unsupported,
            "crop",
        ),
        ("2 2 2", "1000 1000 1000", Malformed, "cut off"),
        ("2 2 2", "2 -2 2", Malformed, "sizes"),
        ("(1,0,0)", "(0,0,0)", Geometry, "affine"),
        ("(1,0,0)", "(0,1,0)", Geometry, "singular"),
        ("(1,0,0)", "(1,0)", Malformed, "space directions"),
        ("(1,0,0)", "", Malformed, "2 space directions"),
        ("(0,0,2)", "none", Geometry, "spacings"),
        (
            "space: LPS\nspace directions: (1,0,0) (0,1,0) (0,0,2)\n",
            "",
            Geometry,
            "spacings",
        ),
        ("space: LPS", "space: RAST", Unsupported, "RAST"),
        ("origin: (0,0,0)", "origin: none", Malformed, "origin"),
        ("origin: (0,0,0)", "origin: (0,0,inf)", Geometry, "origin"),
        ("raw", "bzip2", Unsupported, "bzip2"),
        ("raw", "gzip", Malformed, "cut off"),
        ("raw", "ascii", Malformed, "cut off"),
        ("raw", "raw\nendian: middle", Malformed, "middle"),
        ("raw", "raw\nbyte skip: 5", Malformed, "cut off"),
        ("raw", "raw\nbyte skip: -2", Malformed, "byte skip"),
        ("raw", "raw\nline skip: 5", Malformed, "lines"),
        ("raw", "raw\ndata file: /etc/passwd", Unsupported, "beside"),
        ("raw", "raw\ndata file: ../a.raw", Unsupported, "beside"),
        (
            "raw",
            "raw\ndata file: a%d.raw 1 2 1",
            Unsupported,
            "several files",
        ),
        (
            "raw",
            "raw\ndata file: none.raw",
            ErrorKind::Io,
            "check the path",
        ),
        (
            "raw\n\n",
            "raw\nwithout colon\n\n",
            Malformed,
            "without colon",
        ),
        (
            "dimension: 3\nsizes: 2 2 2\nspace: LPS\nspace directions: (1",
            "dimension: 4\nkinds: vector domain domain domain\nsizes: 3 2 2 2\nspace: LPS\nspace directions: none (1",
            Unsupported,
            "3 values",
        ),
        (
            "dimension: 3\nsizes: 2 2 2\nspace: LPS\nspace directions: (1",
            "dimension: 4\nsizes: 2 2 2 2\nspace: LPS\nspace directions: none (1",
            Unsupported,
            "several",
        ),
    ] {
        assert!(NRRD.contains(from), "{from:?}");
        refused(&write(&NRRD.replacen(from, to, 1), &[200; 8]), kind, says);
    }
    let long = format!("NRRD0004\n{}", "# comment\n".repeat(200_000));
    refused(&write(&long, &[]), Malformed, "does not end");
    // A layer axis of one is no axis, and skipped bytes are skipped.
    let layered = NRRD.replace(
        "dimension: 3\nsizes: 2 2 2\nspace: LPS\nspace directions: (1",
        "dimension: 4\nsizes: 1 2 2 2\nspace: LPS\nspace directions: none (1",
    );
    assert_eq!(io::read(&write(&layered, &[1; 8])).unwrap().shape(), [2; 3]);
    for skip in ["byte skip: 3", "byte skip: -1", "line skip: 1"] {
        let skipping = NRRD.replace("raw\n\n", &format!("raw\n{skip}\n\n"));
        let volume = io::read(&write(&skipping, b"ab\n12345678")).unwrap();
        assert_eq!(volume.at([0, 0, 1]), 50.0);
    }
}

const META: &str = "ObjectType = Image\nNDims = 3\nBinaryData = True\nTransformMatrix = 1 0 0 0 1 0 0 0 1\n\
    Offset = 0 0 0\nElementSpacing = 1 1 2\nDimSize = 2 2 2\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n";

#[test]
fn metaimage_headers() {
    use ErrorKind::{Geometry, Malformed, Unsupported};
    let b = Bench::new();
    let write =
        |header: &str, voxels: &[u8]| b.file("a.mha", &[header.as_bytes(), voxels].concat());
    assert!(io::read(&write(META, &[1; 8])).is_ok());
    refused(&write(META, &[1; 7]), Malformed, "cut off");
    for (from, to, kind, says) in [
        (
            "ObjectType = Image",
            "\u{1}\u{2}PNG",
            Malformed,
            "not a MetaImage",
        ),
        ("NDims = 3\n", "", Malformed, "NDims"),
        (
            "NDims = 3",
            "NDims = 9999999999999",
            Malformed,
            "dimensions",
        ),
        ("NDims = 3", "NDims = 4", Malformed, "DimSize"),
        ("DimSize = 2 2 2", "DimSize = 2 0 2", Malformed, "no voxels"),
        (
            "DimSize = 2 2 2",
            "DimSize = 1000 1000 1000",
            Malformed,
            "cut off",
        ),
        ("DimSize = 2 2 2", "DimSize = 2 2", Malformed, "DimSize"),
        ("MET_UCHAR", "MET_STRING", Unsupported, "MET_STRING"),
        (
            "MET_UCHAR",
            "MET_UCHAR\nElementNumberOfChannels = 3",
            Unsupported,
            "3 values",
        ),
        ("1 1 2", "1 0 2", Geometry, "spacing"),
        ("1 1 2", "1 nan 2", Geometry, "spacing"),
        ("1 1 2", "1 -1 2", Geometry, "spacing"),
        ("ElementSpacing = 1 1 2\n", "", Malformed, "ElementSpacing"),
        ("1 0 0 0 1 0", "1 0 0 1 0 0", Geometry, "singular"),
        ("1 0 0 0 1 0", "1 0 0 0 5 0", Geometry, "unit"),
        (
            "BinaryData = True",
            "BinaryData = maybe",
            Malformed,
            "maybe",
        ),
        (
            "BinaryData = True",
            "BinaryData = True\nCompressedData = True",
            Malformed,
            "damaged",
        ),
        (
            "BinaryData = True",
            "BinaryData = False",
            Malformed,
            "cut off",
        ),
        (
            "BinaryData = True",
            "BinaryData = True\nHeaderSize = -3",
            Malformed,
            "HeaderSize",
        ),
        ("LOCAL", "LIST", Unsupported, "several files"),
        ("LOCAL", "a%03d.raw 1 3 1", Unsupported, "several files"),
        ("LOCAL", "/etc/passwd", Unsupported, "beside"),
        ("LOCAL", "none.raw", ErrorKind::Io, "check the path"),
        (
            "ElementDataFile = LOCAL\n",
            "",
            Malformed,
            "ElementDataFile",
        ),
    ] {
        assert!(META.contains(from), "{from:?}");
        let voxels: &[u8] = if to.is_empty() { b"" } else { &[200; 8] };
        refused(&write(&META.replacen(from, to, 1), voxels), kind, says);
    }
    let packed = META.replace("BinaryData = True", "CompressedData = True");
    let voxels = [1, 2, 3, 4, 5, 6, 7, 8];
    for bytes in [zlib(&voxels), gzip(&voxels)] {
        assert_eq!(
            io::read(&write(&packed, &bytes)).unwrap().at([0, 0, 1]),
            2.0
        );
        for len in 0..bytes.len() - 1 {
            refused(&write(&packed, &bytes[..len]), Malformed, "cut off");
        }
    }
    let text = META.replace("BinaryData = True", "BinaryData = False");
    let volume = io::read(&write(&text, b"1 -2.5 3 4\n5 6 7 8")).unwrap();
    assert_eq!(volume.at([0, 0, 1]), -2.5);
    let path = write(&text, b"1 -2.5 3 4\n5 x 7 8");
    refused(&path, Malformed, "voxel 5 is \"x\", not a number");
    refused(&write(&text, b"1 -2.5 3 4\n5 6 7 "), Malformed, "7 of 8");
    let last = META.replace("BinaryData = True", "HeaderSize = -1");
    let volume = io::read(&write(&last, b"junk12345678")).unwrap();
    assert_eq!(volume.at([0, 0, 0]), 49.0);
}

#[test]
fn labels_must_be_labels() {
    let b = Bench::new();
    let path = b.directory.path().join("a.nii.gz");
    let geometry = Geometry::axial([2, 3, 4], [1.0; 3]).unwrap();
    for wrong in [0.5f32, -1.0, 256.0, f32::NAN, f32::INFINITY, 1e9] {
        let mut volume = Volume::filled(1.0f32, geometry);
        volume.data_mut()[23] = wrong;
        io::write_nifti(&path, &volume).unwrap();
        let error = io::read_labels(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        let text = error.to_string();
        assert!(
            text.contains("[1, 2, 3]") && text.contains("a.nii.gz"),
            "{text}"
        );
    }
    let mut volume = Volume::filled(1.0f32, geometry);
    volume.data_mut()[23] = 255.0;
    io::write_nifti(&path, &volume).unwrap();
    assert_eq!(io::read_labels(&path).unwrap().at([1, 2, 3]), 255);
}
