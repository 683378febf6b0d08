//! Upper, middle and lower thirds of each lung.

use crate::{LEFT, RIGHT};
use multirnet_volume::Volume;
use rayon::prelude::*;

/// Names of the zones 1..=6.
pub const ZONE_NAMES: [&str; 6] = [
    "right upper",
    "right middle",
    "right lower",
    "left upper",
    "left middle",
    "left lower",
];

/// The thirds of equal height of each lung along the patient's superior axis: 1, 2, 3 are the right
/// lung's upper, middle and lower zone, 4, 5, 6 the left lung's, 0 is outside.
///
/// A lung's height runs from the centre of its lowest voxel to that of its highest, in world
/// millimetres. An oblique grid is therefore divided along the patient and not along the array. A
/// border voxel belongs to the upper of its two zones. Labels other than 1 and 2 count as outside.
#[derive(Debug, Clone)]
pub struct Thirds {
    /// Height of the first voxel, and of a step along each axis, in millimetres.
    origin: f64,
    step: [f64; 3],
    /// Lowest and highest centre of each lung.
    range: [[f64; 2]; 2],
}

impl Thirds {
    /// The thirds of `lungs`.
    #[must_use]
    pub fn of(lungs: &Volume<u8>) -> Self {
        let geometry = lungs.geometry();
        let [_, ny, nx] = geometry.shape();
        let (spacing, direction) = (geometry.spacing_mm(), geometry.direction());
        let none = [[f64::INFINITY, f64::NEG_INFINITY]; 2];
        let mut thirds = Self {
            origin: geometry.origin_mm()[2],
            step: std::array::from_fn(|a| spacing[a] * direction[a][2]),
            range: none,
        };
        let join = |a: [[f64; 2]; 2], b: [[f64; 2]; 2]| {
            [0, 1].map(|side: usize| [a[side][0].min(b[side][0]), a[side][1].max(b[side][1])])
        };
        let of_plane = |(z, plane): (usize, &[u8])| {
            let mut range = none;
            if thirds.is_level() {
                let height = thirds.height([z, 0, 0]);
                for (range, label) in range.iter_mut().zip([RIGHT, LEFT]) {
                    if plane.contains(&label) {
                        *range = [height; 2];
                    }
                }
                return range;
            }
            for (i, &label) in plane.iter().enumerate().filter(|(_, l)| **l != 0) {
                if let Some(side) = side(label) {
                    let height = thirds.height([z, i / nx, i % nx]);
                    range[side] = [range[side][0].min(height), range[side][1].max(height)];
                }
            }
            range
        };
        let planes = lungs.data().par_chunks(ny * nx).enumerate();
        thirds.range = planes.map(of_plane).reduce(|| none, join);
        thirds
    }

    /// Whether all voxels of a plane have one height, as in an axial scan. A plane then has one zone of
    /// each lung.
    #[must_use]
    pub fn is_level(&self) -> bool {
        self.step[1] == 0.0 && self.step[2] == 0.0
    }

    fn height(&self, index: [usize; 3]) -> f64 {
        let steps = index.into_iter().zip(self.step);
        steps.fold(self.origin, |sum, (i, step)| sum + i as f64 * step)
    }

    /// The zone of a voxel whose label in the lung mask is `label`.
    #[must_use]
    pub fn zone(&self, label: u8, index: [usize; 3]) -> u8 {
        let Some(side) = side(label) else {
            return 0;
        };
        let [low, high] = self.range[side];
        let depth = (high - self.height(index)) / (high - low);
        // The tolerance gives a border to the upper zone in spite of rounding. For a flat lung
        // `depth` is NaN, which gives the upper zone.
        let third = if depth > 2.0 / 3.0 + 1e-9 {
            2
        } else {
            u8::from(depth > 1.0 / 3.0 + 1e-9)
        };
        1 + 3 * side as u8 + third
    }
}

/// The zone of each voxel, by the [`Thirds`] of `lungs`.
#[must_use]
pub fn zones(lungs: &Volume<u8>) -> Volume<u8> {
    let [_, ny, nx] = lungs.shape();
    let thirds = Thirds::of(lungs);
    let mut out = lungs.map(|_| 0u8);
    out.data_mut()
        .par_chunks_mut(ny * nx)
        .zip(lungs.data().par_chunks(ny * nx))
        .enumerate()
        .for_each(|(z, (out, plane))| {
            for (i, &label) in plane.iter().enumerate().filter(|(_, l)| **l != 0) {
                out[i] = thirds.zone(label, [z, i / nx, i % nx]);
            }
        });
    out
}

fn side(label: u8) -> Option<usize> {
    match label {
        RIGHT => Some(0),
        LEFT => Some(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use multirnet_volume::{Geometry, Orientation};

    /// A right lung of 9 planes and a left lung of 6 that starts one plane higher.
    fn lungs() -> Volume<u8> {
        let geometry = Geometry::axial([12, 1, 4], [2.0, 1.0, 1.0]).expect("a valid grid");
        Volume::from_fn(geometry, |[z, _, x]| match x {
            0 if (1..10).contains(&z) => RIGHT,
            3 if (2..8).contains(&z) => LEFT,
            _ => 0,
        })
    }

    #[test]
    fn each_lung_has_its_own_thirds() {
        let found = zones(&lungs());
        let column = |x: usize| (0..12).map(|z| found.at([z, 0, x])).collect::<Vec<_>>();
        // Centres of the right lung at 2..=18 mm: the borders lie at 7.33 and 12.67 mm.
        assert_eq!(column(0), [0, 3, 3, 3, 2, 2, 2, 1, 1, 1, 0, 0]);
        // Centres of the left lung at 4..=14 mm: the borders lie at 7.33 and 10.67 mm.
        assert_eq!(column(3), [0, 0, 6, 6, 5, 5, 4, 4, 0, 0, 0, 0]);
        assert_eq!(column(1), [0; 12]);
    }

    #[test]
    fn thirds_follow_the_patient_in_all_orientations() {
        let lungs = lungs();
        let reference = zones(&lungs);
        for orientation in Orientation::all() {
            let turned = zones(&lungs.reorient(orientation));
            assert_eq!(turned.reorient(Orientation::CANONICAL), reference);
        }
    }

    #[test]
    fn a_flat_lung_is_its_upper_zone_and_other_labels_are_none() {
        let geometry = Geometry::axial([1, 1, 3], [2.0, 1.0, 1.0]).expect("a valid grid");
        let flat = Volume::new(vec![1u8, 2, 7], geometry).expect("three voxels");
        assert_eq!(zones(&flat).data(), [1, 4, 0]);
    }
}
