//! Lung tissue without pneumonia.

use super::section::Section;
use super::site::Site;
use crate::noise::{lerp, smooth};

impl Section<'_> {
    /// HU of aerated lung with its texture, fissures, emphysema and dependent atelectasis.
    pub fn parenchyma(&self, x: f32, y: f32, site: &Site, edge: f32) -> f32 {
        let a = self.anatomy;
        let n = &a.noise;
        let p = &a.config.patient;
        let c = &a.config.confounders;
        let z = self.z;
        let fine = n.at(x / 2.3, y / 2.3, z / 2.3);
        let broad = n.at(x / 31.0 + 4.0, y / 31.0, z / 31.0);
        let mut hu = p.lung_hu as f32
            + 105.0 * (1.0 - p.inspiration as f32)
            + p.gravity_hu as f32 * (y + 5.0) / 165.0
            + 16.0 * fine
            + 13.0 * broad;
        let emphysema = c.emphysema as f32;
        if emphysema > 0.0 {
            let hole = n.rough(x / 7.5 + 8.0, y / 7.5, z / 7.5);
            let where_ =
                smooth(-60.0, 90.0, z) * smooth(1.0 - emphysema - 0.5, 1.3 - emphysema - 0.5, hole);
            hu = lerp(hu, -985.0, 0.9 * where_);
        }
        let fissures = p.fissures as f32;
        if fissures > 0.0 && site.lung > 1.0 {
            let distance = if site.oblique > 0.0 {
                site.oblique.min(site.minor.abs())
            } else {
                -site.oblique
            };
            let width = 0.5 + edge;
            if distance < width {
                let gap = smooth(-0.35, 0.1, n.at(x / 33.0, y / 33.0 + 9.0, z / 33.0));
                hu += 230.0 * fissures * gap * (1.0 - smooth(0.0, width, distance));
            }
        }
        let strength = c.atelectasis[usize::from(x > 0.0)] as f32;
        if strength > 0.0 && y > 10.0 {
            let depth = c.atelectasis_mm as f32
                * (0.7 + 0.9 * n.rough(x / 24.0, 7.7, z / 24.0))
                * smooth(110.0, -60.0, z);
            let share = smooth(20.0, 72.0, y) * smooth(depth.max(0.5), 0.0, site.cage - 0.5);
            hu += 520.0 * strength * share * (0.8 + 0.4 * n.at(x / 5.0, y / 5.0, z / 5.0));
        }
        let cap = c.apical_cap_mm as f32;
        if cap > 0.0 && z > 92.0 {
            let depth =
                cap * smooth(92.0, 118.0, z) * (0.6 + n.rough(x / 13.0, y / 13.0, z / 13.0));
            hu = lerp(hu, -10.0, smooth(depth, depth - 2.5, site.lung));
        }
        hu
    }
}
