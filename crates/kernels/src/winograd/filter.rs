//! Transformed weights.

use super::points::{g, gt};
use super::tile::{Tile, by_tile};
use crate::pointer::Pointer;
use crate::simd::{Isa, Simd, dispatch};
use rayon::prelude::*;

/// Weights `[channels_out, channels_in, 3, 3, 3]` (1 × 3 × 3 for a flat tile), transformed, in the order in which the products
/// read them: `[point][block of output channels][input channel][channel of the block]`. Channels
/// that fill up the last block are zero.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    pub(crate) tile: Tile,
    pub(crate) channels_in: usize,
    pub(crate) channels_out: usize,
    /// Output channels of a block.
    pub(crate) block: usize,
    /// Transformed weights; empty if `pairs` holds them.
    pub(crate) weights: Vec<f32>,
    /// The weights in bf16, as `bf16::products` reads them; empty unless the precision is bf16.
    pub(crate) pairs: Vec<u32>,
}

impl Filter {
    /// Transforms the weights that `get(output, input, tap)` returns.
    pub(crate) fn new(
        isa: Isa,
        tile: Tile,
        channels_in: usize,
        channels_out: usize,
        get: impl Fn(usize, usize, usize) -> f32 + Sync,
    ) -> Self {
        let block = isa.channels();
        let blocks = channels_out.div_ceil(block);
        let points = tile.points();
        let mut weights = vec![0.0; points * blocks * channels_in * block];
        let to = Pointer(weights.as_mut_ptr());
        let point = blocks * channels_in * block;
        (0..blocks).into_par_iter().for_each(|b| {
            let mut taps = [0f32; 27 * 16];
            for c in (0..channels_in).step_by(LINES) {
                let lines = LINES.min(channels_in - c);
                taps.fill(0.0);
                for i in 0..lines {
                    for o in 0..block.min(channels_out - b * block) {
                        for t in 0..tile.taps() {
                            taps[t * 16 + i * block + o] = get(b * block + o, c + i, t);
                        }
                    }
                }
                // SAFETY: the processor has `isa`; only this task writes block `b` of these input
                // channels, `lines · block` floats at each point.
                unsafe {
                    let to = { to }.0.add((b * channels_in + c) * block);
                    transform(isa, tile, taps.as_ptr(), lines * block, to, point);
                }
            }
        });
        Self {
            tile,
            channels_in,
            channels_out,
            block,
            weights,
            pairs: Vec::new(),
        }
    }

    /// The same filter, for products in bf16 if `in_bf16`.
    pub(crate) fn in_precision(mut self, in_bf16: bool) -> Self {
        if in_bf16 {
            self.pairs = self.in_pairs();
            self.weights = Vec::new();
        }
        self
    }

    /// Number of floats of one point.
    pub(crate) fn point_floats(&self) -> usize {
        self.channels_out.div_ceil(self.block) * self.block_floats()
    }

    /// Number of floats of one block of output channels at one point.
    pub(crate) fn block_floats(&self) -> usize {
        self.channels_in * self.block
    }
}

/// Number of input channels that are transformed together.
const LINES: usize = 2;

#[inline(always)]
unsafe fn cube<S: Simd, const M: usize, const FLAT: bool>(
    taps: *const f32,
    n: usize,
    to: *mut f32,
    point: usize,
) {
    let alpha = M + 2;
    let mut j = 0;
    let (planes, levels) = if FLAT { (1, 1) } else { (3, 4) };
    // SAFETY: `taps` holds a row of 16 floats for each weight, `to` has `n` at every point.
    unsafe {
        while j < n {
            let mut a = [[[S::zero(); 6]; 3]; 3];
            for (z, a) in a.iter_mut().enumerate().take(planes) {
                for (y, a) in a.iter_mut().enumerate() {
                    let row = taps.add((z * 3 + y) * 3 * 16 + j);
                    *a = g::<S, M>([S::load(row), S::load(row.add(16)), S::load(row.add(32))]);
                }
            }
            for x in 0..alpha {
                let mut b = [[S::zero(); 6]; 3];
                for z in 0..planes {
                    b[z] = g::<S, M>([a[z][0][x], a[z][1][x], a[z][2][x]]);
                }
                for y in 0..alpha {
                    let c = if FLAT {
                        [b[0][y]; 6]
                    } else {
                        g::<S, 2>([b[0][y], b[1][y], b[2][y]])
                    };
                    for (z, c) in c.into_iter().enumerate().take(levels) {
                        let to = to.add(((z * alpha + y) * alpha + x) * point + j);
                        S::store_part(to, c, S::LANES.min(n - j));
                    }
                }
            }
            j += S::LANES;
        }
    }
}

