//! The parts of implanting, on two ellipsoids of air in soft tissue.

use super::bronchi::{draw, grow};
use super::pattern::Style;
use super::*;
use crate::{Lobe, Side};
use multirnet_base::random::mix;
use multirnet_volume::Geometry;
use std::collections::HashSet;
use std::sync::LazyLock;

const SHAPE: [usize; 3] = [16, 48, 64];
const SPACING_MM: [f64; 3] = [6.0, 4.0, 4.0];

/// 1 right, 2 left; the patient's right has the low x.
fn side_at([z, y, x]: [usize; 3]) -> u8 {
    let inside = |middle: f64| {
        let d = [
            (z as f64 - 7.5) / 6.0,
            (y as f64 - 23.5) / 18.0,
            (x as f64 - middle) / 11.0,
        ];
        d.iter().map(|v| v * v).sum::<f64>() < 1.0
    };
    if inside(17.0) {
        1
    } else {
        2 * u8::from(inside(46.0))
    }
}

/// Air of −850 HU in tissue of 40 HU, with even noise of this standard deviation.
fn ground_with(noise_hu: f32, avoid: &[Region]) -> Ground {
    let grid = Geometry::axial(SHAPE, SPACING_MM).unwrap();
    let lungs = Volume::from_fn(grid, side_at);
    let scan = Volume::from_fn(grid, |at| {
        let place = (at[0] * 1000 + at[1]) * 1000 + at[2];
        let even = (mix(place as u64) >> 40) as f32 / (1u64 << 24) as f32 - 0.5;
        let hu: f32 = if side_at(at) > 0 { -850.0 } else { 40.0 };
        hu + noise_hu * 12.0f32.sqrt() * even
    });
    Ground::new(&scan, &lungs, avoid, &ImplantConfig::default()).unwrap()
}

fn ground() -> Ground {
    ground_with(8.0, &[])
}

/// The scan as it is.
fn stage(ground: &Ground) -> Stage {
    let background = BackgroundConfig {
        vary: false,
        ..BackgroundConfig::default()
    };
    Stage::new(ground, &Variation::draw(&background, ground, 1), 1).unwrap()
}

static TEXTURES: LazyLock<Textures> = LazyLock::new(|| {
    let r = &mut Random::new(1, 45);
    Textures {
        noise: Noise::new(r),
        lobules: Lobules::new(r),
    }
});

/// A smooth patch in the middle of the right lung.
fn patch() -> ImplantedLesion {
    ImplantedLesion {
        form: Form::Patch,
        side: Side::Right,
        lobe: None,
        centre_mm: [45.0, 94.0, 68.0],
        radii_mm: [20.0, 24.0, 16.0],
        yaw_deg: 0.0,
        roughness: 0.0,
        edge_mm: 3.0,
        filling: 0.4,
        texture: Texture::default(),
        core: Core::None,
        core_filling: 0.9,
        phase: 2.0,
    }
}

/// Densities at all voxels of the lesion's lung.
fn densities(lesion: &ImplantedLesion, stage: &Stage) -> Vec<(usize, shape::Density)> {
    let lobes = Lobes::new(stage, 1);
    let label = 1 + u8::from(lesion.side == Side::Left);
    let here = |i: &usize| stage.lungs[*i] == label;
    (0..stage.lungs.len())
        .filter(here)
        .map(|i| {
            let depth = stage.depth[i].max(0.0);
            (i, lesion.density(&TEXTURES, &lobes, stage.point(i), depth))
        })
        .collect()
}

fn held(lesion: &ImplantedLesion, stage: &Stage) -> usize {
    let all = densities(lesion, stage).into_iter();
    all.filter(|(_, d)| d.body >= 0.5).count()
}

