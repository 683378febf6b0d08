//! Consolidation that closing cannot reach, found by comparing the two lungs.
//!
//! A lobe without air leaves no trace in the aerated mask, but the chest is nearly symmetric: where
//! the other lung lies, seen in the mirror, this side has lung too, unless heart or liver take its
//! place. The module checks for those two separately.

use super::ribs::RibCage;
use crate::components::{Connectivity, components};
use crate::{LEFT, RIGHT};
use multirnet_volume::Volume;
use multirnet_volume::boxes::box_sum;
use multirnet_volume::morphology::{dilate, erode};
use rayon::prelude::*;

/// Lowest density of bone. The midline is fitted to bone.
const BONE_HU: f32 = 200.0;
/// Half the width in millimetres of the strip that holds spine and sternum.
const STRIP_MM: f64 = 35.0;
/// Reach of the mediastinum from the midline in millimetres: on the right, and on the left, where
/// the aorta runs down beside the spine.
const MEDIASTINUM_MM: [f64; 2] = [28.0, 40.0];
/// Range of the mean density of pleural fluid. Consolidation is denser, or less dense where it
/// still holds some air.
const FLUID_HU: [f32; 2] = [-6.0, 16.0];
/// Highest mean density of fat.
const FAT_HU: f32 = -70.0;
/// Half the width in millimetres of the box over which density is averaged.
const AVERAGE_MM: f64 = 4.0;
/// How much higher the right dome of the diaphragm may stand than the left one, and the left one
/// than the right one, in millimetres.
const DOME_MM: [f64; 2] = [10.0, 0.0];
/// Half the thickness in millimetres below which a region is asymmetry of the chest and not a
/// lesion.
const CORE_MM: f64 = 7.0;
/// Smallest volume of a lesion in millilitres. A smaller region is asymmetry too.
const LEAST_ML: f64 = 15.0;
/// Width of the lung's blurred edge, in millimetres.
const EDGE_MM: f64 = 5.0;
/// Least share of a region's sides that lie against its own lung. A region with less is not a part
/// of the lung.
const TOUCH_SHARE: f64 = 0.12;
/// Shares that identify a dome of the diaphragm, around which the lung folds: more than the first
/// share of its sides lie against its own lung, and less than the second share of its voxels have
/// lung below them.
const DOME_SHARES: [f64; 2] = [0.8, 0.4];

/// The symmetry plane `normal · p = offset` in millimetres, `p = (z, y, x)`.
struct Plane {
    normal: [f64; 3],
    offset: f64,
}

impl Plane {
    fn distance(&self, p: [f64; 3]) -> f64 {
        (0..3).map(|a| self.normal[a] * p[a]).sum::<f64>() - self.offset
    }

    /// The column at which the plane crosses row `y` of the volume's middle slice, in millimetres.
    fn column_mm(&self, lungs: &Volume<u8>, y: f64) -> f64 {
        let [sz, sy, _] = lungs.geometry().spacing_mm();
        let z = lungs.shape()[0] as f64 / 2.0;
        let [nz, ny, nx] = self.normal;
        (self.offset - nz * z * sz - ny * y * sy) / nx
    }

    fn mirror(&self, p: [f64; 3]) -> [f64; 3] {
        let twice = 2.0 * self.distance(p);
        std::array::from_fn(|a| p[a] - twice * self.normal[a])
    }
}

/// Adds the airless regions to `lungs` that the mirrored other lung reveals. `middle` is the
/// patient's middle column.
pub(super) fn add_consolidation(
    hu: &Volume<f32>,
    lungs: &mut Volume<u8>,
    airways: &Volume<u8>,
    middle: f64,
) {
    let Some(plane) = midline(hu, lungs, middle) else {
        return;
    };
    let side = |side| missing(hu, lungs, airways, &plane, side);
    let (right, left) = rayon::join(|| side(RIGHT), || side(LEFT));
    for (side, region) in [(RIGHT, right), (LEFT, left)] {
        let Some(region) = region else { continue };
        for (l, &r) in lungs.data_mut().iter_mut().zip(region.data()) {
            if r != 0 && *l == 0 {
                *l = side;
            }
        }
    }
}

/// The patient's symmetry plane, fitted to the bone around the middle at the height of the lungs.
fn midline(hu: &Volume<f32>, lungs: &Volume<u8>, middle: f64) -> Option<Plane> {
    let [_, ny, nx] = hu.shape();
    let spacing = hu.geometry().spacing_mm();
    let strip = (STRIP_MM / spacing[2]) as usize;
    let from = (middle as usize).saturating_sub(strip);
    let to = (middle as usize + strip).min(nx - 1);
    // Normal equations of x = a + b z + c y.
    let mut m = [[0.0f64; 4]; 3];
    for z in 0..hu.shape()[0] {
        if lungs.plane(z).iter().all(|&v| v == 0) {
            continue;
        }
        for y in 0..ny {
            for x in from..=to {
                if hu.plane(z)[y * nx + x] > BONE_HU {
                    let row = [1.0, z as f64 * spacing[0], y as f64 * spacing[1]];
                    for i in 0..3 {
                        for j in 0..3 {
                            m[i][j] += row[i] * row[j];
                        }
                        m[i][3] += row[i] * x as f64 * spacing[2];
                    }
                }
            }
        }
    }
    if m[0][0] < 50.0 {
        return None;
    }
    let [a, b, c] = solve(m)?;
    // A plane tilted by more than 25° is not the patient's midline: it was fitted to scattered
    // bone.
    if b.abs() > 0.47 || c.abs() > 0.47 {
        return None;
    }
    let length = (1.0 + b * b + c * c).sqrt();
    Some(Plane {
        normal: [-b / length, -c / length, 1.0 / length],
        offset: a / length,
    })
}

