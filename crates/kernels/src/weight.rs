//! The gradient of weights and biases.
//!
//! Sums run over chunks of planes that depend on the shape alone. Each chunk has its own partial
//! sums, and these are added in order. Results are therefore bit-identical for any number of
//! threads.

use rayon::prelude::*;

use crate::conv::{Conv, LARGE_PLANE};
use crate::epilogue::EpilogueSource;
use crate::error::{Error, Result};
use crate::pack::{Grid, SLACK, pack, pack_rows};
use crate::scratch::Scratch;
use crate::simd::{Simd, dispatch};
use crate::winograd::Plan;

/// Number of positions of one chunk. Four channels of gradients and two of input then fit the L2
/// cache.
const CHUNK: usize = 10_000;
/// Most floats of partial sums (16 MiB).
const PARTIAL: usize = 4 << 20;
/// Number of output channels of one task.
const BLOCK: usize = 4;

impl Conv {
    /// The gradient of the weights, given the input and the gradient of the output.
    ///
    /// # Errors
    /// `Mismatch` if an array has another length than the shape.
    pub fn weight_grad(&self, x: &[f32], g: &[f32]) -> Result<Vec<f32>> {
        Error::check_len("the input", x.len(), self.input_len())?;
        Error::check_len("the output's gradient", g.len(), self.output_len())?;
        let [d, h, w] = self.output();
        let (ci, co) = (self.channels_in, self.channels_out);
        let cycles = |plan: &Plan| plan.weight_grad_cycles(ci, co);
        if let Some(plan) = self.winograd(16, LARGE_PLANE, cycles) {
            let x = EpilogueSource {
                x,
                image: ci * d * h * w,
            };
            let g = EpilogueSource {
                x: g,
                image: co * d * h * w,
            };
            return Ok(plan.weight_grad(self.isa(), x, ci, g, co));
        }
        let direct = self.is_pointwise() && (h * w).is_multiple_of(16);
        let (grid, taps) = if direct {
            let size = [d, 1, h * w];
            let stride = [1; 3];
            (Grid { size, stride }, vec![0])
        } else {
            (self.input_grid(), self.input_taps())
        };
        let pitch = grid.size[2];
        let line = if direct {
            h * w
        } else {
            ((h - 1) * pitch + w).next_multiple_of(16)
        };
        let per_chunk = (CHUNK / line)
            .max((self.batch * d * self.weight_len()).div_ceil(PARTIAL))
            .max(1);
        let (x_image, g_image) = (self.input_len() / self.batch, co * d * h * w);
        let group = if direct {
            self.batch
        } else {
            self.group(ci * grid.channel() + co * d * line)
        };
        let packed = |n: usize, per_image: usize| {
            if direct { 0 } else { n * per_image + SLACK }
        };
        let mut x_buffer = Scratch::take(packed(group, ci * grid.channel()));
        let mut g_buffer = Scratch::take(packed(group, co * d * line));
        let mut total = vec![0.0; self.weight_len()];
        for (x, g) in x.chunks(group * x_image).zip(g.chunks(group * g_image)) {
            let n = x.len() / x_image;
            let (x, g) = if direct {
                (x, g)
            } else {
                let to = &mut x_buffer[..packed(n, ci * grid.channel())];
                let (padding, kernel) = (self.borders(), self.kernel_shape());
                pack(self.isa(), x, self.input, padding, kernel, grid, to);
                pack_rows(g, [d, h, w], pitch, line, &mut g_buffer);
                (&*to, &g_buffer[..n * co * d * line])
            };
            let slices: Vec<Slice> = (0..n * d)
                .map(|i| Slice {
                    x: i / d * ci * grid.channel() + i % d * grid.plane(),
                    g: (i / d * co * d + i % d) * line,
                })
                .collect();
            // The kernel's raw pointers rely on these bounds.
            let reach = taps.iter().max().copied().unwrap_or(0);
            assert!(slices.iter().all(|s| {
                s.x + (ci - 1) * grid.channel() + reach + line <= x.len()
                    && s.g + ((co - 1) * d + 1) * line <= g.len()
            }));
            let chunks = slices.len().div_ceil(per_chunk);
            let mut partial = Scratch::take(chunks * self.weight_len());
            partial
                .par_chunks_mut(self.weight_len())
                .zip(slices.par_chunks(per_chunk))
                .for_each(|(partial, slices)| {
                    partial
                        .par_chunks_mut(BLOCK * ci * taps.len())
                        .enumerate()
                        .for_each(|(b, dw)| {
                            let oc = dw.len() / (ci * taps.len());
                            let mut vectors = Scratch::take(taps.len() * 2 * BLOCK * WIDEST);
                            // SAFETY: the processor has `isa`; the slices lie within `x` and
                            // `g` as asserted above, and `dw` has oc · ci · taps floats.
                            unsafe {
                                sums(
                                    self.isa(),
                                    x.as_ptr(),
                                    grid.channel(),
                                    g[b * BLOCK * d * line..].as_ptr(),
                                    d * line,
                                    slices,
                                    line,
                                    ci,
                                    oc,
                                    &taps,
                                    dw.as_mut_ptr(),
                                    &mut vectors,
                                );
                            }
                        });
                });
            total
                .par_chunks_mut(1024)
                .enumerate()
                .for_each(|(i, total)| {
                    for partial in partial.chunks_exact(self.weight_len()) {
                        let partial = &partial[i * 1024..][..total.len()];
                        total.iter_mut().zip(partial).for_each(|(t, p)| *t += p);
                    }
                });
        }
        Ok(total)
    }
}

