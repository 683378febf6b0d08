//! The steps of a run: operations on the buffers.

use super::layout::{Layout, Place};
use super::pooling::{average, max_pool, trilinear};
use super::record::{Operation, Part, Recording, Step, Value};
use multirnet_kernels::{Maps, MapsMut, Values, ValuesMut, narrow_into, widen_into};
use rayon::prelude::*;

/// Buffers of one run.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    pub(super) buffers: Vec<Vec<f32>>,
}

/// The sizes and places of the maps in one run.
pub(super) struct Run<'a> {
    pub(super) recording: &'a Recording,
    pub(super) layout: &'a Layout,
    pub(super) shape: [usize; 3],
    pub(super) batch: usize,
}

impl Run<'_> {
    /// Depth, height and width of a map.
    pub(super) fn size(&self, value: Value) -> [usize; 3] {
        self.recording.kinds[value.0].size(self.shape)
    }

    fn volume(&self, value: Value) -> usize {
        self.size(value).iter().product()
    }

    fn channels(&self, value: Value) -> usize {
        self.recording.kinds[value.0].channels
    }

    /// Index of a map's first float in its buffer, and the floats from one image to the next.
    fn strides(&self, value: Value) -> (usize, usize) {
        let Place {
            channel, channels, ..
        } = self.layout.place(value);
        let volume = self.volume(value);
        (channel * volume, channels * volume)
    }

    /// All channels of image `n` of a map in `f32`.
    pub(super) fn image<'b>(&self, workspace: &'b Workspace, value: Value, n: usize) -> &'b [f32] {
        let (start, image) = self.strides(value);
        let buffer = &workspace.buffers[self.layout.place(value).buffer];
        &buffer[start + n * image..][..self.channels(value) * self.volume(value)]
    }

    /// All channels of image `n` of a map in `f32`, to write.
    pub(super) fn image_mut<'b>(
        &self,
        workspace: &'b mut Workspace,
        value: Value,
        n: usize,
    ) -> &'b mut [f32] {
        let (start, image) = self.strides(value);
        let buffer = &mut workspace.buffers[self.layout.place(value).buffer];
        &mut buffer[start + n * image..][..self.channels(value) * self.volume(value)]
    }

    fn maps<'b>(&self, workspace: &'b Workspace, value: Value) -> Maps<'b> {
        let (start, image) = self.strides(value);
        let place = self.layout.place(value);
        let buffer = &workspace.buffers[place.buffer][..];
        Maps {
            values: match place.short {
                true => Values::Bf16(&bytemuck::cast_slice(buffer)[start..]),
                false => Values::F32(&buffer[start..]),
            },
            image,
        }
    }

    /// All channels of image `n` of a map.
    fn values<'b>(&self, workspace: &'b Workspace, value: Value, n: usize) -> Values<'b> {
        let Maps { values, image } = self.maps(workspace, value);
        let part = n * image..n * image + self.channels(value) * self.volume(value);
        match values {
            Values::F32(values) => Values::F32(&values[part]),
            Values::Bf16(values) => Values::Bf16(&values[part]),
        }
    }

    /// Runs step `i`.
    pub(super) fn step(
        &self,
        i: usize,
        step: &Step,
        workspace: &mut Workspace,
    ) -> Result<(), multirnet_kernels::Error> {
        if self.layout.joined(i) {
            return Ok(());
        }
        let y = step.output;
        // The layout ensures that no step reads the buffer that it writes. The buffer can
        // therefore be taken out of the workspace during the step.
        let place = self.layout.place(y);
        let buffer = place.buffer;
        let mut out = std::mem::take(&mut workspace.buffers[buffer]);
        let (start, image) = self.strides(y);
        let result = match &step.operation {
            Operation::Layer { layer, x, residual } => {
                let residual = residual.map(|r| {
                    let broadcast = self.channels(r) == 1 && self.channels(y) != 1;
                    (self.maps(workspace, r), broadcast)
                });
                let values = match place.short {
                    true => ValuesMut::Bf16(&mut bytemuck::cast_slice_mut(&mut out)[start..]),
                    false => ValuesMut::F32(&mut out[start..]),
                };
                let maps = self.maps(workspace, *x);
                let y = MapsMut { values, image };
                layer.run(self.batch, self.size(*x), maps, residual, y)
            }
            Operation::Attend([skip, logit]) => {
                let length = self.channels(y) * self.volume(y);
                for n in 0..self.batch {
                    let part = start + n * image..start + n * image + length;
                    let out = match place.short {
                        true => ValuesMut::Bf16(&mut bytemuck::cast_slice_mut(&mut out)[part]),
                        false => ValuesMut::F32(&mut out[part]),
                    };
                    let logit = self.image(workspace, *logit, n);
                    attend(
                        self.values(workspace, *skip, n),
                        logit,
                        self.size(*skip),
                        out,
                    );
                }
                Ok(())
            }
            other => {
                let length = self.channels(y) * self.volume(y);
                for n in 0..self.batch {
                    let out = &mut out[start + n * image..][..length];
                    self.simple(other, n, workspace, y, out);
                }
                Ok(())
            }
        };
        workspace.buffers[buffer] = out;
        result
    }

    /// Runs an operation other than a convolution on image `n`.
    fn simple(
        &self,
        operation: &Operation,
        n: usize,
        workspace: &Workspace,
        y: Value,
        out: &mut [f32],
    ) {
        let image = |v: &Value| self.image(workspace, *v, n);
        let volume = self.volume(y);
        match operation {
            Operation::Layer { .. } | Operation::Attend(_) => {}
            Operation::Cat(parts) => {
                let mut rest = out;
                for part in parts.iter().map(image) {
                    let (to, after) = rest.split_at_mut(part.len());
                    to.copy_from_slice(part);
                    rest = after;
                }
            }
            Operation::NormRelu { x, scale, shift } => {
                out.par_chunks_mut(volume)
                    .zip(image(x).par_chunks(volume))
                    .zip(scale.par_iter().zip(shift))
                    .for_each(|((out, x), (scale, shift))| {
                        for (o, v) in out.iter_mut().zip(x) {
                            *o = (v * scale + shift).max(0.0);
                        }
                    });
            }
            Operation::MaxPool(x, window) => {
                max_pool(image(x), self.size(*x), *window, out, self.size(y));
            }
            Operation::AvgPool(x, side) => {
                average(image(x), self.size(*x), *side, out, self.size(y));
            }
            Operation::Trilinear(x) => trilinear(image(x), self.size(*x), out),
            Operation::Sigmoid(x) => {
                let x = image(x);
                out.par_iter_mut()
                    .with_min_len(GRAIN)
                    .zip(x)
                    .for_each(|(o, v)| *o = sigmoid(*v));
            }
            Operation::Fuse(parts) => {
                let maps: Vec<(&Part, &[f32])> = parts.iter().map(|p| (p, image(&p.map))).collect();
                fuse(&maps, self.size(y), out);
            }
            Operation::Largest(x) => {
                let x = image(x);
                out.copy_from_slice(&x[..volume]);
                for channel in x.chunks_exact(volume).skip(1) {
                    out.iter_mut()
                        .zip(channel)
                        .for_each(|(o, v)| *o = o.max(*v));
                }
            }
            Operation::Multiply([a, b]) => {
                combine(out, image(a), image(b), |a, b| a * b);
            }
            Operation::Add([a, b]) => combine(out, image(a), image(b), |a, b| a + b),
        }
    }
}

