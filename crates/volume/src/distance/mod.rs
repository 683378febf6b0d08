//! Exact Euclidean distances in millimetres: the distance transform of a mask, and the distances
//! from some voxels only to others.
//!
//! The lower envelope of parabolas (Felzenszwalb and Huttenlocher, "Distance Transforms of
//! Sampled Functions", Theory of Computing 8, 2012), one axis after the other, parallel over
//! planes. Spacing may differ per axis; the axes are taken as orthogonal.

mod between;
mod envelope;
#[cfg(test)]
mod tests;

pub use between::distances_between;

use crate::Volume;
use envelope::Envelope;
use rayon::prelude::*;

/// Distance in millimetres from every voxel's centre to the centre of the nearest voxel of `mask`
/// that is not 0; 0 on the mask itself, infinite everywhere if the mask is empty.
#[must_use]
pub fn distance_to_mask(mask: &Volume<u8>) -> Volume<f32> {
    let squared = squared_distance(mask, |v| v != 0);
    root(squared)
}

/// Distance in millimetres from every voxel of `mask` that is not 0 to the nearest voxel that is
/// 0. It is 0 outside the mask, and infinite everywhere if no voxel lies outside. Space beyond the
/// volume does not count as outside.
#[must_use]
pub fn distance_to_background(mask: &Volume<u8>) -> Volume<f32> {
    let squared = squared_distance(mask, |v| v == 0);
    root(squared)
}

fn root(mut squared: Volume<f32>) -> Volume<f32> {
    squared
        .data_mut()
        .par_chunks_mut(1 << 14)
        .for_each(|chunk| chunk.iter_mut().for_each(|v| *v = v.sqrt()));
    squared
}

/// Squared distance in square millimetres to the nearest voxel for which `target` holds; infinite
/// everywhere if it holds for none.
#[must_use]
pub fn squared_distance(mask: &Volume<u8>, target: impl Fn(u8) -> bool + Sync) -> Volume<f32> {
    let [nz, ny, nx] = mask.shape();
    let [dz, dy, dx] = mask.geometry().spacing_mm();
    let mut plane_wise = mask.map(|_| 0.0f32);
    plane_wise
        .data_mut()
        .par_chunks_mut(ny * nx)
        .zip(mask.data().par_chunks(ny * nx))
        .for_each_init(Envelope::default, |envelope, (out, mask)| {
            for (out, mask) in out.chunks_exact_mut(nx).zip(mask.chunks_exact(nx)) {
                along_row(mask, &target, dx as f32, out);
            }
            let mut column = vec![0.0; ny];
            for x in 0..nx {
                for y in 0..ny {
                    column[y] = out[y * nx + x];
                }
                envelope.transform(&mut column, dy);
                for y in 0..ny {
                    out[y * nx + x] = column[y];
                }
            }
        });
    if nz == 1 {
        return plane_wise;
    }

    // Columns along z are gathered as planes (y; z, x). Each thread then writes its own memory.
    let data = plane_wise.data();
    let mut turned = vec![0.0f32; data.len()];
    turned.par_chunks_mut(nz * nx).enumerate().for_each_init(
        Envelope::default,
        |envelope, (y, out)| {
            let mut column = vec![0.0; nz];
            for x in 0..nx {
                for z in 0..nz {
                    column[z] = data[(z * ny + y) * nx + x];
                }
                envelope.transform(&mut column, dz);
                for z in 0..nz {
                    out[z * nx + x] = column[z];
                }
            }
        },
    );
    plane_wise
        .data_mut()
        .par_chunks_mut(ny * nx)
        .enumerate()
        .for_each(|(z, out)| {
            for (y, line) in out.chunks_exact_mut(nx).enumerate() {
                let from = (y * nz + z) * nx;
                line.copy_from_slice(&turned[from..from + nx]);
            }
        });
    plane_wise
}

/// Squared distances within one row, by one sweep in each direction.
fn along_row(mask: &[u8], target: &impl Fn(u8) -> bool, step: f32, out: &mut [f32]) {
    let mut far = f32::INFINITY;
    for (o, &v) in out.iter_mut().zip(mask) {
        far = if target(v) { 0.0 } else { far + 1.0 };
        *o = far;
    }
    far = f32::INFINITY;
    for (o, &v) in out.iter_mut().zip(mask).rev() {
        far = if target(v) { 0.0 } else { far + 1.0 };
        let nearest = o.min(far) * step;
        *o = nearest * nearest;
    }
}
