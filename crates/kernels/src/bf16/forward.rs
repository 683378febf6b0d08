//! Convolutions and transposed convolutions.

use super::channels_last::{Lines, Source, buffer, even, pack};
use super::unit::Bf16Unit;
use super::weights::Weights;
use super::work::{Added, Set, Work};
use super::{Values, ValuesMut, as_bf16};
use crate::conv::Conv;
use crate::direct::Out;
use crate::epilogue::{Epilogue, Target};
use crate::norm::Statistics;
use crate::pack::positions;
use crate::pointer::Pointer;

/// Weights for [`forward`].
pub(crate) fn packed(conv: &Conv, weights: &[f32]) -> Weights {
    let (taps, ci) = (conv.taps(), conv.channels_in);
    let [_, rows, columns] = conv.kernel_shape();
    Weights::new(
        conv.kernel_shape(),
        ci,
        conv.channels_out,
        |o, c, [z, y, x]| weights[(o * ci + c) * taps + (z * rows + y) * columns + x],
    )
}

/// Weights for [`transposed`], a set for each phase.
///
/// Padded input position `s·q + f` receives output `q − m` through tap `s·m + f`. The taps of a phase come in
/// the opposite order, because later taps read earlier outputs.
pub(crate) fn packed_transposed(conv: &Conv, weights: &[f32]) -> Vec<Weights> {
    let (taps, ci, co) = (conv.taps(), conv.channels_in, conv.channels_out);
    let (s, kernel) = (conv.strides(), conv.kernel_shape());
    phases(conv)
        .map(|f| {
            let own = own_taps(conv, f);
            Weights::new(own, co, ci, |o, c, j| {
                let t = [0, 1, 2].map(|a| f[a] + s[a] * (own[a] - 1 - j[a]));
                weights[(c * ci + o) * taps + (t[0] * kernel[1] + t[1]) * kernel[2] + t[2]]
            })
        })
        .collect()
}

/// The phases of the input: positions with the same remainder by the stride.
fn phases(conv: &Conv) -> impl Iterator<Item = [usize; 3]> {
    positions(conv.strides())
}

/// Number of taps of a phase on each axis.
fn own_taps(conv: &Conv, f: [usize; 3]) -> [usize; 3] {
    let (kernel, s) = (conv.kernel_shape(), conv.strides());
    [0, 1, 2].map(|a| kernel[a].saturating_sub(f[a]).div_ceil(s[a]))
}

fn lines(conv: &Conv) -> Lines {
    let front = conv.borders();
    Lines {
        size: [0, 1, 2].map(|a| conv.input[a] + 2 * front[a]),
        width: even(conv.channels_in),
        front,
    }
}

/// Images that are packed and computed together.
fn group(conv: &Conv, lines: &Lines) -> usize {
    conv.group(lines.image().div_ceil(2))
}

/// Where results go.
#[derive(Clone, Copy)]
pub(crate) enum Results {
    F32(Target),
    Bf16 {
        y: Pointer<u16>,
        len: usize,
        image: usize,
    },
}

impl Results {
    /// Maps whose images lie `image` values apart.
    pub(crate) fn new(values: ValuesMut, image: usize) -> Self {
        let len = values.len();
        match values {
            ValuesMut::F32(values) => Self::F32(Target {
                y: Pointer(values.as_mut_ptr()),
                len,
                image,
            }),
            ValuesMut::Bf16(values) => Self::Bf16 {
                y: Pointer(values.as_mut_ptr()),
                len,
                image,
            },
        }
    }

    /// The places of results. Those in bf16 are not written through its pointer.
    fn target(&self) -> Target {
        match *self {
            Self::F32(target) => target,
            Self::Bf16 { len, image, .. } => Target {
                y: Pointer(std::ptr::NonNull::dangling().as_ptr()),
                len,
                image,
            },
        }
    }

    fn rounded(&self) -> Option<Pointer<u16>> {
        match *self {
            Self::F32(_) => None,
            Self::Bf16 { y, .. } => Some(y),
        }
    }
}

