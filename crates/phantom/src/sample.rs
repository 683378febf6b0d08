//! Drawing a configuration from a seed.

use crate::anatomy::Anatomy;
use crate::frame::zyx;
use crate::place::Placer;
use crate::tree::Atlas;
use crate::{Confounders, Effusion, Nodule, PatientConfig, PhantomConfig, ScannerConfig, Side};
use multirnet_base::random::Random;
use multirnet_volume::Diagnosis;

impl PhantomConfig {
    /// Draws patient, scanner, lesions and confounders for `class` from `seed`; `matrix` is the
    /// in-plane size (512 as scanners give, 256 for quick cohorts, at least 8).
    ///
    /// Only lesions, effusion and their extent depend on the class; build, scanner and
    /// confounders follow the same distributions in every class.
    pub fn sample(seed: u64, class: Diagnosis, matrix: usize) -> Self {
        let matrix = matrix.clamp(8, 4096);
        let mut config = base(seed, class, matrix);
        config.effusions = effusions(&config);
        tidy(&mut config);
        let anatomy = Anatomy::new(&config);
        let atlas = Atlas::new(&anatomy);
        let mut random = Random::new(seed, 40);
        let confounders = confounders(&atlas, &mut random);
        let mut random = Random::new(seed, 41);
        let lesions = match class {
            Diagnosis::Normal => Vec::new(),
            Diagnosis::Covid19 => Placer::new(&atlas, &mut random).covid(&mut random),
            Diagnosis::Cap => Placer::new(&atlas, &mut random).cap(&mut random),
        };
        drop(atlas);
        config.confounders = confounders;
        config.lesions = lesions;
        tidy(&mut config);
        config
    }
}

