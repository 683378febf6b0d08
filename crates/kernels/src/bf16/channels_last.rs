//! Packing: a copy of the input in bf16 with its zero border, the channels of a position beside each other.

use rayon::prelude::*;

use super::block::{DEPTH, SIDE};
use super::convert::round;
use super::unit::Bf16Unit;
use super::{Values, as_bf16};
use crate::scratch::Scratch;

/// The next even number of channels: products take them in pairs.
pub(super) fn even(channels: usize) -> usize {
    channels.next_multiple_of(2)
}

/// The shape of a packed input.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lines {
    /// Depth, height and width with the border.
    pub size: [usize; 3],
    /// Numbers of a position.
    pub width: usize,
    /// Zeros before the input on each axis.
    pub front: [usize; 3],
}

impl Lines {
    pub fn row(&self) -> usize {
        self.size[2] * self.width
    }

    pub fn plane(&self) -> usize {
        self.size[1] * self.row()
    }

    pub fn image(&self) -> usize {
        self.size[0] * self.plane()
    }

    /// Numbers that a block of outputs may read past the end.
    pub fn slack(&self, stride: usize) -> usize {
        2 * SIDE * stride * self.width + DEPTH
    }
}

/// Where the input of a convolution lies: channel `c` of image `n` at `n · image + c · volume`.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub values: Values<'a>,
    pub image: usize,
    pub channels: usize,
    pub size: [usize; 3],
}

impl Source<'_> {
    pub(super) fn volume(&self) -> usize {
        self.size.iter().product()
    }

    /// # Panics
    /// If there are fewer values than `batch` images need.
    pub(super) fn check(&self, batch: usize) {
        assert!((batch - 1) * self.image + self.channels * self.volume() <= self.values.len());
    }
}

/// Packs the images `images`, with zeros for `slack` numbers behind them.
pub(super) fn pack(
    unit: Bf16Unit,
    source: &Source,
    images: std::ops::Range<usize>,
    lines: &Lines,
    slack: usize,
) -> Scratch {
    let used = images.len() * lines.image();
    let mut packed = buffer(used, slack);
    as_bf16(&mut packed)[..used]
        .par_chunks_mut(lines.plane())
        .enumerate()
        .for_each(|(i, plane)| {
            let (image, z) = (images.start + i / lines.size[0], i % lines.size[0]);
            pack_plane(unit, source, image, z, lines, plane);
        });
    packed
}

/// A buffer for `used` numbers, with zeros for `slack` numbers behind them.
pub(super) fn buffer(used: usize, slack: usize) -> Scratch {
    let mut buffer = Scratch::take((used + slack).div_ceil(2));
    as_bf16(&mut buffer)[used..].fill(0);
    buffer
}

/// Packs a plane of an image. `z` counts the border.
///
/// # Panics
/// If the source has too few values.
pub(super) fn pack_plane(
    unit: Bf16Unit,
    source: &Source,
    image: usize,
    z: usize,
    lines: &Lines,
    plane: &mut [u16],
) {
    source.check(image + 1);
    let [depth, height, width] = source.size;
    let [front, top, left] = lines.front;
    let Some(z) = z.checked_sub(front).filter(|&z| z < depth) else {
        plane.fill(0);
        return;
    };
    for (y, row) in plane.chunks_exact_mut(lines.row()).enumerate() {
        let Some(y) = y.checked_sub(top).filter(|&y| y < height) else {
            row.fill(0);
            continue;
        };
        let (before, rest) = row.split_at_mut((left * lines.width).min(lines.row()));
        let columns = width.min(lines.size[2].saturating_sub(left));
        let (middle, after) = rest.split_at_mut(columns * lines.width);
        before.fill(0);
        after.fill(0);
        let line = Line {
            at: image * source.image + (z * height + y) * width,
            volume: source.volume(),
            channels: source.channels,
            columns,
            width: lines.width,
        };
        match (unit, source.values) {
            // SAFETY: the processor has the unit; `check` has seen that the channels' lines lie in the
            // values, and `middle` has `columns · width` numbers.
            #[cfg(target_arch = "x86_64")]
            (Bf16Unit::Amx | Bf16Unit::Avx512, values) => unsafe {
                avx512::interleave(values, line, middle.as_mut_ptr());
            },
            (_, Values::F32(values)) => line.interleave(middle, |i| round(values[i])),
            (_, Values::Bf16(values)) => line.interleave(middle, |i| values[i]),
        }
    }
}

