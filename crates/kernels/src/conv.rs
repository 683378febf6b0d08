//! The convolution: shapes, forward and input gradient.

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::pack::{Grid, SLACK, pack};
use crate::plane::plane;
use crate::scratch::Scratch;
use crate::simd::{Isa, available, isa};
use crate::winograd::{Epilogue, Filter, Plan, Source, Target, Tile, direct_cycles};

/// Floats of packed input that one pass over images may fill (16 MiB): it stays in the cache.
const GROUP: usize = 4 << 20;

/// Least height and width for large Winograd tiles.
const LARGE_PLANE: usize = 24;

/// A 3D convolution with a cubic kernel, the same stride and zero padding on every axis.
///
/// Arrays are dense: input `[batch, channels_in, depth, height, width]`, weights
/// `[channels_out, channels_in, kernel, kernel, kernel]`, output
/// `[batch, channels_out, …output()]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv {
    /// Images in the batch.
    pub batch: usize,
    /// Channels of the input.
    pub channels_in: usize,
    /// Channels of the output.
    pub channels_out: usize,
    /// Depth, height and width of the input.
    pub input: [usize; 3],
    /// Kernel size on every axis.
    pub kernel: usize,
    /// Stride on every axis.
    pub stride: usize,
    /// Zeros before and after the input on every axis.
    pub padding: usize,
    isa: Isa,
    algorithm: Algorithm,
}

/// How a convolution is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// The fastest by the cost model.
    #[default]
    Auto,
    /// As it is defined.
    Direct,
    /// Winograd F(2³,3³); direct where the kernel is not 3³ with stride 1 and padding 1.
    Winograd2,
    /// Winograd F(2×4²,3³); direct as above.
    Winograd4,
}

impl Conv {
    /// A convolution of the given sizes.
    ///
    /// # Errors
    /// When a size is zero or the kernel does not fit into the padded input.
    pub fn new(
        batch: usize,
        [channels_in, channels_out]: [usize; 2],
        input: [usize; 3],
        kernel: usize,
        stride: usize,
        padding: usize,
    ) -> Result<Self> {
        let positive = [batch, channels_in, channels_out, kernel, stride];
        if positive.contains(&0) || input.contains(&0) {
            return Err(Error::shape("a size of the convolution is zero".into()));
        }
        if input.iter().any(|&v| v + 2 * padding < kernel) {
            return Err(Error::shape(format!(
                "a kernel of {kernel} on an input of {input:?} with padding {padding}"
            )));
        }
        Ok(Self {
            batch,
            channels_in,
            channels_out,
            input,
            kernel,
            stride,
            padding,
            isa: isa(),
            algorithm: Algorithm::Auto,
        })
    }

    /// The same convolution on another instruction set, if the processor has it.
    #[must_use]
    pub fn with_isa(mut self, isa: Isa) -> Self {
        if available().contains(&isa) {
            self.isa = isa;
        }
        self
    }

    /// The same convolution computed in another way.
    #[must_use]
    pub fn with_algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// The Winograd plan for a pass, if that is the way to go; `cycles` says what a plan costs.
    pub(crate) fn winograd(&self, lanes: usize, cycles: impl Fn(&Plan) -> f64) -> Option<Plan> {
        if (self.kernel, self.stride, self.padding) != (3, 1, 1) {
            return None;
        }
        let plan = |tile| Plan::new(tile, self.batch, self.input, lanes);
        match self.algorithm {
            Algorithm::Direct => None,
            Algorithm::Winograd2 => Some(plan(Tile::Small)),
            Algorithm::Winograd4 => Some(plan(Tile::Large)),
            Algorithm::Auto => {
                let positions = self.batch * self.input.iter().product::<usize>();
                let channels = [self.channels_in, self.channels_out];
                let direct = direct_cycles(positions, self.input[2], channels, self.isa.lanes());
                // In small planes large tiles save little time, and the statistics of few values
                // that follow would magnify their rounding.
                let large = self.input[1].min(self.input[2]) >= LARGE_PLANE;
                let tiles = if large {
                    &[Tile::Small, Tile::Large][..]
                } else {
                    &[Tile::Small]
                };
                tiles
                    .iter()
                    .map(|tile| plan(*tile))
                    .map(|plan| (cycles(&plan), plan))
                    .filter(|(cycles, _)| *cycles < direct)
                    .min_by(|a, b| a.0.total_cmp(&b.0))
                    .map(|(_, plan)| plan)
            }
        }
    }

    pub(crate) fn isa(&self) -> Isa {
        self.isa
    }

    /// Depth, height and width of the output.
    pub fn output(&self) -> [usize; 3] {
        self.input
            .map(|v| (v + 2 * self.padding - self.kernel) / self.stride + 1)
    }

    /// Elements of the input.
    pub fn input_len(&self) -> usize {
        self.batch * self.channels_in * self.input.iter().product::<usize>()
    }

