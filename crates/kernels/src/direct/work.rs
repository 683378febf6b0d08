//! The planes of a direct convolution, computed in parallel.

use super::weights::blocks;
use crate::epilogue::{Epilogue, Target, finish};
use crate::pack::Grid;
use crate::plane::plane;
use crate::scratch::Scratch;
use crate::simd::{Isa, Simd, dispatch};
use rayon::prelude::*;

/// Floats of a strip of results.
const STRIP: usize = 6144;

/// Where results go: strides of channel, plane, row and column, from position `origin` of image
/// `first` on.
#[derive(Clone, Copy)]
pub(crate) struct Out {
    pub target: Target,
    pub first: usize,
    pub origin: usize,
    pub channel: usize,
    pub plane: usize,
    pub row: usize,
    pub column: usize,
}

/// The packed grid that is read, and the number of outputs per axis.
#[derive(Clone, Copy)]
pub(super) struct View {
    pub grid: Grid,
    /// Whether reads must end at the last position that is wanted.
    pub exact: bool,
    pub count: [usize; 3],
}

/// A direct convolution's weights, taps, channels and epilogue.
pub(super) struct Work<'a> {
    pub isa: Isa,
    pub ci: usize,
    pub co: usize,
    /// Weights and taps; two sets if two phases along x are computed together.
    pub sets: &'a [(&'a [f32], &'a [usize])],
    pub epilogue: &'a Epilogue<'a>,
}

