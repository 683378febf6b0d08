//! Files written and read by SimpleITK and nibabel; see `golden/make_volumes.py`.

use multirnet_volume::{Geometry, Volume, io};
use serde_json::Value;
use std::path::{Path, PathBuf};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(golden(name)).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    let numbers = value.as_array().unwrap().iter();
    numbers.map(|v| v.as_f64().unwrap()).collect()
}

fn geometry(case: &Value) -> Geometry {
    let shape = numbers(&case["shape"]);
    let rows = case["affine_lps"].as_array().unwrap();
    let affine = std::array::from_fn(|row| numbers(&rows[row]).try_into().unwrap());
    Geometry::from_affine_lps(std::array::from_fn(|a| shape[a] as usize), &affine).unwrap()
}

#[test]
fn files_read_as_simpleitk_and_nibabel_read_them() {
    let expected = json("expected.json");
    let expected = expected.as_object().unwrap();
    assert_eq!(expected.len(), 19);
    for (name, case) in expected {
        let (volume, notes) = io::read_with_notes(&golden(name)).unwrap();
        assert!(
            volume.geometry().matches(&geometry(case), 1e-4),
            "{name}: {:?} instead of {:?}",
            volume.geometry(),
            geometry(case)
        );
        let values = numbers(&case["values"]).into_iter().map(|v| v as f32);
        assert!(values.eq(volume.data().iter().copied()), "{name}: values");
        let note = match name.as_str() {
            "disagreeing.nii" => Some("sform and qform"),
            "ascii_spacings.nrrd" => Some("no orientation"),
            _ => None,
        };
        assert_eq!(notes.is_empty(), note.is_none(), "{name}: {notes:?}");
        let found = |note| notes.iter().any(|n: &String| n.contains(note));
        assert!(note.is_none_or(found), "{name}: {notes:?}");
    }
}

#[test]
fn resampling_agrees_with_simpleitk() {
    let source = io::read(&golden("resample_source.nrrd")).unwrap();
    let cases = json("resample.json");
    for case in cases.as_array().unwrap() {
        let target = geometry(case);
        let linear = source.resample_linear(&target, -1024.0);
        let difference = |volume: &Volume<f32>, expected: &Value| {
            let values = volume.data().iter().zip(numbers(expected));
            values.fold(0.0, |m: f64, (a, b)| m.max(f64::from((a - b as f32).abs())))
        };
        assert!(difference(&linear, &case["linear"]) < 2e-3);
        let nearest = source.resample_nearest(&target, -1024.0);
        assert_eq!(difference(&nearest, &case["nearest"]), 0.0);
    }
}
