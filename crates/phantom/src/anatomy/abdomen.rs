//! Tissue below the diaphragm.

use super::section::Section;
use super::site::Site;
use crate::noise::{lerp, smooth};

impl Section<'_> {
    /// HU below the diaphragm.
    pub(super) fn abdomen(&self, x: f32, y: f32, site: &Site) -> f32 {
        let f = &self.anatomy.form;
        let n = &self.anatomy.noise;
        let z = self.z - f.rise;
        let under = -site.diaphragm;
        let soft = n.rough(x / 12.0, y / 12.0, self.z / 12.0);
        let mut hu = -102.0 + 14.0 * soft;
        // The stomach's gas lies in front of a level, because the patient lies on the back.
        let (sx, sy, sz) = (x - 58.0, y + 12.0, z + 118.0);
        // The irregular outline is only evaluated near the organ.
        let mut stomach = 44.0 - (1.05 * sx * sx + 1.0 * sy * sy + 0.9 * sz * sz).sqrt();
        if stomach > -13.5 {
            stomach -= 13.0 * n.rough(x / 44.0, y / 44.0, z / 44.0);
        }
        if stomach > 0.0 {
            hu = 42.0;
            if stomach > 3.0 {
                let level = -12.0 - 46.0 + 92.0 * f.gas;
                let content = 22.0 + 40.0 * n.rough(x / 5.0, y / 5.0, z / 5.0).max(0.0);
                let inner = lerp(-985.0, content, smooth(level - 0.6, level + 0.6, y));
                hu = lerp(hu, inner, smooth(3.0, 4.4, stomach));
            }
        }
        let (px, py, pz) = (x - 92.0, y - 40.0, z + 122.0);
        let mut spleen = 40.0 - (1.3 * px * px + 0.9 * py * py + 0.62 * pz * pz).sqrt();
        if spleen > -4.5 {
            spleen -= 3.0 * n.rough(x / 30.0, y / 30.0, z / 30.0);
        }
        hu = lerp(hu, 50.0 + 3.0 * soft, smooth(-0.8, 0.8, spleen));
        // The liver fills the right side and has a tongue in front of the stomach.
        let mut border = 6.0 + 34.0 * smooth(0.0, -70.0, y);
        if (x - border).abs() < 12.0 {
            border += 10.0 * n.rough(y / 30.0, z / 30.0, 4.4);
        }
        let liver = (border - x)
            .min(under - 2.0)
            .min(62.0 - 0.30 * (x + 60.0).max(0.0) - y + 26.0);
        if liver > -0.8 {
            let vein = n.at(x / 19.0, y / 19.0, z / 19.0).abs();
            let parenchyma = 58.0 + 3.0 * soft - 14.0 * (1.0 - smooth(0.02, 0.07, vein));
            hu = lerp(hu, parenchyma, smooth(-0.8, 0.8, liver));
        }
        // The diaphragm itself, and a little fat below it away from the liver.
        lerp(46.0, hu, smooth(1.6, 3.0, under))
    }
}
