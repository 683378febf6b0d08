//! The interface of all nets that are trained and compared here.

use crate::error::Result;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A net's output for a batch of windows.
#[derive(Debug, Clone, Default)]
pub struct ModelOutput {
    /// Lesion probabilities `[batch, K, d, h, w]`, one for each output of the net (passes, deep
    /// supervision). The segmentation loss is averaged over them, and the last one is the result.
    /// Empty if the net does not segment.
    pub lesion: Vec<Tensor<5>>,
    /// Class logits `[batch, 3]` in the order normal, CAP, COVID-19, one for each output of the
    /// net. The cross-entropy is averaged over them. Empty if the net does not classify.
    pub class_logits: Vec<Tensor<2>>,
    /// Class logits that are the result; `None` if the last of `class_logits` is the result.
    pub chosen_logits: Option<Tensor<2>>,
    /// Edge probabilities `[batch, 1, d, h, w]`, which the lesions' edges in each slice supervise
    /// (Inf-Net).
    pub edges: Vec<Tensor<5>>,
    /// Features `[batch, C, d', h', w']` whose global average is the input of the classifier's
    /// linear layer, for Grad-CAM.
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

/// Output of one pass of a net, as far as the net gives it.
#[derive(Debug, Clone)]
pub struct NetPass<M, V> {
    /// Lesion probabilities `[batch, K, d, h, w]`.
    pub lesion: Option<M>,
    /// The map `[batch, 1, d, h, w]` that the next pass takes; `None` if the net has one pass only.
    pub mask: Option<M>,
    /// Class logits `[batch, 3]`: normal, CAP, COVID-19.
    pub class_logits: Option<V>,
    /// Features `[batch, C, d', h', w']` whose global average is the first input of the
    /// classifier's linear layer.
    pub class_features: Option<M>,
}

/// Name, source and differences of a system, for tables and documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SystemCard {
    /// Usual name of the system.
    pub name: &'static str,
    /// Where it was published: authors, title, venue, year, DOI or arXiv number.
    pub source: &'static str,
    /// Differences of this implementation from the publication, and its own choices.
    pub differs: &'static str,
}

/// A net that segments or classifies windows of CT.
pub trait Net: Module {
    /// Runs the net.
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
    /// [`ModelOutput::class_features`], for Grad-CAM; `None` if the net does not have such a layer.
    fn class_weights(&self) -> Option<Tensor<2>> {
        None
    }
}

/// The configuration of a [`Net`].
pub trait NetConfig: Serialize + DeserializeOwned + Clone + PartialEq + std::fmt::Debug {
    /// The net of this configuration.
    type Net: Net;
    /// Name, source and differences of the system.
    const CARD: SystemCard;
    /// Names that [`preset`](Self::preset) knows; `base` is the published size.
    const PRESETS: &'static [&'static str];

    /// The preset called `name`, if there is one.
    fn preset(name: &str) -> Option<Self>;

    /// Checks every field's range.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if a field is out of range; the message
    /// names the field.
    fn validate(&self) -> Result<()>;

    /// Checks that a window of `shape` (d, h, w) can pass through the net.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Mismatch`](crate::ErrorKind::Mismatch) if it cannot; the message describes the
    /// shapes that can.
    fn check_window(&self, shape: [usize; 3]) -> Result<()>;

    /// Whether the net gives lesion maps.
    fn segments(&self) -> bool;

    /// Whether the net gives classes.
    fn classifies(&self) -> bool;

    /// Number K of lesion channels.
    fn lesion_channels(&self) -> usize {
        1
    }

    /// Makes the net on `device`. On an autodiff device it trains.
    ///
    /// # Panics
    ///
    /// If [`validate`](Self::validate) would refuse the configuration.
    fn init(&self, device: &Device) -> Self::Net;
}
