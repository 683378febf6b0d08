//! Losses of the two tasks and their sum.

use crate::error::{Error, ErrorKind, Result};
use crate::nets::Output;
use burn::tensor::{DType, FloatDType, Int, Tensor, activation::log_softmax};
use serde::{Deserialize, Serialize};

/// Added to the terms of every overlap ratio, so that empty masks have a value.
const SMOOTH: f64 = 1.0;
/// Floor of 1 − TI under the focal exponent: below it the slope of x^e would run away.
const FLOOR: f64 = 1e-6;

/// The segmentation loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum SegmentationLoss {
    /// `max(1 − TI, 1e-6)^e` (the paper's).
    #[default]
    FocalTversky,
    /// `1 − TI` (ablation).
    Tversky,
    /// `1 − (2TP + 1) / (2TP + FN + FP + 1)` (ablation).
    Dice,
}

/// Configuration of the loss `(1 − λ) L_seg + λ L_cls`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LossConfig {
    /// The segmentation loss.
    pub segmentation_loss: SegmentationLoss,
    /// α, weight of false negatives in the Tversky index (paper: 0.7).
    pub alpha: f64,
    /// β, weight of false positives in the Tversky index (paper: 0.3).
    pub beta: f64,
    /// Exponent e of the focal Tversky loss (ours: 0.9; see [`from_gamma`](Self::from_gamma)).
    pub exponent: f64,
    /// λ, weight of the classification in the total (ours: 0.3).
    pub class_weight: f64,
    /// Weights of the classes normal, CAP, COVID-19 in the cross-entropy.
    pub class_weights: Option<[f64; 3]>,
}

impl Default for LossConfig {
    fn default() -> Self {
        Self {
            segmentation_loss: SegmentationLoss::FocalTversky,
            alpha: 0.7,
            beta: 0.3,
            exponent: 0.9,
            class_weight: 0.3,
            class_weights: None,
        }
    }
}

/// The loss and its parts, each `[1]`, averaged over passes and windows.
#[derive(Debug, Clone)]
pub struct Losses {
    /// `(1 − λ) segmentation + λ classification`; the segmentation loss alone if the net does not
    /// classify.
    pub total: Tensor<1>,
    /// The segmentation loss.
    pub segmentation: Tensor<1>,
    /// The cross-entropy; 0 if the net does not classify.
    pub classification: Tensor<1>,
}

impl LossConfig {
    /// The default with the exponent 1/γ: the paper's notation, γ in \[1, 3\].
    pub fn from_gamma(gamma: f64) -> Self {
        Self {
            exponent: 1.0 / gamma,
            ..Self::default()
        }
    }

    /// Checks every field's range.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], naming the field.
    pub fn validate(&self) -> Result<()> {
        let weight = |w: f64| w.is_finite() && w >= 0.0;
        let checks = [
            (weight(self.alpha), "alpha", "must be at least 0"),
            (weight(self.beta), "beta", "must be at least 0"),
            (
                self.exponent.is_finite() && self.exponent > 0.0,
                "exponent",
                "must be above 0",
            ),
            (
                (0.0..=1.0).contains(&self.class_weight),
                "class_weight",
                "must be 0 to 1",
            ),
            (
                self.class_weights
                    .is_none_or(|w| w.iter().all(|w| w.is_finite() && *w > 0.0)),
                "class_weights",
                "each must be above 0",
            ),
        ];
        match checks.iter().find(|(ok, ..)| !ok) {
            None => Ok(()),
            Some((_, field, rule)) => Err(Error::new(
                ErrorKind::Config,
                format!("loss configuration: `{field}` {rule}"),
            )
            .hint(format!("correct `{field}` or leave it out for the default"))),
        }
    }

