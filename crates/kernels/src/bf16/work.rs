//! The planes of a convolution on packed inputs, computed in parallel.

use rayon::prelude::*;

use super::block::{Ready, SIDE, SUMS, sums};
use super::channels_last::{Lines, Source, buffer, pack_plane};
use super::convert::{narrow_on, round};
use super::unit::Bf16Unit;
use super::weights::Weights;
use super::{Values, as_bf16};
use crate::direct::{Out, merge};
use crate::epilogue::{Epilogue, Residual, finish};
use crate::pointer::Pointer;
use crate::scratch::Scratch;
use crate::simd::{Isa, transpose16};

/// Positions of a strip of results, which stay in the L2 cache until their epilogue.
const STRIP: usize = 1024;
/// Most planes of a slab.
const SLAB: usize = 8;

/// A set of weights, and the packed position that its first tap reads for the first output.
#[derive(Clone, Copy)]
pub(super) struct Set<'a> {
    pub weights: &'a Weights,
    pub first: [usize; 3],
}

/// The maps that are added to the results: channel `c` of image `n` at `n · image + c · channel`.
#[derive(Clone, Copy)]
pub(crate) struct Added<'a> {
    pub values: Values<'a>,
    pub image: usize,
    /// Values from one channel to the next; 0 if one channel is added to all.
    pub channel: usize,
}

pub(super) struct Work<'a> {
    pub unit: Bf16Unit,
    pub isa: Isa,
    pub lines: Lines,
    /// Positions from the input of one output to that of the next: between planes, and within a plane.
    pub strides: [usize; 2],
    /// Number of outputs per axis.
    pub count: [usize; 3],
    /// One set, or two if two phases along x are computed together.
    pub sets: &'a [Set<'a>],
    /// What follows, but for the residual.
    pub epilogue: &'a Epilogue<'a>,
    pub residual: Option<Added<'a>>,
    /// Results in bf16 in place of `f32`, at the positions that [`Out`] gives.
    pub rounded: Option<Pointer<u16>>,
    /// The sum and the sum of squares of the results of each `[image][plane][channel]`, if wanted. Nothing
    /// else follows then.
    pub sums: Option<Pointer<[f64; 2]>>,
}

