//! Events of a training, and its summary.

use crate::log::{EpochRecord, StepRecord};
use serde::Serialize;
use std::path::PathBuf;

/// Why a training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// All epochs are done.
    Epochs,
    /// The validation loss did not improve for `run.patience` (or the stage's) validations.
    Patience,
    /// `run.max_minutes` are over.
    Time,
    /// The stop flag was raised.
    Interrupted,
}

/// How a training ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Reason for the end of the training.
    pub reason: StopReason,
    /// The stage in which the training ended, from 1. Weights, loss and threshold are of that stage.
    pub stage: usize,
    /// Epochs done.
    pub epochs: u64,
    /// Steps done.
    pub steps: u64,
    /// The epoch with the lowest validation loss of the stage, from 1; 0 for none.
    pub best_epoch: u64,
    /// The lowest validation loss of the stage; `None` without validation.
    pub best_loss: Option<f64>,
    /// Threshold on probabilities of lesion with the highest mean Dice over the local validation
    /// windows with lesion, for the best weights; `None` if there are no such windows or the run was
    /// interrupted.
    pub threshold: Option<f32>,
    /// Minutes of training in all parts of the run.
    pub minutes: f64,
    /// Seconds of this part spent on waiting for windows.
    pub wait_seconds: f64,
    /// Seconds of this part spent on steps.
    pub compute_seconds: f64,
    /// Seconds of this part spent on validation.
    pub validation_seconds: f64,
    /// The best weights (the last ones if no validation took place).
    pub best_weights: PathBuf,
    /// The last weights.
    pub last_weights: PathBuf,
}

/// An event of a training.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A scan was prepared, or found in the cache.
    Prepared {
        /// Scans done.
        done: usize,
        /// Scans in all.
        total: usize,
        /// The scan's name.
        name: String,
        /// The error, if the preparation failed.
        error: Option<String>,
        /// Warnings of the input gate.
        warnings: Vec<String>,
    },
    /// A property of the cohort may spoil what the network learns.
    Warning(String),
    /// Training begins.
    Started {
        /// Number of weights that are trained.
        parameters: usize,
        /// Number of training scans.
        train: usize,
        /// Number of validation scans.
        validation: usize,
        /// Steps of an epoch in the current stage.
        steps_per_epoch: u64,
        /// Largest number of steps of all stages.
        steps: u64,
        /// Steps that were done before the run was resumed.
        done: u64,
    },
    /// A stage begins or goes on.
    Stage {
        /// The stage's number, from 1.
        number: usize,
        /// Number of stages of the run.
        of: usize,
        /// Shape of its windows `(z, y, x)`.
        window: [usize; 3],
        /// Its working spacing `(z, y, x)`, mm.
        spacing_mm: [f64; 3],
    },
    /// A step is done.
    Step {
        /// The step's losses, learning rate and times.
        record: StepRecord,
        /// Number of the epoch, from 1.
        epoch: u64,
        /// Seconds until the last epoch of the last stage or the end of `run.max_minutes`,
        /// whichever comes first.
        seconds_left: f64,
    },
    /// Validation goes on.
    Validating {
        /// Windows done.
        done: usize,
        /// Windows in all.
        total: usize,
    },
    /// An epoch is done.
    Epoch(EpochRecord),
    /// A checkpoint was written.
    Saved(PathBuf),
    /// Training ended.
    Finished(Summary),
}

/// Receives every event. The training thread calls it and waits for its return.
pub trait Observer: Send {
    /// Receives one event.
    fn event(&mut self, event: &Event);
}

impl<F: FnMut(&Event) + Send> Observer for F {
    fn event(&mut self, event: &Event) {
        self(event);
    }
}
