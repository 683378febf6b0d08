//! Losses of the two tasks and their sum.

use crate::config::ClassFrom;
use crate::error::{Error, ErrorKind, Result};
use crate::nets::Output;
use crate::systems::Answer;
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

    /// The loss of `output` against the truth; see [`score`](Self::score).
    ///
    /// # Shapes
    ///
    /// As there.
    pub fn forward(&self, output: &Output, lesion: Tensor<5>, classes: Tensor<1, Int>) -> Losses {
        let answer = output.clone().into_answer(ClassFrom::Last);
        self.score(&answer, lesion, classes)
    }

    /// The loss of `answer` against the truth. Edge maps add their binary cross-entropy to the
    /// segmentation loss; a net with one task only has that task's loss alone.
    ///
    /// # Shapes
    ///
    /// - `lesion`: truth, 0 or 1, `[batch, K, d, h, w]`
    /// - `classes`: `[batch]`, 0 normal, 1 CAP, 2 COVID-19
    ///
    /// # Panics
    ///
    /// If the answer is empty.
    pub fn score(&self, answer: &Answer, lesion: Tensor<5>, classes: Tensor<1, Int>) -> Losses {
        let lesion = to_f32(lesion);
        let maps = answer.lesion.iter();
        let maps = mean(maps.map(|map| self.segmentation(map.clone(), lesion.clone())));
        let edges = (!answer.edges.is_empty()).then(|| edge_of(lesion.clone()));
        let edges = edges.and_then(|truth| {
            let edges = answer.edges.iter();
            mean(edges.map(|edge| binary_cross_entropy(edge.clone(), truth.clone())))
        });
        let segmentation = match (maps, edges) {
            (Some(maps), Some(edges)) => Some(maps + edges),
            (maps, edges) => maps.or(edges),
        };
        let logits = answer.class_logits.iter();
        let logits = logits.map(|logits| self.classification(logits.clone(), classes.clone()));
        let (segmentation, classification) = match (segmentation, mean(logits)) {
            (Some(s), Some(c)) => {
                let total = s.clone().mul_scalar(1.0 - self.class_weight)
                    + c.clone().mul_scalar(self.class_weight);
                return Losses {
                    total,
                    segmentation: s,
                    classification: c,
                };
            }
            (s, c) => (s, c),
        };
        let total = segmentation
            .clone()
            .or(classification.clone())
            .expect("an answer has maps or classes");
        Losses {
            segmentation: segmentation.unwrap_or_else(|| total.zeros_like()),
            classification: classification.unwrap_or_else(|| total.zeros_like()),
            total,
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
            (hit.clone() / (hit + miss)).neg().add_scalar(1.0)
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
                let weights =
                    Tensor::<1>::from_data(weights.map(|w| w as f32), &device).select(0, classes);
                (log_p * weights.clone()).sum().neg() / weights.sum()
            }
        }
    }
}

fn mean(losses: impl ExactSizeIterator<Item = Tensor<1>>) -> Option<Tensor<1>> {
    let n = losses.len() as f64;
    losses.reduce(|a, b| a + b).map(|sum| sum.div_scalar(n))
}

