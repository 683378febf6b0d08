//! Convolutions as they are defined, plane by plane, and their transposes.

use rayon::prelude::*;

use crate::conv::Conv;
use crate::epilogue::{Epilogue, Source, Target, finish};
use crate::pack::{Grid, SLACK, pack};
use crate::plane::plane;
use crate::scratch::Scratch;
use crate::simd::{Isa, Simd, dispatch};

/// Weights in the order of use, with the taps that they belong to: one set for a convolution, one
/// per phase of the stride for its transpose.
#[derive(Debug, Clone)]
pub(crate) struct Packed(Vec<Vec<f32>>);

impl Packed {
    /// For [`forward`].
    pub(crate) fn forward(conv: &Conv, weights: &[f32]) -> Self {
        let (k3, ci) = (conv.kernel.pow(3), conv.channels_in);
        let all: Vec<usize> = (0..k3).collect();
        let get = |o: usize, c: usize, t: usize| weights[(o * ci + c) * k3 + t];
        Self(vec![pack_weights(
            conv.isa(),
            conv.channels_out,
            ci,
            &all,
            get,
        )])
    }

    /// For [`transposed`].
    pub(crate) fn transposed(conv: &Conv, weights: &[f32]) -> Self {
        let (k3, ci, co) = (conv.kernel.pow(3), conv.channels_in, conv.channels_out);
        let get = |o: usize, c: usize, t: usize| weights[(c * ci + o) * k3 + t];
        Self(
            cube(conv.stride)
                .map(|f| {
                    let names: Vec<usize> = phase_taps(conv, f).iter().map(|t| t.0).collect();
                    pack_weights(conv.isa(), ci, co, &names, get)
                })
                .collect(),
        )
    }
}

/// Taps (number and position) that reach the phase `f` of the stride, last first: memory is
/// walked forward.
fn phase_taps(conv: &Conv, f: [usize; 3]) -> Vec<(usize, [usize; 3])> {
    let s = conv.stride;
    let mut taps: Vec<_> = cube(conv.kernel)
        .enumerate()
        .filter(|(_, t)| (0..3).all(|a| t[a] % s == f[a]))
        .collect();
    taps.reverse();
    taps
}

/// Floats of a strip of results.
const STRIP: usize = 6144;

/// Images worked on together, and how their packed arrays are got at.
fn groups(
    conv: &Conv,
    source: Source,
    channel_floats: usize,
    channels: usize,
    volume: usize,
) -> usize {
    if source.image == channels * volume {
        conv.group(channels * channel_floats)
    } else {
        1
    }
}

/// The convolution of `source`.
///
/// # Panics
/// If an array is too short for the convolution's sizes.
pub(crate) fn forward(
    conv: &Conv,
    source: Source,
    packed: &Packed,
    target: Target,
    epilogue: &Epilogue,
) {
    let (ci, co) = (conv.channels_in, conv.channels_out);
    let [d, h, w] = conv.output();
    source.check(conv.batch, ci, conv.volume());
    target.check(conv.batch, co, d * h * w);
    epilogue.check(conv.batch, co, d * h * w);
    let out = Out {
        target,
        first: 0,
        origin: 0,
        channel: d * h * w,
        plane: h * w,
        row: w,
        column: 1,
    };
    let taps = if conv.is_direct() {
        vec![0]
    } else {
        conv.input_taps()
    };
    let work = Work {
        isa: conv.isa(),
        ci,
        co,
        sets: &[(&packed.0[0], &taps)],
        epilogue,
    };
    if conv.is_direct() {
        let view = View {
            grid: Grid {
                size: [d, 1, h * w],
                stride: 1,
            },
            exact: true,
            count: [d, 1, h * w],
        };
        work.run(source.x, source.image, conv.batch, view, out);
        return;
    }
    let grid = conv.input_grid();
    let group = groups(conv, source, grid.channel(), ci, conv.volume());
    let mut buffer = Scratch::take(group * ci * grid.channel() + SLACK);
    for first in (0..conv.batch).step_by(group) {
        let n = group.min(conv.batch - first);
        let used = n * ci * grid.channel() + SLACK;
        let images = &source.x[first * source.image..][..n * ci * conv.volume()];
        pack(
            conv.isa(),
            images,
            conv.input,
            conv.padding,
            conv.kernel,
            grid,
            &mut buffer[..used],
        );
        let view = View {
            grid,
            exact: false,
            count: [d, h, w],
        };
        let out = Out { first, ..out };
        work.run(&buffer[..used], ci * grid.channel(), n, view, out);
    }
}

