//! Density of pneumonic opacities.

use crate::anatomy::Section;
use crate::noise::{Noise, smooth};
use crate::{Lesion, Lobe, Side};

/// A lesion ready for evaluation.
pub(crate) struct Opacity {
    pub centre: [f32; 3],
    /// Radius of a ball that holds it.
    pub reach: f32,
    inverse: [f32; 3],
    turn: [f32; 2],
    lobe: Option<Lobe>,
    side: Side,
    roughness: f32,
    softness: f32,
    core: f32,
    phase: f32,
    grain: f32,
    pub ground_glass: f32,
    pub consolidation: f32,
    pub paving: f32,
}

impl Opacity {
    pub fn new(l: &Lesion) -> Self {
        let [cz, cy, cx] = l.centre_mm.map(|v| v as f32);
        let [rz, ry, rx] = l.radii_mm.map(|v| v as f32);
        let (s, c) = (l.yaw_deg as f32).to_radians().sin_cos();
        let mean = (rx * ry * rz).cbrt();
        Self {
            centre: [cx, cy, cz],
            reach: rx.max(ry).max(rz) * (1.0 + 1.1 * l.roughness as f32 + l.softness as f32),
            inverse: [1.0 / rx, 1.0 / ry, 1.0 / rz],
            turn: [s, c],
            lobe: l.lobe,
            side: l.side,
            roughness: l.roughness as f32,
            softness: l.softness as f32,
            core: l.core as f32,
            phase: l.phase as f32,
            grain: (0.5 * mean).clamp(5.0, 26.0),
            ground_glass: l.ground_glass_hu as f32,
            consolidation: l.consolidation_hu as f32,
            paving: l.paving as f32,
        }
    }

    /// Density of opacity and of consolidation at a point of the lung, both in [0, 1].
    pub fn density(&self, noise: &Noise, section: &Section, x: f32, y: f32, z: f32) -> [f32; 2] {
        if (x < 0.0) != (self.side == Side::Right) {
            return [0.0; 2];
        }
        let d = [x - self.centre[0], y - self.centre[1], z - self.centre[2]];
        let u = (self.turn[1] * d[0] + self.turn[0] * d[1]) * self.inverse[0];
        let v = (self.turn[1] * d[1] - self.turn[0] * d[0]) * self.inverse[1];
        let w = d[2] * self.inverse[2];
        let q = (u * u + v * v + w * w).sqrt();
        if q > 1.0 + 1.1 * self.roughness + self.softness {
            return [0.0; 2];
        }
        let g = 1.0 / self.grain;
        let n = noise.rough(x * g + self.phase, y * g, z * g);
        let inside = 1.0 - q + 1.3 * self.roughness * n;
        let mut opacity = smooth(-self.softness, self.softness, inside);
        let mut core = 0.0;
        if self.core > 0.0 {
            let m = noise.rough(x * g * 1.4, y * g * 1.4 + self.phase, z * g * 1.4);
            let within = self.core - q + self.roughness * (0.85 * m + 0.3 * n);
            let edge = 0.5 * self.softness.max(0.06);
            core = smooth(-edge, edge, within);
            opacity = opacity.max(core);
        }
        if opacity > 0.0
            && let Some(lobe) = self.lobe
        {
            let (here, distance) = section.lobe(x, y);
            let share = if here == lobe {
                smooth(-0.8, 0.8, distance)
            } else {
                0.98 * smooth(-0.8, 0.8, -distance)
            };
            opacity *= share;
            core *= share;
        }
        [opacity, core]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PhantomConfig;
    use crate::anatomy::Anatomy;
    use multirnet_volume::Diagnosis;

    /// A smooth ball of 20 mm in the right lung.
    fn ball() -> Lesion {
        Lesion {
            centre_mm: [10.0, 0.0, -75.0],
            radii_mm: [20.0; 3],
            yaw_deg: 0.0,
            lobe: None,
            side: Side::Right,
            ground_glass_hu: -550.0,
            core: 0.0,
            consolidation_hu: 20.0,
            roughness: 0.0,
            softness: 0.2,
            paving: 0.0,
            phase: 0.0,
        }
    }

    fn densities(lesion: &Lesion) -> Vec<([f32; 3], [f32; 2])> {
        let anatomy = Anatomy::new(&PhantomConfig::sample(4, Diagnosis::Normal, 64));
        let opacity = Opacity::new(lesion);
        let mut all = Vec::new();
        for k in -9..=9 {
            let section = Section::new(&anatomy, 10.0 + 5.0 * k as f32);
            for i in 0..20 * 24 {
                let (x, y) = (
                    -120.0 + 7.0 * (i % 20) as f32,
                    -80.0 + 7.0 * (i / 20) as f32,
                );
                let d = opacity.density(&anatomy.noise, &section, x, y, section.z);
                all.push(([x, y, section.z], d));
            }
        }
        all
    }

    fn away(p: [f32; 3]) -> f32 {
        ((p[0] + 75.0).powi(2) + p[1].powi(2) + (p[2] - 10.0).powi(2)).sqrt()
    }

    #[test]
    fn a_smooth_ball_has_half_of_its_density_on_its_outline() {
        for (p, [opacity, core]) in densities(&ball()) {
            let far = away(p);
            assert_eq!(opacity >= 0.5, far <= 20.0, "{far} mm away");
            assert_eq!(core, 0.0);
            if far < 15.9 {
                assert_eq!(opacity, 1.0);
            } else if far > 24.1 {
                assert_eq!(opacity, 0.0);
            }
        }
    }

    #[test]
    fn opacities_end_within_their_reach_and_hold_their_core() {
        let mut lesion = ball();
        (lesion.core, lesion.roughness) = (0.7, 0.6);
        lesion.radii_mm = [25.0, 18.0, 12.0];
        lesion.yaw_deg = 40.0;
        let reach = Opacity::new(&lesion).reach;
        let (mut dense, mut glass) = (0, 0);
        for (p, [opacity, core]) in densities(&lesion) {
            assert!((0.0..=1.0).contains(&opacity) && (0.0..=opacity).contains(&core));
            assert!(opacity == 0.0 || away(p) <= reach);
            dense += usize::from(core >= 0.5);
            glass += usize::from(core < 0.5 && opacity >= 0.5);
        }
        assert!(dense > 10 && glass > 10, "{dense} and {glass}");
    }

    #[test]
    fn opacities_keep_to_their_side_and_lobe() {
        let mut lesion = ball();
        lesion.centre_mm[2] = -2.0;
        lesion.radii_mm = [30.0; 3];
        let inside = |lesion: &Lesion| {
            let all = densities(lesion).into_iter();
            all.filter(|(_, d)| d[0] >= 0.5).collect::<Vec<_>>()
        };
        assert!(inside(&lesion).iter().all(|(p, _)| p[0] < 0.0));
        lesion.centre_mm[2] = -70.0;
        let anatomy = Anatomy::new(&PhantomConfig::sample(4, Diagnosis::Normal, 64));
        let whole = inside(&lesion).len();
        let mut parts = 0;
        for lobe in [Lobe::RightUpper, Lobe::RightMiddle, Lobe::RightLower] {
            lesion.lobe = Some(lobe);
            for (p, _) in inside(&lesion) {
                parts += 1;
                // Right at a fissure half of the density may lie beyond it.
                let (here, fissure) = Section::new(&anatomy, p[2]).lobe(p[0], p[1]);
                assert!(
                    here == lobe || fissure < 0.8,
                    "{p:?} in {here:?}, not {lobe:?}"
                );
            }
        }
        assert!(parts <= whole + whole / 10 && parts >= whole - whole / 10);
    }
}
