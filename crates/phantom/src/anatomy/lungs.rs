//! The lungs' outline, fissures and lobes.

use super::section::Section;
use super::site::Site;
use crate::Lobe;
use crate::noise::{lerp, smooth, soft_min};

/// A distance in mm that means "not near".
const FAR: f32 = 500.0;

impl Section<'_> {
    /// Height of the diaphragm and its slope's length factor at `(x, y)`.
    fn dome(&self, x: f32, y: f32) -> (f32, f32) {
        let f = &self.anatomy.form;
        let side = smooth(-34.0, 34.0, x);
        let top = lerp(f.dome[0], f.dome[1], side) + f.rise;
        let (cx, cy) = (lerp(-60.0, 64.0, side), -18.0);
        let lateral = if side < 0.5 { cx - x } else { x - cx };
        let u = if lateral > 0.0 {
            lateral / 70.0
        } else {
            lateral / 64.0
        };
        let fall_u = if lateral > 0.0 { 58.0 } else { 12.0 };
        let (v, fall_v) = if y > cy {
            ((y - cy) / 106.0, 100.0)
        } else {
            ((cy - y) / 80.0, 32.0)
        };
        let flat = |t: f32| t * t * (0.55 + 0.45 * t * t);
        let steep = |t: f32| t * (1.1 + 1.8 * t * t);
        let n = self.anatomy.noise.rough(x / 38.0, y / 38.0, 5.5);
        let height = top - fall_u * flat(u) - fall_v * flat(v) + 3.0 * n;
        let (du, dv) = (fall_u * steep(u) / 67.0, fall_v * steep(v) / 91.0);
        (height, (1.0 + du * du + dv * dv).sqrt())
    }

    /// Distances of a point of the trunk to the great surfaces.
    pub fn site(&self, x: f32, y: f32, radius: f32, bin: usize) -> Site {
        let cage = self.shell.pleura[bin] - radius;
        let mut site = Site {
            cage,
            mediastinum: -100.0,
            diaphragm: 100.0,
            lung: cage,
            oblique: FAR,
            minor: FAR,
        };
        if cage < -8.0 {
            return site;
        }
        let rise = self.anatomy.form.rise;
        if self.z < -30.0 + rise {
            let (height, slope) = self.dome(x, y);
            site.diaphragm = (self.z - height) / slope;
        }
        site.mediastinum = if x.abs() < 100.0 {
            self.mediastinum(x, y)
        } else {
            -40.0
        };
        let mut lung = soft_min(cage, -site.mediastinum, 6.0);
        lung = soft_min(lung, site.diaphragm - 1.0, 3.0);
        if self.z > 85.0 {
            let dx = (x.abs() - 44.0) / 1.15;
            let reach = (dx * dx + 0.8 * (y - 14.0).powi(2)) / 66.0;
            lung = soft_min(lung, 0.8 * (134.0 - reach - self.z), 6.0);
        }
        if lung > -4.0 {
            lung -= self.fluid_layer(x, y);
            lung += 0.8
                * self.anatomy.noise.rough(x / 14.0, y / 14.0, self.z / 14.0)
                * smooth(14.0, 0.0, lung);
        }
        site.lung = lung;
        (site.oblique, site.minor) = self.fissures(x, y);
        site
    }

    /// Thickness of pleural fluid that a ray from the pleura meets, 0 without effusion.
    fn fluid_layer(&self, x: f32, y: f32) -> f32 {
        let [depth, height, _] = self.anatomy.form.effusion[usize::from(x > 0.0)];
        if depth <= 0.0 || y < -20.0 {
            return 0.0;
        }
        let level = smooth(-125.0 + height, -150.0 + 0.35 * height, self.z);
        depth * level * smooth(5.0, 75.0, y)
    }

    /// The HU of fluid where an effusion displaces the lung, else `hu`.
    pub(super) fn fluid(&self, x: f32, y: f32, site: &Site, hu: f32) -> f32 {
        let layer = self.fluid_layer(x, y);
        if layer <= 0.0 || site.mediastinum > 0.0 || site.diaphragm < 0.0 {
            return hu;
        }
        self.anatomy.form.effusion[usize::from(x > 0.0)][2]
    }

    /// Heights above the oblique and the horizontal fissure.
    fn fissures(&self, x: f32, y: f32) -> (f32, f32) {
        let f = &self.anatomy.form;
        let n = &self.anatomy.noise;
        let left = x > 0.0;
        let wave = 6.0 * n.rough(x / 45.0, y / 45.0, self.z / 45.0);
        let shift = f.fissure[usize::from(left)];
        let lateral = 0.10 * (x.abs() - 70.0);
        let oblique = (self.z - (1.18 * y - 34.0 + shift + lateral + wave + 0.6 * f.rise)) / 1.55;
        if left {
            return (oblique, FAR);
        }
        let rest = 6.0 + 0.6 * f.fissure[2] + 0.9 * wave;
        let minor = self.z - (rest - 0.10 * (x + 70.0) + 0.4 * f.rise);
        (oblique, minor)
    }

    /// The lobe at a point of a lung, and the distance to the lobe's nearest fissure.
    pub fn lobe(&self, x: f32, y: f32) -> (Lobe, f32) {
        let (oblique, minor) = self.fissures(x, y);
        match (x > 0.0, oblique > 0.0, minor > 0.0) {
            (true, true, _) => (Lobe::LeftUpper, oblique),
            (true, false, _) => (Lobe::LeftLower, -oblique),
            (false, false, _) => (Lobe::RightLower, -oblique),
            (false, true, true) => (Lobe::RightUpper, oblique.min(minor)),
            (false, true, false) => (Lobe::RightMiddle, oblique.min(-minor)),
        }
    }
}
