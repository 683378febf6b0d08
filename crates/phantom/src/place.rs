//! Where the opacities of each pneumonia lie.

use crate::frame::zyx;
use crate::lesions::Opacity;
use crate::tree::Atlas;
use crate::{Lesion, Lobe, Side};
use multirnet_base::random::Random;

/// Points per lung for placing lesions and estimating their volume.
const PROBES: usize = 1500;

/// Places lesions until they fill a wanted share of the lungs.
pub(crate) struct Placer<'a, 'b> {
    atlas: &'b Atlas<'a>,
    /// Points spread evenly over both lungs, with their depth.
    probes: Vec<([f32; 3], f32)>,
    hit: Vec<bool>,
}

impl<'a, 'b> Placer<'a, 'b> {
    pub fn new(atlas: &'b Atlas<'a>, r: &mut Random) -> Self {
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

    /// Adds the lesion. Returns the share of both lungs that it newly takes.
    fn add(&mut self, lesion: &Lesion) -> f64 {
        let mut new = 0;
        for i in self.inside(lesion) {
            new += usize::from(!self.hit[i]);
            self.hit[i] = true;
        }
        new as f64 / self.probes.len() as f64
    }

    /// Draws a probe's position with weights.
    fn draw(&self, r: &mut Random, weight: impl Fn([f32; 3], f32) -> f64) -> [f32; 3] {
        let mut best = (0, -1.0);
        // A tournament is cheap and needs no normalised weights.
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

    /// Ground glass on both sides, mostly peripheral, low and at the back.
    pub fn covid(&mut self, r: &mut Random) -> Vec<Lesion> {
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
                None if lesions.len().is_multiple_of(2) => Side::Right,
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
            // The flat side lies along the pleura, whose direction is about that of the cage's outline.
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

    /// Consolidation of a lobe or part of it, with patches around.
    pub fn cap(&mut self, r: &mut Random) -> Vec<Lesion> {
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
            let wide = if side == lobe.side() { 1.0 } else { 1.7 };
            let size = wide * r.uniform(5.0, 15.0) * (0.8 + 1.6 * target);
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
