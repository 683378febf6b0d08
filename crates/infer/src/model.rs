//! Packaged models: a weights file with a card that says what it is.

use crate::{Error, ErrorKind, Result};
use multirnet_anatomy::PrepareConfig;
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Key of the card in the weights file's metadata.
const KEY: &str = "multirnet.card";

/// What a model is, for provenance. It travels in the weights file's metadata.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelCard {
    /// Its name.
    pub name: String,
    /// What it has been trained on, in a sentence.
    pub trained_on: String,
    /// Version of the program that trained it.
    pub version: String,
    /// The views it has been trained with; absent when not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<ModelInput>,
}

/// The part of the preparation that decides what a network sees.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelInput {
    /// Values scaled to 0 and 1.
    pub window_hu: [f64; 2],
    /// Spacing of the local view `(z, y, x)` in millimetres.
    pub spacing_mm: [f64; 3],
    /// Room left around the lungs in millimetres.
    pub margin_mm: f64,
    /// Shape of the global view `(z, y, x)`.
    pub global_shape: [usize; 3],
}

impl From<&PrepareConfig> for ModelInput {
    fn from(config: &PrepareConfig) -> Self {
        Self {
            window_hu: config.window_hu,
            spacing_mm: config.spacing_mm,
            margin_mm: config.margin_mm,
            global_shape: config.global_shape,
        }
    }
}

impl ModelInput {
    /// `config` with these fields replaced.
    pub fn apply(&self, config: PrepareConfig) -> PrepareConfig {
        PrepareConfig {
            window_hu: self.window_hu,
            spacing_mm: self.spacing_mm,
            margin_mm: self.margin_mm,
            global_shape: self.global_shape,
            ..config
        }
    }
}

impl ModelCard {
    /// The card of weights that carry none.
    pub fn unknown(name: &str) -> Self {
        let stem = Path::new(name).file_stem().unwrap_or_default();
        Self {
            name: stem.to_string_lossy().into_owned(),
            trained_on: "Not recorded: the weights file carries no model card.".to_owned(),
            version: String::new(),
            input: None,
        }
    }

    /// The card in a weights file, or `None` if it carries none.
    ///
    /// # Errors
    /// `Model` if the file is no safetensors file or the card is unreadable.
    pub fn read(name: &str, bytes: &[u8]) -> Result<Option<Self>> {
        let bad = |reason: String| {
            Error::new(ErrorKind::Model, reason)
                .hint("the file is damaged or no model: copy or download it again")
                .at(Path::new(name))
        };
        let (_, metadata) = SafeTensors::read_metadata(bytes)
            .map_err(|e| bad(format!("not a complete safetensors file: {e}")))?;
        let Some(text) = metadata.metadata().as_ref().and_then(|m| m.get(KEY)) else {
            return Ok(None);
        };
        serde_json::from_str(text)
            .map(Some)
            .map_err(|e| bad(format!("its model card is unreadable: {e}")))
    }

    /// The weights file `bytes` (as `multirnet_nn::weights` writes it) with this card in its
    /// metadata, in place of any other.
    ///
    /// # Errors
    /// `Model` if the bytes are no safetensors file.
    pub fn package(&self, name: &str, bytes: &[u8]) -> Result<Vec<u8>> {
        let bad = |e: &dyn std::fmt::Display| {
            Error::new(ErrorKind::Model, format!("cannot be packaged: {e}"))
                .hint("give a weights file written by `multirnet train`")
                .at(Path::new(name))
        };
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| bad(&e))?;
        let file = SafeTensors::deserialize(bytes).map_err(|e| bad(&e))?;
        let mut entries = metadata.metadata().clone().unwrap_or_default();
        let card = serde_json::to_string(self).map_err(|e| bad(&e))?;
        entries.insert(KEY.to_owned(), card);
        safetensors::serialize(file.tensors(), Some(entries)).map_err(|e| bad(&e))
    }
}
