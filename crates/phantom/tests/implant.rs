//! Behaviour of implanted lesions, with phantoms instead of real scans.

mod common;

use common::{ground, healthy, labelled, prepared, sick, still, varied};
use multirnet_phantom::implant::{AvoidList, Form, Ground, ImplantConfig, Pattern, Region};
use multirnet_phantom::{ErrorKind, Side};
use multirnet_volume::components::{Connectivity, components};
use multirnet_volume::distance::distance_to_mask;
use multirnet_volume::{Diagnosis, Geometry, Volume};

#[test]
fn the_same_seed_gives_the_same_voxels_on_any_number_of_threads() {
    let config = varied();
    let on = |threads| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
            .install(|| {
                let phantom = healthy();
                let ground = Ground::new(&phantom.ct, &phantom.lungs, &[], &config).unwrap();
                ground.implant(&config, Diagnosis::Covid19, 5).unwrap()
            })
    };
    let one = on(1);
    assert_eq!(one, on(3));
    let other = ground().implant(&config, Diagnosis::Covid19, 6).unwrap();
    assert_ne!(one.record, other.record);
}

#[test]
fn lesions_lie_in_the_lungs_and_make_the_class() {
    let config = varied();
    for (class, seed) in sick() {
        let made = ground().implant(&config, class, seed).unwrap();
        made.ct.check_same_grid(&made.lungs).unwrap();
        made.ct.check_same_grid(&made.lesions).unwrap();
        assert_eq!(made.class, class, "seed {seed}");
        assert!(labelled(&made) > 0);
        assert!(!made.record.lesions.is_empty());
        assert!(made.lungs.data().iter().all(|&l| l <= 2));
        for (&lesion, &lung) in made.lesions.data().iter().zip(made.lungs.data()) {
            assert!(lesion <= 2 && (lesion == 0 || lung > 0));
        }
        assert!(made.ct.data().iter().all(|v| v.fract() == 0.0));
    }
}

#[test]
fn regions_that_are_avoided_stay_as_they_are() {
    let phantom = healthy();
    let [nz, ny, nx] = phantom.ct.shape();
    let ground = prepared(&[
        Region {
            side: Some(Side::Right),
            slices: [0, nz - 1],
            reason: "all of the right lung".into(),
        },
        Region {
            side: None,
            slices: [20, 30],
            reason: String::new(),
        },
    ]);
    for (class, seed) in sick() {
        let made = ground.implant(&still(), class, seed).unwrap();
        for (i, &lesion) in made.lesions.data().iter().enumerate() {
            let avoided = phantom.lungs.data()[i] == 1 || (20..=30).contains(&(i / (ny * nx)));
            if avoided && phantom.lungs.data()[i] > 0 {
                assert_eq!(lesion, 0);
                assert_eq!(made.ct.data()[i], phantom.ct.data()[i]);
            }
        }
    }
}

#[test]
fn what_looks_abnormal_already_is_left_alone() {
    let phantom = healthy();
    let inside = |p: [usize; 3]| {
        let d = [p[0] as f64 - 26.0, p[1] as f64 - 62.0, p[2] as f64 - 84.0];
        let mm = phantom.ct.geometry().spacing_mm();
        (0..3).map(|a| (d[a] * mm[a]).powi(2)).sum::<f64>() < 18.0f64.powi(2)
    };
    let ct = Volume::from_fn(*phantom.ct.geometry(), |p| {
        let hu = phantom.ct.at(p);
        if inside(p) && phantom.lungs.at(p) > 0 {
            hu.max(-250.0)
        } else {
            hu
        }
    });
    let changed = ct
        .data()
        .iter()
        .zip(phantom.ct.data())
        .filter(|(a, b)| a != b);
    assert!(changed.count() > 300, "the opacity lies within the lung");
    let ground = Ground::new(&ct, &phantom.lungs, &[], &still()).unwrap();
    assert!(ground.abnormal_ml() > common::ground().abnormal_ml() + 5.0);
    for seed in 0..8 {
        let made = ground.implant(&still(), Diagnosis::Covid19, seed).unwrap();
        let mut wrong = 0;
        for (i, &lesion) in made.lesions.data().iter().enumerate() {
            let dense = ct.data()[i] != phantom.ct.data()[i];
            wrong += usize::from(dense && lesion > 0);
        }
        assert!(wrong < 20, "{wrong} voxels of an old opacity are labelled");
    }
}

