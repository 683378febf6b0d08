//! Files that do not exist, cannot be read, are cut off or are damaged, and values that are not labels.

use crate::support::{Bench, gzip, refused};
use multirnet_volume::{ErrorKind, Geometry, Volume, io};
use std::path::Path;

#[test]
fn paths_that_are_not_volume_files_are_refused() {
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
fn files_without_read_permission_are_refused() {
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
fn files_truncated_at_any_byte_are_refused() {
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
    // A changed byte gives an error, or the same volume if it is an unused field of gzip's header. It
    // never gives a panic or other values. The kind of the error varies: the checksum comes last.
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
