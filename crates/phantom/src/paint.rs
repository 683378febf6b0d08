//! Painting of lesions, confounders and trees into the lungs of one section.

use crate::anatomy::Section;
use crate::noise::{lerp, smooth};
use crate::render::{Scratch, Stage};
use crate::tree::Segment;

impl Stage<'_> {
    /// Pixels `(rows, columns)` that a ball at `(x, y)` may touch.
    fn window(&self, x: f32, y: f32, reach: f32) -> [std::ops::Range<usize>; 2] {
        let [column, row] = self.frame.pixel(x, y);
        let range = |centre: f32, step: f32, scale: f32, n: usize| {
            let half = reach * scale / step + 1.0;
            let low = (centre - half).floor().clamp(0.0, n as f32) as usize;
            let high = (centre + half + 1.0).ceil().clamp(0.0, n as f32) as usize;
            low..high.max(low)
        };
        let stretch = self.frame.scale[0].max(self.frame.scale[1]);
        [
            range(row, self.frame.step[1], stretch, self.shape[1]),
            range(column, self.frame.step[0], stretch, self.shape[2]),
        ]
    }

    /// Lesions, confounders, vessels and airways within the lungs.
    pub(crate) fn paint(&self, section: &Section, scratch: &mut Scratch) {
        let nx = self.shape[2];
        let z = section.z;
        let noise = &self.anatomy.noise;
        for o in &self.opacities {
            if (z - o.centre[2]).abs() > o.reach {
                continue;
            }
            let [rows, columns] = self.window(o.centre[0], o.centre[1], o.reach);
            for row in rows {
                for column in columns.clone() {
                    let i = row * nx + column;
                    if scratch.cover[i] <= 0.0 {
                        continue;
                    }
                    let [x, y] = self.frame.reference(column as f32, row as f32);
                    let [opacity, core] = o.density(noise, section, x, y, z);
                    if opacity <= 0.0 {
                        continue;
                    }
                    let mottle = noise.rough(x / 6.0, y / 6.0, z / 6.0);
                    let wall = match &self.anatomy.lobules {
                        Some(lobules) if o.paving > 0.0 => {
                            lobules.at(x + 3.0 * noise.at(x / 17.0, y / 17.0, z / 17.0), y, z)
                        }
                        _ => 0.0,
                    };
                    let patch = smooth(-0.3, 0.25, noise.at(x / 21.0 + 6.0, y / 21.0, z / 21.0));
                    let glass =
                        o.ground_glass + 45.0 * mottle + o.paving * patch * (190.0 * wall - 45.0);
                    let hu = &mut scratch.lung[i];
                    *hu = lerp(*hu, hu.max(glass), opacity);
                    *hu = lerp(*hu, hu.max(o.consolidation + 14.0 * mottle), core);
                    scratch.opacity[i] = scratch.opacity[i].max(opacity);
                    scratch.core[i] = scratch.core[i].max(core);
                }
            }
        }
        for &(centre, radius, hu) in &self.nodules {
            if (z - centre[2]).abs() > 1.4 * radius + 1.0 {
                continue;
            }
            let [rows, columns] = self.window(centre[0], centre[1], 1.5 * radius + 1.0);
            for row in rows {
                for column in columns.clone() {
                    let i = row * nx + column;
                    let [x, y] = self.frame.reference(column as f32, row as f32);
                    let d = ((x - centre[0]).powi(2)
                        + (y - centre[1]).powi(2)
                        + (z - centre[2]).powi(2))
                    .sqrt()
                        + 0.25 * radius * noise.at(x / 4.0, y / 4.0, z / 4.0);
                    let t = smooth(-self.edge, self.edge, radius - d);
                    scratch.lung[i] = lerp(scratch.lung[i], hu.max(scratch.lung[i]), t);
                }
            }
        }
        for scar in &self.scars {
            self.capsule(scar, z, scratch, |hu, share, _| {
                lerp(hu, hu.max(-60.0), 0.75 * share)
            });
        }
        for s in self.segments.iter().filter(|s| !s.airway) {
            self.capsule(s, z, scratch, |hu, share, _| lerp(hu, hu.max(42.0), share));
        }
        let edge = self.edge;
        for s in self.segments.iter().filter(|s| s.airway) {
            self.capsule(s, z, scratch, |hu, share, inside| {
                let radius = inside[1];
                let wall = lerp(hu, hu.max(-20.0), share * smooth(0.6, 1.8, radius));
                let thickness = 0.25 + 0.14 * radius;
                let lumen = smooth(-edge, edge, inside[0] - thickness);
                lerp(wall, -980.0, lumen * (1.6 * radius / (edge + 0.6)).min(1.0))
            });
        }
    }

    /// Applies `f(hu, cover, [depth inside, radius])` to the lung's pixels in a segment.
    fn capsule(
        &self,
        s: &Segment,
        z: f32,
        scratch: &mut Scratch,
        f: impl Fn(f32, f32, [f32; 2]) -> f32,
    ) {
        let reach = s.ra.max(s.rb) + self.edge;
        let (low, high) = (s.a[2].min(s.b[2]), s.a[2].max(s.b[2]));
        if z < low - reach || z > high + reach {
            return;
        }
        let nx = self.shape[2];
        let d = [s.b[0] - s.a[0], s.b[1] - s.a[1], s.b[2] - s.a[2]];
        let inverse = 1.0 / (d[0] * d[0] + d[1] * d[1] + d[2] * d[2]).max(1e-4);
        // Only the part of the axis near this height matters.
        let (mut t0, mut t1) = (0.0f32, 1.0f32);
        if d[2].abs() > 1e-3 {
            let (p, q) = ((z - reach - s.a[2]) / d[2], (z + reach - s.a[2]) / d[2]);
            t0 = p.min(q).clamp(0.0, 1.0);
            t1 = p.max(q).clamp(0.0, 1.0);
        }
        let (ax, ay) = (s.a[0] + t0 * d[0], s.a[1] + t0 * d[1]);
        let (bx, by) = (s.a[0] + t1 * d[0], s.a[1] + t1 * d[1]);
        let half = 0.5 * (bx - ax).hypot(by - ay) + reach;
        let [rows, columns] = self.window(0.5 * (ax + bx), 0.5 * (ay + by), half);
        let peak = |r: f32| (1.5 * r / (self.edge + 0.15)).min(1.0);
        for row in rows {
            for column in columns.clone() {
                let i = row * nx + column;
                if scratch.cover[i] <= 0.0 {
                    continue;
                }
                let [x, y] = self.frame.reference(column as f32, row as f32);
                let q = [x - s.a[0], y - s.a[1], z - s.a[2]];
                let t = ((q[0] * d[0] + q[1] * d[1] + q[2] * d[2]) * inverse).clamp(0.0, 1.0);
                let e = [q[0] - t * d[0], q[1] - t * d[1], q[2] - t * d[2]];
                let away = (e[0] * e[0] + e[1] * e[1] + e[2] * e[2]).sqrt();
                let radius = lerp(s.ra, s.rb, t);
                let inside = radius - away;
                if inside > -self.edge {
                    let share = peak(radius) * smooth(-self.edge, self.edge, inside);
                    scratch.lung[i] = f(scratch.lung[i], share, [inside, radius]);
                }
            }
        }
    }
}
