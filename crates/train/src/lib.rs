//! Cohorts, splits, windows, augmentation, training loop and checkpoints.
//!
//! The way of a training: a [`Cohort`] (from a [manifest]) is divided by a [`Split`], its scans are
//! prepared into a [`Cache`], a [`Sampler`] says which windows of both views come in which order,
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
pub mod cache;
pub mod checkpoint;
pub mod config;
mod error;
pub mod known;
pub mod load;
mod loader;
pub mod log;
pub mod manifest;
mod observer;
pub mod sampler;
mod schedule;
pub mod split;
mod trainer;
pub mod window;

pub use cache::{Cache, Entry};
pub use config::TrainConfig;
pub use error::{Error, ErrorKind, Result};
pub use known::Known;
pub use load::{CaseScan, Part, PreparedCase, Reader, read_case};
pub use log::{EpochRecord, MeanLosses, StepRecord, ValidationRecord};
pub use manifest::{Case, Cohort};
pub use observer::{Event, Observer, StopReason, Summary};
pub use sampler::Sampler;
pub use split::{Side, Split, SplitConfig};
pub use trainer::{Options, train};