/// Offsets of one plane in the packed input and gradients.
#[derive(Clone, Copy)]
struct Slice {
    x: usize,
    g: usize,
}

/// Number of positions of one run of the register tile. Four channels of gradients and two of
/// input, with the rows that the taps reach, then stay in the L1 cache for all taps.
const RUN: usize = 768;

/// Lanes of the widest instruction set.
const WIDEST: usize = 16;

/// Adds the products of `OC` output channels, `IC` input channels and `T` taps over `line`
/// positions to the vectors at `sums`.
///
/// # Safety
/// `line` is a multiple of the lanes; `x` (at every tap and channel) and `g` (at every channel)
/// have `line` readable floats, `sums` `IC · T · OC` vectors.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn tile<S: Simd, const OC: usize, const IC: usize, const T: usize>(
    x: *const f32,
    x_channel: usize,
    g: *const f32,
    g_channel: usize,
    line: usize,
    taps: &[usize],
    sums: *mut f32,
) {
    // SAFETY: offsets stay within what the caller promises.
    unsafe {
        let at = |c: usize, t: usize, o: usize| sums.add(((c * T + t) * OC + o) * S::LANES);
        let mut acc = [[[S::zero(); OC]; T]; IC];
        for (c, acc) in acc.iter_mut().enumerate() {
            for (t, acc) in acc.iter_mut().enumerate() {
                for (o, a) in acc.iter_mut().enumerate() {
                    *a = S::load(at(c, t, o));
                }
            }
        }
        let mut p = 0;
        while p < line {
            let mut gv = [S::zero(); OC];
            for (o, v) in gv.iter_mut().enumerate() {
                *v = S::load(g.add(o * g_channel + p));
            }
            for (c, acc) in acc.iter_mut().enumerate() {
                for (t, acc) in acc.iter_mut().enumerate() {
                    let xv = S::load(x.add(c * x_channel + *taps.get_unchecked(t) + p));
                    for (a, v) in acc.iter_mut().zip(gv) {
                        *a = S::fma(xv, v, *a);
                    }
                }
            }
            p += S::LANES;
        }
        for (c, acc) in acc.iter().enumerate() {
            for (t, acc) in acc.iter().enumerate() {
                for (o, a) in acc.iter().enumerate() {
                    S::store(at(c, t, o), *a);
                }
            }
        }
    }
}

