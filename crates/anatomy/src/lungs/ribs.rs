//! The inner side of the rib cage.

use multirnet_volume::Volume;
use rayon::prelude::*;

/// Directions around the chest's middle.
const DIRECTIONS: usize = 120;
/// Bone nearer to the middle of the chest than this is spine, in millimetres.
const NEAREST_MM: f64 = 45.0;
/// Ribs run obliquely downwards. Planes within this distance together show a closed ring, in
/// millimetres.
const SLAB_MM: f64 = 10.0;
/// Thickness of intercostal muscle and pleura within the ribs' inner edge, in millimetres.
const WALL_MM: f64 = 4.0;

/// Per plane and direction, how far the chest reaches from its middle; 0 where no rib is seen.
pub(super) struct RibCage {
    middle: [f64; 2],
    limit_mm: Vec<[f64; DIRECTIONS]>,
}

impl RibCage {
    /// Looks for ribs denser than `bone_hu` around `middle`, `(y, x)` in millimetres from the
    /// first voxel.
    pub(super) fn find(hu: &Volume<f32>, middle: [f64; 2], bone_hu: f32) -> Self {
        let [nz, _, nx] = hu.shape();
        let [sz, sy, sx] = hu.geometry().spacing_mm();
        let mut nearest = vec![[f64::INFINITY; DIRECTIONS]; nz];
        nearest.par_iter_mut().enumerate().for_each(|(z, nearest)| {
            for (i, _) in hu
                .plane(z)
                .iter()
                .enumerate()
                .filter(|(_, v)| **v > bone_hu)
            {
                let (radius, direction) = polar([
                    (i / nx) as f64 * sy - middle[0],
                    (i % nx) as f64 * sx - middle[1],
                ]);
                if radius > NEAREST_MM {
                    nearest[direction] = nearest[direction].min(radius);
                }
            }
        });
        let slab = (SLAB_MM / sz).round() as usize;
        let around = |z: usize, d: usize, reach: usize| {
            let planes = &nearest[z.saturating_sub(slab)..=(z + slab).min(nz - 1)];
            let turns = (DIRECTIONS + d - reach)..=(DIRECTIONS + d + reach);
            turns
                .flat_map(|t| planes.iter().map(move |p| p[t % DIRECTIONS]))
                .fold(f64::INFINITY, f64::min)
        };
        let limit_mm = (0..nz)
            .into_par_iter()
            .map(|z| {
                std::array::from_fn(|d| {
                    // Looks for ribs within 3° on either side, then within 15°, which bridges a gap
                    // between two ribs.
                    [1, 5]
                        .map(|reach| around(z, d, reach))
                        .into_iter()
                        .find(|r| r.is_finite())
                        .map_or(0.0, |r| r - WALL_MM)
                })
            })
            .collect();
        Self { middle, limit_mm }
    }

    /// Whether a point of plane `z`, `(y, x)` in millimetres from the first voxel, lies within.
    pub(super) fn holds(&self, z: usize, point: [f64; 2]) -> bool {
        let (radius, direction) = polar([point[0] - self.middle[0], point[1] - self.middle[1]]);
        radius < self.limit_mm[z][direction]
    }
}

fn polar([y, x]: [f64; 2]) -> (f64, usize) {
    let turn = y.atan2(x) / std::f64::consts::TAU + 0.5;
    (
        y.hypot(x),
        ((turn * DIRECTIONS as f64) as usize).min(DIRECTIONS - 1),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use multirnet_volume::Geometry;

    #[test]
    fn a_ring_with_gaps_holds_what_is_inside() {
        let geometry = Geometry::axial([9, 100, 100], [4.0, 3.0, 3.0]).expect("a valid grid");
        // A ring of radius 120 mm around (150, 150). Each plane shows every third part of it.
        let hu = Volume::from_fn(geometry, |[z, y, x]| {
            let (y, x) = (y as f64 * 3.0 - 150.0, x as f64 * 3.0 - 150.0);
            let part = (y.atan2(x) * 8.0).floor() as i64 + z as i64;
            let ring = (y.hypot(x) - 120.0).abs() < 4.0 && part.rem_euclid(3) == 0;
            if ring { 500.0 } else { 40.0 }
        });
        let cage = RibCage::find(&hu, [150.0, 150.0], 200.0);
        for turn in 0..36 {
            let (sin, cos) = (f64::from(turn) * 0.1745).sin_cos();
            let at = |r: f64| [150.0 + r * sin, 150.0 + r * cos];
            assert!(cage.holds(4, at(105.0)), "turn {turn}");
            assert!(!cage.holds(4, at(130.0)), "turn {turn}");
        }
    }

    #[test]
    fn without_ribs_nothing_is_within() {
        let geometry = Geometry::axial([2, 10, 10], [4.0; 3]).expect("a valid grid");
        let cage = RibCage::find(&Volume::filled(40.0, geometry), [20.0, 20.0], 200.0);
        assert!(!cage.holds(1, [21.0, 21.0]));
    }
}