#[inline(always)]
unsafe fn transform_generic<S: Simd>(
    tile: Tile,
    taps: *const f32,
    n: usize,
    to: *mut f32,
    point: usize,
) {
    // SAFETY: the caller promises the instruction set and that all positions lie in their arrays.
    unsafe {
        by_tile!(tile, cube::<S>(taps, n, to, point));
    }
}

dispatch! {
    /// Applies `G` along the axes of `n` (at most 16) kernels.
    ///
    /// # Safety
    /// The processor has `isa`; `taps` holds 16 floats for each weight; `to` has `n` floats at each point,
    /// `point` apart.
    unsafe fn transform = transform_generic(
        tile: Tile,
        taps: *const f32,
        n: usize,
        to: *mut f32,
        point: usize,
    )
}

#[inline(always)]
unsafe fn cube_back<S: Simd, const M: usize, const FLAT: bool>(
    from: *const f32,
    point: usize,
    n: usize,
    taps: *mut f32,
) {
    let alpha = M + 2;
    let (planes, levels) = if FLAT { (1, 1) } else { (3, 4) };
    let mut j = 0;
    // SAFETY: `from` has `n` floats at every point, `taps` a row of `n` for each weight.
    unsafe {
        while j < n {
            let lanes = S::LANES.min(n - j);
            let mut b = [[[S::zero(); 3]; 3]; 6];
            for (x, b) in b.iter_mut().enumerate().take(alpha) {
                let mut c = [[S::zero(); 3]; 6];
                for (y, c) in c.iter_mut().enumerate().take(alpha) {
                    let mut d = [S::zero(); 6];
                    for (z, d) in d.iter_mut().enumerate().take(levels) {
                        let at = ((z * alpha + y) * alpha + x) * point + j;
                        *d = S::load_part(from.add(at), 0, lanes);
                    }
                    *c = if FLAT { [d[0]; 3] } else { gt::<S, 2>(d) };
                }
                for (z, b) in b.iter_mut().enumerate().take(planes) {
                    *b = gt::<S, M>(c.map(|c| c[z]));
                }
            }
            for z in 0..planes {
                for y in 0..3 {
                    let row = gt::<S, M>(b.map(|b| b[z][y]));
                    for (x, v) in row.into_iter().enumerate() {
                        S::store_part(taps.add(((z * 3 + y) * 3 + x) * n + j), v, lanes);
                    }
                }
            }
            j += S::LANES;
        }
    }
}

#[inline(always)]
unsafe fn transform_back_generic<S: Simd>(
    tile: Tile,
    from: *const f32,
    point: usize,
    n: usize,
    taps: *mut f32,
) {
    // SAFETY: the caller promises the instruction set and that all positions lie in their arrays.
    unsafe {
        by_tile!(tile, cube_back::<S>(from, point, n, taps));
    }
}

dispatch! {
    /// Applies `Gᵀ` along the axes, which gives the gradients of `n` kernels, `[weight][n]`.
    ///
    /// # Safety
    /// The processor has `isa`; `from` has `n` floats at each point, `point` apart; `taps` has
    /// `n` writable ones for each weight.
    pub(super) unsafe fn transform_back = transform_back_generic(
        tile: Tile,
        from: *const f32,
        point: usize,
        n: usize,
        taps: *mut f32,
    )
}