/// All taps of `OC` output channels times `IC` input channels.
///
/// # Safety
/// The conditions of [`sums`] hold for these channels.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn block<S: Simd, const OC: usize, const IC: usize>(
    x: *const f32,
    x_channel: usize,
    g: *const f32,
    g_channel: usize,
    slices: &[Slice],
    line: usize,
    taps: &[usize],
    dw: *mut f32,
    dw_channel: usize,
    vectors: &mut [f32],
) {
    let per_tap = IC * OC * S::LANES;
    let vectors = &mut vectors[..taps.len() * per_tap];
    vectors.fill(0.0);
    let acc = vectors.as_mut_ptr();
    for slice in slices {
        let mut p = 0;
        while p < line {
            let run = (line - p).min(RUN);
            let mut t = 0;
            while t < taps.len() {
                // SAFETY: runs and taps are parts of the range that the caller promises; `acc`
                // holds a vector for every product of taps and channels.
                unsafe {
                    let (x, g) = (x.add(slice.x + p), g.add(slice.g + p));
                    let acc = acc.add(t * per_tap);
                    let taps = &taps[t..];
                    t += match taps.len() {
                        1 => {
                            tile::<S, OC, IC, 1>(x, x_channel, g, g_channel, run, taps, acc);
                            1
                        }
                        2 => {
                            tile::<S, OC, IC, 2>(x, x_channel, g, g_channel, run, taps, acc);
                            2
                        }
                        _ => {
                            tile::<S, OC, IC, 3>(x, x_channel, g, g_channel, run, taps, acc);
                            3
                        }
                    };
                }
            }
            p += run;
        }
    }
    let mut t = 0;
    while t < taps.len() {
        let n = (taps.len() - t).min(3);
        for k in 0..n {
            for c in 0..IC {
                for o in 0..OC {
                    // SAFETY: the vector lies within `acc`, in the order of `tile`; `dw` has a
                    // place for every product.
                    unsafe {
                        let from = acc.add(t * per_tap + ((c * n + k) * OC + o) * S::LANES);
                        *dw.add(o * dw_channel + c * taps.len() + t + k) = S::sum(S::load(from));
                    }
                }
            }
        }
        t += n;
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn sums_generic<S: Simd>(
    x: *const f32,
    x_channel: usize,
    g: *const f32,
    g_channel: usize,
    slices: &[Slice],
    line: usize,
    ci: usize,
    oc: usize,
    taps: &[usize],
    dw: *mut f32,
    vectors: &mut [f32],
) {
    let nt = taps.len();
    let mut o = 0;
    while o < oc {
        let left = oc - o;
        let height = if left >= 4 && S::CHANNELS == 8 {
            4
        } else if left >= 2 {
            2
        } else {
            1
        };
        let mut c = 0;
        while c < ci {
            let pair = if ci - c >= 2 { 2 } else { 1 };
            macro_rules! call {
                ($oc:literal, $ic:literal) => {
                    // SAFETY: channels o.. and c.. are within the caller's counts.
                    unsafe {
                        block::<S, $oc, $ic>(
                            x.add(c * x_channel),
                            x_channel,
                            g.add(o * g_channel),
                            g_channel,
                            slices,
                            line,
                            taps,
                            dw.add((o * ci + c) * nt),
                            ci * nt,
                            vectors,
                        )
                    }
                };
            }
            match (height, pair) {
                (4, 2) => call!(4, 2),
                (4, _) => call!(4, 1),
                (2, 2) => call!(2, 2),
                (2, _) => call!(2, 1),
                (_, 2) => call!(1, 2),
                (_, _) => call!(1, 1),
            }
            c += pair;
        }
        o += height;
    }
}

dispatch! {
    /// `dw[o][c][t] = Σ_slices Σ_p g[o][slice.g + p] · x[c][slice.x + taps[t] + p]`, `p < line`.
    ///
    /// # Safety
    /// The processor has `isa`; `line` is a multiple of 16; for every slice `x` and `g` have
    /// `line` floats at these offsets; `dw` has `oc · ci · taps.len()` writable floats. The
    /// function itself checks that `vectors` (working memory) has the floats that it needs.
    unsafe fn sums = sums_generic(
        x: *const f32,
        x_channel: usize,
        g: *const f32,
        g_channel: usize,
        slices: &[Slice],
        line: usize,
        ci: usize,
        oc: usize,
        taps: &[usize],
        dw: *mut f32,
        vectors: &mut [f32],
    )
}

/// The gradient of the bias, `[channels]`: the sums of the output's gradient `g` over batch and
/// positions.
///
/// # Errors
/// `Mismatch` if `g` does not consist of `batch` images of `channels` equal channels.
pub fn bias_grad(g: &[f32], batch: usize, channels: usize) -> Result<Vec<f32>> {
    let size = g.len() / (batch * channels).max(1);
    Error::check_len("the output's gradient", g.len(), batch * channels * size)?;
    let sums: Vec<f64> = g
        .par_chunks(size.max(1))
        .map(|values| {
            let mut lanes = [0f32; 16];
            let mut sum = 0f64;
            for block in values.chunks(4096) {
                lanes.fill(0.0);
                for v in block.chunks(16) {
                    lanes.iter_mut().zip(v).for_each(|(l, v)| *l += v);
                }
                sum += lanes.iter().map(|&l| f64::from(l)).sum::<f64>();
            }
            sum
        })
        .collect();
    Ok((0..channels)
        .map(|c| {
            let of_channel = sums.iter().skip(c).step_by(channels.max(1));
            of_channel.sum::<f64>() as f32
        })
        .collect())
}
