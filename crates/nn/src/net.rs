//! What every net that is trained and compared here gives and promises.

use crate::error::Result;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a net says of a batch of windows.
#[derive(Debug, Clone, Default)]
pub struct ModelOutput {
    /// Lesion probabilities `[batch, K, d, h, w]`: every output that the segmentation loss is
    /// averaged over (passes, deep supervision), the result last. Empty if the net does not
    /// segment.
    pub lesion: Vec<Tensor<5>>,
    /// Class logits `[batch, 3]` in the order normal, CAP, COVID-19: every output that the
    /// cross-entropy is averaged over. Empty if the net does not classify.
    pub class_logits: Vec<Tensor<2>>,
    /// Class logits that are the result, where they are not the last of `class_logits`.
    pub chosen_logits: Option<Tensor<2>>,
    /// Probabilities `[batch, 1, d, h, w]` that are supervised by the lesions' edges in each slice
    /// (Inf-Net).
    pub edges: Vec<Tensor<5>>,
    /// Features `[batch, C, d', h', w']` whose global average goes into the linear layer of the
    /// classifier, for Grad-CAM.
    pub class_features: Option<Tensor<5>>,
}

impl ModelOutput {
    /// The lesion map that is the result, `[batch, K, d, h, w]`.
    pub fn lesion(&self) -> Option<Tensor<5>> {
        self.lesion.last().cloned()
    }

    /// The class logits that are the result, `[batch, 3]`.
    pub fn logits(&self) -> Option<Tensor<2>> {
        self.chosen_logits
            .clone()
            .or_else(|| self.class_logits.last().cloned())
    }
}

/// What is known of a system, for tables and documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SystemCard {
    /// Its usual name.
    pub name: &'static str,
    /// Where it was published: authors, title, venue, year, DOI or arXiv number.
    pub source: &'static str,
    /// What this implementation changes or had to choose.
    pub differs: &'static str,
}

/// A net that answers for windows of CT.
pub trait Net: Module {
    /// The net's answer.
    ///
    /// # Shapes
    ///
    /// - `x`: CT in \[0, 1\], `[batch, 1, d, h, w]`
    ///
    /// # Panics
    ///
    /// For a window that [`NetConfig::check_window`] refuses.
    fn answer(&self, x: Tensor<5>) -> ModelOutput;

    /// Weights `[C, 3]` of the linear layer that follows the global average of
    /// [`ModelOutput::class_features`], for Grad-CAM; `None` if there is no such place.
    fn class_weights(&self) -> Option<Tensor<2>> {
        None
    }
}

/// The configuration of a [`Net`].
pub trait NetConfig: Serialize + DeserializeOwned + Clone + PartialEq + std::fmt::Debug {
    /// The net that it makes.
    type Net: Net;
    /// What is known of the system.
    const CARD: SystemCard;
    /// Names that [`preset`](Self::preset) knows; `base` is the published size.
    const PRESETS: &'static [&'static str];

    /// The preset called `name`, if there is one.
    fn preset(name: &str) -> Option<Self>;

    /// Checks every field's range.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config), naming the field.
    fn validate(&self) -> Result<()>;

    /// Checks that a window of `shape` (d, h, w) can pass through the net.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Mismatch`](crate::ErrorKind::Mismatch) with the shapes that can.
    fn check_window(&self, shape: [usize; 3]) -> Result<()>;

    /// Whether it gives lesion maps.
    fn segments(&self) -> bool;

    /// Whether it gives classes.
    fn classifies(&self) -> bool;

    /// Lesion channels K of its maps.
    fn lesion_channels(&self) -> usize {
        1
    }

    /// Makes the net on `device`; it trains if the device is an autodiff device.
    ///
    /// # Panics
    ///
    /// If [`validate`](Self::validate) would refuse the configuration.
    fn init(&self, device: &Device) -> Self::Net;
}