impl Work<'_> {
    /// Computes every plane of `images` images of the packed input `x`. Strides are 1.
    pub(super) fn run(&self, x: &[u16], images: usize, out: Out) {
        let prepared = self.prepare();
        let [planes, ..] = self.count;
        let blocks = self.sets[0].weights.blocks();
        let heavy = self.sets[0].weights.tiles.len() * SIDE * SUMS > x.len();
        (0..images * planes * blocks).into_par_iter().for_each(|i| {
            // Consecutive tasks share the larger of weights and input, which is thus read once.
            let (block, at) = if heavy {
                (i / (images * planes), i % (images * planes))
            } else {
                (i % blocks, i / blocks)
            };
            let (image, z) = (at / planes, at % planes);
            let x = &x[image * self.lines.image() + z * self.lines.plane()..];
            self.plane(&prepared, x, block, out.first + image, z, out);
        });
    }

    /// Where the numbers of each step of each set lie.
    pub(super) fn prepare(&self) -> Vec<Vec<usize>> {
        let offsets = |set: &Set| set.weights.offsets(&self.lines);
        self.sets.iter().map(offsets).collect()
    }

    /// Computes a block of channels of plane `z` of an image. `x` is the packed input, from the first plane
    /// on that the plane reads.
    pub(super) fn plane(
        &self,
        prepared: &[Vec<usize>],
        x: &[u16],
        block: usize,
        image: usize,
        z: usize,
        out: Out,
    ) {
        let (lines, [_, stride]) = (self.lines, self.strides);
        let [_, rows, columns] = self.count;
        let pair = self.sets.len() == 2;
        let channels = self.sets[0].weights.channels_out;
        // With stride 1 the rows of a plane are one line, border included. The results between rows are
        // discarded. With a larger stride each row is a line.
        let (pitch, strip) = match stride {
            1 => (lines.size[2], (STRIP / lines.size[2]).clamp(1, rows)),
            _ => (columns, 1),
        };
        let room = (strip * pitch).next_multiple_of(2 * SIDE);
        let start = |set: &Set, y: usize| {
            let [a, b, c] = set.first;
            (a * lines.size[1] + b + stride * y) * lines.row() + c * lines.width
        };
        // The products' raw pointers rely on these bounds.
        for (set, offsets) in self.sets.iter().zip(prepared) {
            let (last, line) = match stride {
                1 => (start(set, 0), (rows - 1) * pitch + columns),
                _ => (start(set, rows - 1), columns),
            };
            let reach = offsets.iter().max().copied().unwrap_or(0);
            let end = last + reach + line * stride * lines.width + lines.slack(stride);
            assert!(end <= x.len());
        }
        let first = block * SUMS;
        let count = SUMS.min(channels - first);
        let position = out.origin + z * out.plane;
        let from = image * out.target.image + first * out.channel + position;
        assert!(
            from + (count - 1) * out.channel
                + (rows - 1) * out.row
                + (columns - 1) * out.column
                + usize::from(pair)
                < out.target.len
        );
        // This and the offsets added below stay under the bound asserted above. Calls differ in image, plane or
        // channels, so their positions differ.
        let target = { out }.target.y.0.wrapping_add(from);
        let mut totals = [[0f64; 2]; SUMS];
        // SAFETY: the processor has the unit.
        let ready = unsafe { Ready::new(self.unit) };
        let mut buffer = Scratch::take(self.sets.len() * SUMS * room);
        // A widened row of the residual, and a merged row of two phases.
        let mut spare = Scratch::take(3 * columns);
        for top in (0..rows).step_by(strip) {
            let rows = strip.min(rows - top);
            let len = (rows - 1) * pitch + columns;
            for ((set, offsets), to) in self
                .sets
                .iter()
                .zip(prepared)
                .zip(buffer.chunks_exact_mut(SUMS * room))
            {
                self.line(set, offsets, block, &x[start(set, top)..], len, to, room);
            }
            let (ours, other) = buffer.split_at_mut(SUMS * room);
            for o in 0..count {
                for r in 0..rows {
                    let line = o * room + r * pitch;
                    let at = (top + r) * out.row;
                    let row = from + o * out.channel + at;
                    let line_at = ours[line..].as_mut_ptr();
                    if let (Some(_), Some(y)) = (self.sums, self.rounded) {
                        // SAFETY: as below; the row has `columns` floats.
                        let sums = unsafe { round_row(self.unit, line_at, y.0.add(row), columns) };
                        totals[o][0] += sums[0];
                        totals[o][1] += sums[1];
                        continue;
                    }
                    let (added, merged) = spare.split_at_mut(columns);
                    let (residual, residual_at) =
                        self.residual_row(image, first + o, position + at, added);
                    let epilogue = Epilogue {
                        residual,
                        ..*self.epilogue
                    };
                    let finish = |from: *const f32, to: *mut f32| {
                        // SAFETY: both have `columns` floats; the callers have asserted the epilogue's bounds.
                        unsafe {
                            finish(
                                self.isa,
                                &epilogue,
                                from,
                                to,
                                columns,
                                first + o,
                                residual_at,
                            );
                        }
                    };
                    // SAFETY: this is a row of channel `first + o` of this call's plane. `merged` has two rows.
                    unsafe {
                        let other = other.as_mut_ptr().wrapping_add(line);
                        let target = target.wrapping_add(row - from);
                        match self.rounded {
                            None if pair => {
                                finish(line_at, line_at);
                                finish(other, other);
                                merge(self.isa, line_at, other, target, columns);
                            }
                            None if out.column == 1 => finish(line_at, target),
                            None => {
                                finish(line_at, line_at);
                                for c in 0..columns {
                                    *target.add(c * out.column) = *line_at.add(c);
                                }
                            }
                            Some(y) => {
                                let y = y.0.add(row);
                                finish(line_at, line_at);
                                if pair {
                                    finish(other, other);
                                    merge(self.isa, line_at, other, merged.as_mut_ptr(), columns);
                                    let y = std::slice::from_raw_parts_mut(y, 2 * columns);
                                    narrow_on(self.unit, &merged[..2 * columns], y);
                                } else if out.column == 1 {
                                    let y = std::slice::from_raw_parts_mut(y, columns);
                                    narrow_on(self.unit, &ours[line..][..columns], y);
                                } else {
                                    for c in 0..columns {
                                        *y.add(c * out.column) = round(*line_at.add(c));
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        drop(ready);
        if let Some(sums) = self.sums {
            let [planes, ..] = self.count;
            let at = (image * planes + z) * channels + first;
            for (o, total) in totals.iter().enumerate().take(count) {
                // SAFETY: these are the sums of this call's plane and channels.
                unsafe { *sums.0.add(at + o) = *total };
            }
        }
    }

    /// The residual of a row from a position of a channel on, and its place there. `buffer` holds it if it is
    /// widened.
    fn residual_row<'b>(
        &'b self,
        image: usize,
        channel: usize,
        position: usize,
        buffer: &'b mut [f32],
    ) -> (Option<Residual<'b>>, usize) {
        let Some(added) = &self.residual else {
            return (None, 0);
        };
        let at = image * added.image + channel * added.channel + position;
        let row = |x| Residual {
            x,
            image: 0,
            channel: 0,
        };
        match added.values {
            Values::F32(values) => (Some(row(values)), at),
            Values::Bf16(_) => (Some(row(added.values.piece(at, buffer))), 0),
        }
    }

    /// Computes every plane of `batch` images of `source`, and packs each plane shortly before it is read: it
    /// is then still in the cache.
    pub(super) fn run_packing(&self, source: &Source, batch: usize, slack: usize, out: Out) {
        source.check(batch);
        let prepared = self.prepare();
        let [planes, ..] = self.count;
        let blocks = self.sets[0].weights.blocks();
        let depth = self.sets[0].weights.kernel[0];
        let ([s, _], first) = (self.strides, self.sets[0].first[0]);
        let plane_len = self.lines.plane();
        // A slab packs the planes between it and the next twice. More slabs than threads share the work.
        let slab = (batch * planes / (4 * rayon::current_num_threads())).clamp(1, SLAB);
        let slabs = planes.div_ceil(slab);
        (0..batch * slabs).into_par_iter().for_each(|i| {
            let (image, top) = (i / slabs, i % slabs * slab);
            let count = slab.min(planes - top);
            let mut packed = buffer(((count - 1) * s + first + depth) * plane_len, slack);
            let mut done = 0;
            for z in 0..count {
                let wanted = z * s + first + depth;
                let x = as_bf16(&mut packed);
                for p in done..wanted {
                    let plane = &mut x[p * plane_len..][..plane_len];
                    pack_plane(self.unit, source, image, top * s + p, &self.lines, plane);
                }
                // Reads past the last plane are multiplied with zero, so what lies there must be finite.
                let end = x.len().min(wanted * plane_len + slack);
                x[wanted * plane_len..end].fill(0);
                done = wanted;
                let x = &x[s * z * plane_len..];
                (0..blocks).into_par_iter().for_each(|block| {
                    self.plane(&prepared, x, block, image, top + z, out);
                });
            }
        });
    }

    /// Results of `len` outputs from `x` on, as `[32 channels][room]`.
    #[allow(clippy::too_many_arguments)]
    fn line(
        &self,
        set: &Set,
        offsets: &[usize],
        block: usize,
        x: &[u16],
        len: usize,
        to: &mut [f32],
        room: usize,
    ) {
        let (tiles, wide) = set.weights.block(block, offsets.len());
        let row = self.strides[1] * self.lines.width;
        let mut c = Sums([0.0; SUMS * SUMS]);
        for p in (0..len).step_by(2 * SIDE) {
            let high = (len - p).div_ceil(SIDE).min(2);
            // SAFETY: the unit is ready; `run` has asserted that the rows lie in `x`; `to` has `room` places
            // for each channel, a multiple of 32.
            unsafe {
                let a = x.as_ptr().add(p * row);
                sums(
                    self.unit,
                    a,
                    row,
                    offsets,
                    tiles.as_ptr(),
                    [high, wide],
                    c.0.as_mut_ptr(),
                );
                for h in 0..high {
                    for w in 0..wide {
                        let from = c.0.as_ptr().add(h * SIDE * SUMS + w * SIDE);
                        let to = to.as_mut_ptr().add(w * SIDE * room + p + h * SIDE);
                        transpose16(self.isa, from, SUMS, to, room);
                    }
                }
            }
        }
    }
}

/// Rounds `n` floats to bf16. Returns the sum of the floats, and the sum of their squares.
///
/// # Safety
/// The processor has the unit; `from` has `n` floats, `to` room for them.
unsafe fn round_row(unit: Bf16Unit, from: *const f32, to: *mut u16, n: usize) -> [f64; 2] {
    match unit {
        // SAFETY: the caller's promise.
        #[cfg(target_arch = "x86_64")]
        Bf16Unit::Amx | Bf16Unit::Avx512 => unsafe { round_row_avx512(from, to, n) },
        _ => {
            let mut sums = [0f64; 2];
            for i in 0..n {
                // SAFETY: the caller's promise.
                let v = unsafe { *from.add(i) };
                sums[0] += f64::from(v);
                sums[1] += f64::from(v) * f64::from(v);
                // SAFETY: the caller's promise.
                unsafe { *to.add(i) = round(v) };
            }
            sums
        }
    }
}

/// # Safety
/// As [`round_row`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn round_row_avx512(from: *const f32, to: *mut u16, n: usize) -> [f64; 2] {
    use std::arch::x86_64::*;
    let mut sums = [_mm512_setzero_ps(); 2];
    for i in (0..n).step_by(SIDE) {
        let mask = if n - i >= SIDE {
            !0
        } else {
            (1u16 << (n - i)) - 1
        };
        // SAFETY: numbers outside the mask are neither read nor written; both types are 256 bits.
        unsafe {
            let v = _mm512_maskz_loadu_ps(mask, from.add(i));
            sums[0] = _mm512_add_ps(sums[0], v);
            sums[1] = _mm512_fmadd_ps(v, v, sums[1]);
            let v: __m256i = std::mem::transmute(_mm512_cvtneps_pbh(v));
            _mm256_mask_storeu_epi16(to.add(i).cast(), mask, v);
        }
    }
    sums.map(|sum| f64::from(_mm512_reduce_add_ps(sum)))
}

/// The sums of a block.
#[repr(align(64))]
struct Sums([f32; SUMS * SUMS]);