    /// The loss of `output` against the truth.
    ///
    /// # Shapes
    ///
    /// - `lesion`: truth, 0 or 1, `[batch, K, d, h, w]`
    /// - `classes`: `[batch]`, 0 normal, 1 CAP, 2 COVID-19
    pub fn forward(&self, output: &Output, lesion: Tensor<5>, classes: Tensor<1, Int>) -> Losses {
        let lesion = to_f32(lesion);
        let segmentation = mean(
            output
                .passes
                .iter()
                .map(|pass| self.segmentation(pass.lesion.clone(), lesion.clone())),
        );
        let logits: Option<Vec<_>> = output.passes.iter().map(|p| p.class_logits.clone()).collect();
        match logits {
            None => Losses {
                total: segmentation.clone(),
                classification: segmentation.zeros_like(),
                segmentation,
            },
            Some(logits) => {
                let classification = mean(
                    logits
                        .into_iter()
                        .map(|logits| self.classification(logits, classes.clone())),
                );
                let total = segmentation.clone().mul_scalar(1.0 - self.class_weight)
                    + classification.clone().mul_scalar(self.class_weight);
                Losses {
                    total,
                    segmentation,
                    classification,
                }
            }
        }
    }

    /// Segmentation loss of one pass, `[1]`: mean over windows and lesion channels.
    ///
    /// # Shapes
    ///
    /// - `p`, `g`: probabilities and truth, `[batch, K, d, h, w]`
    pub fn segmentation(&self, p: Tensor<5>, g: Tensor<5>) -> Tensor<1> {
        let [b, k, d, h, w] = p.dims();
        let p = to_f32(p).reshape([b * k, d * h * w]);
        let g = to_f32(g).reshape([b * k, d * h * w]);
        let tp = (p.clone() * g.clone()).sum_dim(1);
        let fn_ = g.sum_dim(1) - tp.clone();
        let fp = p.sum_dim(1) - tp.clone();
        let ratio = |hit: Tensor<2>, miss: Tensor<2>| {
            let hit = hit.add_scalar(SMOOTH);
            let loss = (hit.clone() / (hit + miss)).neg().add_scalar(1.0);
            loss
        };
        let tversky = |tp, fn_: Tensor<2>, fp: Tensor<2>| {
            ratio(tp, fn_.mul_scalar(self.alpha) + fp.mul_scalar(self.beta))
        };
        let loss = match self.segmentation_loss {
            SegmentationLoss::Dice => ratio(tp.mul_scalar(2.0), fn_ + fp),
            SegmentationLoss::Tversky => tversky(tp, fn_, fp),
            SegmentationLoss::FocalTversky => tversky(tp, fn_, fp)
                .clamp_min(FLOOR)
                .powf_scalar(self.exponent),
        };
        loss.mean()
    }

    /// Cross-entropy of one pass, `[1]`: mean over windows, weighted by their classes' weights.
    ///
    /// # Shapes
    ///
    /// - `logits`: `[batch, 3]`
    /// - `classes`: `[batch]`
    pub fn classification(&self, logits: Tensor<2>, classes: Tensor<1, Int>) -> Tensor<1> {
        let [b, _] = logits.dims();
        let device = logits.device();
        let log_p = log_softmax(to_f32(logits), 1)
            .gather(1, classes.clone().reshape([b, 1]))
            .reshape([b]);
        match self.class_weights {
            None => log_p.mean().neg(),
            Some(weights) => {
                let weights = Tensor::<1>::from_data(weights.map(|w| w as f32), &device)
                    .select(0, classes);
                (log_p * weights.clone()).sum().neg() / weights.sum()
            }
        }
    }
}

fn mean(losses: impl ExactSizeIterator<Item = Tensor<1>>) -> Tensor<1> {
    let n = losses.len() as f64;
    let sum = losses.reduce(|a, b| a + b);
    sum.map_or_else(
        || unreachable!("an output has at least one pass"),
        |sum| sum.div_scalar(n),
    )
}

fn to_f32<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    match x.dtype() {
        DType::F32 => x,
        _ => x.cast(FloatDType::F32),
    }
}
