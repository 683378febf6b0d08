//! Distances and components against SciPy's (`golden/make_scipy.py`).

use multirnet_anatomy::components::{Connectivity, components};
use multirnet_anatomy::distance::{distance_to_background, distance_to_mask};
use multirnet_volume::{Geometry, Volume};
use serde_json::Value;

fn cases() -> Vec<Value> {
    serde_json::from_str(include_str!("golden/scipy.json")).expect("the golden file")
}

fn numbers(case: &Value, key: &str) -> Vec<f64> {
    case[key]
        .as_array()
        .expect("a list")
        .iter()
        .map(|v| v.as_f64().expect("a number"))
        .collect()
}

fn mask(case: &Value) -> Volume<u8> {
    let (shape, spacing) = (numbers(case, "shape"), numbers(case, "spacing"));
    let geometry = Geometry::axial(
        [shape[0] as usize, shape[1] as usize, shape[2] as usize],
        [spacing[0], spacing[1], spacing[2]],
    )
    .expect("a valid grid");
    let data = numbers(case, "mask").iter().map(|&v| v as u8).collect();
    Volume::new(data, geometry).expect("as many values as voxels")
}

#[test]
fn distances_are_those_of_scipy() {
    for case in cases() {
        let mask = mask(&case);
        for (ours, key) in [
            (distance_to_mask(&mask), "to_mask"),
            (distance_to_background(&mask), "to_background"),
        ] {
            for (a, b) in ours.data().iter().zip(numbers(&case, key)) {
                assert!((f64::from(*a) - b).abs() < 2e-5, "{key}: {a} is not {b}");
            }
        }
    }
}

#[test]
fn components_are_those_of_scipy() {
    for case in cases() {
        let mask = mask(&case);
        for (connectivity, key) in [
            (Connectivity::Faces, "faces"),
            (Connectivity::Corners, "corners"),
        ] {
            let found = components(&mask, connectivity);
            let expected: Vec<u32> = numbers(&case, key).iter().map(|&v| v as u32).collect();
            assert_eq!(found.labels.data(), expected, "{key}");
            for (i, &size) in found.sizes.iter().enumerate() {
                let count = expected.iter().filter(|&&n| n as usize == i + 1).count();
                assert_eq!(size, count);
            }
        }
    }
}
