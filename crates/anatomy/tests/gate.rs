//! What the gate refuses, what it accepts, and what it warns of.

mod common;

use common::{flipped, normal, respaced};
use multirnet_anatomy::{ErrorKind, GateConfig, check};
use multirnet_volume::Volume;

type Spoil = fn(&Volume<f32>) -> Volume<f32>;

fn spoil_values(scan: &Volume<f32>, count: usize, value: f32) -> Volume<f32> {
    let mut bad = scan.clone();
    bad.data_mut()[1000..1000 + count].fill(value);
    bad
}

#[test]
fn each_bad_scan_is_refused_with_its_reason() {
    let scan = normal().ct;
    let cases: &[(&str, Spoil, ErrorKind, &str)] = &[
        (
            "NaN",
            |s| spoil_values(s, 3, f32::NAN),
            ErrorKind::Intensity,
            "3 of",
        ),
        (
            "infinite",
            |s| spoil_values(s, 2, f32::INFINITY),
            ErrorKind::Intensity,
            "2 are infinite",
        ),
        ("all zero", |s| s.map(|_| 0.0), ErrorKind::Intensity, "all"),
        (
            "8 bit",
            |s| s.map(|v| ((v + 1000.0) / 1400.0 * 255.0).clamp(0.0, 255.0).round()),
            ErrorKind::Intensity,
            "8-bit",
        ),
        (
            "scaled",
            |s| s.map(|v| ((v + 1000.0) / 1400.0).clamp(0.0, 1.0)),
            ErrorKind::Intensity,
            "scaled",
        ),
        (
            "without offset",
            |s| s.map(|v| v.max(-1024.0) + 1024.0),
            ErrorKind::Intensity,
            "1024 had not been subtracted",
        ),
        (
            "soft tissue window",
            |s| s.map(|v| v.clamp(-160.5, 240.0)),
            ErrorKind::Intensity,
            "below -700",
        ),
        (
            "no body",
            |s| s.map(|v| v.min(-900.0)),
            ErrorKind::Intensity,
            "soft tissue",
        ),
        (
            "far too bright",
            |s| s.map(|v| if v > -100.0 { v + 5000.0 } else { v }),
            ErrorKind::Intensity,
            "HU",
        ),
        (
            "beyond any CT",
            |s| s.map(|v| v * 1e4),
            ErrorKind::Intensity,
            "beyond what a CT can hold",
        ),
        (
            "two slices",
            |s| {
                let [_, ny, nx] = s.shape();
                s.crop([10, 0, 0], [2, ny, nx]).expect("a block within")
            },
            ErrorKind::Grid,
            "2 slices",
        ),
        (
            "thick slices",
            |s| {
                let [_, sy, sx] = s.geometry().spacing_mm();
                respaced(s, [25.0, sy, sx])
            },
            ErrorKind::Grid,
            "slices are 25.000 mm apart",
        ),
        (
            "tiny pixels",
            |s| respaced(s, [1.0, 0.01, 0.01]),
            ErrorKind::Grid,
            "0.010 mm",
        ),
        (
            "huge pixels",
            |s| respaced(s, [9.0, 8.0, 8.0]),
            ErrorKind::Grid,
            "8.000 mm",
        ),
        (
            "narrow",
            |s| respaced(s, [0.5, 0.5, 0.5]),
            ErrorKind::Grid,
            "wide",
        ),
        (
            "no lungs",
            |s| {
                let lungs = normal().lungs;
                let mut solid = s.clone();
                for (v, &l) in solid.data_mut().iter_mut().zip(lungs.data()) {
                    if l != 0 {
                        *v = 40.0;
                    }
                }
                solid
            },
            ErrorKind::NoLungs,
            "lung",
        ),
        (
            "too small a chest",
            |s| {
                let half = s.geometry().spacing_mm().map(|v| v * 0.33);
                respaced(s, half)
            },
            ErrorKind::NoLungs,
            "lung",
        ),
    ];
    for (name, spoil, kind, phrase) in cases {
        let error = check(&spoil(&scan), &GateConfig::default())
            .map(|report| panic!("{name} was accepted: {report:?}"))
            .unwrap_err();
        assert_eq!(error.kind(), *kind, "{name}: {error}");
        assert!(error.to_string().contains(phrase), "{name}: {error}");
        assert!(error.advice().is_some(), "{name} gives no advice: {error}");
    }
}

