//! What a scan's analysis says, in the form of `finding.json`.

use crate::NativeMap;
use multirnet_anatomy::{Involvement, KindInvolvement};
use multirnet_volume::{Diagnosis, Geometry, Volume};
use serde::{Deserialize, Serialize};

/// Version of [`Finding`]'s form that this crate writes. Fields that may be absent leave it as it is:
/// readers of this version read findings with and without them.
pub const SCHEMA: u32 = 1;

/// Printed with every result.
pub const NOTICE: &str = "For research use only. Not a medical device.";

/// Everything that is known about a scan after its analysis.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Finding {
    /// Version of this document's form.
    pub schema: u32,
    /// [`NOTICE`].
    pub notice: String,
    /// Where the scan came from.
    pub source: Source,
    /// The scan's own grid.
    pub geometry: Geometry,
    /// The most probable class.
    pub diagnosis: Diagnosis,
    /// Probability of each class.
    pub probabilities: Probabilities,
    /// Lesion and lung volumes in ml, shares per lung and zone, severity score.
    pub involvement: Involvement,
    /// The kinds of lesion that `involvement` joins, in the order of
    /// [`multirnet_anatomy::LesionKind::ALL`]; empty from a model that does not tell them apart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lesion_kinds: Vec<KindInvolvement>,
    /// Doubts about the input or the result, for the reader.
    pub warnings: Vec<String>,
    /// Seconds per stage, in order.
    pub timings: Vec<Timing>,
    /// What made this result.
    pub provenance: Provenance,
}

/// Probability of each class; they sum to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Probabilities {
    /// No pneumonia.
    pub normal: f64,
    /// Community-acquired pneumonia.
    pub cap: f64,
    /// COVID-19.
    pub covid19: f64,
}

impl Probabilities {
    /// From values in logit order.
    pub fn from_array([normal, cap, covid19]: [f64; 3]) -> Self {
        Self {
            normal,
            cap,
            covid19,
        }
    }

    /// Values in logit order.
    pub fn to_array(self) -> [f64; 3] {
        [self.normal, self.cap, self.covid19]
    }

    /// The most probable class; the first of equally probable ones.
    pub fn top(self) -> Diagnosis {
        let p = self.to_array();
        Diagnosis::ALL
            .into_iter()
            .rev()
            .max_by(|a, b| p[a.index()].total_cmp(&p[b.index()]))
            .unwrap_or(Diagnosis::Normal)
    }
}

/// Where a scan came from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Source {
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
    /// Stage name: `read` (added by whoever read the file), `hash`, `lungs`, `prepare`, `global`,
    /// `windows`, `explain`, `restore`, `measure`. `hash` runs beside the stages that follow it.
    pub stage: String,
    /// Wall-clock seconds.
    pub seconds: f64,
}

/// What made a result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Program version.
    pub version: String,
    /// The model's name.
    pub model: String,
    /// SHA-256 of the model file, hexadecimal.
    pub model_sha256: String,
    /// What the model has been trained on, in a sentence.
    pub trained_on: String,
    /// SHA-256 of the options below as JSON, hexadecimal.
    pub config_sha256: String,
    /// The options, complete.
    pub config: serde_json::Value,
    /// Network windows (or tiles) that were run.
    pub windows: usize,
    /// Their voxels in all.
    #[serde(default)]
    pub voxels: usize,
}

/// A finding with its maps.
#[derive(Debug, Clone)]
pub struct Prediction {
    /// What the analysis says.
    pub finding: Finding,
    /// Where it says so.
    pub maps: Maps,
}

/// Maps on the scan's own grid.
#[derive(Debug, Clone)]
pub struct Maps {
    /// 1 right lung, 2 left lung.
    pub lungs: Volume<u8>,
    /// 1 lesion (with one lesion channel), or 1 ground glass, 2 consolidation.
    pub lesions: Volume<u8>,
    /// Lesion probability in `[0, 1]`.
    pub probability: NativeMap,
    /// Grad-CAM of the predicted class, scaled to `[0, 1]`; absent when it was not asked for.
    pub heatmap: Option<NativeMap>,
}