/// Solves three linear equations given as rows `[coefficients, right-hand side]`.
fn solve(mut m: [[f64; 4]; 3]) -> Option<[f64; 3]> {
    for i in 0..3 {
        let pivot = (i..3).max_by(|&p, &q| m[p][i].abs().total_cmp(&m[q][i].abs()))?;
        m.swap(i, pivot);
        if m[i][i].abs() < 1e-9 {
            return None;
        }
        for r in 0..3 {
            if r != i {
                let f = m[r][i] / m[i][i];
                let row = m[i];
                m[r].iter_mut().zip(row).for_each(|(v, p)| *v -= f * p);
            }
        }
    }
    Some(std::array::from_fn(|i| m[i][3] / m[i][i]))
}

/// The region that `side` lacks compared with the mirrored other lung, without the parts that heart
/// and diaphragm explain.
fn missing(
    hu: &Volume<f32>,
    lungs: &Volume<u8>,
    airways: &Volume<u8>,
    plane: &Plane,
    side: u8,
) -> Option<Volume<u8>> {
    let other = RIGHT + LEFT - side;
    let [_, ny, nx] = hu.shape();
    let spacing = hu.geometry().spacing_mm();
    let (centre_y, heart_top) = chest_centre(lungs)?;
    let middle = [centre_y * spacing[1], plane.column_mm(lungs, centre_y)];
    let ribs = RibCage::find(hu, middle, BONE_HU);
    let mediastinum = MEDIASTINUM_MM[usize::from(side == LEFT)];
    let dome = DOME_MM[usize::from(side == LEFT)];
    let in_other = |p: [f64; 3]| {
        let q = plane.mirror(p);
        let mut index = [0; 3];
        for a in 0..3 {
            let i = (q[a] / spacing[a]).round();
            if i < 0.0 || i >= lungs.shape()[a] as f64 {
                return false;
            }
            index[a] = i as usize;
        }
        lungs.at(index) == other
    };
    let mut lack = lungs.map(|_| 0u8);
    lack.data_mut()
        .par_chunks_mut(ny * nx)
        .enumerate()
        .for_each(|(z, out)| {
            for y in 0..ny {
                // The heart lies on the left, in front of the chest's middle.
                if side == LEFT && (z as f64) < heart_top && (y as f64) < centre_y {
                    continue;
                }
                for x in 0..nx {
                    let i = y * nx + x;
                    let at = z * ny * nx + i;
                    if lungs.data()[at] != 0 || airways.data()[at] != 0 || hu.data()[at] > BONE_HU {
                        continue;
                    }
                    let p = [
                        z as f64 * spacing[0],
                        y as f64 * spacing[1],
                        x as f64 * spacing[2],
                    ];
                    let off = plane.distance(p);
                    let own = if side == LEFT { off } else { -off };
                    let below = [p[0] - dome, p[1], p[2]];
                    out[i] = u8::from(
                        own > mediastinum
                            && ribs.holds(z, [p[1], p[2]])
                            && in_other(p)
                            && in_other(below),
                    );
                }
            }
        });

    if erode(&lack, CORE_MM).data().iter().all(|&v| v == 0) {
        return None;
    }
    drop_fluid(hu, &mut lack);
    let core = erode(&lack, CORE_MM);
    if core.data().iter().all(|&v| v == 0) {
        return None;
    }
    let mut region = dilate(&core, 1.5 * CORE_MM);
    for (r, &l) in region.data_mut().iter_mut().zip(lack.data()) {
        *r &= l;
    }
    let parts = components(&region, Connectivity::Faces);
    let ml = spacing.iter().product::<f64>() / 1000.0;
    // The lung's blurred edge lies between it and the region.
    let lung = dilate(&lungs.map(|v| u8::from(v == side)), EDGE_MM);
    let contacts = contacts(&parts.labels, parts.sizes.len(), &lung);
    let kept = parts.select(|n, size| {
        let c = &contacts[n as usize - 1];
        let dome = c.lung as f64 > DOME_SHARES[0] * c.sides as f64
            && (c.above_lung as f64) < DOME_SHARES[1] * size as f64;
        let touches = c.lung as f64 > TOUCH_SHARE * c.sides as f64;
        size as f64 * ml >= LEAST_ML && touches && !dome
    });
    if kept.data().iter().all(|&v| v == 0) {
        return None;
    }
    // Closing fills the seam between the lung and the regions found.
    let mut joined = kept.clone();
    for (j, &l) in joined.data_mut().iter_mut().zip(lungs.data()) {
        *j |= u8::from(l == side);
    }
    let mut closed = erode(&dilate(&joined, CORE_MM), CORE_MM);
    for ((c, &l), &v) in closed
        .data_mut()
        .iter_mut()
        .zip(lungs.data())
        .zip(hu.data())
    {
        *c &= u8::from(l == 0 && v <= BONE_HU);
    }
    for (c, &a) in closed.data_mut().iter_mut().zip(airways.data()) {
        *c &= 1 - a.min(1);
    }
    Some(closed)
}