/// A line of each channel: `columns` values at `at + c · volume`, for `width` numbers a position.
#[derive(Clone, Copy)]
struct Line {
    at: usize,
    volume: usize,
    channels: usize,
    columns: usize,
    width: usize,
}

impl Line {
    fn interleave(self, to: &mut [u16], get: impl Fn(usize) -> u16) {
        for (x, position) in to.chunks_exact_mut(self.width).enumerate() {
            for (c, v) in position.iter_mut().enumerate() {
                *v = if c < self.channels {
                    get(self.at + c * self.volume + x)
                } else {
                    0
                };
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::{Line, SIDE, Values};
    use crate::bf16::block::DEPTH;
    use crate::simd::transpose;
    use std::arch::x86_64::*;

    /// # Safety
    /// The processor has AVX512-BF16; the channels' lines lie in the values; `to` has a place for every
    /// position and number.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    pub(super) unsafe fn interleave(values: Values, line: Line, to: *mut u16) {
        // Word i of the first channel comes before word i of the second.
        let mut order = [0u16; 32];
        for (i, o) in order.iter_mut().enumerate() {
            *o = (i / 2 + 16 * (i % 2)) as u16;
        }
        // SAFETY: the caller's promise; lanes outside a mask are neither read nor written.
        unsafe {
            let order = _mm512_loadu_si512(order.as_ptr().cast());
            let pair = |c: usize, x: usize, mask: u16| -> __m512i {
                let at = line.at + c * line.volume + x;
                let has_second = c + 1 < line.channels;
                match values {
                    Values::F32(values) => {
                        let low = _mm512_maskz_loadu_ps(mask, values.as_ptr().add(at));
                        let high = if has_second {
                            _mm512_maskz_loadu_ps(mask, values.as_ptr().add(at + line.volume))
                        } else {
                            _mm512_setzero_ps()
                        };
                        let both = _mm512_cvtne2ps_pbh(high, low);
                        _mm512_permutexvar_epi16(
                            order,
                            std::mem::transmute::<__m512bh, __m512i>(both),
                        )
                    }
                    Values::Bf16(values) => {
                        let load = |at: usize| {
                            let v = _mm256_maskz_loadu_epi16(mask, values.as_ptr().add(at).cast());
                            _mm512_cvtepu16_epi32(v)
                        };
                        let low = load(at);
                        if has_second {
                            let high = load(at + line.volume);
                            _mm512_or_si512(low, _mm512_slli_epi32::<16>(high))
                        } else {
                            low
                        }
                    }
                }
            };
            for first in (0..line.width).step_by(DEPTH) {
                let pairs = ((line.width - first) / 2).min(SIDE);
                for x in (0..line.columns).step_by(SIDE) {
                    let n = (line.columns - x).min(SIDE);
                    let mask = ((1u32 << n) - 1) as u16;
                    let to = to.add(x * line.width + first);
                    if line.width == 2 {
                        _mm512_mask_storeu_epi32(to.cast(), mask, pair(0, x, mask));
                        continue;
                    }
                    let mut rows = [_mm512_setzero_ps(); SIDE];
                    for (i, row) in rows.iter_mut().enumerate().take(pairs) {
                        *row = _mm512_castsi512_ps(pair(first + 2 * i, x, mask));
                    }
                    let columns = transpose(rows);
                    let mask = ((1u32 << pairs) - 1) as u16;
                    for (j, column) in columns.iter().enumerate().take(n) {
                        _mm512_mask_storeu_ps(to.add(j * line.width).cast(), mask, *column);
                    }
                }
            }
        }
    }
}
