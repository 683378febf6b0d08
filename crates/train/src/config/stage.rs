//! Stages within one training.

use serde::{Deserialize, Serialize};

/// A stage before the last, in the order of the tables `[[stage]]`.
///
/// The main tables of the configuration describe the last stage. A key that is missing here has the
/// value of the main tables, except `minutes`. Each stage starts from the weights of the stage
/// before; see [`train`](crate::train).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StageConfig {
    /// Working spacing as a multiple of `prepare.spacing_mm`; not together with `spacing_mm`.
    pub spacing_scale: Option<f64>,
    /// Working spacing `(z, y, x)`, mm.
    pub spacing_mm: Option<[f64; 3]>,
    /// Shape of a window `(z, y, x)` in voxels, of both views.
    pub patch_size: Option<[usize; 3]>,
    /// Windows in a batch.
    pub batch: Option<usize>,
    /// Steps in an epoch.
    pub steps_per_epoch: Option<usize>,
    /// Largest number of epochs.
    pub epochs: Option<usize>,
    /// Validations without improvement after which the next stage begins.
    pub patience: Option<usize>,
    /// Minutes after which the next stage begins; no limit without it. The schedule `cosine-time`
    /// needs it.
    pub minutes: Option<f64>,
    /// Learning rate.
    pub learning_rate: Option<f64>,
    /// Learning rate at the end of a cosine.
    pub final_learning_rate: Option<f64>,
    /// Steps over which the learning rate rises from 0 at the stage's start.
    pub warmup_steps: Option<usize>,
}
