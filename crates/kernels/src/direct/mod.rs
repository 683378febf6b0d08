//! Direct convolutions, plane by plane, and their transposes.

mod weights;
mod work;

pub(crate) use weights::Packed;
pub(crate) use work::{Out, merge};

use crate::conv::Conv;
use crate::epilogue::{Epilogue, EpilogueSource, Target};
use crate::pack::{Grid, SLACK, pack, positions};
use crate::scratch::Scratch;
use weights::phase_taps;
use work::{View, Work};

/// Number of images that are packed and computed together. It is 1 if the images are further apart
/// than their channels need, because packing reads a group of images as one dense array.
fn groups(
    conv: &Conv,
    source: EpilogueSource,
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
    source: EpilogueSource,
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
    let taps = if conv.is_pointwise() {
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
    if conv.is_pointwise() {
        let view = View {
            grid: Grid {
                size: [d, 1, h * w],
                stride: [1; 3],
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
            conv.borders(),
            conv.kernel_shape(),
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
/// If an array is too short for the convolution's sizes, or if the epilogue has a residual and the
/// stride is not 1.
pub(crate) fn transposed(
    conv: &Conv,
    source: EpilogueSource,
    packed: &Packed,
    target: Target,
    epilogue: &Epilogue,
) {
    let (s, pad, kernel) = (conv.strides(), conv.borders(), conv.kernel_shape());
    let (ci, co) = (conv.channels_in, conv.channels_out);
    let [d, h, w] = conv.input;
    let volume: usize = conv.output().iter().product();
    source.check(conv.batch, co, volume);
    target.check(conv.batch, ci, conv.volume());
    epilogue.check(conv.batch, ci, conv.volume());
    assert!(s == [1; 3] || epilogue.residual.is_none());
    let out = Out {
        target,
        first: 0,
        origin: 0,
        channel: d * h * w,
        plane: s[0] * h * w,
        row: s[1] * w,
        column: s[2],
    };
    // Padded input position i = s·q + f receives output q − m through tap s·m + f.
    // `first` and `count` give the first q and the number of q of phase f along an axis. `front`
    // gives the zeros that the source needs in front.
    let first = |f: usize, a: usize| pad[a].saturating_sub(f).div_ceil(s[a]);
    let last = |f: usize, a: usize| (conv.input[a] + pad[a] - 1).checked_sub(f);
    let count =
        |f: usize, a: usize| last(f, a).map_or(0, |l| (l / s[a] + 1).saturating_sub(first(f, a)));
    let front = [0, 1, 2].map(|a| ((kernel[a] - 1) / s[a]).saturating_sub(first(s[a] - 1, a)));
    let direct = conv.is_pointwise();
    let grid = if direct {
        Grid {
            size: [d, 1, h * w],
            stride: [1; 3],
        }
    } else {
        Grid {
            size: [0, 1, 2].map(|a| {
                let ends = (0..s[a]).map(|f| first(f, a) + count(f, a));
                ends.max().unwrap_or(0) + front[a]
            }),
            stride: [1; 3],
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
            let size = conv.output();
            pack(conv.isa(), images, size, front, [1; 3], grid, packed);
        }
        // If the sides are doubled, phases 0 and 1 along x are computed together. Each row is
        // therefore written once.
        let pair = s[2] == 2 && kernel[2] == 2 && pad[2] == 0 && w % 2 == 0;
        for (i, f) in positions(s).enumerate() {
            let counts = [0, 1, 2].map(|a| count(f[a], a));
            if counts.contains(&0) || (pair && f[2] == 1) {
                continue;
            }
            let offsets = |f: [usize; 3]| -> Vec<usize> {
                let taps = phase_taps(conv, f);
                let at = |t: [usize; 3]| [0, 1, 2].map(|a| first(f[a], a) + front[a] - t[a] / s[a]);
                taps.iter().map(|(_, t)| grid.tap(at(*t))).collect()
            };
            let taps = [offsets(f), offsets([f[0], f[1], s[2] - 1])];
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
            let origin = [0, 1, 2].map(|a| first(f[a], a) * s[a] + f[a] - pad[a]);
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
/// results of each thread.
pub(crate) fn working_floats(conv: &Conv, transposed: bool, threads: usize) -> usize {
    if conv.is_pointwise() {
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
