//! Drawing a configuration from a seed.

use crate::anatomy::Anatomy;
use crate::lesions::Opacity;
use crate::random::Random;
use crate::tree::Atlas;
use crate::{
    Confounders, Effusion, Lesion, Lobe, Nodule, PatientConfig, PhantomConfig, ScannerConfig, Side,
};
use multirnet_volume::Diagnosis;

/// Points per lung for placing lesions and estimating their volume.
const PROBES: usize = 1500;

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
    // Thin slices cost time, so that small matrices rarely have them.
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

fn zyx(p: [f32; 3]) -> [f64; 3] {
    [p[2], p[1], p[0]].map(|v| (f64::from(v) * 100.0).round() / 100.0)
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

/// Places lesions until they fill a wanted share of the lungs.
struct Placer<'a, 'b> {
    atlas: &'b Atlas<'a>,
    /// Points spread evenly over both lungs, with their depth.
    probes: Vec<([f32; 3], f32)>,
    hit: Vec<bool>,
}

impl<'a, 'b> Placer<'a, 'b> {
    fn new(atlas: &'b Atlas<'a>, r: &mut Random) -> Self {
        let probes: Vec<_> = (0..2 * PROBES)
            .map(|k| {
                let p = atlas.point(k % 2 == 0, 0.5, r);
                (p, atlas.site(p).lung)
            })
            .collect();
        Self {
            atlas,
            hit: vec![false; probes.len()],
            probes,
        }
    }

    fn inside(&self, lesion: &Lesion) -> Vec<usize> {
        let o = Opacity::new(lesion);
        (0..self.probes.len())
            .filter(|&i| {
                let [x, y, z] = self.probes[i].0;
                let section = self.atlas.section(z);
                o.density(&section.anatomy.noise, section, x, y, z)[0] >= 0.5
            })
            .collect()
    }

    /// Adds the lesion; its new share of both lungs.
    fn add(&mut self, lesion: &Lesion) -> f64 {
        let mut new = 0;
        for i in self.inside(lesion) {
            new += usize::from(!self.hit[i]);
            self.hit[i] = true;
        }
        new as f64 / self.probes.len() as f64
    }

    /// A probe's position drawn with weights.
    fn draw(&self, r: &mut Random, weight: impl Fn([f32; 3], f32) -> f64) -> [f32; 3] {
        let mut best = (0, -1.0);
        // A tournament: cheap, and no weight has to be normalised.
        for _ in 0..24 {
            let i = r.below(self.probes.len());
            let (p, depth) = self.probes[i];
            let score = weight(p, depth) * r.unit();
            if score > best.1 {
                best = (i, score);
            }
        }
        self.probes[best.0].0
    }

    fn covid(&mut self, r: &mut Random) -> Vec<Lesion> {
        let target = (0.095 * r.normal(0.0, 0.75).exp()).clamp(0.02, 0.40);
        let only = r.chance(0.1).then(|| {
            if r.chance(0.5) {
                Side::Right
            } else {
                Side::Left
            }
        });
        let target = if only.is_some() {
            target.min(0.12)
        } else {
            target
        };
        let lower = r.uniform(0.6, 2.2);
        let spread = r.uniform(0.75, 1.35) * (0.7 + 1.3 * target.sqrt());
        let glass = r.uniform(-645.0, -475.0);
        let consolidating = r.chance(0.55);
        let paving = if r.chance(0.6) {
            r.uniform(0.25, 0.9)
        } else {
            0.0
        };
        let mut lesions: Vec<Lesion> = Vec::new();
        let mut total = 0.0;
        while total < target && lesions.len() < 48 {
            let turn_of = match only {
                Some(side) => side,
                None if lesions.len() % 3 == 2 => {
                    if r.chance(0.55) {
                        Side::Right
                    } else {
                        Side::Left
                    }
                }
                None if lesions.len() % 2 == 0 => Side::Right,
                None => Side::Left,
            };
            let central = r.chance(0.14);
            let c = self.draw(r, |p, depth| {
                if (p[0] < 0.0) != (turn_of == Side::Right) {
                    return 0.0;
                }
                let low = f64::from(-(p[2] - 10.0) / 70.0) * lower;
                let back = f64::from(p[1] / 80.0) * 0.8;
                let rim = if central {
                    1.0
                } else {
                    f64::from((-(depth - 5.0).max(0.0) / 6.0).exp())
                };
                rim * (low + back).exp()
            });
            let flat = !central && r.chance(0.7);
            let thick = spread * r.uniform(9.0, 19.0);
            let long = if flat {
                thick * r.uniform(1.3, 2.6)
            } else {
                thick * r.uniform(0.9, 1.3)
            };
            // The flat side lies along the pleura, about as the outline of the cage.
            let normal = f64::from(c[1] / 80.0).atan2(f64::from(c[0] / 120.0));
            let lesion = Lesion {
                centre_mm: zyx(c),
                radii_mm: [thick * r.uniform(0.9, 2.0), long, thick]
                    .map(|v: f64| v.clamp(5.0, 90.0)),
                yaw_deg: normal.to_degrees() + r.normal(0.0, 12.0),
                lobe: None,
                side: turn_of,
                ground_glass_hu: (glass + r.normal(0.0, 35.0)).clamp(-700.0, -450.0),
                core: if consolidating && r.chance(0.4) {
                    r.uniform(0.25, 0.7)
                } else {
                    0.0
                },
                consolidation_hu: r.uniform(-60.0, 45.0),
                roughness: r.uniform(0.3, 0.65),
                softness: r.uniform(0.15, 0.4),
                paving: if r.chance(0.8) { paving } else { 0.0 },
                phase: r.uniform(0.0, 500.0),
            };
            total += self.add(&lesion);
            lesions.push(lesion);
        }
        lesions
    }

    fn cap(&mut self, r: &mut Random) -> Vec<Lesion> {
        let target = (0.075 * r.normal(0.0, 0.7).exp()).clamp(0.02, 0.25);
        let mut lesions = Vec::new();
        let lobe = self.main_lobe(r);
        let glassy = r.chance(0.15);
        let first = self.lobar(r, lobe, target, glassy);
        let mut total = self.add(&first);
        lesions.push(first);
        // Patches of bronchopneumonia near the main focus or, in some, on the other side.
        let patches = if r.chance(0.6) { 1 + r.below(5) } else { 0 };
        let bilateral = r.chance(0.15);
        for k in 0..patches.max(usize::from(bilateral)) {
            let side = if bilateral && k % 2 == 0 {
                match lobe.side() {
                    Side::Right => Side::Left,
                    Side::Left => Side::Right,
                }
            } else {
                lobe.side()
            };
            let c = self.draw(r, |p, depth| {
                if (p[0] < 0.0) != (side == Side::Right) {
                    return 0.0;
                }
                let here = self.atlas.section(p[2]).lobe(p[0], p[1]).0;
                f64::from((-(depth - 16.0).abs() / 14.0).exp())
                    * if here == lobe { 3.0 } else { 1.0 }
            });
            let size = r.uniform(5.0, 15.0) * (0.8 + 1.6 * target);
            let dense = r.chance(0.6);
            let lesion = Lesion {
                centre_mm: zyx(c),
                radii_mm: [size * r.uniform(0.8, 1.4), size * r.uniform(0.8, 1.3), size],
                yaw_deg: r.uniform(0.0, 180.0),
                lobe: None,
                side,
                ground_glass_hu: r.uniform(-640.0, -450.0),
                core: if dense { r.uniform(0.3, 0.8) } else { 0.0 },
                consolidation_hu: r.uniform(-80.0, 45.0),
                roughness: r.uniform(0.4, 0.8),
                softness: r.uniform(0.12, 0.35),
                paving: 0.0,
                phase: r.uniform(0.0, 500.0),
            };
            total += self.add(&lesion);
            lesions.push(lesion);
        }
        // Extensive disease takes a second lobe of the same side.
        if total < 0.7 * target
            && let Some(next) = self.other_lobe(r, lobe)
        {
            let more = self.lobar(r, next, target - total, glassy);
            self.add(&more);
            lesions.push(more);
        }
        lesions
    }

    fn main_lobe(&self, r: &mut Random) -> Lobe {
        r.pick(&[
            Lobe::RightUpper,
            Lobe::RightUpper,
            Lobe::RightMiddle,
            Lobe::RightLower,
            Lobe::RightLower,
            Lobe::RightLower,
            Lobe::LeftUpper,
            Lobe::LeftUpper,
            Lobe::LeftLower,
            Lobe::LeftLower,
        ])
    }

    fn other_lobe(&self, r: &mut Random, lobe: Lobe) -> Option<Lobe> {
        let options: Vec<Lobe> = [
            Lobe::RightUpper,
            Lobe::RightMiddle,
            Lobe::RightLower,
            Lobe::LeftUpper,
            Lobe::LeftLower,
        ]
        .into_iter()
        .filter(|l| l.side() == lobe.side() && *l != lobe)
        .collect();
        (!options.is_empty()).then(|| r.pick(&options))
    }

    /// A consolidation within one lobe that fills about `target` of both lungs.
    fn lobar(&self, r: &mut Random, lobe: Lobe, target: f64, glassy: bool) -> Lesion {
        let c = self.draw(r, |p, depth| {
            let (here, away) = self.atlas.section(p[2]).lobe(p[0], p[1]);
            if here != lobe || p[0] < 0.0 && lobe.side() == Side::Left {
                return 0.0;
            }
            f64::from(1.0 + depth.min(20.0)) * f64::from(1.0 + away.min(15.0))
        });
        let shape = [
            r.uniform(0.8, 1.3),
            r.uniform(0.8, 1.2),
            r.uniform(0.8, 1.2),
        ];
        let mut lesion = Lesion {
            centre_mm: zyx(c),
            radii_mm: [20.0; 3],
            yaw_deg: r.uniform(0.0, 180.0),
            lobe: Some(lobe),
            side: lobe.side(),
            ground_glass_hu: r.uniform(-620.0, -430.0),
            core: if glassy {
                r.uniform(0.0, 0.35)
            } else {
                r.uniform(0.62, 1.0)
            },
            consolidation_hu: r.uniform(-30.0, 50.0),
            roughness: r.uniform(0.25, 0.55),
            softness: r.uniform(0.06, 0.22),
            paving: if r.chance(0.1) {
                r.uniform(0.2, 0.5)
            } else {
                0.0
            },
            phase: r.uniform(0.0, 500.0),
        };
        let (mut low, mut high) = (6.0, 110.0);
        for _ in 0..9 {
            let size: f64 = 0.5 * (low + high);
            lesion.radii_mm = shape.map(|s| size * s);
            let share = self.inside(&lesion).len() as f64 / self.probes.len() as f64;
            if share < target {
                low = size;
            } else {
                high = size;
            }
        }
        lesion
    }
}