#[test]
fn too_many_voxels_are_refused_with_what_they_would_need() {
    let config = GateConfig {
        max_voxels: 100_000,
        ..GateConfig::default()
    };
    let error = check(&normal().ct, &config).expect_err("more than 100 000 voxels");
    assert_eq!(error.kind(), ErrorKind::Grid);
    assert!(error.to_string().contains("max_voxels"), "{error}");
}

#[test]
fn a_good_scan_passes_without_a_word() {
    let phantom = normal();
    let report = check(&phantom.ct, &GateConfig::default()).expect("a chest CT");
    let spacing = phantom.ct.geometry().spacing_mm();
    let expected: Vec<&String> = report
        .warnings
        .iter()
        .filter(|w| !w.contains("mm wide") && !w.contains("mm apart"))
        .collect();
    assert!(expected.is_empty(), "{:?}", report.warnings);
    assert_eq!(report.shape, phantom.ct.shape());
    assert_eq!(report.spacing_mm, spacing);
    assert!(!report.lungs_cut);
    for (side, ml) in report.lung_ml.iter().enumerate() {
        let voxels = phantom
            .lungs
            .data()
            .iter()
            .filter(|&&l| usize::from(l) == side + 1);
        let truth = voxels.count() as f64 * phantom.ct.geometry().voxel_mm3() / 1000.0;
        assert!((ml / truth - 1.0).abs() < 0.1, "{ml} ml of {truth} ml");
    }
}

#[test]
fn a_slab_passes_with_a_warning() {
    let scan = normal().ct;
    let [nz, ny, nx] = scan.shape();
    let slab = scan
        .crop([nz / 2 - 6, 0, 0], [12, ny, nx])
        .expect("a block within");
    let report = check(&slab, &GateConfig::default()).expect("a slab of a chest");
    assert!(report.lungs_cut);
    let warning = report
        .warnings
        .iter()
        .find(|w| w.contains("cuts the lungs"));
    assert!(
        warning.is_some_and(|w| w.contains("below and above")),
        "{:?}",
        report.warnings
    );
}

#[test]
fn a_wrong_geometry_is_noticed() {
    let scan = normal().ct;
    for (axis, phrase) in [(0, "upside down"), (1, "spine")] {
        let report = check(&flipped(&scan, axis), &GateConfig::default()).expect("a chest CT");
        assert!(
            report.warnings.iter().any(|w| w.contains(phrase)),
            "axis {axis}: {:?}",
            report.warnings
        );
    }
}

#[test]
fn thick_slices_are_warned_of() {
    let scan = normal().ct;
    let [_, sy, sx] = scan.geometry().spacing_mm();
    let report = check(&respaced(&scan, [8.0, sy, sx]), &GateConfig::default());
    let report = report.expect("a tall chest");
    assert!(report.warnings.iter().any(|w| w.contains("8.0 mm apart")));
}

#[test]
fn a_missing_lung_is_a_warning_and_not_a_swap() {
    let phantom = normal();
    for (missing, name) in [(1u8, "right"), (2, "left")] {
        let mut scan = phantom.ct.clone();
        for (v, &l) in scan.data_mut().iter_mut().zip(phantom.lungs.data()) {
            if l == missing {
                *v = 30.0;
            }
        }
        let report = check(&scan, &GateConfig::default()).expect("one lung is left");
        let [gone, left] = match missing {
            1 => report.lung_ml,
            _ => [report.lung_ml[1], report.lung_ml[0]],
        };
        assert!(gone < 0.1 * left, "{name}: {:?}", report.lung_ml);
        assert!(
            report
                .warnings
                .iter()
                .any(|w| w.contains(&format!("aerated {name} lung"))),
            "{:?}",
            report.warnings
        );
    }
}
