//! Stages within one training.

use super::{Schedule, TrainConfig};
use crate::{Error, ErrorKind, Result};
use multirnet_base::Ranges;
use serde::{Deserialize, Serialize};

/// A stage before the last, in the order of the tables `[[stage]]`.
///
/// The main tables of the configuration describe the last stage; what is left out here is as there.
/// The weights are carried over from stage to stage; see [`train`](crate::train).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StageConfig {
    /// Working spacing as a multiple of `prepare.spacing_mm`; not together with `spacing_mm`.
    pub spacing_scale: Option<f64>,
    /// Working spacing `(z, y, x)`, mm.
    pub spacing_mm: Option<[f64; 3]>,
    /// Shape of a window `(z, y, x)` in voxels, of both views.
    pub window: Option<[usize; 3]>,
    /// Windows in a batch.
    pub batch: Option<usize>,
    /// Steps in an epoch.
    pub steps_per_epoch: Option<usize>,
    /// Epochs at most.
    pub epochs: Option<usize>,
    /// Validations without improvement after which the next stage begins.
    pub patience: Option<usize>,
    /// Minutes after which the next stage begins; needed by the schedule `cosine-time`.
    pub minutes: Option<f64>,
    /// Learning rate.
    pub learning_rate: Option<f64>,
    /// Learning rate at the end of a cosine.
    pub final_learning_rate: Option<f64>,
    /// Steps over which the learning rate rises from 0 at the stage's start.
    pub warmup_steps: Option<usize>,
}

impl StageConfig {
    /// The complete configuration of this stage; its `run.max_minutes` is the stage's.
    pub(super) fn of(&self, main: &TrainConfig) -> TrainConfig {
        let mut config = TrainConfig {
            stage: Vec::new(),
            ..main.clone()
        };
        if let Some(scale) = self.spacing_scale {
            config.prepare.spacing_mm = config.prepare.spacing_mm.map(|mm| mm * scale);
        }
        set(&mut config.prepare.spacing_mm, self.spacing_mm);
        set(&mut config.prepare.global_shape, self.window);
        set(&mut config.sampling.window, self.window);
        set(&mut config.sampling.batch, self.batch);
        if self.steps_per_epoch.is_some() {
            config.sampling.steps_per_epoch = self.steps_per_epoch;
        }
        set(&mut config.run.epochs, self.epochs);
        set(&mut config.run.patience, self.patience);
        config.run.max_minutes = self.minutes;
        let optimiser = &mut config.optimiser;
        set(&mut optimiser.learning_rate, self.learning_rate);
        set(&mut optimiser.final_learning_rate, self.final_learning_rate);
        set(&mut optimiser.warmup_steps, self.warmup_steps);
        config
    }

    /// Checks what the complete configuration does not show.
    pub(super) fn check(&self, main: &TrainConfig) -> Result<()> {
        let bad = |reason: &str| Err(Error::new(ErrorKind::Config, reason));
        let positive = |mm: f64| mm.is_finite() && mm > 0.0;
        if self.spacing_scale.is_some() && self.spacing_mm.is_some() {
            return bad("spacing_scale and spacing_mm exclude each other");
        }
        let each = self
            .spacing_mm
            .is_none_or(|mm| mm.into_iter().all(positive));
        let scale = self.spacing_scale.is_none_or(positive);
        let minutes = self.minutes.is_none_or(|m| m > 0.0);
        Ranges::new()
            .require(scale, "spacing_scale", self.spacing_scale, "above 0")
            .require(each, "spacing_mm", self.spacing_mm, "above 0 each")
            .require(minutes, "minutes", self.minutes, "above 0")
            .check()?;
        if main.optimiser.schedule == Schedule::CosineTime && self.minutes.is_none() {
            return bad("the schedule cosine-time needs the stage's minutes");
        }
        Ok(())
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}