impl Work<'_> {
    /// Computes every plane of `images` images, whose packed arrays lie `x_image` floats apart in
    /// `x`.
    pub(super) fn run(&self, x: &[f32], x_image: usize, images: usize, view: View, out: Out) {
        let grid = view.grid;
        let [planes, rows, columns] = view.count;
        let pitch = grid.size[2];
        let len = (rows - 1) * pitch + columns;
        let rounded = if view.exact {
            len
        } else {
            len.next_multiple_of(16)
        };
        let x_channel = grid.channel();
        let taps = self.sets.iter().flat_map(|(_, taps)| *taps);
        let reach = taps.max().copied().unwrap_or(0);
        let pair = self.sets.len() == 2;
        // The kernel's raw pointers rely on these bounds.
        assert!(
            (images - 1) * x_image
                + (self.ci - 1) * x_channel
                + reach
                + (planes - 1) * grid.plane()
                + rounded
                + if view.exact { 0 } else { 16 }
                <= x.len()
        );
        assert!(
            (out.first + images - 1) * out.target.image
                + out.origin
                + (self.co - 1) * out.channel
                + (planes - 1) * out.plane
                + (rows - 1) * out.row
                + (columns - 1) * out.column
                + usize::from(pair)
                < out.target.len
        );
        for (weights, taps) in self.sets {
            assert_eq!(weights.len(), self.co * self.ci * taps.len());
        }
        let blocks = blocks(self.isa, self.co);
        let heavy = self.sets[0].0.len() > x.len();
        let direct = rows == 1 && out.column == 1;
        // Rows of results that stay in the L1 cache until their epilogue.
        let strip = (STRIP / (self.isa.channels() * pitch)).clamp(1, rows);
        (0..images * planes * blocks.len())
            .into_par_iter()
            .for_each(|i| {
                // Consecutive tasks share the larger of weights and input, which is thus read once.
                let (b, at) = if heavy {
                    (i / (images * planes), i % (images * planes))
                } else {
                    (i % blocks.len(), i / blocks.len())
                };
                let (n, z) = (at / planes, at % planes);
                let (start, oc) = blocks[b];
                let source = &x[n * x_image + z * grid.plane()..];
                let image = out.first + n;
                let position = out.origin + z * out.plane;
                let first = image * out.target.image + start * out.channel + position;
                // SAFETY: `first` and the offsets added below stay under the bound asserted above;
                // tasks differ in image, plane or channel block, so their positions differ.
                let target = unsafe { { out }.target.y.0.add(first) };
                let call = |set: usize, from: usize, y: *mut f32, y_channel: usize, len: usize| {
                    let (weights, taps) = self.sets[set];
                    let weights = weights[start * self.ci * taps.len()..].as_ptr();
                    // SAFETY: the reads are within the bound asserted above, the weights have the
                    // asserted length, and `y` has room for `len` floats per channel, rounded up
                    // unless exact.
                    unsafe {
                        plane(
                            self.isa,
                            source[from..].as_ptr(),
                            x_channel,
                            self.ci,
                            taps,
                            weights,
                            oc,
                            y,
                            y_channel,
                            len,
                            view.exact,
                        );
                    }
                };
                // Finishes `n` results of the block's channel `o` at `position + at`.
                let finish = |from: *const f32, to: *mut f32, n: usize, o: usize, at: usize| {
                    let residual = self.epilogue.at(image, start + o, position + at);
                    // SAFETY: the processor has the instruction set; the callers below give `n`
                    // floats; the epilogue's bounds are asserted by `forward` and `transposed`.
                    unsafe { finish(self.isa, self.epilogue, from, to, n, start + o, residual) };
                };
                if direct && view.exact {
                    call(0, 0, target, out.channel, len);
                    for o in 0..oc {
                        // SAFETY: this is the line that was just written.
                        let line = unsafe { target.add(o * out.channel) };
                        finish(line, line, len, o, 0);
                    }
                    return;
                }
                let room = (strip * pitch).next_multiple_of(16);
                let mut buffer = Scratch::take(self.sets.len() * oc * room);
                for top in (0..rows).step_by(strip) {
                    let count = strip.min(rows - top);
                    let len = (count - 1) * pitch + columns;
                    let (first, second) = buffer.split_at_mut(oc * room);
                    call(0, top * pitch, first.as_mut_ptr(), room, len);
                    if pair {
                        call(1, top * pitch, second.as_mut_ptr(), room, len);
                    }
                    for (o, lines) in first.chunks_exact_mut(room).enumerate() {
                        for (r, line) in lines.chunks_mut(pitch).take(count).enumerate() {
                            let at = (top + r) * out.row;
                            // SAFETY: this is a row of channel `start + o` of this task's plane;
                            // the second phase's row has the same place in its own buffer.
                            unsafe {
                                let row = target.add(o * out.channel + at);
                                let from = line.as_mut_ptr();
                                if pair {
                                    let other = second.as_mut_ptr().add(o * room + r * pitch);
                                    finish(from, from, columns, o, 0);
                                    finish(other, other, columns, o, 0);
                                    merge(self.isa, from, other, row, columns);
                                } else if out.column == 1 {
                                    finish(from, row, columns, o, at);
                                } else {
                                    finish(from, from, columns, o, 0);
                                    for (c, v) in line[..columns].iter().enumerate() {
                                        *row.add(c * out.column) = *v;
                                    }
                                }
                            }
                        }
                    }
                }
            });
    }
}

#[inline(always)]
unsafe fn merge_generic<S: Simd>(a: *const f32, b: *const f32, to: *mut f32, n: usize) {
    let mut j = 0;
    // SAFETY: the caller promises the instruction set and that all positions lie in their arrays.
    unsafe {
        while j + S::LANES <= n {
            let [x, y] = S::interleave([S::load(a.add(j)), S::load(b.add(j))]);
            S::store(to.add(2 * j), x);
            S::store(to.add(2 * j + S::LANES), y);
            j += S::LANES;
        }
        while j < n {
            *to.add(2 * j) = *a.add(j);
            *to.add(2 * j + 1) = *b.add(j);
            j += 1;
        }
    }
}

dispatch! {
    /// Interleaves the floats of two rows.
    ///
    /// # Safety
    /// The processor has `isa`; `a` and `b` have `n` floats, `to` `2n`.
    pub(crate) unsafe fn merge = merge_generic(a: *const f32, b: *const f32, to: *mut f32, n: usize)
}
