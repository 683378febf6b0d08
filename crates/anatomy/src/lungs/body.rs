//! The body with all that it encloses, apart from the couch and the air around it.

use crate::components::{Connectivity, components, largest};
use multirnet_volume::Volume;
use multirnet_volume::boxes::box_sum;
use multirnet_volume::morphology::{bounds, flood_border};
use rayon::prelude::*;

/// Lowest density of tissue, fat included. The couch is denser than this as well.
const SOLID_HU: f32 = -300.0;
/// How far the mean density of bowel gas may lie above that of the airways' lumen.
const GAS_MARGIN_HU: f32 = 45.0;
/// Allowance for the noise of single voxels, for scans whose grid is too coarse to be averaged.
const NOISE_HU: f32 = 80.0;
/// Distance from a bubble's core within which its wall lies, in millimetres. The core ends a voxel
/// inside the bubble's edge.
const WALL_MM: f64 = 6.0;
/// Smallest core of a bubble that is removed, in millilitres.
const BUBBLE_ML: f64 = 4.0;

/// The body of a canonical scan: its largest solid part without thin plates such as couch and
/// clothes, with everything that this part encloses in an axial plane.
pub(super) fn body(hu: &Volume<f32>) -> Volume<u8> {
    let solid = hu.map(|v| u8::from(v > SOLID_HU));
    let core = largest(&shrink_by_one(&solid), Connectivity::Faces);
    let mut body = grow_within(&grow_within(&core, &solid), &solid);
    let [_, ny, nx] = body.shape();
    body.data_mut()
        .par_chunks_mut(ny * nx)
        .for_each_init(Vec::new, |stack, plane| {
            flood_border(plane, ny, nx, 2, stack);
            plane.iter_mut().for_each(|v| *v = u8::from(*v != 2));
        });
    body
}

/// Air and aerated lung within the body.
pub(super) fn air_within(hu: &Volume<f32>, body: &Volume<u8>, air_hu: f32) -> Volume<u8> {
    let mut air = hu.map(|v| u8::from(v < air_hu));
    air.data_mut()
        .iter_mut()
        .zip(body.data())
        .for_each(|(a, &b)| *a &= b);
    air
}

/// Removes bowel gas from `air`: regions in the planes up to `base` that are about as empty as the
/// airways' lumen (`lumen_hu`), with their rim. Where slices are thick, gas right under the
/// diaphragm would otherwise be connected to the lung.
pub(super) fn remove_gas(hu: &Volume<f32>, air: &mut Volume<u8>, lumen_hu: f32, base: usize) {
    let shape = hu.shape();
    let ml = hu.geometry().voxel_mm3() / 1000.0;
    let planes = (base + 1).min(shape[0]);
    let below = [planes, shape[1], shape[2]];
    let mut mean = hu.data()[..below.iter().product()].to_vec();
    for axis in 0..3 {
        box_sum(&mut mean, below, axis, 1);
    }
    // The mean over 3 × 3 × 3 voxels suppresses noise. At a bubble's edge the box includes the
    // denser wall, so the core leaves the edge out.
    let limit = lumen_hu + GAS_MARGIN_HU;
    let mut core = air.map(|_| 0u8);
    // How many voxels of the box lie in the volume.
    let count = |i: usize, n: usize| 1 + usize::from(i > 0) + usize::from(i + 1 < n);
    let [nz, ny, nx] = below;
    let rows = core.data_mut()[..mean.len()].par_chunks_mut(nx).enumerate();
    rows.with_min_len(64).for_each(|(row, line)| {
        let counts = count(row / ny, nz) * count(row % ny, ny);
        let (air, mean) = (&air.data()[row * nx..], &mean[row * nx..]);
        for (x, c) in line.iter_mut().enumerate() {
            let voxels = (counts * count(x, nx)) as f32;
            *c = u8::from(air[x] != 0 && mean[x] < limit * voxels);
        }
    });
    let mut gas = hu.map(|v| u8::from(v < limit + NOISE_HU));
    for (g, &a) in gas.data_mut().iter_mut().zip(air.data()) {
        *g &= a;
    }
    let parts = components(&core, Connectivity::Faces);
    let bubbles = parts.select(|n, size| {
        size as f64 * ml >= BUBBLE_ML && {
            let part = parts.select(|m, _| m == n);
            !surroundings(&part, air).is_some_and(|(part, air)| within_air(&part, &air))
        }
    });
    if bubbles.data().iter().all(|&v| v == 0) {
        return;
    }
    // Grows each core back to the bubble's edge, then over the rim that the wall blurs.
    let mut grown = grow_within(&grow_within(&bubbles, &gas), &gas);
    grown = grow_within(&grow_within(&grown, air), air);
    for (a, &g) in air.data_mut().iter_mut().zip(grown.data()) {
        *a &= 1 - g;
    }
}

