//! The products at each point in bf16: inputs and weights are rounded to 16 bits, sums have 32.
//!
//! Tiles are transformed and kept in `f32`. The products of a point first turn their inputs into
//! pairs of channels. `vdpbf16ps` multiplies and adds such pairs at twice the rate of `f32`.

use super::filter::Filter;
use crate::bf16::round;

impl Filter {
    /// Weights as pairs of input channels in bf16, with the first channel in the low half:
    /// `[point][block][pair][channel of the block]`.
    pub(super) fn in_pairs(&self) -> Vec<u32> {
        let pairs = self.channels_in.div_ceil(2);
        let mut packed = Vec::with_capacity(self.weights.len().div_ceil(2));
        for block in self.weights.chunks_exact(self.channels_in * self.block) {
            for i in 0..pairs {
                let row = |c: usize| block.get(c * self.block..(c + 1) * self.block);
                let (low, high) = (row(2 * i), row(2 * i + 1));
                for o in 0..self.block {
                    let half = |r: Option<&[f32]>| r.map_or(0, |r| u32::from(round(r[o])));
                    packed.push(half(low) | half(high) << 16);
                }
            }
        }
        packed
    }
}

/// [`super::product::products`] in bf16, for blocks of 8 output channels.
///
/// # Safety
/// [`bf16_available`](crate::bf16_available) is true; `v` and `m` satisfy the conditions of [`super::product::products`];
/// `u` holds `[blocks][⌈ci/2⌉][8]` pairs for each point (`u_point` apart), and `panel`
/// `⌈ci/2⌉ · vectors · 16` floats of working memory.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
#[allow(clippy::too_many_arguments)]
pub(super) unsafe fn products(
    points: usize,
    v: *const f32,
    ci: usize,
    vectors: usize,
    u: *const u32,
    u_point: usize,
    blocks: usize,
    m: *mut f32,
    channel: usize,
    panel: *mut f32,
) {
    use std::arch::x86_64::*;
    let columns = vectors * 16;
    let pairs = ci.div_ceil(2);
    // Word i of the first channel comes before word i of the second.
    let mut order = [0u16; 32];
    for (i, o) in order.iter_mut().enumerate() {
        *o = (i / 2 + 16 * (i % 2)) as u16;
    }
    // SAFETY: the caller promises the instruction set and that all positions lie in their arrays.
    unsafe {
        let order = _mm512_loadu_si512(order.as_ptr().cast());
        for p in 0..points {
            for i in 0..pairs {
                for j in 0..vectors {
                    let from = v.add(2 * i * channel + p * columns + 16 * j);
                    let low = _mm512_loadu_ps(from);
                    let high = if 2 * i + 1 < ci {
                        _mm512_loadu_ps(from.add(channel))
                    } else {
                        _mm512_setzero_ps()
                    };
                    let both: __m512i = std::mem::transmute(_mm512_cvtne2ps_pbh(high, low));
                    let both = _mm512_permutexvar_epi16(order, both);
                    _mm512_storeu_si512(panel.add((i * vectors + j) * 16).cast(), both);
                }
            }
            for b in 0..blocks {
                let u = u.add(p * u_point + b * pairs * 8);
                let m = m.add(p * columns + b * 8 * channel);
                match vectors {
                    3 => block::<3>(panel, pairs, u, m, channel),
                    2 => block::<2>(panel, pairs, u, m, channel),
                    _ => block::<1>(panel, pairs, u, m, channel),
                }
            }
        }
    }
}

/// Eight output channels of `NV` vectors of tiles.
///
/// # Safety
/// The conditions of [`products`] hold for one point and block.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn block<const NV: usize>(
    panel: *const f32,
    pairs: usize,
    u: *const u32,
    m: *mut f32,
    channel: usize,
) {
    use std::arch::x86_64::*;
    // SAFETY: the caller's promise; both types are 512 bits without invalid values.
    unsafe {
        let mut acc = [[_mm512_setzero_ps(); NV]; 8];
        for i in 0..pairs {
            let mut x = [_mm512_setzero_si512(); NV];
            for j in 0..NV {
                x[j] = _mm512_loadu_si512(panel.add((i * NV + j) * 16).cast());
            }
            for o in 0..8 {
                let w = _mm512_set1_epi32(*u.add(i * 8 + o) as i32);
                for j in 0..NV {
                    acc[o][j] = _mm512_dpbf16_ps(
                        acc[o][j],
                        std::mem::transmute::<__m512i, __m512bh>(x[j]),
                        std::mem::transmute::<__m512i, __m512bh>(w),
                    );
                }
            }
        }
        for o in 0..8 {
            for j in 0..NV {
                _mm512_storeu_ps(m.add(o * channel + j * 16), acc[o][j]);
            }
        }
    }
}
