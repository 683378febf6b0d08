//! Configuration of MultiR-Net. Every choice that the paper leaves open is a field.

use crate::checks;
use crate::error::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// Number of diagnoses: normal, community-acquired pneumonia, COVID-19.
pub const CLASSES: usize = 3;

/// Normalisation after each convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Norm {
    /// Batch normalisation, with running statistics outside training (paper).
    #[default]
    Batch,
    /// Instance normalisation: each channel of each window by itself (ours).
    Instance,
    /// Group normalisation with the largest number of groups ≤ 8 that divides the channels (ours).
    Group,
}

/// How the lesion map enters the classification subnet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum MaskFeedback {
    /// `x ⊙ P` (the paper, section 3.1).
    #[default]
    Multiply,
    /// `x + P` (the paper, section 3).
    Add,
    /// `x` alone (ablation, ours).
    None,
}

/// Which pass gives the class logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum ClassFrom {
    /// The last pass.
    #[default]
    Last,
    /// The first pass.
    First,
    /// The mean of all passes' logits.
    Mean,
}

/// The value from which the classes are computed, over the passes so far.
#[derive(Debug, Clone)]
pub struct Kept<T> {
    /// The chosen pass's value, or the sum over all passes for [`ClassFrom::Mean`].
    pub value: T,
    /// Number of passes whose values are summed.
    pub count: usize,
}

impl ClassFrom {
    /// Updates `kept` with the value `now` of the next pass. `add` adds a pass's value to the sum.
    /// Both the net on burn and the CPU engine use this method, so that their choices agree.
    pub fn keep<T>(
        self,
        kept: Option<Kept<T>>,
        now: T,
        add: impl FnOnce(T, T) -> T,
    ) -> Option<Kept<T>> {
        Some(match (kept, self) {
            (Some(kept), Self::First) => kept,
            (Some(kept), Self::Mean) => Kept {
                value: add(kept.value, now),
                count: kept.count + 1,
            },
            (_, _) => Kept {
                value: now,
                count: 1,
            },
        })
    }
}

/// Configuration of [`MultiRNet`](crate::nets::MultiRNet).
///
/// Presets: [`base`](Self::base) (the paper's widths), [`small`](Self::small) (half the channels),
/// [`vnet5`](Self::vnet5) (V-Net's 5³ kernels).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MultiRNetConfig {
    /// Channels of the segmentation subnet's levels 1..5 (paper: 16, 32, 64, 128, 256).
    pub channels: [usize; 5],
    /// Side of the segmentation subnet's convolution kernels, 3 (default, ours) or 5 (V-Net).
    pub kernel_size: usize,
    /// Normalisation after each convolution.
    pub norm: Norm,
    /// Reverse attention on the skip connections (paper; `false` for the ablation).
    pub reverse_attention: bool,
    /// Classification subnet (paper; `false` for the ablation).
    pub classification: bool,
    /// Lesion channels K: 1 (lesion, the paper) or 2 (ground-glass opacity, consolidation).
    pub lesion_channels: usize,
    /// Weights ω of the decoder levels 1..4 in the multi-scale fusion. They are not trained
    /// (paper).
    pub scale_weights: [f64; 4],
    /// How the lesion map enters the classification subnet.
    pub mask_feedback: MaskFeedback,
    /// Whether the lesion map that enters the classification subnet is detached from the gradient
    /// (ours: true; the paper does not say). If it is not, the gradient of the classification loss
    /// reaches the lesion map and spoils it. This affects training only.
    pub detach_mask: bool,
    /// Factor on the initial weights of the maps' upsampling, `UP_i`, and therefore on the initial
    /// lesion logits (ours: 5). With 1, which is plain upsampling, and Σ ω = 1, all probabilities
    /// start near one half. This affects new nets only.
    pub logit_gain: f64,
    /// Channels of the six classification modules (paper: 16, 32, 64, 128, 128, 256).
    pub class_channels: [usize; 6],
    /// Dropout before the classifier's linear layer (ours: 0.3).
    pub dropout: f64,
    /// n of the iterative strategy: the net runs passes 0..=n (paper: 2 segments best).
    pub iterations: usize,
    /// Which pass gives the class logits (ours: last).
    pub class_from: ClassFrom,
    /// Whether the lesion map that is fed back to the next pass is detached from the gradient
    /// (ours: true).
    pub detach_feedback: bool,
}