#[test]
fn vessels_stand_out_of_ground_glass_and_vanish_in_consolidation() {
    let phantom = healthy();
    // HU after implanting of voxels that were vessel or aerated lung, by label.
    let mut sums = [[[0.0f64; 2]; 2]; 3];
    for (class, seed) in sick() {
        let made = ground().implant(&still(), class, seed).unwrap();
        let tissue = made.record.consolidation_hu;
        for (i, &lesion) in made.lesions.data().iter().enumerate() {
            let (old, new) = (phantom.ct.data()[i], made.ct.data()[i]);
            if old >= tissue {
                assert_eq!(old, new, "a voxel denser than consolidation changed");
            }
            let kind = match old {
                v if v < -750.0 => 0,
                v if (-500.0..-50.0).contains(&v) => 1,
                _ => continue,
            };
            sums[usize::from(lesion)][kind][0] += f64::from(new);
            sums[usize::from(lesion)][kind][1] += 1.0;
        }
    }
    let mean = |label: usize, kind: usize| sums[label][kind][0] / sums[label][kind][1];
    let vessels = sums[2][1][1];
    assert!(
        vessels > 30.0,
        "consolidation took {vessels} voxels of vessels in"
    );
    let glass = mean(1, 1) - mean(1, 0);
    assert!(glass > 150.0, "vessels exceed ground glass by {glass} HU");
    let dense = mean(2, 1) - mean(2, 0);
    assert!(
        dense.abs() < 90.0,
        "vessels exceed consolidation by {dense} HU"
    );
    assert!(mean(2, 0) > -200.0);
}

#[test]
fn nothing_changes_beyond_the_lesions() {
    let phantom = healthy();
    let lungs = distance_to_mask(&phantom.lungs);
    let spacing = phantom.ct.geometry().spacing_mm();
    let [_, ny, nx] = phantom.ct.shape();
    let mut compared = 0;
    for seed in 0..6 {
        let made = ground()
            .implant(&still(), Diagnosis::Covid19, seed)
            .unwrap();
        assert!(
            made.record
                .lesions
                .iter()
                .all(|l| !matches!(l.form, Form::Wedge(..)))
        );
        for (i, (&old, &new)) in phantom.ct.data().iter().zip(made.ct.data()).enumerate() {
            let index = [i / (ny * nx), i / nx % ny, i % nx];
            let far = made.record.lesions.iter().all(|l| {
                let reach = 2.1 * l.radii_mm.into_iter().fold(0.0, f32::max) + l.edge_mm;
                (0..3).any(|a| {
                    let d = index[a] as f64 * spacing[a] - f64::from(l.centre_mm[a]);
                    d.abs() > f64::from(reach)
                })
            });
            let outside = lungs.data()[i] > 3.5 * spacing[2] as f32;
            if far || outside {
                assert_eq!(old, new);
                compared += usize::from(far && lungs.data()[i] == 0.0);
            }
        }
    }
    assert!(compared > 1000, "some of the lungs lies beyond the lesions");
}

#[test]
fn truth_can_be_seen() {
    let phantom = healthy();
    let config = still();
    for (class, seed) in sick() {
        let made = ground().implant(&config, class, seed).unwrap();
        let glass = made.lesions.map(|l| u8::from(l == 1));
        let found = components(&glass, Connectivity::Corners);
        let mut sums = vec![[0.0f64; 2]; found.sizes.len()];
        for (i, &label) in found.labels.data().iter().enumerate() {
            let old = phantom.ct.data()[i];
            if label > 0 && old < -600.0 {
                let sum = &mut sums[label as usize - 1];
                sum[0] += f64::from(made.ct.data()[i] - old);
                sum[1] += 1.0;
            }
        }
        for [sum, n] in sums {
            // With fewer voxels the mean depends on the noise.
            if n > 30.0 {
                let contrast = sum / n;
                assert!(
                    contrast > 0.7 * config.contrast_hu,
                    "{class} {seed}: {contrast} HU"
                );
            }
        }
    }
}

#[test]
fn clear_variants_have_no_lesion() {
    let made = ground().implant(&still(), Diagnosis::Normal, 3).unwrap();
    assert_eq!(
        (made.class, made.record.pattern),
        (Diagnosis::Normal, Pattern::Clear)
    );
    assert_eq!(labelled(&made), 0);
    assert_eq!(made.ct, healthy().ct);
    let varied = ground().implant(&varied(), Diagnosis::Normal, 3).unwrap();
    assert_eq!(labelled(&varied), 0);
    assert!(varied.ct.geometry() != made.ct.geometry());
}

