//! Configuration of the loss.

use crate::error::Result;
use multirnet_base::Ranges;
use serde::{Deserialize, Serialize};

/// The overlap loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum SegmentationLoss {
    /// `max(1 − TI, 1e-6)^e` with the Tversky index TI (paper).
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
    /// All windows. In a window without lesion the loss stays near 1 until the net marks almost
    /// nothing. This pulls the net towards marking nothing in any window.
    All,
    /// Windows with lesion, and in them the kinds of lesion that are present (ours).
    #[default]
    WithLesion,
}

/// Configuration of the loss `(1 − λ) L_seg + λ L_cls`. `L_seg` is the overlap loss plus
/// `cross_entropy` times the voxels' binary cross-entropy.
///
/// The default is the loss that learns best in our experiments; [`paper`](Self::paper) is the loss
/// of the paper.
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
    /// Weight of the voxels' binary cross-entropy, which is averaged over all windows whose lesions
    /// are known (ours: 1; the paper does not have this term).
    pub cross_entropy: f64,
    /// For two lesion channels: share of the union's loss in windows whose kinds of lesion are
    /// known; the mean loss of the kinds has the rest (ours: 0.5). Other windows have the union's
    /// loss alone.
    pub union_weight: f64,
    /// λ, weight of the classification loss in the total (ours: 0.2).
    pub classification_weight: f64,
    /// Weights of the classes normal, CAP, COVID-19 in the classification's cross-entropy; `None`
    /// weighs them equally.
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
    /// The loss of the paper, section 3.3: the segmentation loss is the overlap loss alone,
    /// averaged over all windows. The paper does not give λ; ours is 0.3 here.
    pub fn paper() -> Self {
        Self {
            tversky_windows: TverskyWindows::All,
            cross_entropy: 0.0,
            classification_weight: 0.3,
            ..Self::default()
        }
    }

    /// The default with the exponent 1/γ. The paper states γ, which is in \[1, 3\].
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
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if a field is out of range; the message
    /// names the field.
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
