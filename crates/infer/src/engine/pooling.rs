//! Pooling and interpolation of the maps of one image.

use multirnet_nn::PoolWindow;
use rayon::prelude::*;
use std::ops::Range;

fn volume(size: [usize; 3]) -> usize {
    size.iter().product()
}

/// The largest value of each window; NaN counts as the largest, because skipping it would hide a
/// broken net.
pub(super) fn max_pool(
    x: &[f32],
    input: [usize; 3],
    window: PoolWindow,
    out: &mut [f32],
    output: [usize; 3],
) {
    let range = |o: usize, axis: usize| -> Range<usize> {
        let begin = o * window.stride;
        let end = (begin + window.side).saturating_sub(window.padding);
        begin.saturating_sub(window.padding)..end.min(input[axis])
    };
    let [_, h, w] = input;
    out.par_chunks_mut(volume(output))
        .zip(x.par_chunks(volume(input)))
        .for_each(|(out, x)| {
            for (i, row) in out.chunks_exact_mut(output[2]).enumerate() {
                row.fill(f32::NEG_INFINITY);
                for z in range(i / output[1], 0) {
                    for y in range(i % output[1], 1) {
                        let from = &x[(z * h + y) * w..][..w];
                        for (col, o) in row.iter_mut().enumerate() {
                            for v in &from[range(col, 2)] {
                                if *v > *o || v.is_nan() {
                                    *o = *v;
                                }
                            }
                        }
                    }
                }
            }
        });
}

/// The mean over cubes of `side` voxels. A remainder at the far end of an axis is dropped.
pub(super) fn average(
    x: &[f32],
    input: [usize; 3],
    side: usize,
    out: &mut [f32],
    output: [usize; 3],
) {
    let [_, h, w] = input;
    let share = 1.0 / side.pow(3) as f32;
    out.par_chunks_mut(volume(output))
        .zip(x.par_chunks(volume(input)))
        .for_each(|(out, x)| {
            for (i, row) in out.chunks_exact_mut(output[2]).enumerate() {
                row.fill(0.0);
                let (z, y) = (i / output[1] * side, i % output[1] * side);
                for line in (0..side * side).map(|k| (z + k / side) * h + y + k % side) {
                    for (o, cube) in row.iter_mut().zip(x[line * w..][..w].chunks_exact(side)) {
                        *o += cube.iter().sum::<f32>();
                    }
                }
                row.iter_mut().for_each(|o| *o *= share);
            }
        });
}

/// Trilinear upsampling by 2 between voxel centres, as `multirnet_nn::layers::trilinear_up2`.
pub(super) fn trilinear(x: &[f32], [d, h, w]: [usize; 3], out: &mut [f32]) {
    out.par_chunks_mut(8 * d * h * w)
        .zip(x.par_chunks(d * h * w))
        .for_each(|(out, x)| {
            // Planes first, then the rows within the planes, then the values within the rows.
            let mut planes = vec![0.0; 2 * d * h * w];
            doubled(x, h * w, &mut planes);
            let mut rows = vec![0.0; 4 * d * h * w];
            for (from, to) in planes
                .chunks_exact(h * w)
                .zip(rows.chunks_exact_mut(2 * h * w))
            {
                doubled(from, w, to);
            }
            for (from, to) in rows.chunks_exact(w).zip(out.chunks_exact_mut(2 * w)) {
                doubled(from, 1, to);
            }
        });
}

/// Doubles the number of items of `item` values each. Each new item lies a quarter before or after
/// an old one.
fn doubled(x: &[f32], item: usize, out: &mut [f32]) {
    let count = x.len() / item;
    for (o, to) in out.chunks_exact_mut(item).enumerate() {
        let near = o / 2;
        let far = match o % 2 {
            0 => near.saturating_sub(1),
            _ => (near + 1).min(count - 1),
        };
        let (near, far) = (&x[near * item..][..item], &x[far * item..][..item]);
        for ((o, near), far) in to.iter_mut().zip(near).zip(far) {
            *o = 0.75 * near + 0.25 * far;
        }
    }
}
