//! The terms that losses are made of. A "row" is one channel of one window.

use super::config::{LossConfig, SegmentationLoss};
use burn::tensor::{DType, FloatDType, Tensor};

/// Added to the terms of every overlap ratio, so that empty masks have a value.
const SMOOTH: f64 = 1.0;
/// Floor of 1 − TI under the focal exponent: below it the slope of x^e would run away.
pub(super) const FLOOR: f64 = 1e-6;
/// Floor of a probability under the logarithm. It lies far below the least difference from 1 that
/// 32 bits hold, so that a voxel that is wrong beyond doubt still has a slope.
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
    // The probability of what is true; one logarithm serves both cases.
    let right = p
        .clone()
        .neg()
        .add_scalar(1.0)
        .mask_where(g.greater_elem(0.5), p);
    let loss = right.clamp_min(LEAST).log().mean_dim(1).neg();
    loss.reshape([b, k])
}

/// 1 for each row with a voxel in `g`, else 0, `[batch, K]`.
pub(super) fn present(g: Tensor<5>) -> Tensor<2> {
    let [b, k, ..] = g.dims();
    rows(g).sum_dim(1).greater_elem(0.5).float().reshape([b, k])
}

/// The rows' mean for each window, weighted by `weights`, `[batch]`; 0 without any weight.
pub(super) fn mean_of_rows(rows: Tensor<2>, weights: Tensor<2>) -> Tensor<1> {
    let [b, _] = rows.dims();
    let total = weights.clone().sum_dim(1).clamp_min(LEAST);
    ((rows * weights).sum_dim(1) / total).reshape([b])
}

/// The windows' mean weighted by `weights`, `[1]`; 0 without any weight.
pub(super) fn mean_of_windows(windows: Tensor<1>, weights: Tensor<1>) -> Tensor<1> {
    (windows * weights.clone()).sum() / weights.sum().clamp_min(LEAST)
}

/// Lesion voxels with a neighbour in their slice that is none, of any lesion channel:
/// `[batch, K, d, h, w]` → `[batch, 1, d, h, w]`. Beyond the window nothing is known, so its
/// border is no edge.
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