fn base(seed: u64, class: Diagnosis, matrix: usize) -> PhantomConfig {
    let mut random = Random::new(seed, 30);
    let r = &mut random;
    let female = r.chance(0.45);
    let stature = r.normal(if female { 0.94 } else { 1.02 }, 0.05);
    let girth = r.normal(1.0, 0.05);
    let patient = PatientConfig {
        position_mm: [
            r.normal(0.0, 9.0),
            r.normal(-150.0, 25.0),
            r.uniform(-700.0, -100.0),
        ],
        scale: [
            stature * r.normal(1.0, 0.03),
            stature * girth * r.normal(0.93, 0.04),
            stature * girth * r.normal(1.0, 0.03),
        ],
        roll_deg: r.normal(0.0, 2.5),
        inspiration: r.unit().sqrt(),
        fat_mm: r
            .normal(if female { 15.0 } else { 12.0 }, 6.0)
            .clamp(4.0, 40.0),
        muscle: r
            .normal(if female { 0.8 } else { 1.05 }, 0.15)
            .clamp(0.45, 1.5),
        breast_mm: if female {
            r.uniform(8.0, 45.0)
        } else {
            r.uniform(0.0, 6.0)
        },
        heart: r.normal(1.0, 0.07),
        aorta: r.normal(1.0, 0.1).clamp(0.75, 1.35),
        blood_hu: r.normal(41.0, 4.0).clamp(28.0, 52.0),
        lung_hu: r.normal(-868.0, 16.0).clamp(-910.0, -820.0),
        gravity_hu: r.uniform(25.0, 85.0),
        stomach_gas: r.uniform(0.1, 0.8),
        marrow_hu: r.uniform(110.0, 230.0),
        vessels: r.normal(1.0, 0.12).clamp(0.7, 1.3),
        fissures: r.uniform(0.3, 1.0),
    };
    // Thin slices cost time, so small matrices rarely have them.
    let (spacing, thickness) = if matrix > 300 {
        r.pick(&[
            (1.0, 1.0),
            (1.25, 1.25),
            (1.5, 2.0),
            (2.5, 2.5),
            (3.0, 3.0),
            (5.0, 5.0),
        ])
    } else {
        r.pick(&[
            (1.5, 1.5),
            (2.0, 2.0),
            (2.0, 3.0),
            (2.5, 2.5),
            (2.5, 2.5),
            (3.0, 3.0),
            (3.0, 5.0),
            (4.0, 4.0),
            (5.0, 5.0),
        ])
    };
    let sharp = r.chance(0.4);
    let thin = (2.5f64 / thickness).powf(0.35);
    let scanner = ScannerConfig {
        thickness_mm: thickness,
        blur_mm: if sharp {
            r.uniform(0.25, 0.45)
        } else {
            r.uniform(0.45, 0.85)
        },
        sharpening: if sharp {
            r.uniform(0.4, 1.0)
        } else {
            r.uniform(0.0, 0.2)
        },
        noise_hu: if sharp {
            (r.uniform(20.0, 40.0) * thin).min(45.0)
        } else {
            (r.uniform(8.0, 20.0) * thin).max(8.0)
        },
        grain_mm: if sharp {
            r.uniform(0.35, 0.55)
        } else {
            r.uniform(0.6, 0.95)
        },
        streaks: r.uniform(0.2, 1.2),
        padding_hu: r.chance(0.5).then(|| r.pick(&[-2000, -2048, -3024, -1024])),
        couch: r.chance(0.9),
        couch_gap_mm: r.uniform(0.0, 8.0),
        motion_mm: if r.chance(0.15) {
            r.uniform(1.0, 5.0)
        } else {
            0.0
        },
    };
    let wide = 2.0 * (171.0 + patient.fat_mm) * patient.scale[2];
    let field = (wide * r.uniform(0.94, 1.12)).clamp(300.0, 420.0);
    let pixel = field / matrix as f64;
    let (top, bottom) = (r.uniform(146.0, 166.0), r.uniform(-194.0, -172.0));
    let slices = ((top - bottom) * patient.scale[0] / spacing).round() as usize;
    let half = 0.5 * pixel * (matrix as f64 - 1.0);
    let origin_mm = [
        patient.position_mm[0] - half + r.normal(0.0, 6.0),
        patient.position_mm[1] - half + r.normal(8.0, 8.0),
        patient.position_mm[2] + bottom * patient.scale[0],
    ];
    PhantomConfig {
        seed,
        class,
        shape: [slices.max(8), matrix, matrix],
        spacing_mm: [spacing, pixel, pixel],
        origin_mm: origin_mm.map(|v| (v * 1000.0).round() / 1000.0),
        patient,
        scanner,
        lesions: Vec::new(),
        effusions: Vec::new(),
        confounders: Confounders::default(),
    }
}

/// Rounds to a thousandth, so that configurations read well and survive any text format exactly.
fn tidy(config: &mut PhantomConfig) {
    let round = |v: &mut f64| *v = (*v * 1000.0).round() / 1000.0;
    for v in &mut config.spacing_mm[1..] {
        *v = (*v * 1e5).round() / 1e5;
    }
    let p = &mut config.patient;
    p.position_mm.iter_mut().chain(&mut p.scale).for_each(round);
    for v in [
        &mut p.roll_deg,
        &mut p.inspiration,
        &mut p.fat_mm,
        &mut p.muscle,
        &mut p.breast_mm,
        &mut p.heart,
        &mut p.aorta,
        &mut p.blood_hu,
        &mut p.lung_hu,
        &mut p.gravity_hu,
        &mut p.stomach_gas,
        &mut p.marrow_hu,
        &mut p.vessels,
        &mut p.fissures,
    ] {
        round(v);
    }
    let s = &mut config.scanner;
    for v in [
        &mut s.blur_mm,
        &mut s.sharpening,
        &mut s.noise_hu,
        &mut s.grain_mm,
        &mut s.streaks,
        &mut s.couch_gap_mm,
        &mut s.motion_mm,
    ] {
        round(v);
    }
    for e in &mut config.effusions {
        [&mut e.depth_mm, &mut e.height_mm, &mut e.hu]
            .into_iter()
            .for_each(round);
    }
    for l in &mut config.lesions {
        l.radii_mm.iter_mut().for_each(round);
        for v in [
            &mut l.yaw_deg,
            &mut l.ground_glass_hu,
            &mut l.core,
            &mut l.consolidation_hu,
            &mut l.roughness,
            &mut l.softness,
            &mut l.paving,
            &mut l.phase,
        ] {
            round(v);
        }
    }
    let c = &mut config.confounders;
    c.atelectasis.iter_mut().for_each(round);
    for v in [
        &mut c.atelectasis_mm,
        &mut c.emphysema,
        &mut c.apical_cap_mm,
    ] {
        round(v);
    }
    for n in &mut c.nodules {
        round(&mut n.radius_mm);
        round(&mut n.hu);
    }
}