/// Lesion voxels with a neighbour in their slice that is none, of any lesion channel:
/// `[batch, K, d, h, w]` → `[batch, 1, d, h, w]`. Beyond the window nothing is known, so its
/// border is no edge.
fn edge_of(lesion: Tensor<5>) -> Tensor<5> {
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

/// Mean over all voxels; `p` is kept from 0 and 1 so that the logarithm stays finite.
fn binary_cross_entropy(p: Tensor<5>, truth: Tensor<5>) -> Tensor<1> {
    let p = to_f32(p).clamp(1e-6, 1.0 - 1e-6);
    let miss = truth.clone() * p.clone().log();
    let alarm = (truth.neg().add_scalar(1.0)) * p.neg().add_scalar(1.0).log();
    (miss + alarm).mean().neg()
}

fn to_f32<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    match x.dtype() {
        DType::F32 => x,
        _ => x.cast(FloatDType::F32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nets::Pass;
    use burn::tensor::Device;

    // TP = 1.2, FN = 0.2 + 0.6 = 0.8, FP = 0.1 + 0.2 = 0.3
    const P: [f32; 4] = [0.8, 0.4, 0.1, 0.2];
    const G: [f32; 4] = [1.0, 1.0, 0.0, 0.0];
    // 1 − (2·1.2 + 1) / (2·1.2 + 0.8 + 0.3 + 1) = 1 − 3.4 / 4.5
    const DICE: f32 = 0.244_444_44;
    // 1 − (1.2 + 1) / (1.2 + 0.7·0.8 + 0.3·0.3 + 1) = 1 − 2.2 / 2.85
    const TVERSKY: f32 = 0.228_070_18;
    // 0.22807018^0.9 = exp(0.9 · −1.4781018)
    const FOCAL: f32 = 0.264_400_2;
    // ln(e² + e + 1) − 2 and ln 3
    const CE: [f32; 2] = [0.407_605_96, 1.098_612_3];

    fn map(values: [f32; 4]) -> Tensor<5> {
        Tensor::<1>::from_floats(values, &Device::flex()).reshape([1, 1, 1, 2, 2])
    }

    fn output(lesions: &[[f32; 4]], logits: Option<[f32; 3]>) -> Output {
        let logits = logits.map(|l| Tensor::<2>::from_floats([l], &Device::flex()));
        let pass = |l: &[f32; 4]| Pass {
            lesion: map(*l),
            class_logits: logits.clone(),
            class_features: None,
            deepest: map(*l),
        };
        Output {
            passes: lesions.iter().map(pass).collect(),
        }
    }

    fn classes<const N: usize>(classes: [i64; N]) -> Tensor<1, Int> {
        Tensor::from_data(classes, &Device::flex())
    }

    fn segmentation(config: &LossConfig) -> f32 {
        config.segmentation(map(P), map(G)).into_scalar()
    }

    #[track_caller]
    fn close(got: f32, want: f32) {
        assert!((got - want).abs() < 2e-6, "got {got}, want {want}");
    }

    fn of(segmentation_loss: SegmentationLoss) -> LossConfig {
        LossConfig {
            segmentation_loss,
            ..LossConfig::default()
        }
    }

    #[test]
    fn segmentation_losses_by_hand() {
        close(segmentation(&of(SegmentationLoss::Dice)), DICE);
        close(segmentation(&of(SegmentationLoss::Tversky)), TVERSKY);
        close(segmentation(&of(SegmentationLoss::FocalTversky)), FOCAL);
    }

    #[test]
    fn alpha_weighs_misses_and_beta_false_alarms() {
        let tversky = |alpha, beta| {
            segmentation(&LossConfig {
                alpha,
                beta,
                ..of(SegmentationLoss::Tversky)
            })
        };
        // 1 − 2.2 / (2.2 + 0.8α + 0.3β)
        close(tversky(0.3, 0.7), 1.0 - 2.2 / 2.65);
        close(tversky(1.0, 0.0), 1.0 - 2.2 / 3.0);
        close(tversky(0.0, 1.0), 1.0 - 2.2 / 2.5);
    }

    #[test]
    fn exponent_changes_the_focal_loss_and_gamma_is_its_inverse() {
        let loss = |config: LossConfig| segmentation(&config);
        close(LossConfig::from_gamma(2.0).exponent as f32, 0.5);
        close(loss(LossConfig::from_gamma(2.0)), TVERSKY.sqrt());
        close(loss(LossConfig::from_gamma(1.0)), TVERSKY);
    }

    #[test]
    fn perfect_and_empty_masks_have_a_finite_loss_and_slope() {
        let device = Device::flex().autodiff();
        let truth = Tensor::<5>::from_data(map(G).into_data(), &device);
        let p = truth.clone().require_grad();
        let loss = LossConfig::default().segmentation(p.clone(), truth);
        close(loss.clone().into_scalar(), FLOOR.powf(0.9) as f32);
        let grads = loss.backward();
        let slope = p.grad(&grads).unwrap();
        assert!(slope.into_data().iter::<f32>().all(f32::is_finite));

        let empty = LossConfig::default().segmentation(map([0.0; 4]), map([0.0; 4]));
        close(empty.into_scalar(), FLOOR.powf(0.9) as f32);
    }

    #[test]
    fn mean_over_windows_and_channels_not_over_their_voxels_together() {
        let cat = |a, b, dim| Tensor::cat(vec![map(a), map(b)], dim);
        for dim in [0, 1] {
            let loss = of(SegmentationLoss::Tversky)
                .segmentation(cat(P, [0.0; 4], dim), cat(G, [1.0; 4], dim));
            // The second: TP = 0, FN = 4 → 1 − 1 / (0.7·4 + 1)
            close(loss.into_scalar(), (TVERSKY + 1.0 - 1.0 / 3.8) / 2.0);
        }
    }

    #[test]
    fn cross_entropy_by_hand_and_class_weights() {
        let logits =
            || Tensor::<2>::from_floats([[2.0, 1.0, 0.0], [0.0, 0.0, 0.0]], &Device::flex());
        let loss = |config: &LossConfig| -> f32 {
            config
                .classification(logits(), classes([0, 2]))
                .into_scalar()
        };
        close(loss(&LossConfig::default()), (CE[0] + CE[1]) / 2.0);
        let weighted = LossConfig {
            class_weights: Some([1.0, 2.0, 3.0]),
            ..LossConfig::default()
        };
        close(loss(&weighted), (CE[0] + 3.0 * CE[1]) / 4.0);
    }

    #[test]
    fn total_weighs_the_tasks_and_averages_the_passes() {
        let output = output(&[P, [0.0; 4]], Some([2.0, 1.0, 0.0]));
        for weight in [0.0, 0.3, 1.0] {
            let config = LossConfig {
                class_weight: f64::from(weight),
                ..of(SegmentationLoss::Tversky)
            };
            let losses = config.forward(&output, map(G), classes([0]));
            // The second pass: TP = 0, FN = 2 → 1 − 1 / (0.7·2 + 1)
            let segmentation = (TVERSKY + 1.0 - 1.0 / 2.4) / 2.0;
            close(losses.segmentation.into_scalar(), segmentation);
            close(losses.classification.into_scalar(), CE[0]);
            let total = (1.0 - weight) * segmentation + weight * CE[0];
            close(losses.total.into_scalar(), total);
        }
    }

    #[test]
    fn without_classification_the_total_is_the_segmentation_loss() {
        let losses = LossConfig::default().forward(&output(&[P], None), map(G), classes([0]));
        close(losses.total.into_scalar(), FOCAL);
        close(losses.classification.into_scalar(), 0.0);
    }

    #[test]
    fn fields_out_of_range_are_named() {
        let good = LossConfig::default;
        let cases = [
            (
                "alpha",
                LossConfig {
                    alpha: -0.1,
                    ..good()
                },
            ),
            (
                "beta",
                LossConfig {
                    beta: f64::NAN,
                    ..good()
                },
            ),
            (
                "exponent",
                LossConfig {
                    exponent: 0.0,
                    ..good()
                },
            ),
            (
                "class_weight",
                LossConfig {
                    class_weight: 1.1,
                    ..good()
                },
            ),
            (
                "class_weights",
                LossConfig {
                    class_weights: Some([1.0, 0.0, 1.0]),
                    ..good()
                },
            ),
        ];
        assert!(good().validate().is_ok());
        for (field, config) in cases {
            let error = config.validate().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(&format!("`{field}`")), "{error}");
        }
    }

    #[test]
    fn a_net_with_one_task_has_its_loss_alone() {
        let config = LossConfig::default();
        let logits = Tensor::<2>::from_floats([[2.0, 1.0, 0.0]], &Device::flex());
        let (maps, classes_only) = (
            Answer {
                lesion: vec![map(P)],
                ..Answer::default()
            },
            Answer {
                class_logits: vec![logits],
                ..Answer::default()
            },
        );
        let score = |answer: &Answer| {
            let l = config.score(answer, map(G), classes([0]));
            [l.total, l.segmentation, l.classification].map(|t| t.into_scalar::<f32>())
        };
        let [total, segmentation, classification] = score(&maps);
        close(total, FOCAL);
        assert_eq!((segmentation, classification), (total, 0.0));
        let [total, segmentation, classification] = score(&classes_only);
        close(total, CE[0]);
        assert_eq!((segmentation, classification), (0.0, total));
    }

    #[test]
    fn edges_are_lesion_voxels_with_a_neighbour_outside_in_their_slice() {
        let rows = [
            [1.0, 1.0, 1.0, 0.0],
            [1.0, 1.0, 1.0, 0.0],
            [1.0, 1.0, 1.0, 0.0],
            [0.0, 0.0, 0.0, 0.0],
        ];
        let lesion = Tensor::<2>::from_floats(rows, &Device::flex()).reshape([1, 1, 1, 4, 4]);
        let edge = edge_of(lesion.clone());
        let values: Vec<f32> = edge.into_data().iter::<f32>().collect();
        let expected = [
            0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0,
        ];
        assert_eq!(values, expected);
        // Five of 16 voxels are edge: −(5 ln ¼ + 11 ln ¾) / 16.
        let even = lesion.zeros_like().add_scalar(0.25);
        let answer = Answer {
            lesion: vec![lesion.clone()],
            edges: vec![even],
            ..Answer::default()
        };
        let config = of(SegmentationLoss::Dice);
        let loss = config.score(&answer, lesion, classes([0]));
        close(loss.total.into_scalar::<f32>(), 0.630_998_6);
    }
}
