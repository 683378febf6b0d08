//! Windows, augmentation, training loop and checkpoints.
//!
//! The way of a training: a [`Cohort`](multirnet_cohort::Cohort) is divided by a
//! [`Split`](multirnet_cohort::Split), its scans are prepared into a
//! [`Cache`](multirnet_cohort::Cache), a [`Sampler`] says which windows of both views come in which order,
//! worker threads cut and vary them, and [`train`] fits the network to them.
//!
//! ```
//! use multirnet_train::TrainConfig;
//!
//! // What a file leaves out has its default. A misspelt key is refused with its line.
//! let config = TrainConfig::parse("[run]\nepochs = 30")?;
//! assert_eq!((config.run.epochs, config.sampling.batch), (30, 4));
//! let error = TrainConfig::parse("[run]\nepoch = 30").unwrap_err();
//! assert!(error.to_string().contains("epochs"), "{error}");
//! # Ok::<(), multirnet_train::Error>(())
//! ```
//!
//! A training needs the manifest of a cohort:
//!
//! ```no_run
//! use multirnet_cohort::{Cohort, Split, read_volume};
//! use multirnet_nn::DeviceChoice;
//! use multirnet_train::{Event, Options, TrainConfig, train};
//! use std::{path::Path, sync::atomic::AtomicBool};
//!
//! let config = TrainConfig::recipe();
//! let cohort = Cohort::read(Path::new("cohort.csv"))?;
//! let split = Split::stratified(&cohort, &config.split)?;
//! let options = Options {
//!     out: Path::new("runs/mine"),
//!     cache: Path::new("cache"),
//!     read: &read_volume,
//!     device: DeviceChoice::Cpu.open()?,
//!     resume: false,
//!     prepare_jobs: 2,
//! };
//! let mut observer = |event: &Event| eprintln!("{event:?}");
//! let stop = AtomicBool::new(false);
//! let summary = train(&config, &cohort, &split, &options, &mut observer, &stop)?;
//! println!("{:?}: {}", summary.reason, summary.best_weights.display());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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
