//! Windows, augmentation, training loop and checkpoints.
//!
//! A training takes these steps: a [`Split`](multirnet_cohort::Split) divides a
//! [`Cohort`](multirnet_cohort::Cohort), the scans are prepared into a
//! [`Cache`](multirnet_cohort::Cache), a [`Sampler`] decides the windows of both views and their
//! order, worker threads cut and vary them, and [`train`] fits the network to them.
//!
//! ```
//! use multirnet_train::TrainConfig;
//!
//! // Missing keys have their defaults. A misspelt key is refused with its line.
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
//! let (out, cache) = (Path::new("runs/mine"), Path::new("cache"));
//! let device = DeviceChoice::Cpu.open()?;
//! let options = Options { out, cache, read: &read_volume, device, resume: false, prepare_jobs: 2 };
//! let mut observer = |event: &Event| eprintln!("{event:?}");
//! let summary = train(&config, &cohort, &split, &options, &mut observer, &AtomicBool::new(false))?;
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
//! | `threshold.json` | the best threshold for the validation windows, and all that were tried |
//! | `checkpoints/best.safetensors` | weights with the lowest validation loss of the last stage |
//! | `checkpoints/last.safetensors` | weights of the last checkpoint |
//! | `checkpoints/last.state` | the state for an exact continuation |

#![recursion_limit = "256"]

pub mod augment;
mod average;
mod batch;
pub mod checkpoint;
pub mod config;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod loader;
pub mod log;
mod observer;
pub mod sampler;
mod schedule;
mod trainer;
pub mod window;

pub use config::{TrainConfig, TrainingPrecision};
pub use error::{Error, ErrorKind, Result};
pub use log::{EpochRecord, MeanLosses, StepRecord, ValidationRecord};
pub use observer::{Event, Observer, StopReason, Summary};
pub use sampler::Sampler;
pub use trainer::{Options, train};