#[test]
fn the_share_that_stays_clear_is_kept_to() {
    let mut config = still();
    config.involvement = [0.6, 0.9];
    config.clear_share = 0.7;
    for (class, seed) in sick() {
        let r = ground().implant(&config, class, seed).unwrap().record;
        let share = (r.ground_glass_ml + r.consolidation_ml) / r.lungs_ml;
        assert!(
            share < 0.32,
            "{class} {seed}: {share} of the lungs is involved"
        );
    }
}

#[test]
fn the_scan_is_varied_with_its_lungs() {
    let config = varied();
    let mut grids = Vec::new();
    for seed in 0..4 {
        let made = ground().implant(&config, Diagnosis::Normal, seed).unwrap();
        let (mut sum, mut n, mut dense) = (0.0f64, 0.0f64, 0.0f64);
        for (&hu, &lung) in made.ct.data().iter().zip(made.lungs.data()) {
            if lung > 0 {
                dense += f64::from(u8::from(hu > -300.0));
                n += 1.0;
                sum += f64::from(hu.min(-500.0));
            }
        }
        // The mask still fits, and the breathing level is near the drawn one.
        assert!(dense / n < 0.15, "{} of the lungs is dense", dense / n);
        let aim = made.record.variation.lung_hu.unwrap();
        assert!((sum / n - aim).abs() < 110.0, "{} for {aim}", sum / n);
        grids.push(*made.ct.geometry());
    }
    assert!(grids.windows(2).all(|g| g[0] != g[1]));
}

#[test]
fn classes_come_in_their_shares_for_every_scan() {
    let config = ImplantConfig::default();
    for start in [0, 77, u64::MAX] {
        let count = |class| {
            (0..40)
                .filter(|&v| config.class_of(start, v) == class)
                .count()
        };
        assert!((7..=9).contains(&count(Diagnosis::Normal)));
        assert!((11..=13).contains(&count(Diagnosis::Cap)));
    }
}

#[test]
fn unusable_input_is_refused() {
    let phantom = healthy();
    let kind = |ct: &Volume<f32>, lungs: &Volume<u8>, avoid: &[Region], config: &ImplantConfig| {
        Ground::new(ct, lungs, avoid, config)
            .err()
            .map(|e| e.kind())
    };
    let (ct, lungs) = (&phantom.ct, &phantom.lungs);
    let nz = ct.shape()[0];
    let region = |slices| Region {
        side: None,
        slices,
        reason: String::new(),
    };
    for slices in [[3, nz], [5, 4]] {
        assert_eq!(
            kind(ct, lungs, &[region(slices)], &still()),
            Some(ErrorKind::Config)
        );
    }
    let all = [region([0, nz - 1])];
    assert_eq!(kind(ct, lungs, &all, &still()), Some(ErrorKind::NoLungs));
    let empty = lungs.map(|_| 0u8);
    assert_eq!(kind(ct, &empty, &[], &still()), Some(ErrorKind::NoLungs));
    let elsewhere = Geometry::axial(ct.shape(), [9.0, 1.0, 1.0]).unwrap();
    let moved = lungs.clone().with_geometry(elsewhere).unwrap();
    assert_eq!(kind(ct, &moved, &[], &still()), Some(ErrorKind::Mismatch));
    let mut broken = ct.clone();
    broken.data_mut()[7] = f32::NAN;
    assert_eq!(kind(&broken, lungs, &[], &still()), Some(ErrorKind::Config));
    let mut config = still();
    config.involvement = [0.4, 0.2];
    let error = config.validate().unwrap_err();
    assert!(error.to_string().contains("involvement"));
    assert_eq!(kind(ct, lungs, &[], &config), Some(ErrorKind::Config));
    let unknown: Result<ImplantConfig, _> = toml::from_str("clear_shares = 0.5");
    assert!(unknown.is_err());
    let partly: ImplantConfig = toml::from_str("[background]\nvary = false").unwrap();
    assert_eq!(partly, still());
}

#[test]
fn committed_configurations_are_sound() {
    let config: ImplantConfig =
        toml::from_str(include_str!("../../../configs/implant/default.toml")).unwrap();
    assert_eq!(config, ImplantConfig::default());
    let avoid: AvoidList =
        toml::from_str(include_str!("../../../configs/implant/normal-lungs.toml")).unwrap();
    assert_eq!(avoid.scan.len(), 8);
    assert!(avoid.regions_in("tcga_de_a4ma").is_empty());
    assert_eq!(avoid.regions_in("lungdx_A0001_B")[0].side, Some(Side::Left));
}