impl Default for MultiRNetConfig {
    fn default() -> Self {
        Self::base()
    }
}

impl MultiRNetConfig {
    /// Names that [`preset`](Self::preset) knows.
    pub const PRESETS: [&'static str; 3] = ["base", "small", "vnet5"];

    /// The paper's network with 3³ kernels.
    pub fn base() -> Self {
        Self {
            channels: [16, 32, 64, 128, 256],
            kernel_size: 3,
            norm: Norm::Batch,
            reverse_attention: true,
            classification: true,
            lesion_channels: 1,
            scale_weights: [0.4, 0.3, 0.2, 0.1],
            mask_feedback: MaskFeedback::Multiply,
            detach_mask: true,
            logit_gain: 5.0,
            class_channels: [16, 32, 64, 128, 128, 256],
            dropout: 0.3,
            iterations: 2,
            class_from: ClassFrom::Last,
            detach_feedback: true,
        }
    }

    /// Half of [`base`](Self::base)'s channels everywhere: a quarter of its parameters and work.
    pub fn small() -> Self {
        Self {
            channels: [8, 16, 32, 64, 128],
            class_channels: [8, 16, 32, 64, 64, 128],
            ..Self::base()
        }
    }

    /// [`base`](Self::base) with V-Net's 5³ kernels in the segmentation subnet.
    pub fn vnet5() -> Self {
        Self {
            kernel_size: 5,
            ..Self::base()
        }
    }

    /// The preset called `name`, if there is one.
    pub fn preset(name: &str) -> Option<Self> {
        match name {
            "base" => Some(Self::base()),
            "small" => Some(Self::small()),
            "vnet5" => Some(Self::vnet5()),
            _ => None,
        }
    }

    /// Checks every field's range.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if a field is out of range; the message names the field.
    pub fn validate(&self) -> Result<()> {
        let width = |c: &usize| (1..=2048).contains(c);
        let fields: [(bool, &str, &str); 8] = [
            (
                self.channels.iter().all(width),
                "channels",
                "must be 1 to 2048 each",
            ),
            (
                self.class_channels.iter().all(width),
                "class_channels",
                "must be 1 to 2048 each",
            ),
            (
                matches!(self.kernel_size, 3 | 5),
                "kernel_size",
                "must be 3 or 5",
            ),
            (
                matches!(self.lesion_channels, 1 | 2),
                "lesion_channels",
                "must be 1 or 2",
            ),
            (
                self.scale_weights.iter().all(|w| w.is_finite()),
                "scale_weights",
                "must be finite numbers",
            ),
            (
                self.logit_gain.is_finite() && self.logit_gain > 0.0,
                "logit_gain",
                "must be above 0",
            ),
            (
                (0.0..1.0).contains(&self.dropout),
                "dropout",
                "must be at least 0 and below 1",
            ),
            (self.iterations <= 16, "iterations", "must be 0 to 16"),
        ];
        checks::fields(&fields, &Self::PRESETS)
    }

    /// The sides of a window must be multiples of this, because the bottom level is 16 times
    /// smaller.
    pub const WINDOW_MULTIPLE: usize = 16;

    /// Checks that a window of `shape` (d, h, w) can pass through the net.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Mismatch`] unless every side is a positive multiple of 16.
    pub fn check_window(shape: [usize; 3]) -> Result<()> {
        if shape
            .iter()
            .all(|s| *s > 0 && s.is_multiple_of(Self::WINDOW_MULTIPLE))
        {
            return Ok(());
        }
        let [d, h, w] = shape;
        Err(Error::new(
            ErrorKind::Mismatch,
            format!("a window of {d} × {h} × {w} voxels does not fit the network"),
        )
        .hint("each side must be a positive multiple of 16"))
    }
}