#[test]
fn a_ground_knows_depth_and_leaves_avoided_slices_alone() {
    let ground = ground_with(
        8.0,
        &[Region {
            side: Some(Side::Right),
            slices: [0, 7],
            reason: String::new(),
        }],
    );
    let [_, ny, nx] = SHAPE;
    let mut taken = 0;
    for (i, &lung) in ground.lungs.data().iter().enumerate() {
        let (depth, free) = (ground.depth.data()[i], ground.free.data()[i]);
        assert_eq!(depth > 0.0, lung > 0);
        assert!((0.0..=1.0).contains(&free));
        let avoided = lung == 1 && i / (ny * nx) <= 7;
        assert_eq!(free == 0.0, avoided);
        taken += usize::from(avoided);
    }
    assert!(taken > 1000);
    assert_eq!(ground.abnormal_ml(), 0.0);
}

#[test]
fn a_scan_that_is_not_varied_stays_as_it_is() {
    let ground = ground();
    let stage = stage(&ground);
    assert_eq!(stage.geometry, *ground.geometry());
    assert_eq!(stage.lungs, ground.lungs.data());
    let off = |a: &[f32], b: &Volume<f32>| {
        let pairs = a.iter().zip(b.data());
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    assert!(off(&stage.hu, &ground.hu) < 1e-2);
    assert!(off(&stage.depth, &ground.depth) < 1e-3);
}

#[test]
fn variations_are_drawn_from_the_configured_ranges() {
    let ground = ground();
    let config = BackgroundConfig::default();
    let within = |v: f64, [low, high]: [f64; 2]| (low - 1e-3..=high + 1e-3).contains(&v);
    let mut seen = HashSet::new();
    for seed in 0..300 {
        let v = Variation::draw(&config, &ground, seed);
        assert!(v.scale.iter().all(|s| within(*s, config.scale)));
        // One axis is not stretched much against another.
        assert!(v.scale.iter().all(|s| (s - v.scale[0]).abs() < 0.061));
        let turns = v.rotation_deg.map(f64::abs);
        assert!(turns[0] <= 6.0 && turns[1] <= 3.0 && turns[2] <= 3.0);
        assert!(within(v.elastic_mm, [0.0, config.elastic_mm]));
        assert!(within(v.spacing_mm[1], config.pixel_mm));
        assert_eq!(v.spacing_mm[1], v.spacing_mm[2]);
        // Slices are not made thinner than 0.6 times the scan's 6 mm.
        assert!(within(v.spacing_mm[0], [3.6, config.slice_mm[1]]));
        assert!(within(v.margin_mm.unwrap(), config.margin_mm));
        assert!(within(v.lung_hu.unwrap(), config.lung_hu));
        assert!(within(v.dependent_hu, config.dependent_hu));
        assert!(within(v.kernel, config.kernel));
        assert!(within(v.noise_hu, config.noise_hu));
        assert_eq!(v, Variation::draw(&config, &ground, seed));
        seen.insert(format!("{v:?}"));
    }
    assert_eq!(seen.len(), 300);
}

#[test]
fn patterns_belong_to_their_class_and_come_in_their_shares() {
    use Pattern::*;
    let r = &mut Random::new(9, 43);
    for faint_share in [0.0, 0.35, 1.0] {
        let config = ImplantConfig {
            faint_share,
            ..ImplantConfig::default()
        };
        let mut confluent = 0u32;
        for _ in 0..2000 {
            assert_eq!(Pattern::draw(Diagnosis::Normal, &config, r), Clear);
            let covid = Pattern::draw(Diagnosis::Covid19, &config, r);
            assert!([Scattered, Confluent, Bands].contains(&covid));
            let cap = Pattern::draw(Diagnosis::Cap, &config, r);
            assert!([Lobar, Segmental, Bronchial, Round].contains(&cap));
            confluent += u32::from(covid == Confluent);
            for pattern in [covid, cap] {
                let style = Style::draw(pattern, &config, r);
                let [low, high] = style.glass_hu;
                assert!((99.9..=480.1).contains(&low) && low <= high && high <= 480.1);
                assert!((2.0..=8.0).contains(&style.edge_mm));
                assert!((0.0..=1.0).contains(&style.dense) && style.most > 0);
            }
        }
        let share = f64::from(confluent) / 2000.0;
        assert!(
            (share - faint_share).abs() < 0.05,
            "{share} for {faint_share}"
        );
    }
}

#[test]
fn lobes_lie_as_in_a_chest() {
    let ground = ground();
    let stage = stage(&ground);
    let lobes = Lobes::new(&stage, 4);
    assert!(lobes.lungs.iter().all(lobes::Lung::is_there));
    let mut found = HashSet::new();
    for (i, &label) in stage.lungs.iter().enumerate().filter(|(_, l)| **l > 0) {
        let side = usize::from(label) - 1;
        let p = stage.point(i);
        let (lobe, fissure) = lobes.lobe(side, p);
        assert_eq!(usize::from(lobe.side() == Side::Left), side);
        assert!(fissure >= 0.0);
        for axis in 0..3 {
            assert!((0.0..=1.0).contains(&lobes.lungs[side].share(p, axis)));
        }
        found.insert(format!("{lobe:?}"));
    }
    assert_eq!(found.len(), 5, "{found:?}");
    // The back of the base and the front of the apex are in no doubt.
    let at = |side: usize, height: f32, back: f32| {
        let l = &lobes.lungs[side];
        let mix = |a: usize, t: f32| l.low[a] + t * (l.high[a] - l.low[a]);
        lobes
            .lobe(side, [mix(0, height), mix(1, back), mix(2, 0.5)])
            .0
    };
    assert_eq!(
        (at(0, 0.1, 0.9), at(1, 0.1, 0.9)),
        (Lobe::RightLower, Lobe::LeftLower)
    );
    assert_eq!(
        (at(0, 0.95, 0.3), at(1, 0.95, 0.3)),
        (Lobe::RightUpper, Lobe::LeftUpper)
    );
    // The hila lie in the halves that face each other.
    let [right, left] = [0, 1].map(|side| {
        let lung = &lobes.lungs[side];
        lung.share(lung.hilum(), 2)
    });
    assert!(right > 0.5 && left < 0.5, "{right} and {left}");
}

#[test]
fn a_patch_is_its_ellipsoid_and_ends_within_its_reach() {
    let ground = ground();
    let stage = stage(&ground);
    let lesion = patch();
    let mut inside = 0;
    for (i, d) in densities(&lesion, &stage) {
        let p = stage.point(i);
        let off: [f32; 3] = std::array::from_fn(|a| p[a] - lesion.centre_mm[a]);
        let ball: f32 = (0..3).map(|a| (off[a] / lesion.radii_mm[a]).powi(2)).sum();
        assert_eq!(d.body >= 0.5, ball <= 1.0, "{off:?}");
        assert!((0.0..=1.0).contains(&d.body) && d.core == 0.0);
        assert!((0.0..=lesion.filling).contains(&d.filling));
        let away = off.iter().map(|v| v * v).sum::<f32>().sqrt();
        assert!(d.body == 0.0 || away <= lesion.reach());
        inside += usize::from(ball <= 1.0);
    }
    assert!(inside > 100, "{inside}");
}

#[test]
fn cores_bands_and_lobes_take_a_part_and_shrinking_takes_away() {
    let ground = ground();
    let stage = stage(&ground);
    let whole = held(&patch(), &stage);
    for core in [
        Core::Centre(0.6),
        Core::Ring,
        Core::Pleural(30.0),
        Core::Islands(0.5),
    ] {
        let lesion = ImplantedLesion { core, ..patch() };
        let all = densities(&lesion, &stage);
        let dense = all.iter().filter(|(_, d)| d.core >= 0.5).count();
        assert!(dense > 0 && dense < whole, "{core:?}: {dense} of {whole}");
        for (_, d) in all {
            assert!((0.0..=d.body).contains(&d.core) && (0.0..=0.9).contains(&d.filling));
        }
    }
    let mut wide = patch();
    wide.radii_mm = [60.0; 3];
    let band = ImplantedLesion {
        form: Form::Band(8.0),
        ..wide.clone()
    };
    for (i, d) in densities(&band, &stage) {
        assert!(
            d.body < 0.5 || stage.depth[i] <= 8.1,
            "{} mm deep",
            stage.depth[i]
        );
    }
    let lobes = [Lobe::RightUpper, Lobe::RightMiddle, Lobe::RightLower];
    let parts = lobes.map(|lobe| {
        let lesion = ImplantedLesion {
            lobe: Some(lobe),
            ..wide.clone()
        };
        held(&lesion, &stage)
    });
    let (sum, all) = (
        parts.iter().sum::<usize>() as f64,
        held(&wide, &stage) as f64,
    );
    assert!((sum / all - 1.0).abs() < 0.05, "{parts:?} of {all}");
    for mut lesion in [patch(), band] {
        let mut last = usize::MAX;
        for _ in 0..12 {
            let now = held(&lesion, &stage);
            assert!(now <= last);
            last = now;
            lesion.shrink(0.72);
        }
        // Nothing gets smaller than can be outlined.
        assert_eq!(lesion.radii_mm, [3.0; 3]);
    }
}

#[test]
fn bronchi_grow_in_consolidation_alone() {
    let ground = ground();
    let stage = stage(&ground);
    let lobes = Lobes::new(&stage, 1);
    assert!(grow(&[patch()], &lobes, 3).is_empty());
    let dense = ImplantedLesion {
        core: Core::Centre(0.9),
        ..patch()
    };
    let lumens = (0..8).map(|seed| grow(std::slice::from_ref(&dense), &lobes, seed));
    let lumens: Vec<_> = lumens.collect();
    assert!(lumens.iter().filter(|l| !l.is_empty()).count() >= 4);
    let [_, ny, nx] = SHAPE;
    let mut drawn = 0;
    for lumens in lumens {
        for z in 0..SHAPE[0] {
            let mut plane = vec![0.0; ny * nx];
            let height = z as f32 * stage.spacing_mm[0];
            draw(&lumens, height, stage.spacing_mm, nx, &mut plane);
            assert!(plane.iter().all(|v| (0.0..=1.0).contains(v)));
            drawn += plane.iter().filter(|v| **v > 0.0).count();
        }
    }
    assert!(drawn > 100);
}

#[test]
fn block_means_keep_what_is_even_and_fill_what_is_missing() {
    let spacing = SPACING_MM.map(|s| s as f32);
    let even = Coarse::mean(SHAPE, spacing, 12.0, 7.0, |_| Some(-850.0));
    let none = Coarse::mean(SHAPE, spacing, 12.0, 7.0, |_| None);
    let [_, ny, nx] = SHAPE;
    // A ramp along x stays one away from the border, where block means are one-sided.
    let ramp = Coarse::mean(SHAPE, spacing, 12.0, 7.0, |i| Some((i % nx) as f32));
    for at in [[0, 0, 0], [5, 20, 33], [15, ny - 1, nx - 1], [9, 40, 17]] {
        let p = std::array::from_fn(|a| at[a] as f32 * spacing[a]);
        assert!((even.at(p, spacing) + 850.0).abs() < 1e-3);
        assert_eq!(none.at(p, spacing), 7.0);
        if (8..nx - 8).contains(&at[2]) {
            assert!((ramp.at(p, spacing) - at[2] as f32).abs() < 0.6, "{at:?}");
        }
    }
}

#[test]
fn the_scans_noise_is_measured_in_soft_tissue() {
    let measured = |noise_hu: f32| {
        let ground = ground_with(noise_hu, &[]);
        ScanNoise::measure(&stage(&ground)).sd_hu
    };
    // In the lungs three quarters of it are expected.
    for noise_hu in [4.0, 16.0] {
        let share = measured(noise_hu) / noise_hu;
        assert!((0.68..0.82).contains(&share), "{share} at {noise_hu} HU");
    }
}
