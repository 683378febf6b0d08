//! The two views of a scan.

mod common;

use common::{normal, phantom};
use multirnet_anatomy::{BeyondScan, ErrorKind, Intensity, PrepareConfig, prepare};
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
        (-1400.0, 0.0),
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

/// The slices `z` of a canonical scan as a scan of their own.
fn slab<T: multirnet_volume::Voxel>(volume: &Volume<T>, z: std::ops::Range<usize>) -> Volume<T> {
    let [_, ny, nx] = volume.shape();
    let part = volume.crop([z.start, 0, 0], [z.len(), ny, nx]);
    part.expect("slices of the scan")
}

#[test]
fn a_slab_repeats_its_ends_and_keeps_the_proportions_of_a_chest() {
    let phantom = phantom(5, Diagnosis::Covid19, 96);
    let (ct, lungs, lesions) = (&phantom.ct, &phantom.lungs, &phantom.lesions);
    let middle = ct.shape()[0] / 2;
    let cut = middle..middle + 9;
    let (scan, mask) = (slab(ct, cut.clone()), slab(lungs, cut.clone()));
    let config = PrepareConfig::default();
    let prepared = prepare(&scan, Some(&mask), &config).expect("a slab of a chest");
    let truth = slab(lesions, cut);
    assert!(truth.data().iter().any(|&l| l != 0), "the slab has lesions");
    let labels = prepared.labels(&truth).expect("the same grid");
    let height = |v: &Volume<f32>| v.shape()[0] as f64 * v.geometry().spacing_mm()[0];
    assert!(height(&prepared.global) >= config.least_height_mm - 1e-6);
    assert!(height(&prepared.local) < height(&prepared.global));

    for (view, labels) in [(&prepared.local, labels.0), (&prepared.global, labels.1)] {
        let [nz, ny, nx] = view.shape();
        let beyond = |z: usize| {
            let world = view.geometry().index_to_world([z as f64, 0.0, 0.0]);
            let at = scan.geometry().world_to_index(world)[0];
            [at < 0.0, at > scan.shape()[0] as f64 - 1.0]
        };
        let mut repeated = [0, 0];
        for z in 0..nz {
            let [below, above] = beyond(z);
            let same = if below && z + 1 < nz {
                z + 1
            } else {
                z - usize::from(above)
            };
            if same == z || beyond(same) != [below, above] {
                continue;
            }
            repeated[usize::from(above)] += 1;
            for y in 0..ny {
                for x in 0..nx {
                    assert_eq!(view.at([z, y, x]), view.at([same, y, x]));
                    assert_eq!(labels.at([z, y, x]), labels.at([same, y, x]));
                }
            }
        }
        assert!(repeated.iter().all(|&n| n > 0), "both ends: {repeated:?}");
    }
    let air = PrepareConfig {
        beyond_scan: BeyondScan::Air,
        ..config
    };
    let prepared = prepare(&scan, Some(&mask), &air).expect("a slab of a chest");
    assert_eq!(height(&prepared.global), {
        let box_mm = 9.0 * scan.geometry().spacing_mm()[0];
        let margin =
            scan.geometry().spacing_mm()[0] * (10.0 / scan.geometry().spacing_mm()[0]).round();
        box_mm + 2.0 * margin
    });
    assert!(prepared.global.plane(0).iter().all(|&v| v == 0.0));
}

#[test]
fn outside_the_field_of_view_the_nearest_scanned_voxel_is_repeated() {
    let phantom = normal();
    let mut scan = phantom.ct.clone();
    let [_, ny, nx] = scan.shape();
    // A narrow round field of view that cuts through both lungs.
    let outside = |y: usize, x: usize| {
        let [dy, dx] = [y as f64 - ny as f64 / 2.0, x as f64 - nx as f64 / 2.0];
        dy.hypot(dx) > 0.25 * nx as f64
    };
    for (i, v) in scan.data_mut().iter_mut().enumerate() {
        if outside(i / nx % ny, i % nx) {
            *v = -3024.0;
        }
    }
    let config = PrepareConfig::default();
    let repeated = prepare(&scan, Some(&phantom.lungs), &config).expect("a chest CT");
    let air = PrepareConfig {
        beyond_scan: BeyondScan::Air,
        ..config
    };
    let air = prepare(&scan, Some(&phantom.lungs), &air).expect("a chest CT");
    let [nz, ny, nx] = repeated.local.shape();
    let (mut filled, mut emptied) = (0, 0);
    for z in [nz / 3, nz / 2] {
        for y in ny / 3..2 * ny / 3 {
            // Left of the field of view, the view repeats the field's border.
            filled += usize::from(repeated.local.at([z, y, 0]) > 0.0);
            emptied += usize::from(air.local.at([z, y, 0]) > 0.0);
        }
    }
    assert!(filled > 0 && emptied == 0, "{filled} {emptied}");
    assert!(repeated.local.data().iter().all(|v| v.is_finite()));
    assert_eq!(nx, air.local.shape()[2]);
}
