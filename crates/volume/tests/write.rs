//! A written volume is read back unchanged.

mod common;

use common::{direction_of, rotated};
use multirnet_volume::{ErrorKind, Geometry, Orientation, Volume, Voxel, io};
use proptest::prelude::*;
use std::path::Path;

fn values<T: Voxel>(geometry: Geometry) -> Volume<T> {
    let mut state = 12_345u32;
    Volume::from_fn(geometry, |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        T::from_f64(f64::from(state >> 8) / 1000.0 - 3000.0)
    })
}

fn grid(orientation: Orientation, angles: [f64; 3], shape: [usize; 3]) -> Geometry {
    let direction = rotated(direction_of(orientation), angles);
    Geometry::new(
        shape,
        [2.5, 0.75, 0.7],
        [-172.5, -310.25, 87.125],
        direction,
    )
    .unwrap()
}

fn entries(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect()
}

fn check<T: Voxel>(directory: &Path) {
    let volume = values::<T>(grid(Orientation::CANONICAL, [0.2, -0.1, 0.4], [5, 6, 7]));
    for name in ["a.nii", "a.nii.gz"] {
        let path = directory.join(name);
        io::write_nifti(&path, &volume).unwrap();
        let (back, notes) = io::read_with_notes(&path).unwrap();
        assert_eq!(notes, [""; 0], "{name}");
        assert_eq!(back.data(), volume.map(|v| v.to_f64() as f32).data());
        assert!(back.geometry().matches(volume.geometry(), 1e-4));
        // Equal volumes give equal files.
        let bytes = std::fs::read(&path).unwrap();
        io::write_nifti(&path, &volume).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
}

#[test]
fn every_type_survives() {
    let directory = tempfile::tempdir().unwrap();
    check::<u8>(directory.path());
    check::<i8>(directory.path());
    check::<u16>(directory.path());
    check::<i16>(directory.path());
    check::<u32>(directory.path());
    check::<i32>(directory.path());
    check::<f32>(directory.path());
    check::<f64>(directory.path());
    assert_eq!(entries(directory.path()).len(), 2);
}

#[test]
fn labels_survive() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("labels.nii.gz");
    let geometry = grid(Orientation::CANONICAL, [0.0; 3], [40, 50, 60]);
    let labels = Volume::from_fn(geometry, |[z, y, x]| ((z * y + x) % 256) as u8);
    io::write_nifti(&path, &labels).unwrap();
    let back = io::read_labels(&path).unwrap();
    assert_eq!(back.data(), labels.data());
    assert!(back.geometry().matches(&geometry, 1e-4));
}

/// Reads the file with its sform switched off. The reader then uses the qform.
fn by_qform(path: &Path) -> Volume<f32> {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[254..256].copy_from_slice(&[0, 0]);
    assert_eq!(bytes[252..254], [1, 0], "the qform is set");
    let path = path.with_file_name("qform.nii");
    std::fs::write(&path, bytes).unwrap();
    io::read(&path).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn sform_and_qform_say_the_same(
        orientation in 0usize..48,
        angles in prop::array::uniform3(-3.2f64..3.2),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.nii");
        let geometry = grid(Orientation::all()[orientation], angles, [4, 5, 6]);
        io::write_nifti(&path, &Volume::filled(1u8, geometry)).unwrap();
        let (back, notes) = io::read_with_notes(&path).unwrap();
        prop_assert!(notes.is_empty());
        prop_assert!(back.geometry().matches(&geometry, 1e-4));
        // Near half turns a quaternion of 32-bit numbers is accurate only to 6e-4 radians.
        prop_assert!(by_qform(&path).geometry().matches(&geometry, 1e-2));
    }
}

#[test]
fn all_48_orientations_have_a_qform() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.nii");
    for orientation in Orientation::all() {
        let geometry = grid(orientation, [0.0; 3], [4, 5, 6]);
        io::write_nifti(&path, &Volume::filled(1u8, geometry)).unwrap();
        assert!(by_qform(&path).geometry().matches(&geometry, 1e-4));
    }
}

#[test]
fn a_sheared_grid_has_no_qform() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.nii");
    let mut direction = direction_of(Orientation::CANONICAL);
    let (sin, cos) = 0.3f64.sin_cos();
    direction[0] = [0.0, sin, cos];
    let geometry = Geometry::new([4, 5, 6], [3.0, 0.7, 0.7], [1.0, 2.0, 3.0], direction).unwrap();
    io::write_nifti(&path, &Volume::filled(1u8, geometry)).unwrap();
    let back = io::read(&path).unwrap();
    assert!(back.geometry().matches(&geometry, 1e-4));
    assert_eq!(std::fs::read(&path).unwrap()[252..256], [0, 0, 1, 0]);
}

#[test]
fn what_cannot_be_written_is_refused_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let volume = values::<u8>(grid(Orientation::CANONICAL, [0.0; 3], [2, 2, 2]));
    let long = Geometry::axial([1, 1, 32_768], [1.0; 3]).unwrap();
    let long = Volume::filled(0u8, long);
    std::fs::create_dir(directory.path().join("d.nii")).unwrap();
    for (name, volume, kind, says) in [
        ("a.png", &volume, ErrorKind::Unsupported, ".nii.gz"),
        (
            "missing/a.nii",
            &volume,
            ErrorKind::Write,
            "create the folder",
        ),
        ("d.nii", &volume, ErrorKind::Write, "directory"),
        ("long.nii", &long, ErrorKind::Unsupported, "32768"),
    ] {
        let path = directory.path().join(name);
        let error = io::write_nifti(&path, volume).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        let text = error.to_string();
        assert!(text.contains(says) && text.contains(name), "{text}");
    }
    assert_eq!(entries(directory.path()), ["d.nii"]);
}
