//! The body with all that it encloses, apart from the couch and the air around it.

use crate::components::{Connectivity, largest};
use crate::morphology::flood_border;
use multirnet_volume::Volume;
use rayon::prelude::*;

/// Denser than this is tissue (or couch); fat lies above.
const SOLID_HU: f32 = -300.0;

/// The body of a canonical scan: its largest solid part, thin plates such as couch and clothes
/// taken away, with everything that this part encloses in an axial plane.
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

/// The voxels of `mask` all of whose six neighbours lie in it; what is beyond the volume does.
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
