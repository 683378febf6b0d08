//! Surface and lesion scores against `surface-distance` and MONAI (`tests/golden/make_surface.py`),
//! and against their definitions.

use multirnet_metrics::{
    CaseMetrics, Convention, LesionConfig, LesionDetection, Metric, SurfaceConfig,
    SurfaceDistances, number,
};
use multirnet_volume::{Geometry, Volume};
use proptest::prelude::*;
use serde::Deserialize;
use std::collections::HashMap;

#[derive(Deserialize)]
struct Golden {
    tolerances: HashMap<String, Vec<f64>>,
    percents: Vec<f64>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    shape: [usize; 3],
    spacing: [f64; 3],
    truth: Recipe,
    predicted: Recipe,
    dice: Number,
    area: Area,
    voxel: Voxels,
    lesions: [usize; 4],
}

#[derive(Deserialize)]
struct Recipe {
    #[serde(default)]
    on: Vec<(String, Vec<i64>)>,
    #[serde(default)]
    off: Vec<(String, Vec<i64>)>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(transparent)]
struct Number(#[serde(with = "number")] Option<f64>);

#[derive(Deserialize)]
struct Area {
    weights: [f64; 2],
    means: [Number; 2],
    overlaps_truth: Vec<Number>,
    overlaps_predicted: Vec<Number>,
    surface_dice: Vec<Number>,
    hausdorff: Vec<Number>,
}

#[derive(Deserialize)]
struct Voxels {
    means: [Number; 2],
    pooled: Number,
    surface_dice: Vec<Number>,
    hausdorff: Vec<Number>,
}

fn draw(seed: i64, z: i64, y: i64, x: i64) -> i64 {
    let place = (z * 73_856_093) ^ (y * 19_349_663) ^ (x * 83_492_791) ^ (seed * 2_654_435_761);
    let mut h = place as u32;
    for _ in 0..2 {
        h = (h ^ (h >> 16)).wrapping_mul(0x45D_9F3B);
    }
    i64::from((h ^ (h >> 16)) % 1000)
}

fn inside((kind, n): &(String, Vec<i64>), [z, y, x]: [i64; 3]) -> bool {
    match kind.as_str() {
        "box" => {
            (n[0]..=n[1]).contains(&z) && (n[2]..=n[3]).contains(&y) && (n[4]..=n[5]).contains(&x)
        }
        "ball" => {
            let d = [z - n[0], y - n[1], x - n[2]].map(|d| d * d);
            let r = [n[3], n[4], n[5]].map(|r| r * r);
            d[0] * r[1] * r[2] + d[1] * r[0] * r[2] + d[2] * r[0] * r[1] <= r[0] * r[1] * r[2]
        }
        "noise" => draw(n[0], z / n[1], y / n[2], x / n[3]) < n[4],
        other => panic!("unknown part {other}"),
    }
}

fn mask(case: &Case, recipe: &Recipe) -> Volume<u8> {
    let geometry = Geometry::axial(case.shape, case.spacing).unwrap();
    Volume::from_fn(geometry, |i| {
        let i = i.map(|v| v as i64);
        let on = recipe.on.iter().any(|p| inside(p, i));
        u8::from(on && !recipe.off.iter().any(|p| inside(p, i)))
    })
}

/// Largest difference from the libraries, relative to values above 1 (MONAI's are 32 bits wide).
const BOUND: f64 = 1e-6;

#[track_caller]
fn assert_close(what: &str, ours: Option<f64>, theirs: Number) {
    let same = match (ours, theirs.0) {
        (None, None) => true,
        (Some(a), Some(b)) => a == b || (a - b).abs() <= BOUND * b.abs().max(1.0),
        _ => false,
    };
    assert!(same, "{what}: {ours:?} is not {:?}", theirs.0);
}

fn golden() -> Golden {
    let golden: Golden = serde_json::from_str(include_str!("golden/surface.json")).unwrap();
    assert!(golden.cases.len() >= 30);
    golden
}

#[test]
fn area_agrees_with_surface_distance() {
    let golden = golden();
    for case in &golden.cases {
        let (truth, predicted) = (mask(case, &case.truth), mask(case, &case.predicted));
        let d = SurfaceDistances::from_masks(&truth, &predicted, None, Convention::Area).unwrap();
        let (t, p, g) = (&d.truth_to_predicted, &d.predicted_to_truth, &case.area);
        let name = &case.name;
        assert_close(name, Some(t.weight()), Number(Some(g.weights[0])));
        assert_close(name, Some(p.weight()), Number(Some(g.weights[1])));
        assert_close(name, t.mean_mm(), g.means[0]);
        assert_close(name, p.mean_mm(), g.means[1]);
        for (i, &tolerance) in golden.tolerances["area"].iter().enumerate() {
            let what = format!("{name}, {tolerance} mm");
            assert_close(&what, t.overlap(tolerance), g.overlaps_truth[i]);
            assert_close(&what, p.overlap(tolerance), g.overlaps_predicted[i]);
            assert_close(&what, d.surface_dice(tolerance), g.surface_dice[i]);
        }
        for (i, &percent) in golden.percents.iter().enumerate() {
            let what = format!("{name}, {percent} %");
            assert_close(&what, d.hausdorff_mm(percent), g.hausdorff[i]);
        }
    }
}

#[test]
fn voxels_agree_with_monai() {
    let golden = golden();
    for case in &golden.cases {
        let (truth, predicted) = (mask(case, &case.truth), mask(case, &case.predicted));
        let d = SurfaceDistances::from_masks(&truth, &predicted, None, Convention::Voxel6).unwrap();
        let (g, name) = (&case.voxel, &case.name);
        assert_close(name, d.truth_to_predicted.mean_mm(), g.means[0]);
        assert_close(name, d.predicted_to_truth.mean_mm(), g.means[1]);
        assert_close(name, d.pooled_mean_mm(), g.pooled);
        for (i, &tolerance) in golden.tolerances["voxel-6"].iter().enumerate() {
            let what = format!("{name}, {tolerance} mm");
            assert_close(&what, d.surface_dice(tolerance), g.surface_dice[i]);
        }
        for (i, &percent) in golden.percents.iter().enumerate() {
            let ours = d.hausdorff_mm(percent);
            // MONAI interpolates between infinite distances, which gives NaN.
            if ours == Some(f64::INFINITY) && percent < 100.0 {
                assert!(g.hausdorff[i].0.is_none());
                assert_close(name, ours, g.hausdorff[0]);
            } else {
                assert_close(&format!("{name}, {percent} %"), ours, g.hausdorff[i]);
            }
        }
    }
}

#[test]
fn lesions_and_dice_agree_and_json_keeps_undefined_and_infinite_values() {
    for case in &golden().cases {
        let (truth, predicted) = (mask(case, &case.truth), mask(case, &case.predicted));
        for convention in [Convention::Area, Convention::Voxel6] {
            let config = SurfaceConfig {
                convention,
                ..SurfaceConfig::default()
            };
            let m = CaseMetrics::from_masks(&truth, &predicted, &config).unwrap();
            assert_close(&case.name, m.dice, case.dice);
            let l = m.lesions;
            let counts = [l.truth, l.missed, l.predicted, l.invented];
            assert_eq!(counts, case.lesions, "{}", case.name);
            let json = serde_json::to_string(&m).unwrap();
            assert!(!json.contains("null"), "{json}");
            let read: CaseMetrics = serde_json::from_str(&json).unwrap();
            assert_eq!((read.overlap, read.lesions), (m.overlap, m.lesions));
            assert_eq!(read.surface.config, config);
            for metric in Metric::ALL {
                // serde_json may miss the last bit of a number.
                match (metric.value(&read), metric.value(&m)) {
                    (Some(a), Some(b)) if b.is_finite() => assert!((a - b).abs() <= 1e-15 * b),
                    (a, b) => assert_eq!(a, b, "{}", case.name),
                }
            }
        }
    }
}

#[test]
fn one_label_scores_as_its_own_mask() {
    let geometry = Geometry::axial([6, 8, 9], [5.0, 0.7, 0.9]).unwrap();
    let labels = |seed| {
        Volume::from_fn(geometry, |[z, y, x]| {
            (draw(seed, z as i64, y as i64 / 2, x as i64 / 2) % 3) as u8
        })
    };
    let (truth, predicted) = (labels(1), labels(2));
    let alone = |v: &Volume<u8>| v.map(|v| u8::from(v == 2));
    for convention in [Convention::Area, Convention::Voxel6] {
        assert_eq!(
            SurfaceDistances::from_masks(&truth, &predicted, Some(2), convention).unwrap(),
            SurfaceDistances::from_masks(&alone(&truth), &alone(&predicted), None, convention)
                .unwrap()
        );
    }
    let config = LesionConfig::default();
    assert_eq!(
        LesionDetection::from_masks(&truth, &predicted, Some(2), &config).unwrap(),
        LesionDetection::from_masks(&alone(&truth), &alone(&predicted), None, &config).unwrap()
    );
}

/// Distances between all pairs of surface elements, by the definition: positions in mm and kinds.
fn oracle(mask: &Volume<u8>, convention: Convention) -> Vec<[f64; 3]> {
    let shape = mask.shape().map(|n| n as i64);
    let spacing = mask.geometry().spacing_mm();
    let at = |i: [i64; 3]| {
        let within = (0..3).all(|a| (0..shape[a]).contains(&i[a]));
        within && mask.at(i.map(|v| v as usize)) != 0
    };
    let mut found = Vec::new();
    for z in 0..=shape[0] {
        for y in 0..=shape[1] {
            for x in 0..=shape[2] {
                let on = match convention {
                    Convention::Area => {
                        let filled = (0..8)
                            .filter(|b| at([z - (b & 1), y - (b >> 1 & 1), x - (b >> 2)]))
                            .count();
                        filled % 8 != 0
                    }
                    Convention::Voxel6 => {
                        let steps = [[1, 0, 0], [0, 1, 0], [0, 0, 1]];
                        at([z, y, x])
                            && steps.iter().any(|s| {
                                !at([z - s[0], y - s[1], x - s[2]])
                                    || !at([z + s[0], y + s[1], x + s[2]])
                            })
                    }
                };
                if on {
                    let i = [z, y, x];
                    found.push(std::array::from_fn(|a| i[a] as f64 * spacing[a]));
                }
            }
        }
    }
    found
}

fn farthest_nearest(from: &[[f64; 3]], to: &[[f64; 3]]) -> (f64, f64) {
    let distances: Vec<f64> = from
        .iter()
        .map(|p| {
            let squared = to
                .iter()
                .map(|q| (0..3).map(|a| (p[a] - q[a]).powi(2)).sum::<f64>());
            squared.fold(f64::INFINITY, f64::min).sqrt()
        })
        .collect();
    let sum: f64 = distances.iter().sum();
    (
        sum / distances.len() as f64,
        distances.into_iter().fold(0.0, f64::max),
    )
}

fn masks() -> impl Strategy<Value = (Volume<u8>, Volume<u8>)> {
    let shape = [1usize..7, 1usize..8, 1usize..9];
    let spacing = [0.3f64..6.0, 0.3f64..2.0, 0.3f64..2.0];
    (shape, spacing).prop_flat_map(|(shape, spacing)| {
        let n = shape.iter().product::<usize>();
        let values = || {
            prop_oneof![Just(1u32), Just(5), Just(9)].prop_flat_map(move |share| {
                let voxel = (0u32..10).prop_map(move |v| u8::from(v < share));
                prop::collection::vec(voxel, n)
            })
        };
        (values(), values()).prop_map(move |(t, p)| {
            let geometry = Geometry::axial(shape, spacing).unwrap();
            let volume = |v| Volume::new(v, geometry).unwrap();
            (volume(t), volume(p))
        })
    })
}

proptest! {
    #[test]
    fn distances_are_those_of_the_definition((truth, predicted) in masks()) {
        for convention in [Convention::Area, Convention::Voxel6] {
            let d = SurfaceDistances::from_masks(&truth, &predicted, None, convention).unwrap();
            let (t, p) = (oracle(&truth, convention), oracle(&predicted, convention));
            if t.is_empty() || p.is_empty() {
                prop_assert!(d.mean_mm().is_none_or(f64::is_infinite));
                continue;
            }
            prop_assert_eq!((d.truth_to_predicted.len(), d.predicted_to_truth.len()), (t.len(), p.len()));
            let farthest = farthest_nearest(&t, &p).1.max(farthest_nearest(&p, &t).1);
            prop_assert!((d.hausdorff_mm(100.0).unwrap() - farthest).abs() < 1e-9);
            if convention == Convention::Voxel6 {
                // All voxels count 1, so the mean does not need the table of areas.
                let mean = d.truth_to_predicted.mean_mm().unwrap();
                prop_assert!((mean - farthest_nearest(&t, &p).0).abs() < 1e-9);
                prop_assert_eq!(d.truth_to_predicted.weight(), t.len() as f64);
            }
        }
    }

    #[test]
    fn swapping_the_masks_swaps_the_directions((truth, predicted) in masks()) {
        let config = SurfaceConfig::default();
        let (a, b) = (
            CaseMetrics::from_masks(&truth, &predicted, &config).unwrap(),
            CaseMetrics::from_masks(&predicted, &truth, &config).unwrap(),
        );
        prop_assert_eq!(a.surface.asd_truth_to_predicted_mm, b.surface.asd_predicted_to_truth_mm);
        prop_assert_eq!(a.surface.overlap_truth, b.surface.overlap_predicted);
        prop_assert_eq!(a.surface.hausdorff_95_mm, b.surface.hausdorff_95_mm);
        prop_assert_eq!((a.dice, a.lesions.missed), (b.dice, b.lesions.invented));
        let same = CaseMetrics::from_masks(&truth, &truth, &config).unwrap();
        if truth.data().contains(&1) {
            prop_assert_eq!((same.surface.asd_mm, same.surface.surface_dice), (Some(0.0), Some(1.0)));
            prop_assert_eq!((same.iou, same.lesions.f1()), (Some(1.0), Some(1.0)));
        }
    }
}
