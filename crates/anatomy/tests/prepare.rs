//! The two views of a scan.

mod common;

use common::{normal, phantom};
use multirnet_anatomy::{ErrorKind, Intensity, PrepareConfig, prepare};
use multirnet_volume::{Diagnosis, Orientation, Volume};

#[test]
fn the_views_hold_the_lungs_with_their_margin() {
    let phantom = normal();
    let config = PrepareConfig::default();
    let prepared = prepare(&phantom.ct, None, &config).expect("a chest CT");
    assert!(prepared.lungs.check_same_grid(&phantom.ct).is_ok());
    assert_eq!(prepared.local.geometry().spacing_mm(), config.spacing_mm);
    assert_eq!(prepared.global.shape(), config.global_shape);
    for view in [&prepared.local, &prepared.global] {
        assert_eq!(view.geometry().orientation(), Orientation::CANONICAL);
        assert!(view.data().iter().all(|v| (0.0..=1.0).contains(v)));
    }
    assert!(
        prepared
            .local_lungs
            .check_same_grid(&prepared.local)
            .is_ok()
    );
    assert!(
        prepared
            .global_lungs
            .check_same_grid(&prepared.global)
            .is_ok()
    );

    // The box is the lungs' box and 10 mm on every side, within half a voxel of either grid.
    let world = |mask: &Volume<u8>| {
        let mut range = [[f64::INFINITY, f64::NEG_INFINITY]; 3];
        let [_, ny, nx] = mask.shape();
        for (i, _) in mask.data().iter().enumerate().filter(|(_, v)| **v != 0) {
            let index = [i / (ny * nx), i / nx % ny, i % nx].map(|v| v as f64);
            let p = mask.geometry().index_to_world(index);
            for k in 0..3 {
                range[k] = [range[k][0].min(p[k]), range[k][1].max(p[k])];
            }
        }
        range
    };
    let lungs = world(&prepared.lungs);
    let shape = prepared.local.shape();
    let first = prepared.local.geometry().index_to_world([0.0; 3]);
    let last = prepared
        .local
        .geometry()
        .index_to_world(shape.map(|n| n as f64 - 1.0));
    let spacing = phantom.ct.geometry().spacing_mm();
    for k in 0..3 {
        let slack = spacing[2 - k] + config.spacing_mm[2 - k];
        assert!((lungs[k][0] - first[k] - config.margin_mm).abs() < slack);
        assert!((last[k] - lungs[k][1] - config.margin_mm).abs() < slack);
    }
}

#[test]
fn the_views_do_not_depend_on_the_scans_orientation() {
    let phantom = normal();
    let config = PrepareConfig::default();
    let lungs = Some(&phantom.lungs);
    let reference = prepare(&phantom.ct, lungs, &config).expect("a chest CT");
    for orientation in Orientation::all().into_iter().step_by(5) {
        let mask = phantom.lungs.reorient(orientation);
        let turned = prepare(&phantom.ct.reorient(orientation), Some(&mask), &config);
        let turned = turned.expect("a chest CT");
        assert!(turned.local.check_same_grid(&reference.local).is_ok());
        let difference = turned
            .local
            .data()
            .iter()
            .zip(reference.local.data())
            .chain(turned.global.data().iter().zip(reference.global.data()))
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(difference < 1e-4, "{orientation:?}: {difference}");
        assert_eq!(turned.global_lungs.data(), reference.global_lungs.data());
    }
}

#[test]
fn values_are_scaled_by_the_window() {
    let phantom = normal();
    let flat = |hu: f32| {
        let mut scan = phantom.ct.clone();
        for (v, &l) in scan.data_mut().iter_mut().zip(phantom.lungs.data()) {
            if l != 0 {
                *v = hu;
            }
        }
        let prepared = prepare(&scan, Some(&phantom.lungs), &PrepareConfig::default());
        let prepared = prepared.expect("a chest CT");
        // The middle of the right lung in the local view.
        let [nz, ny, _] = prepared.local.shape();
        let x = (0..prepared.local.shape()[2])
            .filter(|&x| prepared.local_lungs.at([nz / 2, ny / 2, x]) == 1)
            .collect::<Vec<_>>();
        prepared.local.at([nz / 2, ny / 2, x[x.len() / 2]])
    };
    for (hu, expected) in [
        (-1000.0, 0.0),
        (-300.0, 0.5),
        (400.0, 1.0),
        (900.0, 1.0),
        (-3024.0, 0.0),
    ] {
        assert!((flat(hu) - expected).abs() < 1e-3, "{hu} HU");
    }
}

