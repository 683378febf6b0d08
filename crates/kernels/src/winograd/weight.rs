//! The gradient of the weights: `Gᵀ [Σ_tiles (A g) ⊙ (Bᵀ x)]` at each point.
//!
//! Chunks are split into parts that depend on the shape alone. Each part has its own sums, and
//! these are added in order. Results are therefore bit-identical for any number of threads.

use super::filter::transform_back;
use super::input::{Of, transform};
use super::plan::Gathers;
use super::{Plan, channel_floats, split};
use crate::epilogue::EpilogueSource;
use crate::pointer::Pointer;
use crate::scratch::Scratch;
use crate::simd::{Isa, Simd, dispatch};
use rayon::prelude::*;

/// The number of input channels is rounded up to a multiple of this.
const LINE: usize = 16;
/// Most parts that the chunks are split into.
const PARTS: usize = 16;
/// Most floats of the parts' sums (32 MiB).
const SUMS: usize = 8 << 20;

impl Plan {
    /// The gradient of weights `[co, ci, 3, 3, 3]` (1 × 3 × 3 for a flat tile), given the input and the output's gradient.
    ///
    /// # Panics
    /// If a slice is shorter than the plan's shape, or if the plan's lanes are not a multiple of
    /// 16.
    pub(crate) fn weight_grad(
        &self,
        isa: Isa,
        x: EpilogueSource,
        ci: usize,
        g: EpilogueSource,
        co: usize,
    ) -> Vec<f32> {
        let volume: usize = self.size.iter().product();
        assert!(self.lanes.is_multiple_of(LINE));
        x.check(self.batch, ci, volume);
        g.check(self.batch, co, volume);
        let points = self.tile.points();
        let (wide, high) = (
            ci.next_multiple_of(LINE),
            co.next_multiple_of(isa.channels()),
        );
        let point = wide * high;
        let chunks = self.chunks();
        let parts = (SUMS / (points * point))
            .clamp(1, PARTS)
            .min(chunks.div_ceil(4));
        let gathers = self.gathers(isa.lanes());
        let mut sums = Scratch::take(parts * points * point);
        sums.par_chunks_mut(points * point)
            .enumerate()
            .for_each(|(part, sums)| {
                sums.fill(0.0);
                for i in part * chunks / parts..(part + 1) * chunks / parts {
                    self.add_chunk(isa, i, x, ci, g, co, parts, &gathers, sums);
                }
            });
        let (first, rest) = sums.split_at_mut(points * point);
        let first = Pointer(first.as_mut_ptr());
        let rest = &*rest;
        let weights = self.tile.taps();
        let mut dw = vec![0.0; co * ci * weights];
        dw.par_chunks_mut(ci * weights)
            .enumerate()
            .for_each(|(o, dw)| {
                // SAFETY: only this task uses row `o` of every point.
                let row = |p: usize| unsafe {
                    std::slice::from_raw_parts_mut({ first }.0.add(p * point + o * wide), wide)
                };
                for p in 0..points {
                    for part in rest.chunks_exact(points * point) {
                        let part = &part[p * point + o * wide..][..wide];
                        row(p).iter_mut().zip(part).for_each(|(a, b)| *a += b);
                    }
                }
                let mut taps = [0f32; 27 * LINE];
                for (i, dw) in dw.chunks_mut(weights * LINE).enumerate() {
                    let n = dw.len() / weights;
                    // SAFETY: the processor has `isa`; row `o` of every point has `n` floats from
                    // `i · LINE` on.
                    unsafe {
                        let from = row(0).as_ptr().add(i * LINE);
                        transform_back(isa, self.tile, from, point, n, taps.as_mut_ptr());
                    }
                    for (c, dw) in dw.chunks_exact_mut(weights).enumerate() {
                        for (t, v) in dw.iter_mut().enumerate() {
                            *v = taps[t * n + c];
                        }
                    }
                }
            });
        dw
    }

