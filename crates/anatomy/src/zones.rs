//! Upper, middle and lower thirds of each lung.

use crate::{LEFT, RIGHT};
use multirnet_volume::Volume;

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
/// millimetres, so that an oblique grid is divided along the patient and not along the array.
/// A border voxel belongs to the upper of its two zones. Other labels than 1 and 2 count as
/// outside.
#[must_use]
pub fn zones(lungs: &Volume<u8>) -> Volume<u8> {
    let geometry = lungs.geometry();
    let [nz, ny, nx] = geometry.shape();
    let (spacing, direction) = (geometry.spacing_mm(), geometry.direction());
    let step: [f64; 3] = std::array::from_fn(|a| spacing[a] * direction[a][2]);
    let row =
        |z: usize, y: usize| geometry.origin_mm()[2] + z as f64 * step[0] + y as f64 * step[1];

    let mut range = [[f64::INFINITY, f64::NEG_INFINITY]; 2];
    for_rows(lungs.data(), [nz, ny, nx], |z, y, line| {
        for (x, &label) in line.iter().enumerate() {
            if let Some(side) = side(label) {
                let height = row(z, y) + x as f64 * step[2];
                range[side][0] = range[side][0].min(height);
                range[side][1] = range[side][1].max(height);
            }
        }
    });

    let mut out = vec![0u8; lungs.data().len()];
    for_rows(lungs.data(), [nz, ny, nx], |z, y, line| {
        let start = (z * ny + y) * nx;
        for (x, &label) in line.iter().enumerate() {
            if let Some(side) = side(label) {
                let [low, high] = range[side];
                let depth = (high - (row(z, y) + x as f64 * step[2])) / (high - low);
                // A border is given to the upper zone in spite of rounding; NaN for a flat lung.
                let third = if depth > 2.0 / 3.0 + 1e-9 {
                    2
                } else {
                    u8::from(depth > 1.0 / 3.0 + 1e-9)
                };
                out[start + x] = 1 + 3 * side as u8 + third;
            }
        }
    });
    let mut result = lungs.map(|_| 0u8);
    result.data_mut().copy_from_slice(&out);
    result
}

fn side(label: u8) -> Option<usize> {
    match label {
        RIGHT => Some(0),
        LEFT => Some(1),
        _ => None,
    }
}

fn for_rows(data: &[u8], [_, ny, nx]: [usize; 3], mut f: impl FnMut(usize, usize, &[u8])) {
    for (i, line) in data.chunks_exact(nx).enumerate() {
        f(i / ny, i % ny, line);
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
