//! Properties of configurations that are drawn from a seed.

use multirnet_phantom::{Lesion, PhantomConfig, Side};
use multirnet_volume::Diagnosis;

const SEEDS: std::ops::Range<u64> = 500..520;

fn sample(seed: u64, class: Diagnosis) -> PhantomConfig {
    PhantomConfig::sample(seed, class, 64)
}

fn on(side: Side, lesions: &[Lesion]) -> usize {
    lesions.iter().filter(|l| l.side == side).count()
}

#[test]
fn every_sample_is_valid_and_survives_toml() {
    for seed in (500..508).chain([0, u64::from(u32::MAX)]) {
        for class in Diagnosis::ALL {
            let config = sample(seed, class);
            config.validate().unwrap();
            assert_eq!((config.seed, config.class), (seed, class));
            let text = toml::to_string(&config).unwrap();
            assert_eq!(toml::from_str::<PhantomConfig>(&text).unwrap(), config);
        }
    }
}

#[test]
fn a_seed_is_one_patient_in_every_class_and_matrix() {
    for seed in SEEDS.step_by(5) {
        let normal = sample(seed, Diagnosis::Normal);
        for class in Diagnosis::ALL {
            let other = sample(seed, class);
            assert_eq!(other.patient, normal.patient);
            assert_eq!(other.scanner, normal.scanner);
            assert_eq!(other.shape, normal.shape);
            // Confounders must not reveal the class.
            let (a, b) = (&other.confounders, &normal.confounders);
            assert_eq!(a.atelectasis, b.atelectasis);
            assert_eq!(a.emphysema, b.emphysema);
            assert_eq!(a.apical_cap_mm, b.apical_cap_mm);
            assert_eq!(a.nodules.len(), b.nodules.len());
        }
        let [coarse, fine] = [64, 256].map(|n| PhantomConfig::sample(seed, Diagnosis::Covid19, n));
        assert_eq!(coarse.patient, fine.patient);
        assert_eq!(coarse.lesions, fine.lesions);
        let field = |c: &PhantomConfig| c.shape[2] as f64 * c.spacing_mm[2];
        assert!((field(&coarse) - field(&fine)).abs() < 0.01);
        assert_ne!(sample(seed + 1, Diagnosis::Normal).patient, normal.patient);
    }
}

#[test]
fn covid_is_bilateral_glass_that_keeps_to_no_lobe() {
    let (mut bilateral, mut low, mut all) = (0, 0, 0);
    for seed in SEEDS {
        let config = sample(seed, Diagnosis::Covid19);
        let lesions = &config.lesions;
        assert!(!lesions.is_empty() && lesions.iter().all(|l| l.lobe.is_none()));
        let sides = [Side::Right, Side::Left].map(|side| on(side, lesions));
        bilateral += usize::from(sides[0] > 0 && sides[1] > 0);
        // The lungs reach from 130 down to −150 mm.
        low += lesions.iter().filter(|l| l.centre_mm[0] < -10.0).count();
        all += lesions.len();
        for lesion in lesions {
            assert!(lesion.core < 0.75, "a halo of ground glass is left");
            let right = lesion.centre_mm[2] < 0.0;
            assert_eq!(lesion.side == Side::Right, right);
        }
    }
    assert!(bilateral >= 15, "{bilateral} of 20 are bilateral");
    assert!(5 * low > 3 * all, "{low} of {all} lie in the lower half");
}

#[test]
fn cap_begins_in_one_lobe_and_mostly_stays_on_its_side() {
    let (mut one_sided, mut dense) = (0, 0);
    for seed in SEEDS {
        let config = sample(seed, Diagnosis::Cap);
        let first = &config.lesions[0];
        let lobe = first.lobe.unwrap();
        assert_eq!(lobe.side(), first.side);
        one_sided += usize::from(on(first.side, &config.lesions) == config.lesions.len());
        dense += usize::from(first.core > 0.5);
    }
    assert!(one_sided >= 14, "{one_sided} of 20 are one-sided");
    assert!(dense >= 14, "{dense} of 20 are consolidated");
}

#[test]
fn pleural_fluid_goes_with_cap() {
    let effusions = |class| {
        let count = |seed| sample(seed, class).effusions.len();
        (500..540).map(count).sum::<usize>()
    };
    let [normal, cap, covid] = Diagnosis::ALL.map(effusions);
    assert!(cap > 2 * covid.max(normal), "{normal}, {cap}, {covid}");
}
