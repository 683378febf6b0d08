//! Packaged models: a weights file with a card that says what it is.

use crate::{Error, ErrorKind, Result};
use multirnet_anatomy::PrepareConfig;
use multirnet_finding::{ScoredOn, ValidatedOn};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Key of the card in the weights file's metadata.
const KEY: &str = "multirnet.card";

/// What a model is, for provenance. It travels in the weights file's metadata.
///
/// Fields that a card does not have are absent, so that cards of older versions are read. Others
/// are ignored.
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
    /// Probability from which on a voxel is lesion, between 0 and 1, both excluded. It is chosen on
    /// validation data; absent: the program's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f32>,
    /// On which scans weights and threshold were chosen, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<String>,
    /// On which scans, none of which it was trained or chosen on, it was scored.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub validated_on: ValidatedOn,
    /// What the weights may be used for: an SPDX expression or a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// Who made the data that the model has been trained on, and under which licence: a sentence
    /// for each source, as its licence asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attribution: Vec<String>,
    /// How well the model does, and on what.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scores: Vec<CardScore>,
}

fn is_empty(on: &ValidatedOn) -> bool {
    *on == ValidatedOn::default()
}

/// A score in a [`ModelCard`], with what it takes to judge it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardScore {
    /// Which scans of which patients.
    pub on: String,
    /// Number of scans.
    pub cases: usize,
    /// What they show.
    pub kind: ScoredOn,
    /// What the model had seen of them in training, or when weights or threshold were chosen.
    pub seen: String,
    /// What the value is, with its unit, such as `mean volume Dice, %`.
    pub metric: String,
    /// The value.
    pub value: f64,
    /// Its 95 % confidence interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
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
            threshold: None,
            validation: None,
            validated_on: ValidatedOn::default(),
            licence: None,
            attribution: Vec::new(),
            scores: Vec::new(),
        }
    }

    /// Checks every field's range.
    ///
    /// # Errors
    /// `Model` that names the field, its value and the allowed range.
    pub fn check(&self) -> Result<()> {
        let bad = |reason: String, allowed: &str| {
            Err(Error::new(ErrorKind::Model, reason).hint(format!("allowed: {allowed}")))
        };
        if let Some(t) = self.threshold.filter(|t| !(*t > 0.0 && *t < 1.0)) {
            return bad(
                format!("its model card has threshold = {t}"),
                "between 0 and 1, both excluded",
            );
        }
        let tasks = [
            ("lesions", &self.validated_on.lesions),
            ("classes", &self.validated_on.classes),
        ];
        for (task, kinds) in tasks {
            let missing = |kind: &&ScoredOn| !self.scores.iter().any(|s| s.kind == **kind);
            if let Some(kind) = kinds.iter().find(missing) {
                return bad(
                    format!(
                        "its model card says that its {task} were validated on {}, but has no score \
                         on them",
                        kind.label()
                    ),
                    "what the card has scores on",
                );
            }
        }
        for score in &self.scores {
            let [low, high] = score.interval.unwrap_or([score.value; 2]);
            let numbers = [score.value, low, high];
            if numbers.iter().any(|v| !v.is_finite())
                || !(low <= score.value && score.value <= high)
            {
                return bad(
                    format!(
                        "its model card has {} = {} with the interval {low} to {high}",
                        score.metric, score.value
                    ),
                    "finite numbers, the value within its interval",
                );
            }
        }
        Ok(())
    }

    /// The card in a weights file, or `None` if it carries none.
    ///
    /// # Errors
    /// `Model` if the file is not a safetensors file, or the card is unreadable or out of range.
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
        let card: Self = serde_json::from_str(text)
            .map_err(|e| bad(format!("its model card is unreadable: {e}")))?;
        card.check().map_err(|e| e.at(Path::new(name)))?;
        Ok(Some(card))
    }

    /// The weights file `bytes` (as `multirnet_nn::weights` writes it) with this card in its
    /// metadata, in place of any other. Equal cards and weights give equal bytes.
    ///
    /// # Errors
    /// `Model` if the bytes are not a safetensors file, or a field is out of range.
    pub fn package(&self, name: &str, bytes: &[u8]) -> Result<Vec<u8>> {
        let bad = |e: &dyn std::fmt::Display| {
            Error::new(ErrorKind::Model, format!("cannot be packaged: {e}"))
                .hint("give a weights file written by `multirnet train`")
                .at(Path::new(name))
        };
        self.check().map_err(|e| e.at(Path::new(name)))?;
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| bad(&e))?;
        let file = SafeTensors::deserialize(bytes).map_err(|e| bad(&e))?;
        let mut entries = metadata.metadata().clone().unwrap_or_default();
        let card = serde_json::to_string(self).map_err(|e| bad(&e))?;
        entries.insert(KEY.to_owned(), card);
        let bytes = safetensors::serialize(file.tensors(), Some(entries)).map_err(|e| bad(&e))?;
        in_order(&bytes).ok_or_else(|| bad(&"its header is unreadable"))
    }
}

/// The safetensors file `bytes` with its header's entries in order of their names: safetensors
/// writes metadata in an order that changes from run to run, and the file's digest with it.
fn in_order(bytes: &[u8]) -> Option<Vec<u8>> {
    type Entries = BTreeMap<String, Value>;
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let (header, data) = rest.split_at_checked(u64::from_le_bytes(*length).try_into().ok()?)?;
    let mut entries: Entries = serde_json::from_slice(header).ok()?;
    if let Some(metadata) = entries.get_mut("__metadata__") {
        let sorted: Entries = serde_json::from_value(metadata.take()).ok()?;
        *metadata = Value::Object(sorted.into_iter().collect());
    }
    let mut header = serde_json::to_vec(&entries).ok()?;
    // Tensors start at a multiple of eight bytes.
    header.resize(header.len().next_multiple_of(8), b' ');
    let length = (header.len() as u64).to_le_bytes();
    Some([&length, header.as_slice(), data].concat())
}

/// The bytes of a model's file.
///
/// # Errors
/// `Io` if it cannot be read, `Model` if it is too large for a model.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>> {
    let io = |e: std::io::Error| {
        Error::new(ErrorKind::Io, format!("cannot read the model: {e}"))
            .hint("check the path and its permissions")
            .at(path)
    };
    let size = std::fs::metadata(path).map_err(io)?.len();
    if size > multirnet_nn::weights::MAX_FILE_BYTES {
        return Err(Error::new(
            ErrorKind::Model,
            format!("the file has {size} bytes, too many for a model"),
        )
        .hint("give a weights file written by `multirnet train`")
        .at(path));
    }
    std::fs::read(path).map_err(io)
}