    /// Elements of the weights.
    pub fn weight_len(&self) -> usize {
        self.channels_out * self.channels_in * self.kernel.pow(3)
    }

    /// Elements of the output.
    pub fn output_len(&self) -> usize {
        self.batch * self.channels_out * self.output().iter().product::<usize>()
    }

    /// Multiply-adds counted as two operations each, borders included.
    pub fn flops(&self) -> usize {
        2 * self.output_len() * self.channels_in * self.kernel.pow(3)
    }

    /// A 1³ convolution reads its input as it is.
    pub(crate) fn is_direct(&self) -> bool {
        self.kernel == 1 && self.stride == 1 && self.padding == 0
    }

    /// The packed grid of the input, for the forward pass and the weight gradient.
    pub(crate) fn input_grid(&self) -> Grid {
        let extra = (self.kernel - 1) / self.stride;
        Grid {
            size: self.output().map(|v| v + extra),
            stride: self.stride,
        }
    }

    /// Offsets of the kernel's taps in the packed input.
    pub(crate) fn input_taps(&self) -> Vec<usize> {
        let grid = self.input_grid();
        cube(self.kernel).map(|t| grid.tap(t)).collect()
    }

    /// Images whose packed arrays of `per_image` floats are worked on together.
    pub(crate) fn group(&self, per_image: usize) -> usize {
        (GROUP / per_image.max(1)).clamp(1, self.batch)
    }

    /// The output for `x`, `weights` and an optional `bias` per output channel.
    ///
    /// # Errors
    /// When an array's length is not the shape's.
    pub fn forward(&self, x: &[f32], weights: &[f32], bias: Option<&[f32]>) -> Result<Vec<f32>> {
        Error::check_len("the input", x.len(), self.input_len())?;
        Error::check_len("the weights", weights.len(), self.weight_len())?;
        if let Some(bias) = bias {
            Error::check_len("the bias", bias.len(), self.channels_out)?;
        }
        let (k3, ci) = (self.kernel.pow(3), self.channels_in);
        let cycles = |plan: &Plan| plan.forward_cycles(ci, self.channels_out, false);
        if let Some(plan) = self.winograd(self.isa.lanes(), cycles) {
            let filter = Filter::new(self.isa, plan.tile, ci, self.channels_out, |o, c, t| {
                weights[(o * ci + c) * k3 + t]
            });
            let epilogue = Epilogue {
                bias,
                ..Epilogue::default()
            };
            return Ok(self.by_winograd(&plan, x, &filter, &epilogue));
        }
        let all: Vec<usize> = (0..k3).collect();
        let packed = self.pack_weights(self.channels_out, ci, &all, |o, c, t| {
            weights[(o * ci + c) * k3 + t]
        });
        let [d, h, w] = self.output();
        let mut y = Vec::with_capacity(self.output_len());
        let out = Out {
            y: Pointer(y.as_mut_ptr()),
            len: self.output_len(),
            image: self.channels_out * d * h * w,
            start: 0,
            channel: d * h * w,
            plane: h * w,
            row: w,
            column: 1,
        };
        let work = Work {
            isa: self.isa,
            ci,
            co: self.channels_out,
            weights: &packed,
            bias,
        };
        let image = self.input_len() / self.batch;
        if self.is_direct() {
            let view = View {
                grid: Grid {
                    size: [d, 1, h * w],
                    stride: 1,
                },
                exact: true,
                taps: &[0],
                count: [d, 1, h * w],
            };
            work.run(x, self.batch, view, out);
        } else {
            let grid = self.input_grid();
            let taps = self.input_taps();
            let group = self.group(ci * grid.channel());
            let mut buffer = Scratch::take(group * ci * grid.channel() + SLACK);
            for (i, images) in x.chunks(group * image).enumerate() {
                let n = images.len() / image;
                let packed_len = n * ci * grid.channel() + SLACK;
                pack(
                    images,
                    self.input,
                    self.padding,
                    grid,
                    &mut buffer[..packed_len],
                );
                let view = View {
                    grid,
                    exact: false,
                    taps: &taps,
                    count: [d, h, w],
                };
                let out = Out {
                    start: i * group * out.image,
                    ..out
                };
                work.run(&buffer[..packed_len], n, view, out);
            }
        }
        // SAFETY: the loops above have written every image, channel, plane, row and column.
        unsafe { y.set_len(self.output_len()) };
        Ok(y)
    }

