//! What a training tells whoever watches it.

use crate::log::{EpochRecord, StepRecord};
use serde::Serialize;
use std::path::PathBuf;

/// Why a training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// All epochs are done.
    Epochs,
    /// The validation loss did not improve for `run.patience` validations.
    Patience,
    /// `run.max_minutes` are over.
    Time,
    /// The stop flag was raised.
    Interrupted,
}

/// How a training ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Why.
    pub reason: StopReason,
    /// Epochs done.
    pub epochs: u64,
    /// Steps done.
    pub steps: u64,
    /// The epoch with the lowest validation loss, from 1; 0 for none.
    pub best_epoch: u64,
    /// That loss; `None` without validation.
    pub best_loss: Option<f64>,
    /// Minutes of training in all parts of the run.
    pub minutes: f64,
    /// Seconds of this part waited for windows.
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

/// What happened.
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
        /// Why it failed, if it did.
        error: Option<String>,
        /// What the input gate warned of.
        warnings: Vec<String>,
    },
    /// Something about the cohort that may spoil what the network learns.
    Warning(String),
    /// Training begins.
    Started {
        /// Weights that are trained.
        parameters: usize,
        /// Training scans.
        train: usize,
        /// Validation scans.
        validation: usize,
        /// Steps of an epoch.
        steps_per_epoch: u64,
        /// Steps at most.
        steps: u64,
        /// Steps done before (of a resumed run).
        done: u64,
    },
    /// A step is done.
    Step {
        /// Its figures.
        record: StepRecord,
        /// Number of the epoch, from 1.
        epoch: u64,
        /// Seconds until the last epoch or the end of `run.max_minutes`, whichever comes first.
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

/// Told of every event, on the training thread: answer quickly.
pub trait Observer: Send {
    /// Something happened.
    fn event(&mut self, event: &Event);
}

impl<F: FnMut(&Event) + Send> Observer for F {
    fn event(&mut self, event: &Event) {
        self(event);
    }
}