fn effusions(config: &PhantomConfig) -> Vec<Effusion> {
    let mut random = Random::new(config.seed, 31);
    let r = &mut random;
    let rate = match config.class {
        Diagnosis::Cap => 0.35,
        Diagnosis::Covid19 => 0.08,
        Diagnosis::Normal => 0.05,
    };
    let mut all = Vec::new();
    for side in [Side::Right, Side::Left] {
        let here = r.chance(rate * 0.7);
        let effusion = Effusion {
            side,
            depth_mm: r.uniform(5.0, 22.0),
            height_mm: r.uniform(40.0, 110.0),
            hu: r.uniform(2.0, 20.0),
        };
        if here {
            all.push(effusion);
        }
    }
    all
}

fn confounders(atlas: &Atlas, r: &mut Random) -> Confounders {
    let both = r.chance(0.45);
    let strength = r.uniform(0.3, 1.0);
    let atelectasis = [
        if both || r.chance(0.1) { strength } else { 0.0 },
        if both || r.chance(0.1) {
            strength * r.uniform(0.6, 1.0)
        } else {
            0.0
        },
    ];
    let atelectasis_mm = r.uniform(4.0, 16.0);
    let emphysema = if r.chance(0.2) {
        r.uniform(0.15, 0.7)
    } else {
        0.0
    };
    let apical_cap_mm = if r.chance(0.3) {
        r.uniform(2.0, 7.0)
    } else {
        0.0
    };
    let count = if r.chance(0.35) { 1 + r.below(5) } else { 0 };
    let nodules = (0..count)
        .map(|_| {
            let right = r.chance(0.53);
            let radius_mm = (1.5 + 5.5 * r.unit().powi(2)).min(7.0);
            Nodule {
                centre_mm: zyx(atlas.point(right, radius_mm as f32, r)),
                radius_mm,
                hu: if r.chance(0.15) {
                    r.uniform(200.0, 700.0)
                } else {
                    r.uniform(-350.0, 60.0)
                },
            }
        })
        .collect();
    let count = if r.chance(0.3) { 1 + r.below(4) } else { 0 };
    let scars = (0..count)
        .map(|_| {
            let right = r.chance(0.5);
            let mut a = atlas.point(right, 1.0, r);
            for _ in 0..60 {
                if atlas.site(a).lung < 5.0 && (a[2] < -30.0 || a[2] > 70.0) {
                    break;
                }
                a = atlas.point(right, 1.0, r);
            }
            let turn = r.uniform(0.0, std::f64::consts::TAU);
            let long = r.uniform(12.0, 38.0);
            let b = [
                a[0] + (long * turn.cos()) as f32,
                a[1] + (long * turn.sin()) as f32,
                a[2] + r.normal(0.0, 4.0) as f32,
            ];
            [zyx(a), zyx(b)]
        })
        .collect();
    Confounders {
        atelectasis,
        atelectasis_mm,
        emphysema,
        apical_cap_mm,
        nodules,
        scars,
    }
}
