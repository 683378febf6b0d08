//! Packaged models: a weights file with a model card.

use crate::options::TEMPERATURES;
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

/// The model card: name, training data, licence and scores of a model. The weights file carries it
/// in its metadata.
///
/// Fields that a card lacks count as absent, so cards of older versions can be read. Unknown fields
/// are ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelCard {
    /// Name of the model.
    pub name: String,
    /// The training data, in a sentence.
    pub trained_on: String,
    /// Version of the program that trained the model.
    pub version: String,
    /// Preparation of the scans that the model was trained on; absent if it was not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<ModelInput>,
    /// Lowest probability of a lesion voxel, between 0 and 1, both excluded. It was chosen on
    /// validation data. If it is absent, the program's default applies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f32>,
    /// Temperature of the lesion probability, 0.05 to 20, fitted to validation data. If it is absent, the probability
    /// is the network's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lesion_temperature: Option<f64>,
    /// Temperature of the class probabilities, as for lesions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_temperature: Option<f64>,
    /// The scans on which weights, threshold and temperatures were chosen, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<String>,
    /// Kinds of held-out scans on which the model was scored.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub validated_on: ValidatedOn,
    /// Licence of the weights: an SPDX expression or a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// Authors and licences of the training data: a sentence for each source, as its licence
    /// requires.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attribution: Vec<String>,
    /// Scores of the model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scores: Vec<CardScore>,
}

fn is_empty(on: &ValidatedOn) -> bool {
    *on == ValidatedOn::default()
}

/// A score in a [`ModelCard`], with the facts that are needed to judge it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardScore {
    /// The scans and patients that were scored, in words.
    pub on: String,
    /// Number of scans.
    pub cases: usize,
    /// What the scans show.
    pub kind: ScoredOn,
    /// What the model had seen of these scans in training, or when weights or threshold were
    /// chosen.
    pub seen: String,
    /// The metric with its unit, such as `mean volume Dice, %`.
    pub metric: String,
    /// The value.
    pub value: f64,
    /// 95 % confidence interval of the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
}

/// The part of the preparation that decides what a network sees.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelInput {
    /// HU values that are scaled to 0 and to 1.
    pub window_hu: [f64; 2],
    /// Spacing of the local view `(z, y, x)` in millimetres.
    pub spacing_mm: [f64; 3],
    /// Margin around the lungs in millimetres.
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
    /// The card for a weights file without a card. The model's name is the stem of the file's
    /// `name`.
    pub fn unknown(name: &str) -> Self {
        let stem = Path::new(name).file_stem().unwrap_or_default();
        Self {
            name: stem.to_string_lossy().into_owned(),
            trained_on: "Not recorded: the weights file carries no model card.".to_owned(),
            version: String::new(),
            input: None,
            threshold: None,
            lesion_temperature: None,
            class_temperature: None,
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
    /// `Model` if a field is out of range; the message names the field, its value and the range.
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
        let temperatures = [
            ("lesion_temperature", self.lesion_temperature),
            ("class_temperature", self.class_temperature),
        ];
        for (name, value) in temperatures {
            if let Some(t) = value.filter(|t| !TEMPERATURES.contains(t)) {
                return bad(format!("its model card has {name} = {t}"), "0.05 to 20");
            }
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
                    "kinds of scans that the card has scores on",
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
                .hint("the file is damaged or is not a model: copy or download it again")
                .at(Path::new(name))
        };
        let (_, metadata) = SafeTensors::read_metadata(bytes)
            .map_err(|e| bad(format!("the file is not a complete safetensors file: {e}")))?;
        let Some(text) = metadata.metadata().as_ref().and_then(|m| m.get(KEY)) else {
            return Ok(None);
        };
        let card: Self = serde_json::from_str(text)
            .map_err(|e| bad(format!("its model card is unreadable: {e}")))?;
        card.check().map_err(|e| e.at(Path::new(name)))?;
        Ok(Some(card))
    }

    /// The weights file `bytes` (as `multirnet_nn::weights` writes it) with this card in its
    /// metadata. The card replaces an earlier one. Equal cards and weights give equal bytes. `name`
    /// names the file in messages.
    ///
    /// # Errors
    /// `Model` if the bytes are not a safetensors file, or a field is out of range.
    pub fn package(&self, name: &str, bytes: &[u8]) -> Result<Vec<u8>> {
        let bad = |e: &dyn std::fmt::Display| {
            Error::new(
                ErrorKind::Model,
                format!("the file cannot be packaged: {e}"),
            )
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

/// The safetensors file `bytes` with its header's entries in the order of their names. The
/// safetensors crate writes metadata in an order that changes from run to run, which would change
/// the file's digest.
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
    // The tensors must start at a multiple of eight bytes.
    header.resize(header.len().next_multiple_of(8), b' ');
    let length = (header.len() as u64).to_le_bytes();
    Some([&length, header.as_slice(), data].concat())
}

/// The bytes of a model's file.
///
/// # Errors
/// `Io` if the file cannot be read, `Model` if it is too large for a model.
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
            format!("the file has {size} bytes, which is too large for a model"),
        )
        .hint("give a weights file written by `multirnet train`")
        .at(path));
    }
    std::fs::read(path).map_err(io)
}
