//! Bronchi that stay open in consolidation.
//!
//! The scan's own bronchi stay dark. Most scans show few of them outside the hila, so a small tree
//! is drawn into most consolidated lesions.

use super::lobes::Lobes;
use super::shape::{Core, Form, ImplantedLesion};
use crate::Side;
use multirnet_base::random::{Random, mix};

/// A tapered piece of lumen, in mm from the variant's first voxel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lumen {
    a: [f32; 3],
    b: [f32; 3],
    ra: f32,
    rb: f32,
}

/// Grows the bronchi of all consolidated lesions that are large enough to show any.
pub(super) fn grow(lesions: &[ImplantedLesion], lobes: &Lobes, seed: u64) -> Vec<Lumen> {
    let mut all = Vec::new();
    for (i, lesion) in lesions.iter().enumerate() {
        let r = &mut Random::new(mix(seed ^ mix(i as u64 + 91)), 44);
        let radius = lesion.radii_mm.iter().product::<f32>().cbrt();
        let shown = match (lesion.core, lesion.form) {
            (Core::None | Core::Ring, _) => false,
            (_, Form::Wedge(..)) => r.chance(0.85),
            _ => radius > 14.0 && r.chance(0.75),
        };
        if !shown {
            continue;
        }
        let hilum = lobes.lungs[usize::from(lesion.side == Side::Left)].hilum();
        let way: [f32; 3] = std::array::from_fn(|a| lesion.centre_mm[a] - hilum[a]);
        let long = length(way).max(1.0);
        // The tree starts near the lesion. Closer to the hilum the scan has its own bronchi.
        let start = (long - 1.3 * radius).clamp(0.4 * long, 0.9 * long) / long;
        let root = std::array::from_fn(|a| hilum[a] + start * way[a]);
        let calibre = r.uniform(1.5, 2.5) as f32;
        let reach = (2.3 * radius).min(75.0);
        branch(root, way.map(|v| v / long), calibre, reach, 0, r, &mut all);
    }
    all
}

fn branch(
    from: [f32; 3],
    way: [f32; 3],
    radius: f32,
    reach: f32,
    depth: usize,
    r: &mut Random,
    all: &mut Vec<Lumen>,
) {
    if depth > 5 || radius < 0.55 || reach < 6.0 {
        return;
    }
    let long = reach * r.uniform(0.2, 0.34) as f32;
    let mut at = from;
    let mut way = way;
    // Two bent pieces lead to the next fork.
    for piece in 0..2 {
        way = unit(std::array::from_fn(|a| way[a] + r.normal(0.0, 0.14) as f32));
        let to = std::array::from_fn(|a| at[a] + 0.5 * long * way[a]);
        let taper = |k: usize| radius * (1.0 - 0.09 * k as f32);
        all.push(Lumen {
            a: at,
            b: to,
            ra: taper(piece),
            rb: taper(piece + 1),
        });
        at = to;
    }
    // The children diverge in a random plane, the smaller one by the wider angle.
    let side = unit(std::array::from_fn(|_| r.normal(0.0, 1.0) as f32));
    let share = r.uniform(0.68, 0.9) as f32;
    for (sign, scale, angle) in [(1.0, share, 0.35), (-1.0, 1.45 - share, 0.75)] {
        let turn = sign * angle * r.uniform(0.7, 1.4) as f32;
        let next = unit(std::array::from_fn(|a| way[a] + turn * side[a]));
        branch(
            at,
            next,
            0.88 * scale * radius,
            reach - long,
            depth + 1,
            r,
            all,
        );
    }
}

fn length(v: [f32; 3]) -> f32 {
    v.iter().map(|c| c * c).sum::<f32>().sqrt()
}

fn unit(v: [f32; 3]) -> [f32; 3] {
    let long = length(v).max(1e-6);
    v.map(|c| c / long)
}

/// Adds to `plane` (rows of `nx`) the share of each voxel of slice `z` that is lumen.
pub(super) fn draw(lumens: &[Lumen], z: f32, spacing_mm: [f32; 3], nx: usize, plane: &mut [f32]) {
    let ny = plane.len() / nx;
    let half = 0.5 * spacing_mm[0];
    let pixel = spacing_mm[2];
    for l in lumens {
        let widest = l.ra.max(l.rb);
        if z < l.a[0].min(l.b[0]) - widest - half || z > l.a[0].max(l.b[0]) + widest + half {
            continue;
        }
        let span = |axis: usize, n: usize| {
            let low = (l.a[axis].min(l.b[axis]) - widest - pixel) / spacing_mm[axis];
            let high = (l.a[axis].max(l.b[axis]) + widest + pixel) / spacing_mm[axis];
            let clamp = |v: f32| v.clamp(0.0, n as f32) as usize;
            clamp(low.floor())..clamp(high.ceil() + 1.0)
        };
        let d: [f32; 3] = std::array::from_fn(|a| l.b[a] - l.a[a]);
        let square = d.iter().map(|v| v * v).sum::<f32>().max(1e-6);
        // A bronchus that runs within a thick slice fills only part of its thickness.
        let steep = (d[0] * d[0] / square).sqrt();
        let part = (2.0 * widest / spacing_mm[0]).min(1.0);
        let part = part + (1.0 - part) * steep;
        for y in span(1, ny) {
            for x in span(2, nx) {
                let p = [z, y as f32 * spacing_mm[1], x as f32 * spacing_mm[2]];
                let v: [f32; 3] = std::array::from_fn(|a| p[a] - l.a[a]);
                let t = ((0..3).map(|a| v[a] * d[a]).sum::<f32>() / square).clamp(0.0, 1.0);
                let off: [f32; 3] = std::array::from_fn(|a| v[a] - t * d[a]);
                // In the inner part of the slice's thickness the height does not matter.
                let up = (off[0].abs() - 0.4 * half).max(0.0);
                let far = (up * up + off[1] * off[1] + off[2] * off[2]).sqrt();
                let radius = l.ra + t * (l.rb - l.ra);
                let cover = ((radius - far) / pixel + 0.5).clamp(0.0, 1.0);
                let at = &mut plane[y * nx + x];
                *at = at.max(part * cover.min(2.0 * radius / pixel));
            }
        }
    }
}
