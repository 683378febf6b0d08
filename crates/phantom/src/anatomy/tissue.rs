//! Tissue outside the lungs, including the chest wall.

use super::section::Section;
use super::shell::BINS;
use super::site::Site;
use crate::noise::{lerp, smooth};

impl Section<'_> {
    /// HU of the tissue outside the lungs.
    pub fn tissue(&self, x: f32, y: f32, radius: f32, bin: usize, site: &Site, edge: f32) -> f32 {
        let mut hu = if site.cage < -edge {
            self.wall(x, y, radius, bin, edge)
        } else {
            let mut inner = if site.diaphragm < 0.0 && site.mediastinum < 12.0 {
                self.abdomen(x, y, site)
            } else {
                self.mediastinal(x, y)
            };
            inner = self.fluid(x, y, site, inner);
            if site.cage < edge {
                let t = smooth(-edge, edge, site.cage);
                inner = lerp(self.wall(x, y, radius, bin, edge), inner, t);
            }
            inner
        };
        if site.mediastinum > -2.0 {
            hu = self.paint_tubes(x, y, hu, edge);
        }
        self.paint_spine(x, y, hu, edge)
    }

    /// HU of the chest wall.
    fn wall(&self, x: f32, y: f32, radius: f32, bin: usize, edge: f32) -> f32 {
        let s = &self.shell;
        if radius > s.skin[bin] + edge {
            return -1000.0;
        }
        let n = &self.anatomy.noise;
        let mut hu = -104.0;
        if radius > s.muscle[bin] - edge {
            hu += 14.0 * n.at(x / 8.0, y / 8.0, self.z / 8.0);
            let gland = s.gland[bin];
            if gland > 0.02 {
                let g = n.rough(x / 17.0 + 5.0, y / 17.0, self.z / 17.0);
                let share = smooth(0.05, 0.35, g)
                    * smooth(4.0, 12.0, s.skin[bin] - radius)
                    * smooth(0.0, 6.0, radius - s.muscle[bin]);
                hu = lerp(hu, 32.0, gland * share);
            }
        }
        if radius < s.muscle[bin] + edge {
            let m = n.at(x / 7.0, y / 7.0, self.z / 26.0);
            // Layers run along the trunk's surface.
            let turn = bin as f32 * (9.0 / BINS as f32);
            let layer = (radius - s.pleura[bin]) / 10.0;
            let plane = n.at(turn + 3.0, layer + 0.6 * m, self.z / 80.0).abs();
            let mut muscle = 55.0 + 12.0 * m;
            // Fat lies between the muscles.
            muscle = lerp(muscle, -85.0, 0.85 * (1.0 - smooth(0.015, 0.085, plane)));
            let t = smooth(-edge, edge, s.muscle[bin] - radius);
            hu = lerp(hu, muscle, t);
        }
        let skin = s.skin[bin] - radius;
        if skin < 2.0 + edge {
            hu = lerp(hu, 15.0, 1.0 - smooth(1.4 - edge, 1.4 + edge, skin));
            if skin < edge {
                hu = lerp(-1000.0, hu, smooth(-edge, edge, skin));
            }
        }
        self.paint_cage(x, y, radius, bin, hu, edge)
    }
}
