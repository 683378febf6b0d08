//! Properties of implanted lesions: their truth, their density, and the place of each pneumonia.

mod common;

use common::{ground, healthy, prepared, sick, still, varied};
use multirnet_phantom::Side;
use multirnet_phantom::implant::{ImplantConfig, Implanted, Pattern, Region};
use multirnet_volume::components::{Connectivity, components};
use multirnet_volume::distance::distance_to_background;
use multirnet_volume::{Diagnosis, Volume};

fn made(config: &ImplantConfig, class: Diagnosis, seed: u64) -> Implanted {
    ground().implant(config, class, seed).unwrap()
}

/// Variation on grids that are coarser still.
fn coarse() -> ImplantConfig {
    let mut config = varied();
    config.background.pixel_mm = [3.5, 4.0];
    config.background.slice_mm = [6.0, 8.0];
    config
}

/// Mean of the voxels for which `wanted` holds.
fn mean(volume: &Volume<f32>, wanted: impl Fn(usize) -> bool) -> f64 {
    let at = (0..volume.data().len()).filter(|i| wanted(*i));
    let (sum, n) = at.fold((0.0, 0.0), |(sum, n), i| {
        (sum + f64::from(volume.data()[i]), n + 1.0)
    });
    sum / n
}

#[test]
fn the_record_says_what_the_voxels_hold() {
    for (class, seed) in sick().step_by(3) {
        let made = made(&coarse(), class, seed);
        let ml = |mask: &Volume<u8>, wanted: fn(u8) -> bool| {
            let n = mask.data().iter().filter(|l| wanted(**l)).count();
            n as f64 * mask.geometry().voxel_mm3() / 1000.0
        };
        let record = &made.record;
        assert_eq!((record.seed, record.class), (seed, made.class));
        for (said, found) in [
            (record.lungs_ml, ml(&made.lungs, |l| l > 0)),
            (record.ground_glass_ml, ml(&made.lesions, |l| l == 1)),
            (record.consolidation_ml, ml(&made.lesions, |l| l == 2)),
        ] {
            assert!((said - found).abs() < 1e-3, "{said} and {found} ml");
        }
    }
}

#[test]
fn half_of_the_lungs_stays_clear_by_default() {
    let mut config = coarse();
    assert_eq!(config.clear_share, 0.5);
    // This is more than there is room for.
    config.involvement = [0.7, 0.9];
    for (class, seed) in sick().step_by(3) {
        let record = made(&config, class, seed).record;
        let share = (record.ground_glass_ml + record.consolidation_ml) / record.lungs_ml;
        assert!((0.0..0.52).contains(&share), "{class} {seed}: {share}");
    }
}

#[test]
fn every_outlined_piece_is_large_enough_to_be_seen() {
    for (class, seed) in sick().step_by(2) {
        let made = made(&coarse(), class, seed);
        let voxel = made.lesions.geometry().voxel_mm3();
        for least in [1, 2] {
            let mask = made.lesions.map(|l| u8::from(l >= least));
            let sizes = components(&mask, Connectivity::Corners).sizes;
            let smallest = sizes.into_iter().min().unwrap_or(usize::MAX) as f64 * voxel;
            assert!(
                smallest >= 40.0,
                "{class} {seed}: a piece of {smallest} mm³"
            );
        }
    }
}

#[test]
fn lesions_fill_air_and_stay_below_solid_tissue() {
    let old = &healthy().ct;
    for (class, seed) in sick().step_by(5) {
        let made = made(&still(), class, seed);
        let new = &made.ct;
        let tissue = made.record.consolidation_hu;
        assert!((5.0..=60.0).contains(&tissue), "the default range");
        let noise = 5.0 * made.record.own_noise_hu + 1.0;
        for (i, (&old, &new)) in old.data().iter().zip(new.data()).enumerate() {
            assert!((-1024.0..=3071.0).contains(&new));
            if old != new {
                assert!(new <= tissue + noise, "{new} HU at {i}");
                assert!(new >= old - noise, "{old} to {new} HU at {i}");
            }
        }
        for label in [1, 2] {
            let here = |i: usize| made.lesions.data()[i] == label && old.data()[i] < -600.0;
            let rise = mean(new, here) - mean(old, here);
            assert!(
                rise.is_nan() || rise > 50.0,
                "{class} {seed} {label}: {rise} HU"
            );
        }
    }
}

#[test]
fn ground_glass_is_as_dense_as_it_is_configured() {
    let old = &healthy().ct;
    let rise = |range: [f64; 2]| {
        let mut config = still();
        config.ground_glass_hu = range;
        config.contrast_hu = 20.0;
        let rises = (0..2).map(|seed| {
            let made = made(&config, Diagnosis::Covid19, seed);
            let glass = |i: usize| made.lesions.data()[i] == 1 && old.data()[i] < -600.0;
            mean(&made.ct, glass) - mean(old, glass)
        });
        rises.sum::<f64>() / 2.0
    };
    let [faint, dense] = [[80.0, 120.0], [450.0, 550.0]].map(rise);
    // Texture, edges and spared lobules keep the mean below the full value.
    assert!((30.0..150.0).contains(&faint), "{faint} HU");
    assert!((200.0..600.0).contains(&dense), "{dense} HU");
}

#[test]
fn covid_lies_on_both_sides_and_cap_on_one() {
    let two_sided = |class| {
        let both = |seed: &u64| {
            let made = made(&coarse(), class, *seed);
            let mut sides = [0usize; 3];
            for (lung, lesion) in made.lungs.data().iter().zip(made.lesions.data()) {
                sides[usize::from(*lung)] += usize::from(*lesion > 0);
            }
            5 * sides[1].min(sides[2]) > sides[1].max(sides[2])
        };
        (0..6).filter(both).count()
    };
    let [covid, cap] = [Diagnosis::Covid19, Diagnosis::Cap].map(two_sided);
    assert!(covid >= 4, "{covid} of 6 COVID-19 variants are two-sided");
    assert!(cap <= 2, "{cap} of 6 CAP variants are two-sided");
}

/// The avoided region is resampled with the scan, so its border is only known to about a voxel.
#[test]
fn an_avoided_lung_is_clear_but_for_its_border_however_the_scan_is_varied() {
    let [nz, _, _] = healthy().ct.shape();
    let ground = prepared(&[Region {
        side: Some(Side::Left),
        slices: [0, nz - 1],
        reason: String::new(),
    }]);
    for (class, seed) in sick().step_by(2) {
        let made = ground.implant(&coarse(), class, seed).unwrap();
        let left = made.lungs.map(|l| u8::from(l == 2));
        let depth = distance_to_background(&left);
        let spacing = made.ct.geometry().spacing_mm();
        let voxel = spacing.into_iter().fold(0.0, f64::max) as f32;
        let mut right = 0;
        for (i, &lesion) in made.lesions.data().iter().enumerate() {
            if lesion > 0 && left.data()[i] > 0 {
                assert!(depth.data()[i] <= voxel, "{} mm deep", depth.data()[i]);
            }
            right += usize::from(lesion > 0 && left.data()[i] == 0);
        }
        assert!(right > 0);
    }
}

#[test]
fn faint_variants_come_in_their_share() {
    let patterns = |share: f64| {
        let mut config = coarse();
        config.faint_share = share;
        (0..3)
            .map(|seed| made(&config, Diagnosis::Covid19, seed).record.pattern)
            .collect::<Vec<_>>()
    };
    assert!(patterns(1.0).iter().all(|p| *p == Pattern::Confluent));
    assert!(patterns(0.0).iter().all(|p| *p != Pattern::Confluent));
}