/// Steps from a bubble's core to its wall.
fn wall_steps(grid: &Volume<u8>) -> usize {
    (WALL_MM / grid.geometry().spacing_mm()[2]).round().max(1.0) as usize
}

/// The block around `part` that [`within_air`] examines, cut out of `part` and of `air`.
fn surroundings(part: &Volume<u8>, air: &Volume<u8>) -> Option<(Volume<u8>, Volume<u8>)> {
    let (low, high) = bounds(part)?;
    let room = wall_steps(part) + 2;
    let start: [usize; 3] = low.map(|v| v.saturating_sub(room));
    let shape = std::array::from_fn(|a| (high[a] + room + 1).min(part.shape()[a]) - start[a]);
    Some((part.crop(start, shape).ok()?, air.crop(start, shape).ok()?))
}

/// Whether `part` lies in less empty air, as emphysema does in lung, and not within a wall.
fn within_air(part: &Volume<u8>, air: &Volume<u8>) -> bool {
    let all = part.map(|_| 1);
    let near = (0..wall_steps(part)).fold(part.clone(), |grown, _| grow_within(&grown, &all));
    let far = grow_within(&near, &all);
    let (mut shell, mut airy) = (0usize, 0usize);
    for ((&f, &n), &a) in far.data().iter().zip(near.data()).zip(air.data()) {
        if f != n {
            shell += 1;
            airy += usize::from(a);
        }
    }
    2 * airy > shell
}

/// The voxels of `mask` whose six neighbours all lie in it. Neighbours beyond the volume count as
/// inside.
pub(super) fn shrink_by_one(mask: &Volume<u8>) -> Volume<u8> {
    neighbours(mask, |own, around| own & around)
}

/// `mask` and its six neighbours, as far as they lie in `limit`.
pub(super) fn grow_within(mask: &Volume<u8>, limit: &Volume<u8>) -> Volume<u8> {
    // Growing is shrinking of the complement.
    let complement = mask.map(|v| 1 - v);
    let mut grown = shrink_by_one(&complement);
    grown
        .data_mut()
        .iter_mut()
        .zip(limit.data().iter().zip(mask.data()))
        .for_each(|(g, (&l, &m))| *g = ((1 - *g) & l) | m);
    grown
}

/// Combines each voxel of a 0/1 mask with the conjunction of its six neighbours.
fn neighbours(mask: &Volume<u8>, combine: impl Fn(u8, u8) -> u8 + Sync) -> Volume<u8> {
    let [nz, ny, nx] = mask.shape();
    let plane = ny * nx;
    let data = mask.data();
    let mut out = mask.clone();
    out.data_mut()
        .par_chunks_mut(plane)
        .enumerate()
        .for_each(|(z, target)| {
            for y in 0..ny {
                let at = z * plane + y * nx;
                let row = &data[at..at + nx];
                let other = |ok: bool, from: usize| if ok { &data[from..from + nx] } else { row };
                let (below, above) = (
                    other(z > 0, at.wrapping_sub(plane)),
                    other(z + 1 < nz, at + plane),
                );
                let (front, back) = (
                    other(y > 0, at.wrapping_sub(nx)),
                    other(y + 1 < ny, at + nx),
                );
                for x in 0..nx {
                    let sides = row[x.saturating_sub(1)] & row[(x + 1).min(nx - 1)];
                    let around = below[x] & above[x] & front[x] & back[x] & sides;
                    target[y * nx + x] = combine(row[x], around);
                }
            }
        });
    out
}