    /// The gradient of the input, given the gradient `g` of the output: the transposed
    /// convolution.
    ///
    /// # Errors
    /// When an array's length is not the shape's.
    pub fn input_grad(&self, g: &[f32], weights: &[f32]) -> Result<Vec<f32>> {
        Error::check_len("the output's gradient", g.len(), self.output_len())?;
        Error::check_len("the weights", weights.len(), self.weight_len())?;
        let (k, s, pad) = (self.kernel, self.stride, self.padding);
        let (k3, ci, co) = (k.pow(3), self.channels_in, self.channels_out);
        let cycles = |plan: &Plan| plan.forward_cycles(co, ci, false);
        if let Some(plan) = self.winograd(self.isa.lanes(), cycles) {
            // A convolution with the kernels turned round and the channels' roles changed.
            let filter = Filter::new(self.isa, plan.tile, co, ci, |o, c, t| {
                weights[(c * ci + o) * k3 + k3 - 1 - t]
            });
            return Ok(self.by_winograd(&plan, g, &filter, &Epilogue::default()));
        }
        let [d, h, w] = self.input;
        let mut y = Vec::with_capacity(self.input_len());
        let out = Out {
            y: Pointer(y.as_mut_ptr()),
            len: self.input_len(),
            image: ci * d * h * w,
            start: 0,
            channel: d * h * w,
            plane: h * w,
            row: s * w,
            column: s,
        };
        // Input position i (padded) = s·q + f takes from output q − m through tap s·m + f.
        // Per axis and phase: first q, number of q; over all phases: how far g must reach.
        let first = |f: usize| pad.saturating_sub(f).div_ceil(s);
        let last = |f: usize, axis: usize| (self.input[axis] + pad - 1).checked_sub(f);
        let count = |f: usize, axis: usize| {
            last(f, axis).map_or(0, |l| (l / s + 1).saturating_sub(first(f)))
        };
        let reach = (k - 1) / s;
        let front = reach.saturating_sub(first(s - 1));
        let direct = self.is_direct();
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
        let image = self.output_len() / self.batch;
        let group = if direct {
            self.batch
        } else {
            self.group(co * grid.channel())
        };
        let mut buffer = Scratch::take(if direct {
            0
        } else {
            group * co * grid.channel() + SLACK
        });
        for (i, images) in g.chunks(group * image).enumerate() {
            let n = images.len() / image;
            let packed_len = n * co * grid.channel() + SLACK;
            if !direct {
                let buffer = &mut buffer[..packed_len];
                pack(images, self.output(), front, grid, buffer);
            }
            for f in cube(s) {
                let counts = [0, 1, 2].map(|a| count(f[a], a));
                if counts.contains(&0) {
                    continue;
                }
                let taps: Vec<(usize, [usize; 3])> = cube(k)
                    .enumerate()
                    .filter(|(_, t)| (0..3).all(|a| t[a] % s == f[a]))
                    .collect();
                // Last tap first: memory is walked forward.
                let names: Vec<usize> = taps.iter().rev().map(|t| t.0).collect();
                let offsets: Vec<usize> = taps
                    .iter()
                    .rev()
                    .map(|(_, t)| grid.tap([0, 1, 2].map(|a| first(f[a]) + front - t[a] / s)))
                    .collect();
                let packed =
                    self.pack_weights(ci, co, &names, |o, c, t| weights[(c * ci + o) * k3 + t]);
                let work = Work {
                    isa: self.isa,
                    ci: co,
                    co: ci,
                    weights: &packed,
                    bias: None,
                };
                let origin = [0, 1, 2].map(|a| first(f[a]) * s + f[a] - pad);
                let out = Out {
                    start: i * group * out.image + (origin[0] * h + origin[1]) * w + origin[2],
                    plane: s * h * w,
                    ..out
                };
                let (source, counts) = if direct {
                    (images, [d, 1, h * w])
                } else {
                    (&buffer[..packed_len], counts)
                };
                let view = View {
                    grid,
                    exact: direct,
                    taps: &offsets,
                    count: counts,
                };
                work.run(source, n, view, out);
            }
        }
        // SAFETY: the phases of `cube(s)` cover every input position, and `run` writes them all
        // (zeros where a phase has no tap).
        unsafe { y.set_len(self.input_len()) };
        Ok(y)
    }

    fn by_winograd(
        &self,
        plan: &Plan,
        x: &[f32],
        filter: &Filter,
        epilogue: &Epilogue,
    ) -> Vec<f32> {
        let volume: usize = self.input.iter().product();
        let image = filter.channels_out * volume;
        let mut y = Vec::with_capacity(self.batch * image);
        let source = Source {
            x,
            image: filter.channels_in * volume,
        };
        let target = Target {
            y: Pointer(y.as_mut_ptr()),
            len: self.batch * image,
            image,
        };
        plan.forward(self.isa, source, filter, target, epilogue);
        // SAFETY: the plan's tiles cover every position of every channel and image.
        unsafe { y.set_len(self.batch * image) };
        y
    }

