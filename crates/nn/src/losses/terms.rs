//! Terms of the segmentation loss. A "row" is one channel of one window.

use super::config::{LossConfig, SegmentationLoss};
use burn::tensor::{DType, FloatDType, Tensor};

/// Added to numerator and denominator of every overlap ratio. Empty masks would give 0 / 0
/// otherwise.
const SMOOTH: f64 = 1.0;
/// Smallest value of 1 − TI under the focal exponent. Below it the slope of x^e would grow without
/// bound.
pub(super) const FLOOR: f64 = 1e-6;
/// Smallest probability under the logarithm. It is far below the smallest difference from 1 that 32
/// bits can hold, so voxels that are almost certainly wrong still have a slope.
const LEAST: f64 = 1e-12;

/// Overlap loss of each row, `[batch, K]`.
///
/// # Shapes
///
/// - `p`, `g`: probabilities and truth, `[batch, K, d, h, w]`
pub(super) fn overlap(config: &LossConfig, p: Tensor<5>, g: Tensor<5>) -> Tensor<2> {
    let [b, k, ..] = p.dims();
    let (p, g) = (rows(p), rows(g));
    let tp = (p.clone() * g.clone()).sum_dim(1);
    let fn_ = g.sum_dim(1) - tp.clone();
    let fp = p.sum_dim(1) - tp.clone();
    let ratio = |hit: Tensor<2>, miss: Tensor<2>| {
        let hit = hit.add_scalar(SMOOTH);
        (hit.clone() / (hit + miss)).neg().add_scalar(1.0)
    };
    let tversky = |tp, fn_: Tensor<2>, fp: Tensor<2>| {
        ratio(
            tp,
            fn_.mul_scalar(config.alpha) + fp.mul_scalar(config.beta),
        )
    };
    let loss = match config.segmentation_loss {
        SegmentationLoss::Dice => ratio(tp.mul_scalar(2.0), fn_ + fp),
        SegmentationLoss::Tversky => tversky(tp, fn_, fp),
        SegmentationLoss::FocalTversky => tversky(tp, fn_, fp)
            .clamp_min(FLOOR)
            .powf_scalar(config.exponent),
    };
    loss.reshape([b, k])
}

/// Binary cross-entropy of each row, `[batch, K]`: mean over its voxels.
///
/// # Shapes
///
/// - `p`, `g`: probabilities and truth (0 or 1), `[batch, K, d, h, w]`
pub(super) fn cross_entropy(p: Tensor<5>, g: Tensor<5>) -> Tensor<2> {
    let [b, k, ..] = p.dims();
    let (p, g) = (rows(p), rows(g));
    // This is the probability of the true label. One logarithm serves both cases.
    let right = p
        .clone()
        .neg()
        .add_scalar(1.0)
        .mask_where(g.greater_elem(0.5), p);
    let loss = right.clamp_min(LEAST).log().mean_dim(1).neg();
    loss.reshape([b, k])
}

/// 1 for each row with a lesion voxel in `g`, else 0, `[batch, K]`.
pub(super) fn present(g: Tensor<5>) -> Tensor<2> {
    let [b, k, ..] = g.dims();
    rows(g).sum_dim(1).greater_elem(0.5).float().reshape([b, k])
}

/// The mean over each window's rows, weighted by `weights`, `[batch]`; 0 if all weights are 0.
pub(super) fn mean_of_rows(rows: Tensor<2>, weights: Tensor<2>) -> Tensor<1> {
    let [b, _] = rows.dims();
    let total = weights.clone().sum_dim(1).clamp_min(LEAST);
    ((rows * weights).sum_dim(1) / total).reshape([b])
}

/// The mean over windows, weighted by `weights`, `[1]`; 0 if all weights are 0.
pub(super) fn mean_of_windows(windows: Tensor<1>, weights: Tensor<1>) -> Tensor<1> {
    (windows * weights.clone()).sum() / weights.sum().clamp_min(LEAST)
}

/// Edges of lesions: lesion voxels of any channel that have a neighbour without lesion in their
/// slice, `[batch, K, d, h, w]` → `[batch, 1, d, h, w]`. The window's border is not an edge,
/// because the voxels beyond it are not known.
pub(super) fn edge_of(lesion: Tensor<5>) -> Tensor<5> {
    let mask = lesion.max_dim(1);
    let [.., h, w] = mask.dims();
    let mut inside = mask.clone();
    for (dim, n) in [(3, h), (4, w)].into_iter().filter(|&(_, n)| n > 1) {
        let (first, last) = (
            mask.clone().narrow(dim, 0, 1),
            mask.clone().narrow(dim, n - 1, 1),
        );
        let before = Tensor::cat(vec![first, mask.clone().narrow(dim, 0, n - 1)], dim);
        let after = Tensor::cat(vec![mask.clone().narrow(dim, 1, n - 1), last], dim);
        inside = inside * before * after;
    }
    mask - inside
}

/// `[batch, K, d, h, w]` → `[batch · K, d · h · w]`.
fn rows(x: Tensor<5>) -> Tensor<2> {
    let [b, k, d, h, w] = x.dims();
    x.reshape([b * k, d * h * w])
}

pub(super) fn to_f32<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    match x.dtype() {
        DType::F32 => x,
        _ => x.cast(FloatDType::F32),
    }
}
