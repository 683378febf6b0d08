//! The choices that make up the loss.

use crate::error::Result;
use multirnet_base::Ranges;
use serde::{Deserialize, Serialize};

/// The overlap loss.
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

/// Which windows the overlap loss is averaged over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum TverskyWindows {
    /// All. Where there is no lesion the loss is near 1 whatever the net marks, until it marks
    /// next to nothing; then marking nothing anywhere is a short way down.
    All,
    /// Those with lesion, and of their kinds those that are there (ours).
    #[default]
    WithLesion,
}

/// Configuration of the loss `(1 − λ) L_seg + λ L_cls`, where `L_seg` is the overlap loss and
/// `cross_entropy` times the voxels' binary cross-entropy.
///
/// The default is what learns best here; [`paper`](Self::paper) is what the paper describes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LossConfig {
    /// The overlap loss.
    pub segmentation_loss: SegmentationLoss,
    /// α, weight of false negatives in the Tversky index (paper: 0.7).
    pub alpha: f64,
    /// β, weight of false positives in the Tversky index (paper: 0.3).
    pub beta: f64,
    /// Exponent e of the focal Tversky loss (ours: 0.9; see [`from_gamma`](Self::from_gamma)).
    pub exponent: f64,
    /// Windows that the overlap loss is averaged over (ours: those with lesion).
    pub tversky_windows: TverskyWindows,
    /// Weight of the voxels' binary cross-entropy, which is averaged over all windows whose
    /// lesions are known (ours: 1; the paper has none).
    pub cross_entropy: f64,
    /// For two lesion channels: share of the union's loss in windows that know the kinds, the rest
    /// is the kinds' mean (ours: 0.5). Other windows have the union's loss alone.
    pub union_weight: f64,
    /// λ, weight of the classification in the total (ours: 0.2).
    pub classification_weight: f64,
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
            tversky_windows: TverskyWindows::WithLesion,
            cross_entropy: 1.0,
            union_weight: 0.5,
            classification_weight: 0.2,
            class_weights: None,
        }
    }
}

impl LossConfig {
    /// The paper's loss, section 3.3, with λ = 0.3, which it does not give: the overlap loss alone,
    /// averaged over all windows.
    pub fn paper() -> Self {
        Self {
            tversky_windows: TverskyWindows::All,
            cross_entropy: 0.0,
            classification_weight: 0.3,
            ..Self::default()
        }
    }

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
    /// [`ErrorKind::Config`](crate::ErrorKind::Config), naming the field.
    pub fn validate(&self) -> Result<()> {
        let weight = |w: f64| w.is_finite() && w >= 0.0;
        let above_0 = |w: f64| w.is_finite() && w > 0.0;
        let classes = self
            .class_weights
            .is_none_or(|w| w.into_iter().all(above_0));
        Ok(Ranges::of_table("loss")
            .require(weight(self.alpha), "alpha", self.alpha, "0 or more")
            .require(weight(self.beta), "beta", self.beta, "0 or more")
            .require(above_0(self.exponent), "exponent", self.exponent, "above 0")
            .require(
                weight(self.cross_entropy),
                "cross_entropy",
                self.cross_entropy,
                "0 or more",
            )
            .within("union_weight", self.union_weight, 0.0..=1.0)
            .within(
                "classification_weight",
                self.classification_weight,
                0.0..=1.0,
            )
            .require(classes, "class_weights", self.class_weights, "above 0 each")
            .check()?)
    }
}
