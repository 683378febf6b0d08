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

/// Divides each lung into thirds of equal height along the patient's superior axis: 1, 2, 3 are
/// the right lung's upper, middle and lower zone, 4, 5, 6 the left lung's, 0 is outside.
///
/// A lung's height runs from the centre of its lowest voxel to that of its highest, in world
/// millimetres. An oblique grid is therefore divided along the patient and not along the array. A
/// border voxel belongs to the upper of its two zones. Labels other than 1 and 2 count as outside.
#[must_use]
pub fn zones(lungs: &Volume<u8>) -> Volume<u8> {
    let geometry = lungs.geometry();
    let [_, ny, nx] = geometry.shape();
    let (spacing, direction) = (geometry.spacing_mm(), geometry.direction());
    let step: [f64; 3] = std::array::from_fn(|a| spacing[a] * direction[a][2]);
    let row =
        |z: usize, y: usize| geometry.origin_mm()[2] + z as f64 * step[0] + y as f64 * step[1];

    let none = || [[f64::INFINITY, f64::NEG_INFINITY]; 2];
    let join = |a: [[f64; 2]; 2], b: [[f64; 2]; 2]| {
        [0, 1].map(|side: usize| [a[side][0].min(b[side][0]), a[side][1].max(b[side][1])])
    };
    let range = lungs
        .data()
        .par_chunks(ny * nx)
        .enumerate()
        .map(|(z, plane)| {
            let mut range = none();
            for (y, line) in plane.chunks_exact(nx).enumerate() {
                for (x, &label) in line.iter().enumerate().filter(|(_, l)| **l != 0) {
                    if let Some(side) = side(label) {
                        let height = row(z, y) + x as f64 * step[2];
                        range[side][0] = range[side][0].min(height);
                        range[side][1] = range[side][1].max(height);
                    }
                }
            }
            range
        })
        .reduce(none, join);

    let mut out = lungs.map(|_| 0u8);
    out.data_mut()
        .par_chunks_mut(ny * nx)
        .zip(lungs.data().par_chunks(ny * nx))
        .enumerate()
        .for_each(|(z, (out, plane))| {
            for (i, &label) in plane.iter().enumerate().filter(|(_, l)| **l != 0) {
                if let Some(side) = side(label) {
                    let [low, high] = range[side];
                    let height = row(z, i / nx) + (i % nx) as f64 * step[2];
                    let depth = (high - height) / (high - low);
                    // The tolerance gives a border to the upper zone in spite of rounding. For a
                    // flat lung `depth` is NaN, which gives the upper zone.
                    let third = if depth > 2.0 / 3.0 + 1e-9 {
                        2
                    } else {
                        u8::from(depth > 1.0 / 3.0 + 1e-9)
                    };
                    out[i] = 1 + 3 * side as u8 + third;
                }
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
