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