/// What a convolution reads and writes, and what follows it.
pub(crate) struct Call<'a> {
    pub unit: Bf16Unit,
    pub values: Values<'a>,
    /// Values from one image to the next.
    pub image: usize,
    pub results: Results,
    /// What follows, but for the residual.
    pub epilogue: &'a Epilogue<'a>,
    pub residual: Option<Added<'a>>,
}

impl Call<'_> {
    /// # Panics
    /// If an array is too short for `channels` channels of `volume` results.
    fn check(&self, batch: usize, channels: usize, volume: usize) {
        self.results.target().check(batch, channels, volume);
        self.epilogue.check(batch, channels, volume);
        assert!(self.epilogue.residual.is_none());
        if let Some(r) = &self.residual {
            let end = (batch - 1) * r.image + (channels - 1) * r.channel + volume;
            assert!(end <= r.values.len());
        }
    }
}

/// The convolution.
///
/// # Panics
/// If an array is too short for the convolution's sizes.
pub(crate) fn forward(conv: &Conv, weights: &Weights, call: Call) {
    run(conv, weights, &call, None);
}

/// The convolution of dense images, rounded to bf16, and the statistics of its channels before that.
///
/// # Panics
/// If there are fewer values than the convolution's input has.
pub(super) fn forward_rounded(
    unit: Bf16Unit,
    conv: &Conv,
    values: Values,
    weights: &Weights,
) -> (Vec<u16>, Statistics) {
    let (len, channels) = (conv.output_len(), conv.channels_out);
    let [depth, ..] = conv.output();
    let mut y = Vec::with_capacity(len);
    let mut sums = vec![[0f64; 2]; conv.batch * depth * channels];
    let call = Call {
        unit,
        values,
        image: conv.input_len() / conv.batch,
        results: Results::Bf16 {
            y: Pointer(y.as_mut_ptr()),
            len,
            image: len / conv.batch,
        },
        epilogue: &Epilogue::default(),
        residual: None,
    };
    run(conv, weights, &call, Some(Pointer(sums.as_mut_ptr())));
    // SAFETY: the call has written every position of every channel and image.
    unsafe { y.set_len(len) };
    let count = (len / channels) as f64;
    let (mean, variance) = (0..channels)
        .map(|c| {
            let of_channel = sums.iter().skip(c).step_by(channels);
            let [sum, squares] = of_channel.fold([0.0; 2], |[a, b], [c, d]| [a + c, b + d]);
            let mean = sum / count;
            (mean as f32, (squares / count - mean * mean).max(0.0) as f32)
        })
        .unzip();
    (y, Statistics { mean, variance })
}

fn run(conv: &Conv, weights: &Weights, call: &Call, sums: Option<Pointer<[f64; 2]>>) {
    let co = conv.channels_out;
    let [d, h, w] = conv.output();
    call.check(conv.batch, co, d * h * w);
    assert_eq!(
        [weights.channels_in, weights.channels_out],
        [conv.channels_in, co]
    );
    let source = Source {
        values: call.values,
        image: call.image,
        channels: conv.channels_in,
        size: conv.input,
    };
    let lines = lines(conv);
    let set = Set {
        weights,
        first: [0; 3],
    };
    let work = Work {
        unit: call.unit,
        isa: conv.isa(),
        lines,
        strides: [conv.strides()[0], conv.stride],
        count: [d, h, w],
        sets: &[set],
        epilogue: call.epilogue,
        residual: call.residual,
        rounded: call.results.rounded(),
        sums,
    };
    let out = Out {
        target: call.results.target(),
        first: 0,
        origin: 0,
        channel: d * h * w,
        plane: h * w,
        row: w,
        column: 1,
    };
    let slack = lines.slack(conv.stride) + reach(conv, &lines);
    work.run_packing(&source, conv.batch, slack, out);
}

/// Numbers that reads of whole lines and steps may reach past the end.
fn reach(conv: &Conv, lines: &Lines) -> usize {
    conv.stride * lines.row() + lines.width * conv.kernel
}

