//! The transform of products back to outputs, and the epilogue of the convolution.

use super::plan::Segment;
use super::points::at;
use super::tile::{Tile, by_tile};
use crate::epilogue::{Epilogue, Target};
use crate::simd::{Simd, dispatch};

#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn tiles<S: Simd, const M: usize, const FLAT: bool>(
    m: *const f32,
    columns: usize,
    segments: &[Segment],
    [d, h, w]: [usize; 3],
    buffer: *mut f32,
    channel: usize,
    target: Target,
    epilogue: &Epilogue,
) {
    let alpha = M + 2;
    let depth = if FLAT { 1 } else { 2 };
    // `waiting` holds rows before the transform along x; `lines` holds the chunk's rows of outputs.
    let waiting = buffer;
    let row = M * columns;
    // SAFETY: the buffer has 2 · M · alpha vectors and 2 · M rows of M · columns floats; products
    // are read at every point and column; outputs are written where they lie in the volume.
    unsafe {
        let lines = buffer.add(2 * M * alpha * S::LANES);
        let mut j = 0;
        while j < columns {
            for k in 0..alpha {
                let mut t = [[S::zero(); 6]; 2];
                for p in 0..alpha {
                    let mut x = [S::zero(); 6];
                    for z in 0..if FLAT { 1 } else { 4 } {
                        x[z] = S::load(m.add(((z * alpha + p) * alpha + k) * columns + j));
                    }
                    let x = if FLAT { x } else { at::<S, 2>(x) };
                    t[0][p] = x[0];
                    t[1][p] = x[1];
                }
                for z in 0..depth {
                    let y = at::<S, M>(t[z]);
                    for r in 0..M {
                        S::store(waiting.add(((z * M + r) * alpha + k) * S::LANES), y[r]);
                    }
                }
            }
            for r in 0..depth * M {
                let mut x = [S::zero(); 6];
                for k in 0..alpha {
                    x[k] = S::load(waiting.add((r * alpha + k) * S::LANES));
                }
                let y = at::<S, M>(x);
                let to = lines.add(r * row + M * j);
                if M == 2 {
                    let y = S::interleave([y[0], y[1]]);
                    S::store(to, y[0]);
                    S::store(to.add(S::LANES), y[1]);
                } else {
                    let y = S::interleave([y[0], y[1], y[2], y[3]]);
                    for i in 0..4 {
                        S::store(to.add(i * S::LANES), y[i]);
                    }
                }
            }
            j += S::LANES;
        }
        let volume = d * h * w;
        for s in segments {
            let x = s.x * M;
            let n = (s.width * M).min(w - x);
            for z in 0..depth.min(d - depth * s.z) {
                for y in 0..(s.rows * M).min(h - M * s.y) {
                    let from = lines.add((z * M + y % M) * row + (s.column + y / M * s.width) * M);
                    let at = ((depth * s.z + z) * h + M * s.y + y) * w + x;
                    let to = target
                        .y
                        .0
                        .add(s.image * target.image + channel * volume + at);
                    let residual = epilogue.at(s.image, channel, at);
                    epilogue.row::<S>(from, to, n, channel, residual);
                }
            }
        }
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn output_generic<S: Simd>(
    tile: Tile,
    m: *const f32,
    columns: usize,
    segments: &[Segment],
    size: [usize; 3],
    buffer: *mut f32,
    channel: usize,
    target: Target,
    epilogue: &Epilogue,
) {
    // SAFETY: the caller promises the instruction set and that all positions lie in their arrays.
    unsafe {
        by_tile!(
            tile,
            tiles::<S>(
                m, columns, segments, size, buffer, channel, target, epilogue
            )
        );
    }
}

dispatch! {
    /// Applies `Aᵀ` to one channel's products of a chunk, and then the epilogue.
    ///
    /// # Safety
    /// The processor has `isa`; `m` has `columns` floats at every point; the segments lie in the
    /// tiles of `size`; `buffer` has `Plan::row_floats` floats; the target's and the epilogue's
    /// bounds hold for the channel and size; no other task writes these outputs.
    pub(super) unsafe fn output = output_generic(
        tile: Tile,
        m: *const f32,
        columns: usize,
        segments: &[Segment],
        size: [usize; 3],
        buffer: *mut f32,
        channel: usize,
        target: Target,
        epilogue: &Epilogue,
    )
}
