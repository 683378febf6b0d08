//! The tables of a training configuration.

use multirnet_nn::ops::Precision;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Which windows are drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SamplingConfig {
    /// Shape of a window `(z, y, x)` in voxels (paper: 32 × 96 × 96).
    pub patch_size: [usize; 3],
    /// Windows in a batch (paper: 4).
    pub batch: usize,
    /// Share of windows that are global views, the rest local (ours).
    pub global_fraction: f64,
    /// Share of local windows of a scan with lesions that are centred on a lesion voxel; the rest
    /// are centred on a lung voxel (ours).
    pub lesion_fraction: f64,
    /// Windows drawn from each scan in an epoch (ours); not used with `steps_per_epoch`.
    pub windows_per_scan: usize,
    /// Steps in an epoch; default: enough for `windows_per_scan` of every scan.
    pub steps_per_epoch: Option<usize>,
    /// Whether all classes come equally often, by drawing scans of rare classes more often (ours).
    pub balance_classes: bool,
    /// Whether each source comes equally often, for any number of its scans (ours). Classes are then
    /// balanced within each source.
    pub balance_sources: bool,
    /// Relative frequencies of the sources; a source that is not named has 1 (ours).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub source_weights: BTreeMap<String, f64>,
}

impl Default for SamplingConfig {
    fn default() -> Self {
        Self {
            patch_size: [32, 96, 96],
            batch: 4,
            global_fraction: 0.5,
            lesion_fraction: 2.0 / 3.0,
            windows_per_scan: 4,
            steps_per_epoch: None,
            balance_classes: true,
            balance_sources: true,
            source_weights: BTreeMap::new(),
        }
    }
}

/// How the learning rate changes during a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// It stays the same (our reading of the paper, which names an initial rate and no decay).
    Constant,
    /// Half a cosine down to `final_learning_rate` over the epochs of each stage (ours).
    #[default]
    Cosine,
    /// Half a cosine over `run.max_minutes` or a stage's `minutes`, for runs with a fixed time
    /// (ours). It follows the clock, so two such runs do not give the same weights.
    CosineTime,
}

/// Adam, and the moving average of the weights. The defaults are what learns best here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimiserConfig {
    /// Learning rate (ours: 2e-3; paper: 3e-4).
    pub learning_rate: f64,
    /// Decay rates of the two moments (paper: 0.9, 0.999).
    pub betas: [f32; 2],
    /// Added to the root of the second moment (ours).
    pub epsilon: f32,
    /// How the learning rate changes (ours: cosine).
    pub schedule: Schedule,
    /// Steps over which the learning rate rises from 0 at the start of each stage (ours: 10).
    pub warmup_steps: usize,
    /// Learning rate at the end of a cosine.
    pub final_learning_rate: f64,
    /// Gradients with a larger norm over all weights are scaled down to it (ours: 1). `None`, in
    /// files 0, switches it off.
    #[serde(with = "zero_is_off")]
    pub clip_norm: Option<f64>,
    /// Decay d of the moving average of the weights, which is validated and saved: after t steps of
    /// a stage the average keeps the share min(d, (1 + t) / (10 + t)) of itself (ours: 0.98).
    /// `None`, in files 0, switches it off.
    #[serde(with = "zero_is_off")]
    pub average: Option<f64>,
}

impl Default for OptimiserConfig {
    fn default() -> Self {
        Self {
            learning_rate: 2e-3,
            betas: [0.9, 0.999],
            epsilon: 1e-8,
            schedule: Schedule::Cosine,
            warmup_steps: 10,
            final_learning_rate: 1e-6,
            clip_norm: Some(1.0),
            average: Some(0.98),
        }
    }
}

/// TOML has no word for "none", so 0 stands for it. A written configuration therefore reads back the
/// same for any default.
mod zero_is_off {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(value.unwrap_or(0.0))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
        f64::deserialize(from).map(|value| Some(value).filter(|v| *v != 0.0))
    }
}

/// The fixed windows on which the validation loss is computed (ours).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ValidationConfig {
    /// Local windows of each validation scan, besides its global view.
    pub local_windows: usize,
    /// Largest number of windows. If there are more, they are thinned out evenly.
    pub max_windows: usize,
    /// Windows in a batch.
    pub batch: usize,
    /// Epochs from one validation to the next.
    pub every_epochs: usize,
}

impl Default for ValidationConfig {
    fn default() -> Self {
        Self {
            local_windows: 3,
            max_windows: 240,
            batch: 4,
            every_epochs: 1,
        }
    }
}

/// Start, length and limits of a run. Only `seed`, `init` and, with a cosine, `epochs` (or
/// `max_minutes`) change the outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// Seed of the weights, the windows and the dropout.
    pub seed: u64,
    /// Weights file that the net starts from. It must be of the same system with the same shapes. A
    /// relative path counts from the working folder. A resumed run does not read it again.
    pub init: Option<PathBuf>,
    /// Largest number of epochs.
    pub epochs: usize,
    /// Validations without improvement after which the training stops (paper: 100 epochs). Stages
    /// without a patience of their own have it too.
    pub patience: usize,
    /// Minutes after which the training saves and stops, over all parts of a resumed run.
    pub max_minutes: Option<f64>,
    /// Minutes between checkpoints within an epoch.
    pub checkpoint_minutes: f64,
    /// Threads that make windows; 0 chooses half of the cores, at most 4.
    pub workers: usize,
    /// Batches made in advance. They bound the memory for windows.
    pub prefetch: usize,
    /// Memory for prepared scans, MiB.
    pub cache_mib: usize,
    /// Precision of products, and of the maps that the backward pass keeps.
    pub precision: TrainingPrecision,
}

/// Precision of a training. Weights, sums, statistics and gradients of weights are always in `f32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainingPrecision {
    /// Everything in `f32`.
    #[default]
    F32,
    /// Mixed precision: convolutions multiply in bf16 where the processor can, and what the backward pass
    /// keeps of maps is in bf16. Memory falls, and a processor with instructions for bf16 is faster. Only on
    /// the CPU; other devices train in `f32`.
    Bf16,
}

impl From<TrainingPrecision> for Precision {
    fn from(precision: TrainingPrecision) -> Self {
        match precision {
            TrainingPrecision::F32 => Self::F32,
            TrainingPrecision::Bf16 => Self::Bf16,
        }
    }
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            init: None,
            epochs: 20,
            patience: 100,
            max_minutes: None,
            checkpoint_minutes: 10.0,
            workers: 0,
            prefetch: 4,
            cache_mib: 4096,
            precision: TrainingPrecision::F32,
        }
    }
}