/// The transposed convolution: from the output's shape to the input's.
///
/// # Panics
/// If an array is too short for the convolution's sizes, or if there is a residual and the stride is not 1.
pub(crate) fn transposed(conv: &Conv, weights: &[Weights], call: Call) {
    let (s, pad) = (conv.strides(), conv.borders());
    let (ci, co) = (conv.channels_in, conv.channels_out);
    let [d, h, w] = conv.input;
    call.check(conv.batch, ci, conv.volume());
    assert!(s == [1; 3] || call.residual.is_none());
    let (unit, target) = (call.unit, call.results.target());
    let source = Source {
        values: call.values,
        image: call.image,
        channels: co,
        size: conv.output(),
    };
    // `first` and `count` give the first q and the number of q of phase f along an axis; `front` gives the
    // zeros that the source needs in front.
    let first = |f: usize, a: usize| pad[a].saturating_sub(f).div_ceil(s[a]);
    let last = |f: usize, a: usize| (conv.input[a] + pad[a] - 1).checked_sub(f);
    let count =
        |f: usize, a: usize| last(f, a).map_or(0, |l| (l / s[a] + 1).saturating_sub(first(f, a)));
    let kernel = conv.kernel_shape();
    let front = [0, 1, 2].map(|a| ((kernel[a] - 1) / s[a]).saturating_sub(first(s[a] - 1, a)));
    let lines = Lines {
        size: [0, 1, 2].map(|a| {
            let ends = (0..s[a]).map(|f| first(f, a) + count(f, a));
            ends.max().unwrap_or(0) + front[a]
        }),
        width: even(co),
        front,
    };
    let slack = lines.slack(1) + reach(conv, &lines);
    // A transposed convolution of stride 1 is a convolution of the same planes.
    let group = if s == [1; 3] {
        conv.batch
    } else {
        group(conv, &lines)
    };
    // If the sides are doubled, phases 0 and 1 along x are computed together. Each row is then written once.
    let pair = s[2] == 2 && kernel[2] == 2 && pad[2] == 0 && w % 2 == 0;
    for start in (0..conv.batch).step_by(group) {
        let images = group.min(conv.batch - start);
        let mut x = match s {
            [1, 1, 1] => buffer(0, 0),
            _ => pack(unit, &source, start..start + images, &lines, slack),
        };
        for (i, f) in phases(conv).enumerate() {
            let counts = [0, 1, 2].map(|a| count(f[a], a));
            if counts.contains(&0) || (pair && f[2] == 1) {
                continue;
            }
            let set = |i: usize, f: [usize; 3]| {
                let own = own_taps(conv, f);
                Set {
                    weights: &weights[i],
                    first: [0, 1, 2]
                        .map(|a| (first(f[a], a) + front[a] + 1).saturating_sub(own[a].max(1))),
                }
            };
            let sets = [
                set(i, f),
                set(i + usize::from(pair), [f[0], f[1], s[2] - 1]),
            ];
            let work = Work {
                unit,
                isa: conv.isa(),
                lines,
                strides: [1; 2],
                count: counts,
                sets: &sets[..1 + usize::from(pair)],
                epilogue: call.epilogue,
                residual: call.residual,
                rounded: call.results.rounded(),
                sums: None,
            };
            let origin = [0, 1, 2].map(|a| first(f[a], a) * s[a] + f[a] - pad[a]);
            let out = Out {
                target,
                first: start,
                origin: (origin[0] * h + origin[1]) * w + origin[2],
                channel: d * h * w,
                plane: s[0] * h * w,
                row: s[1] * w,
                column: s[2],
            };
            match s {
                [1, 1, 1] => work.run_packing(&source, images, slack, out),
                _ => work.run(as_bf16(&mut x), images, out),
            }
        }
    }
}

/// Floats of working memory for one image on `threads` threads: its packed copy, and a strip of results of
/// each thread.
pub(crate) fn working_floats(conv: &Conv, transposed: bool, threads: usize) -> usize {
    let channels = if transposed {
        conv.channels_out
    } else {
        conv.channels_in
    };
    let lines = Lines {
        width: even(channels),
        ..lines(conv)
    };
    let strip = 2 * 32 * (1024 + lines.size[2] + 32);
    (lines.image() + lines.slack(conv.stride) + reach(conv, &lines)).div_ceil(2) + threads * strip
}