/// Number of floats that a task of an elementwise operation takes.
const GRAIN: usize = 1 << 14;

fn combine(out: &mut [f32], a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32 + Sync) {
    out.par_chunks_mut(GRAIN)
        .zip(a.par_chunks(GRAIN).zip(b.par_chunks(GRAIN)))
        .for_each(|(out, (a, b))| {
            for ((o, a), b) in out.iter_mut().zip(a).zip(b) {
                *o = f(*a, *b);
            }
        });
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// `skip ⊙ sigmoid(−up2(logit))`.
fn attend(skip: Values, logit: &[f32], [d, h, w]: [usize; 3], out: ValuesMut) {
    let reverse: Vec<f32> = logit.par_iter().map(|s| sigmoid(-s)).collect();
    let mut wide = vec![0.0; d * h * w];
    wide.par_chunks_mut(h * w)
        .enumerate()
        .for_each(|(z, plane)| {
            for (y, row) in plane.chunks_exact_mut(w).enumerate() {
                let from = &reverse[((z / 2) * (h / 2) + y / 2) * (w / 2)..][..w / 2];
                for (pair, v) in row.chunks_exact_mut(2).zip(from) {
                    pair.fill(*v);
                }
            }
        });
    // A plane at a time, in `f32`.
    let plane = h * w;
    let attended = |i: usize, to: &mut [f32]| {
        match skip {
            Values::F32(skip) => to.copy_from_slice(&skip[i * plane..][..plane]),
            Values::Bf16(skip) => widen_into(&skip[i * plane..][..plane], to),
        }
        let factors = &wide[i % d * plane..][..plane];
        to.iter_mut().zip(factors).for_each(|(o, a)| *o *= a);
    };
    match out {
        ValuesMut::F32(out) => {
            let planes = out.par_chunks_mut(plane).enumerate();
            planes.for_each(|(i, out)| attended(i, out));
        }
        ValuesMut::Bf16(out) => {
            let planes = out.par_chunks_mut(plane).enumerate();
            planes.for_each_init(
                || vec![0.0; plane],
                |line, (i, out)| {
                    attended(i, line);
                    narrow_into(line, out);
                },
            );
        }
    }
}

/// `sigmoid(Σ UP(map))` over the parts.
fn fuse(parts: &[(&Part, &[f32])], [d, h, w]: [usize; 3], out: &mut [f32]) {
    let volume = d * h * w;
    out.par_chunks_mut(h * w)
        .enumerate()
        .for_each(|(i, plane)| {
            let (k, z) = (i / d, i % d);
            plane.fill(0.0);
            for (part, map) in parts {
                let s = part.factor;
                let channels = map.len() * s.pow(3) / volume;
                let [_, hs, ws] = [d / s, h / s, w / s];
                for c in 0..channels {
                    // The kernel from channel c to k, and the map's plane that lies under this one.
                    let kernel =
                        &part.weights[(c * (out_channels(parts, volume)) + k) * s.pow(3)..];
                    let from = &map[(c * (d / s) + z / s) * hs * ws..][..hs * ws];
                    for (y, row) in plane.chunks_exact_mut(w).enumerate() {
                        let taps = &kernel[((z % s) * s + y % s) * s..][..s];
                        let from = &from[y / s * ws..][..ws];
                        for (cell, v) in row.chunks_exact_mut(s).zip(from) {
                            for (o, t) in cell.iter_mut().zip(taps) {
                                *o += t * v;
                            }
                        }
                    }
                }
            }
            plane.iter_mut().for_each(|v| *v = sigmoid(*v));
        });
}

/// Number of lesion channels, which is the same in all parts and in the output.
fn out_channels(parts: &[(&Part, &[f32])], volume: usize) -> usize {
    parts
        .first()
        .map_or(1, |(p, map)| map.len() * p.factor.pow(3) / volume)
}
