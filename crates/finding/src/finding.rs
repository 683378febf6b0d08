//! The result of a scan's analysis, as `finding.json` holds it.

use crate::{Involvement, KindInvolvement, Probabilities, ValidatedOn};
use multirnet_volume::{Diagnosis, Geometry};
use serde::{Deserialize, Serialize};

/// Version of [`Finding`]'s schema that this crate writes. Optional fields do not change it:
/// readers of this version accept findings with and without them.
pub const SCHEMA: u32 = 1;

/// The notice that every result carries.
pub const NOTICE: &str = "For research use only. Not a medical device.";

/// Everything that is known about a scan after its analysis.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Finding {
    /// Version of this document's schema, [`SCHEMA`].
    pub schema: u32,
    /// [`NOTICE`].
    pub notice: String,
    /// What the model was validated on. This decides whether its class may lead a result.
    #[serde(default)]
    pub validated_on: ValidatedOn,
    /// Where the scan came from.
    pub source: ScanSource,
    /// The scan's own grid.
    pub geometry: Geometry,
    /// The most probable class.
    pub diagnosis: Diagnosis,
    /// Probability of each class.
    pub probabilities: Probabilities,
    /// Lesion and lung volumes in ml, shares per lung and zone, severity score.
    pub involvement: Involvement,
    /// Involvement by each kind of lesion, in the order of [`crate::LesionKind::ALL`];
    /// `involvement` joins them. Empty if the model does not distinguish kinds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lesion_kinds: Vec<KindInvolvement>,
    /// Doubts about the input or the result, for the reader.
    pub warnings: Vec<String>,
    /// Seconds per stage, in order.
    pub timings: Vec<Timing>,
    /// The program, model and options that made this result.
    pub provenance: Provenance,
}

/// Where a scan came from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ScanSource {
    /// The path as the user gave it.
    pub path: String,
    /// `dicom`, `nifti`, `nrrd`, `metaimage` or `memory`.
    pub format: String,
    /// SHA-256 of the voxel values and the geometry, hexadecimal.
    pub content_sha256: String,
    /// SHA-256 of the lung mask that was given with the scan, likewise; absent when the lungs were
    /// segmented here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lungs_sha256: Option<String>,
    /// DICOM series instance UID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series_uid: Option<String>,
    /// Warnings made while reading (for instance irregular spacing that was resampled).
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// Time that one stage took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Stage name: `read` (added by the caller that read the file), `hash`, `lungs`, `prepare`,
    /// `global`, `windows`, `explain`, `restore`, `measure`. `hash` runs in parallel with the
    /// stages that follow it.
    pub stage: String,
    /// Wall-clock seconds.
    pub seconds: f64,
}

/// The program, model and options that made a result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Program version.
    pub version: String,
    /// The model's name.
    pub model: String,
    /// SHA-256 of the model file, hexadecimal.
    pub model_sha256: String,
    /// What the model was trained on, in one sentence.
    pub trained_on: String,
    /// SHA-256 of the options below as JSON, hexadecimal.
    pub config_sha256: String,
    /// The options, complete.
    pub config: serde_json::Value,
    /// Network windows (or tiles) that were run.
    pub windows: usize,
    /// Number of voxels in all these windows.
    #[serde(default)]
    pub voxels: usize,
}

impl Provenance {
    /// The lowest probability of a lesion voxel, if the options say it.
    #[must_use]
    pub fn threshold(&self) -> Option<f32> {
        self.config.get("threshold")?.as_f64().map(|t| t as f32)
    }
}
