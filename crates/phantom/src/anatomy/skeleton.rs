//! Painting of ribs, spine, sternum, scapulae and clavicles.

use super::cage::RibKind;
use super::section::Section;
use crate::noise::{lerp, smooth};

/// Bone with a cortex: `inside` is the depth below its surface.
fn bone(hu: f32, inside: f32, cortex: f32, hard: f32, marrow: f32, edge: f32) -> f32 {
    if inside < -edge {
        return hu;
    }
    let filling = lerp(hard, marrow, smooth(cortex - edge, cortex + edge, inside));
    lerp(hu, filling, smooth(-edge, edge, inside))
}

fn segment(x: f32, y: f32, a: [f32; 2], b: [f32; 2]) -> f32 {
    let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
    let t = (((x - a[0]) * dx + (y - a[1]) * dy) / (dx * dx + dy * dy)).clamp(0.0, 1.0);
    ((x - a[0] - t * dx).powi(2) + (y - a[1] - t * dy).powi(2)).sqrt()
}

impl Section<'_> {
    /// Depth within the column that the lungs leave to the spine.
    pub(super) fn spinal_column(&self, x: f32, y: f32) -> f32 {
        let s = &self.spine;
        let (dx, dy) = (x - s.x, y - s.y);
        let body = 19.5 * s.size + 2.0 - (dx * dx / 1.25 + dy * dy).sqrt();
        if dy < 0.0 {
            return body;
        }
        body.max(15.5 + 0.14 * dy - dx.abs())
    }

    /// Paints a vertebra or disc over `hu`.
    pub(super) fn paint_spine(&self, x: f32, y: f32, hu: f32, edge: f32) -> f32 {
        let s = &self.spine;
        let (dx, dy) = (x - s.x, y - s.y);
        if dx.abs() > 42.0 || !(-24.0..72.0).contains(&dy) {
            return hu;
        }
        let mut hu = hu;
        let marrow = self.anatomy.form.marrow;
        let grain = self.anatomy.noise.rough(x / 3.1, y / 3.1, self.z / 3.1);
        let disc = s.phase > 0.82;
        let flare = 1.0 + 0.10 * (2.2 * (s.phase - 0.41)).powi(2);
        let (ax, ay) = (16.8 * s.size * flare, 13.8 * s.size * flare);
        // A heart-shaped body: flat at the back.
        let bent = if dy > 0.0 { dy * 1.12 } else { dy };
        let body = ay * (1.0 - ((dx / ax).powi(2) + (bent / ay).powi(2)).sqrt());
        if disc {
            hu = lerp(hu, 85.0 + 10.0 * grain, smooth(-edge, edge, body));
        } else {
            let plate = (s.phase - 0.0).min(0.82 - s.phase);
            let filling = marrow + 45.0 * grain + 330.0 * (1.0 - smooth(0.03, 0.09, plate));
            hu = bone(hu, body, 1.1, 520.0, filling, edge);
        }
        let centre = dy - 13.8 * s.size - 7.5;
        let canal = (dx * dx * 0.8 + centre * centre).sqrt();
        let canal_radius = 8.2;
        let arch_share = smooth(0.08, 0.2, s.phase) * smooth(0.92, 0.75, s.phase);
        if centre > -6.0 || dx.abs() > 7.0 {
            let arch = (canal - canal_radius).min(canal_radius + 5.2 * arch_share - canal)
                + 0.0f32.min(centre + 9.0);
            if arch_share > 0.05 {
                hu = bone(hu, arch, 1.3, 640.0, marrow + 130.0, edge);
            }
        }
        if canal < canal_radius + edge {
            let cord = lerp(-35.0, 36.0, smooth(7.2, 5.6, canal));
            hu = lerp(hu, cord, smooth(-edge, edge, canal_radius - canal));
        }
        if s.processes > 0.5 {
            let d = segment(
                dx.abs(),
                dy,
                [11.0, 13.8 * s.size + 9.0],
                [31.0 * s.size, 13.8 * s.size + 17.0],
            );
            hu = bone(hu, s.processes - d, 1.2, 560.0, marrow + 60.0, edge);
        }
        if s.spinous > 0.5 {
            let base = 13.8 * s.size + 19.0;
            let d = segment(dx, dy, [0.0, base], [0.0, base + 22.0 * s.size]);
            hu = bone(hu, s.spinous - d, 1.2, 600.0, marrow + 60.0, edge);
        }
        hu
    }

    /// Paints ribs, sternum, scapula and clavicle over the chest wall's `hu`.
    pub(super) fn paint_cage(
        &self,
        x: f32,
        y: f32,
        radius: f32,
        bin: usize,
        hu: f32,
        edge: f32,
    ) -> f32 {
        let s = &self.shell;
        let mut hu = hu;
        let marrow = self.anatomy.form.marrow;
        let out = radius - s.pleura[bin];
        if out < 12.5 {
            let across = s.rib[bin];
            let q = ((across / 5.7).powi(2) + ((out - 5.4) / 4.3).powi(2)).sqrt();
            let inside = 4.3 * (1.0 - q);
            match s.rib_kind[bin] {
                RibKind::Bone => hu = bone(hu, inside, 1.2, 720.0, marrow + 40.0, edge),
                RibKind::Cartilage => {
                    let fill = 105.0 + 40.0 * self.anatomy.noise.at(x / 6.0, y / 6.0, self.z / 6.0);
                    hu = lerp(hu, fill, smooth(-edge, edge, inside));
                }
                RibKind::None => {}
            }
            // Extrapleural fat and the layer under the ribs.
            if out < 1.6 && inside < 0.0 {
                hu = lerp(hu, 25.0, 0.6);
            }
        }
        let [middle, half] = s.scapula[bin];
        if half > 0.0 && (radius - middle).abs() < half + edge {
            hu = bone(hu, half - (radius - middle).abs(), 1.3, 760.0, 180.0, edge);
        }
        if y < 0.0 && self.z < 96.0 && self.z > -78.0 && x.abs() < 42.0 {
            let half = if self.z > 55.0 {
                18.0 + 12.0 * smooth(55.0, 80.0, self.z)
            } else {
                14.0 + 5.0 * smooth(30.0, -40.0, self.z) - 11.0 * smooth(-50.0, -76.0, self.z)
            };
            let q = ((x / half).abs().powi(3) + ((out - 5.8) / 6.0).abs().powi(3)).cbrt();
            let inside = 6.0 * (1.0 - q);
            hu = bone(hu, inside, 1.1, 430.0, 0.75 * marrow, edge);
        }
        if self.z > 80.0 {
            hu = self.paint_girdle(x, y, hu, edge);
        }
        hu
    }

    /// Paints the clavicles and the heads of the humeri.
    fn paint_girdle(&self, x: f32, y: f32, hu: f32, edge: f32) -> f32 {
        let mut hu = hu;
        let ax = x.abs();
        let line = [
            [24.0, -62.0, 93.0],
            [70.0, -58.0, 108.0],
            [118.0, -28.0, 124.0],
            [142.0, 2.0, 128.0],
        ];
        let p = [ax, y, self.z];
        let d = line
            .windows(2)
            .map(|w| distance(p, w[0], w[1]))
            .fold(f32::MAX, f32::min);
        hu = bone(hu, 6.0 - d, 1.7, 800.0, 230.0, edge);
        let head = 23.0 - distance(p, [166.0, 8.0, 118.0], [168.0, 8.0, 119.0]);
        hu = bone(hu, head, 1.8, 650.0, 190.0, edge);
        let socket =
            (24.0 - distance(p, [138.0, 22.0, 112.0], [139.0, 22.0, 113.0])).min(-head - 3.0);
        bone(
            hu,
            socket.min(10.0 - (y - 24.0).abs()),
            1.6,
            600.0,
            220.0,
            edge,
        )
    }
}

/// Distance of `p` from the segment `a` to `b`.
pub(super) fn distance(p: [f32; 3], a: [f32; 3], b: [f32; 3]) -> f32 {
    let d = [b[0] - a[0], b[1] - a[1], b[2] - a[2]];
    let q = [p[0] - a[0], p[1] - a[1], p[2] - a[2]];
    let t = ((q[0] * d[0] + q[1] * d[1] + q[2] * d[2]) / (d[0] * d[0] + d[1] * d[1] + d[2] * d[2]))
        .clamp(0.0, 1.0);
    ((q[0] - t * d[0]).powi(2) + (q[1] - t * d[1]).powi(2) + (q[2] - t * d[2]).powi(2)).sqrt()
}