    /// Weights in the order of use: blocks of output channels, then input channel, tap, channel.
    fn pack_weights(
        &self,
        co: usize,
        ci: usize,
        taps: &[usize],
        get: impl Fn(usize, usize, usize) -> f32 + Sync,
    ) -> Vec<f32> {
        let mut packed = vec![0.0; co * ci * taps.len()];
        let mut rest = packed.as_mut_slice();
        let mut parts = Vec::new();
        for (start, size) in blocks(self.isa, co) {
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
}

/// The positions of a cube of side `n`, last axis fastest.
fn cube(n: usize) -> impl Iterator<Item = [usize; 3]> {
    (0..n * n * n).map(move |t| [t / (n * n), t / n % n, t % n])
}

/// Output channels in blocks of the register tile's height, halving for the tail.
fn blocks(isa: Isa, co: usize) -> Vec<(usize, usize)> {
    let mut size = if isa == Isa::Avx512 { 8 } else { 4 };
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

/// A pointer that tasks share; each writes its own part.
#[derive(Clone, Copy)]
pub(crate) struct Pointer(pub *mut f32);
// SAFETY: whoever shares one makes tasks write disjoint positions, and says why at the write.
unsafe impl Send for Pointer {}
// SAFETY: as above.
unsafe impl Sync for Pointer {}

/// Where results go: position (image, channel, plane, row, column) by strides.
#[derive(Clone, Copy)]
struct Out {
    y: Pointer,
    len: usize,
    start: usize,
    image: usize,
    channel: usize,
    plane: usize,
    row: usize,
    column: usize,
}

/// What is read: a packed grid, the offsets of the taps in it and the outputs wanted per axis.
#[derive(Clone, Copy)]
struct View<'a> {
    grid: Grid,
    /// Nothing may be read past the last position wanted.
    exact: bool,
    taps: &'a [usize],
    count: [usize; 3],
}

struct Work<'a> {
    isa: Isa,
    ci: usize,
    co: usize,
    weights: &'a [f32],
    bias: Option<&'a [f32]>,
}

impl Work<'_> {
    fn run(&self, x: &[f32], images: usize, view: View, out: Out) {
        let View { grid, taps, .. } = view;
        let [planes, rows, columns] = view.count;
        let pitch = grid.size[2];
        let len = (rows - 1) * pitch + columns;
        let rounded = if view.exact {
            len
        } else {
            len.next_multiple_of(16)
        };
        let (x_channel, x_image) = (grid.channel(), self.ci * grid.channel());
        let reach = taps.iter().max().copied().unwrap_or(0);
        // The bounds that the kernel's raw pointers rely on.
        assert!(
            (images * self.ci - 1) * x_channel + reach + (planes - 1) * grid.plane() + rounded
                <= x.len()
        );
        assert!(
            out.start
                + (images - 1) * out.image
                + (self.co - 1) * out.channel
                + (planes - 1) * out.plane
                + (rows - 1) * out.row
                + (columns - 1) * out.column
                < out.len
        );
        assert_eq!(self.weights.len(), self.co * self.ci * taps.len());
        assert!(self.bias.is_none_or(|b| b.len() == self.co));
        let blocks = blocks(self.isa, self.co);
        let heavy = self.weights.len() > x.len();
        let direct = rows == 1 && out.column == 1;
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
                let source = x[n * x_image + z * grid.plane()..].as_ptr();
                let weights = self.weights[start * self.ci * taps.len()..].as_ptr();
                let bias = self.bias.map_or(std::ptr::null(), |b| b[start..].as_ptr());
                let first = out.start + n * out.image + start * out.channel + z * out.plane;
                // SAFETY: `first` and what is added below stay under the bound asserted above;
                // tasks differ in image, plane or channel block, so their positions differ.
                let target = unsafe { { out }.y.0.add(first) };
                let call = |y: *mut f32, y_channel: usize| {
                    // SAFETY: the reads are within the bound asserted above, the weights and the
                    // bias have the asserted lengths, and `y` has `rounded` floats per channel.
                    unsafe {
                        plane(
                            self.isa, source, x_channel, self.ci, taps, weights, bias, oc, y,
                            y_channel, len, view.exact,
                        );
                    }
                };
                if direct && view.exact {
                    call(target, out.channel);
                    return;
                }
                let mut buffer = Scratch::take(oc * rounded);
                call(buffer.as_mut_ptr(), rounded);
                for (o, lines) in buffer.chunks_exact(rounded).enumerate() {
                    for (r, line) in lines.chunks(pitch).take(rows).enumerate() {
                        // SAFETY: row `r` of channel `start + o` of this task's plane.
                        unsafe {
                            let row = target.add(o * out.channel + r * out.row);
                            if out.column == 1 {
                                row.copy_from_nonoverlapping(line.as_ptr(), columns);
                            } else {
                                for (c, v) in line[..columns].iter().enumerate() {
                                    *row.add(c * out.column) = *v;
                                }
                            }
                        }
                    }
                }
            });
    }
}
