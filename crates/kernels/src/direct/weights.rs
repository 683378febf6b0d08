//! Weights in the order in which direct convolutions read them.

use crate::conv::Conv;
use crate::pack::positions;
use crate::simd::Isa;
use rayon::prelude::*;

/// Weights in the order in which the kernels read them: one set for a convolution, or one set per
/// phase of the stride for its transpose.
#[derive(Debug, Clone)]
pub(crate) struct Packed(pub(super) Vec<Vec<f32>>);

impl Packed {
    /// Packs weights for [`forward`](super::forward).
    pub(crate) fn forward(conv: &Conv, weights: &[f32]) -> Self {
        let (taps, ci) = (conv.taps(), conv.channels_in);
        let all: Vec<usize> = (0..taps).collect();
        let get = |o: usize, c: usize, t: usize| weights[(o * ci + c) * taps + t];
        Self(vec![pack_weights(
            conv.isa(),
            conv.channels_out,
            ci,
            &all,
            get,
        )])
    }

    /// Packs weights for [`transposed`](super::transposed).
    pub(crate) fn transposed(conv: &Conv, weights: &[f32]) -> Self {
        let (taps, ci, co) = (conv.taps(), conv.channels_in, conv.channels_out);
        let get = |o: usize, c: usize, t: usize| weights[(c * ci + o) * taps + t];
        Self(
            positions(conv.strides())
                .map(|f| {
                    let names: Vec<usize> = phase_taps(conv, f).iter().map(|t| t.0).collect();
                    pack_weights(conv.isa(), ci, co, &names, get)
                })
                .collect(),
        )
    }
}

/// Taps (number and position) that reach the phase `f` of the stride. The last tap comes first,
/// because it reads the lowest address.
pub(super) fn phase_taps(conv: &Conv, f: [usize; 3]) -> Vec<(usize, [usize; 3])> {
    let s = conv.strides();
    let mut taps: Vec<_> = conv
        .positions()
        .enumerate()
        .filter(|(_, t)| (0..3).all(|a| t[a] % s[a] == f[a]))
        .collect();
    taps.reverse();
    taps
}

/// Weights in the order `[block of output channels][input channel][tap][channel of the block]`.
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

/// Output channels in blocks `(first, size)` of the register tile's height. The size halves for the
/// remaining channels.
pub(super) fn blocks(isa: Isa, co: usize) -> Vec<(usize, usize)> {
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