/// The transposed convolution: from the output's shape to the input's.
///
/// # Panics
/// If an array is too short for the convolution's sizes, or the epilogue has a residual where the
/// stride is not 1.
pub(crate) fn transposed(
    conv: &Conv,
    source: Source,
    packed: &Packed,
    target: Target,
    epilogue: &Epilogue,
) {
    let (s, pad) = (conv.stride, conv.padding);
    let (ci, co) = (conv.channels_in, conv.channels_out);
    let [d, h, w] = conv.input;
    let volume: usize = conv.output().iter().product();
    source.check(conv.batch, co, volume);
    target.check(conv.batch, ci, conv.volume());
    epilogue.check(conv.batch, ci, conv.volume());
    assert!(s == 1 || epilogue.residual.is_none());
    let out = Out {
        target,
        first: 0,
        origin: 0,
        channel: d * h * w,
        plane: s * h * w,
        row: s * w,
        column: s,
    };
    // Input position i (padded) = s·q + f takes from output q − m through tap s·m + f.
    // Per axis and phase: first q, number of q; over all phases: how far the source must reach.
    let first = |f: usize| pad.saturating_sub(f).div_ceil(s);
    let last = |f: usize, axis: usize| (conv.input[axis] + pad - 1).checked_sub(f);
    let count =
        |f: usize, axis: usize| last(f, axis).map_or(0, |l| (l / s + 1).saturating_sub(first(f)));
    let reach = (conv.kernel - 1) / s;
    let front = reach.saturating_sub(first(s - 1));
    let direct = conv.is_direct();
    let grid = if direct {
        Grid {
            size: [d, 1, h * w],
            stride: 1,
        }
    } else {
        Grid {
            size: [0, 1, 2].map(|a| {
                let end = (0..s).map(|f| first(f) + count(f, a)).max().unwrap_or(0);
                end + front
            }),
            stride: 1,
        }
    };
    let group = if direct {
        conv.batch
    } else {
        groups(conv, source, grid.channel(), co, volume)
    };
    let mut buffer = Scratch::take(if direct {
        0
    } else {
        group * co * grid.channel() + SLACK
    });
    for start in (0..conv.batch).step_by(group) {
        let n = group.min(conv.batch - start);
        let used = n * co * grid.channel() + SLACK;
        if !direct {
            let images = &source.x[start * source.image..][..n * co * volume];
            let packed = &mut buffer[..used];
            pack(conv.isa(), images, conv.output(), front, 1, grid, packed);
        }
        // Phases 0 and 1 along x of a doubling are made together, so that rows are written once.
        let pair = s == 2 && conv.kernel == 2 && pad == 0 && w % 2 == 0;
        for (i, f) in cube(s).enumerate() {
            let counts = [0, 1, 2].map(|a| count(f[a], a));
            if counts.contains(&0) || (pair && f[2] == 1) {
                continue;
            }
            let offsets = |f: [usize; 3]| -> Vec<usize> {
                let taps = phase_taps(conv, f);
                let at = |t: [usize; 3]| [0, 1, 2].map(|a| first(f[a]) + front - t[a] / s);
                taps.iter().map(|(_, t)| grid.tap(at(*t))).collect()
            };
            let taps = [offsets(f), offsets([f[0], f[1], s - 1])];
            let sets = [
                (&packed.0[i][..], &taps[0][..]),
                (&packed.0[i + usize::from(pair)][..], &taps[1][..]),
            ];
            let work = Work {
                isa: conv.isa(),
                ci: co,
                co: ci,
                sets: &sets[..1 + usize::from(pair)],
                epilogue,
            };
            let origin = [0, 1, 2].map(|a| first(f[a]) * s + f[a] - pad);
            let out = Out {
                first: start,
                origin: (origin[0] * h + origin[1]) * w + origin[2],
                ..out
            };
            let (from, image, counts) = if direct {
                (
                    &source.x[start * source.image..],
                    source.image,
                    [d, 1, h * w],
                )
            } else {
                (&buffer[..used], co * grid.channel(), counts)
            };
            let view = View {
                grid,
                exact: direct,
                count: counts,
            };
            work.run(from, image, n, view, out);
        }
    }
}

