//! Windows, augmentation, training loop and checkpoints.
//!
//! The way of a training: a [`Cohort`](multirnet_cohort::Cohort) is divided by a
//! [`Split`](multirnet_cohort::Split), its scans are prepared into a
//! [`Cache`](multirnet_cohort::Cache), a [`Sampler`] says which windows of both views come in which order,
//! worker threads cut and vary them, and [`train`] fits the network to them.
//!
//! # The folder of a run
//!
//! | file | content |
//! |---|---|
//! | `config.toml` | the complete configuration |
//! | `split.csv` | each scan's side |
//! | `log.csv` | losses and quick scores, a line for each epoch of all stages |
//! | `steps.csv` | losses and times, a line for each step |
//! | `threshold.json` | the threshold that suits the validation windows best, and those tried |
//! | `checkpoints/best.safetensors` | weights with the lowest validation loss of the last stage |
//! | `checkpoints/last.safetensors` | weights of the last checkpoint |
//! | `checkpoints/last.state` | what an exact continuation needs |

#![recursion_limit = "256"]

pub mod augment;
mod average;
mod batch;
pub mod checkpoint;
pub mod config;
mod error;
mod loader;
pub mod log;
mod observer;
pub mod sampler;
mod schedule;
mod trainer;
pub mod window;

pub use config::TrainConfig;
pub use error::{Error, ErrorKind, Result};
pub use log::{EpochRecord, MeanLosses, StepRecord, ValidationRecord};
pub use observer::{Event, Observer, StopReason, Summary};
pub use sampler::Sampler;
pub use trainer::{Options, train};