#[test]
fn labels_follow_into_both_views() {
    let phantom = phantom(5, Diagnosis::Covid19, 96);
    let prepared = prepare(&phantom.ct, Some(&phantom.lungs), &PrepareConfig::default());
    let prepared = prepared.expect("a chest CT");
    let (local, global) = prepared.labels(&phantom.lesions).expect("the same grid");
    assert!(local.check_same_grid(&prepared.local).is_ok());
    assert!(global.check_same_grid(&prepared.global).is_ok());
    let ml = |mask: &Volume<u8>| {
        mask.data().iter().filter(|&&v| v != 0).count() as f64 * mask.geometry().voxel_mm3()
    };
    let truth = ml(&phantom.lesions);
    for view in [&local, &global] {
        assert!(
            (ml(view) / truth - 1.0).abs() < 0.1,
            "{} of {truth}",
            ml(view)
        );
    }
    let other = common::respaced(&phantom.lesions, [1.0; 3]);
    let error = prepared.labels(&other).expect_err("another grid");
    assert_eq!(error.kind(), ErrorKind::Mismatch);
}

#[test]
fn grey_values_need_a_mask_and_are_scaled_by_their_range() {
    let phantom = normal();
    let unit = phantom.ct.map(|v| ((v + 1000.0) / 1400.0).clamp(0.0, 1.0));
    let bytes = unit.map(|v| v * 255.0);
    let config = PrepareConfig {
        intensity: Intensity::Unit,
        ..PrepareConfig::default()
    };
    let error = prepare(&unit, None, &config).expect_err("no mask");
    assert_eq!(error.kind(), ErrorKind::NoLungs);
    let a = prepare(&unit, Some(&phantom.lungs), &config).expect("a mask is given");
    let b = prepare(&bytes, Some(&phantom.lungs), &config).expect("a mask is given");
    let hu = prepare(&phantom.ct, Some(&phantom.lungs), &PrepareConfig::default());
    let hu = hu.expect("a chest CT");
    for other in [&b, &hu] {
        for (p, q) in a.local.data().iter().zip(other.local.data()) {
            assert!((p - q).abs() < 1e-3);
        }
    }
    assert!(!a.report.warnings.is_empty());
}

#[test]
fn bad_masks_and_settings_are_refused() {
    let phantom = normal();
    let config = PrepareConfig::default();
    let empty = phantom.lungs.map(|_| 0);
    let kind = |result: multirnet_anatomy::Result<_>| {
        result
            .map(|_: multirnet_anatomy::Prepared| ())
            .expect_err("refused")
            .kind()
    };
    assert_eq!(
        kind(prepare(&phantom.ct, Some(&empty), &config)),
        ErrorKind::NoLungs
    );
    let other = common::respaced(&phantom.lungs, [1.0; 3]);
    assert_eq!(
        kind(prepare(&phantom.ct, Some(&other), &config)),
        ErrorKind::Mismatch
    );
    let unit = PrepareConfig {
        intensity: Intensity::Unit,
        ..PrepareConfig::default()
    };
    assert_eq!(
        kind(prepare(&phantom.ct, Some(&empty), &unit)),
        ErrorKind::NoLungs
    );
    for bad in [
        PrepareConfig {
            window_hu: [400.0, -1000.0],
            ..PrepareConfig::default()
        },
        PrepareConfig {
            spacing_mm: [2.5, 0.0, 1.5],
            ..PrepareConfig::default()
        },
        PrepareConfig {
            margin_mm: f64::NAN,
            ..PrepareConfig::default()
        },
        PrepareConfig {
            global_shape: [0, 96, 96],
            ..PrepareConfig::default()
        },
    ] {
        assert_eq!(kind(prepare(&phantom.ct, None, &bad)), ErrorKind::Config);
    }
}

#[test]
fn the_configuration_goes_through_toml_and_unknown_keys_do_not() {
    let config = PrepareConfig::default();
    let text = toml::to_string(&config).expect("serialisable");
    assert_eq!(
        toml::from_str::<PrepareConfig>(&text).expect("its own text"),
        config
    );
    assert_eq!(
        toml::from_str::<PrepareConfig>("").expect("defaults"),
        config
    );
    for unknown in [
        "windw_hu = [0, 1]",
        "[gate]\nmin_slice = 3",
        "[lungs]\nair = 3",
    ] {
        assert!(
            toml::from_str::<PrepareConfig>(unknown).is_err(),
            "{unknown}"
        );
    }
}