    #[allow(clippy::too_many_arguments)]
    fn add_chunk(
        &self,
        isa: Isa,
        i: usize,
        x: EpilogueSource,
        ci: usize,
        g: EpilogueSource,
        co: usize,
        parts: usize,
        gathers: &Gathers,
        sums: &mut [f32],
    ) {
        let volume: usize = self.size.iter().product();
        let points = self.tile.points();
        let (wide, high) = (
            ci.next_multiple_of(LINE),
            co.next_multiple_of(isa.channels()),
        );
        let chunk = self.chunk(i);
        let columns = chunk.vectors * self.lanes;
        let used = chunk
            .segments
            .last()
            .map_or(0, |s| s.column + s.rows * s.width);
        let channel = channel_floats(points, columns);
        let mut v = Scratch::take(wide * channel);
        let mut m = Scratch::take(high * channel);
        // Columns and channels that no tile fills must not reach the sums.
        let clear = |values: &mut [f32], channels: usize| {
            let (filled, rest) = values.split_at_mut(channels * channel);
            rest.fill(0.0);
            if used < columns {
                for lines in filled.chunks_exact_mut(channel) {
                    for line in lines.chunks_exact_mut(columns).take(points) {
                        line[used..].fill(0.0);
                    }
                }
            }
        };
        clear(&mut v, ci);
        clear(&mut m, co);
        let parts = if parts > 1 {
            1
        } else {
            rayon::current_num_threads()
        };
        let both = [(ci, x, &mut v, Of::Input), (co, g, &mut m, Of::Gradient)];
        for (channels, from, to, of) in both {
            let to = Pointer(to.as_mut_ptr());
            split(channels, parts, |channels| {
                let mut rows = Scratch::take(self.row_floats());
                let rows = rows.as_mut_ptr();
                for s in &chunk.segments {
                    for c in channels.clone() {
                        let from = from.x[s.image * from.image + c * volume..].as_ptr();
                        // SAFETY: the processor has `isa`; the segment lies in the plan's tiles,
                        // channels in the sources as asserted; `v` and `m` have `columns` for
                        // every point and channel, each written by one task; `rows` has
                        // `row_floats` floats.
                        unsafe {
                            let to = { to }.0.add(c * channel + s.column);
                            let gather = gathers.of(s);
                            transform(
                                isa, self.tile, of, from, self.size, s, gather, rows, to, columns,
                            );
                        }
                    }
                }
            });
        }
        let (v, m) = (&*v, &*m);
        let sums = Pointer(sums.as_mut_ptr());
        split(points, parts, |points| {
            let mut turned = Scratch::take(wide * columns);
            let p = points.start;
            // SAFETY: the processor has `isa`; all four arrays have the required sizes, and one
            // task adds to the sums of a point.
            unsafe {
                outer_products(
                    isa,
                    points.len(),
                    v[p * columns..].as_ptr(),
                    wide,
                    m[p * columns..].as_ptr(),
                    high,
                    columns,
                    channel,
                    turned.as_mut_ptr(),
                    { sums }.0.add(p * high * wide),
                );
            }
        });
    }
}

/// Adds to `OC` rows of `NV` vectors of sums.
///
/// # Safety
/// `v` has `columns` rows of `wide` floats, `m` `OC` rows of `columns` (`channel` apart), `sums`
/// `OC` of `wide`.
#[inline(always)]
unsafe fn block<S: Simd, const OC: usize, const NV: usize>(
    v: *const f32,
    wide: usize,
    m: *const f32,
    channel: usize,
    columns: usize,
    sums: *mut f32,
) {
    // SAFETY: the caller promises the instruction set and that all positions lie in their arrays.
    unsafe {
        let mut acc = [[S::zero(); NV]; OC];
        for (o, row) in acc.iter_mut().enumerate() {
            for (j, a) in row.iter_mut().enumerate() {
                *a = S::load(sums.add(o * wide + j * S::LANES));
            }
        }
        for t in 0..columns {
            let mut x = [S::zero(); NV];
            for (j, x) in x.iter_mut().enumerate() {
                *x = S::load(v.add(t * wide + j * S::LANES));
            }
            for (o, row) in acc.iter_mut().enumerate() {
                let g = S::splat(*m.add(o * channel + t));
                for (a, x) in row.iter_mut().zip(x) {
                    *a = S::fma(g, x, *a);
                }
            }
        }
        for (o, row) in acc.iter().enumerate() {
            for (j, a) in row.iter().enumerate() {
                S::store(sums.add(o * wide + j * S::LANES), *a);
            }
        }
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn outer_products_generic<S: Simd>(
    points: usize,
    v: *const f32,
    wide: usize,
    m: *const f32,
    high: usize,
    columns: usize,
    channel: usize,
    turned: *mut f32,
    sums: *mut f32,
) {
    for p in 0..points {
        // SAFETY: the caller's promise; all sizes are multiples of 16 or of the block's rows.
        unsafe {
            let v = v.add(p * columns);
            for c in (0..wide).step_by(16) {
                for t in (0..columns).step_by(16) {
                    let to = turned.add(t * wide + c);
                    S::transpose16(v.add(c * channel + t), channel, to, wide);
                }
            }
            for o in (0..high).step_by(S::CHANNELS) {
                let m = m.add(o * channel + p * columns);
                let sums = sums.add((p * high + o) * wide);
                let mut c = 0;
                while c < wide {
                    let (v, sums) = (turned.add(c), sums.add(c));
                    macro_rules! run {
                        ($oc:literal) => {
                            match (wide - c) / S::LANES {
                                1 => (block::<S, $oc, 1>(v, wide, m, channel, columns, sums), 1),
                                2 | 4 => {
                                    (block::<S, $oc, 2>(v, wide, m, channel, columns, sums), 2)
                                }
                                _ => (block::<S, $oc, 3>(v, wide, m, channel, columns, sums), 3),
                            }
                        };
                    }
                    let ((), n) = if S::CHANNELS == 8 { run!(8) } else { run!(4) };
                    c += n * S::LANES;
                }
            }
        }
    }
}

dispatch! {
    /// `sums[p][o][c] += Σ_t m[p][o][t] · v[p][c][t]`.
    ///
    /// # Safety
    /// The processor has `isa`; `v` holds `[wide][points][columns]` and `m`
    /// `[high][points][columns]`, their channels `channel` floats apart; `sums` holds
    /// `[points][high][wide]`, `turned` `wide · columns` floats; `wide` and `columns` are multiples
    /// of 16, `high` is a multiple of the block's channels.
    unsafe fn outer_products = outer_products_generic(
        points: usize,
        v: *const f32,
        wide: usize,
        m: *const f32,
        high: usize,
        columns: usize,
        channel: usize,
        turned: *mut f32,
        sums: *mut f32,
    )
}