/// Removes voxels from `lack` around which its mean density is that of fluid or fat.
fn drop_fluid(hu: &Volume<f32>, lack: &mut Volume<u8>) {
    let shape = hu.shape();
    let half = hu
        .geometry()
        .spacing_mm()
        .map(|s| (AVERAGE_MM / s).round() as usize);
    let mut count: Vec<f32> = lack.data().iter().map(|&v| f32::from(v)).collect();
    let mut sum: Vec<f32> = count.iter().zip(hu.data()).map(|(c, v)| c * v).collect();
    for (axis, half) in half.into_iter().enumerate() {
        box_sum(&mut count, shape, axis, half);
        box_sum(&mut sum, shape, axis, half);
    }
    for (l, (&c, &s)) in lack.data_mut().iter_mut().zip(count.iter().zip(&sum)) {
        let fluid = s > FLUID_HU[0] * c && s < FLUID_HU[1] * c;
        *l &= u8::from(s > FAT_HU * c && !fluid);
    }
}

/// The lungs' mean row, and the plane above which the heart does not reach: a third of the lungs'
/// height below their top.
fn chest_centre(lungs: &Volume<u8>) -> Option<(f64, f64)> {
    let [_, ny, nx] = lungs.shape();
    let (mut sum, mut count) = (0usize, 0usize);
    let (mut low, mut high) = (usize::MAX, 0);
    for (i, _) in lungs.data().iter().enumerate().filter(|(_, v)| **v != 0) {
        let z = i / (ny * nx);
        sum += i / nx % ny;
        count += 1;
        low = low.min(z);
        high = high.max(z);
    }
    let top = high as f64 - high.saturating_sub(low) as f64 / 3.0;
    (count > 0).then(|| (sum as f64 / count as f64, top))
}

/// How a region touches the lung on its side.
#[derive(Clone, Default)]
struct Contacts {
    /// Number of the region's faces within the axial planes.
    sides: usize,
    /// Number of these faces that lie against the lung.
    lung: usize,
    /// Number of voxels that have the lung somewhere below them.
    above_lung: usize,
}

fn contacts(labels: &Volume<u32>, count: usize, lung: &Volume<u8>) -> Vec<Contacts> {
    let [_, ny, nx] = labels.shape();
    let mut out = vec![Contacts::default(); count];
    let mut lung_below = vec![false; ny * nx];
    let data = labels.data();
    for (i, &n) in data.iter().enumerate() {
        lung_below[i % (ny * nx)] |= lung.data()[i] != 0;
        if n == 0 {
            continue;
        }
        let tally = &mut out[n as usize - 1];
        tally.above_lung += usize::from(lung_below[i % (ny * nx)]);
        let (y, x) = (i / nx % ny, i % nx);
        let around = [
            (x > 0).then(|| i - 1),
            (x + 1 < nx).then_some(i + 1),
            (y > 0).then(|| i - nx),
            (y + 1 < ny).then_some(i + nx),
        ];
        for j in around.into_iter().flatten().filter(|&j| data[j] != n) {
            tally.sides += 1;
            tally.lung += usize::from(lung.data()[j] != 0);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_image_is_as_far_on_the_other_side() {
        let plane = Plane {
            normal: [0.0, 0.6, 0.8],
            offset: 5.0,
        };
        let p = [3.0, 7.0, 11.0];
        let q = plane.mirror(p);
        assert!((plane.distance(p) + plane.distance(q)).abs() < 1e-12);
        let back = plane.mirror(q);
        assert!((0..3).all(|a| (back[a] - p[a]).abs() < 1e-12));
    }

    #[test]
    fn three_equations_are_solved_or_refused() {
        let found = solve([
            [0.0, 2.0, 1.0, 7.0],
            [1.0, 1.0, 0.0, 3.0],
            [2.0, 0.0, 1.0, 5.0],
        ]);
        let [a, b, c] = found.expect("a regular system");
        assert!((a - 1.0).abs() < 1e-9 && (b - 2.0).abs() < 1e-9 && (c - 3.0).abs() < 1e-9);
        assert!(solve([[1.0, 2.0, 3.0, 1.0], [2.0, 4.0, 6.0, 1.0], [0.0; 4]]).is_none());
    }
}