/// Floats of working memory for one image on `threads` threads: its packed copy, and a plane of
/// results for each thread.
pub(crate) fn working_floats(conv: &Conv, transposed: bool, threads: usize) -> usize {
    if conv.is_direct() {
        return 0;
    }
    let channels = if transposed {
        conv.channels_out
    } else {
        conv.channels_in
    };
    let grid = conv.input_grid();
    let plane = (grid.plane() + 16) * conv.isa().channels();
    channels * grid.channel() + SLACK + threads * plane
}

/// Blocks of output channels, then input channel, tap, channel.
fn pack_weights(
    isa: Isa,
    co: usize,
    ci: usize,
    taps: &[usize],
    get: impl Fn(usize, usize, usize) -> f32 + Sync,
) -> Vec<f32> {
    let mut packed = vec![0.0; co * ci * taps.len()];
    let mut rest = packed.as_mut_slice();
    let mut parts = Vec::new();
    for (start, size) in blocks(isa, co) {
        let (part, tail) = rest.split_at_mut(size * ci * taps.len());
        parts.push((start, size, part));
        rest = tail;
    }
    parts.into_par_iter().for_each(|(start, size, part)| {
        if taps.is_empty() {
            return;
        }
        for (c, part) in part.chunks_exact_mut(taps.len() * size).enumerate() {
            for (cell, &t) in part.chunks_exact_mut(size).zip(taps) {
                for (o, v) in cell.iter_mut().enumerate() {
                    *v = get(start + o, c, t);
                }
            }
        }
    });
    packed
}

/// The positions of a cube of side `n`, last axis fastest.
pub(crate) fn cube(n: usize) -> impl Iterator<Item = [usize; 3]> {
    (0..n * n * n).map(move |t| [t / (n * n), t / n % n, t % n])
}

/// Output channels in blocks of the register tile's height, halving for the tail.
fn blocks(isa: Isa, co: usize) -> Vec<(usize, usize)> {
    let mut size = isa.channels();
    let mut found = Vec::new();
    let mut start = 0;
    while start < co {
        while size > co - start {
            size /= 2;
        }
        found.push((start, size));
        start += size;
    }
    found
}

/// Where results go: position (image, channel, plane, row, column) by strides, from `origin` of
/// image `first` on.
#[derive(Clone, Copy)]
struct Out {
    target: Target,
    first: usize,
    origin: usize,
    channel: usize,
    plane: usize,
    row: usize,
    column: usize,
}

/// What is read: a packed grid, and the outputs wanted per axis.
#[derive(Clone, Copy)]
struct View {
    grid: Grid,
    /// Nothing may be read past the last position wanted.
    exact: bool,
    count: [usize; 3],
}

struct Work<'a> {
    isa: Isa,
    ci: usize,
    co: usize,
    /// Weights and taps; two sets if two phases along x are made together.
    sets: &'a [(&'a [f32], &'a [usize])],
    epilogue: &'a Epilogue<'a>,
}

impl Work<'_> {
    fn run(&self, x: &[f32], x_image: usize, images: usize, view: View, out: Out) {
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
        // The bounds that the kernel's raw pointers rely on.
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
                // The larger of weights and input is walked once.
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
                // SAFETY: `first` and what is added below stay under the bound asserted above;
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
                // `n` results of channel `o` of the block at `position + at`.
                let finish = |from: *const f32, to: *mut f32, n: usize, o: usize, at: usize| {
                    let residual = self.epilogue.at(image, start + o, position + at);
                    // SAFETY: the processor has the instruction set; the callers below give `n`
                    // floats; the epilogue's bounds are asserted by `forward` and `transposed`.
                    unsafe { finish(self.isa, self.epilogue, from, to, n, start + o, residual) };
                };
                if direct && view.exact {
                    call(0, 0, target, out.channel, len);
                    for o in 0..oc {
                        // SAFETY: the line that was just written.
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
                            // SAFETY: a row of channel `start + o` of this task's plane; the
                            // second phase's row lies in its buffer as the first's in its.
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
    // SAFETY: the caller's promise.
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
    /// Floats of two rows in turns.
    ///
    /// # Safety
    /// The processor has `isa`; `a` and `b` have `n` floats, `to` `2n`.
    unsafe fn merge = merge_generic(a: *const f32, b: *const f32, to: *mut f32, n: usize)
}
