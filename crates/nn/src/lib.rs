//! MultiR-Net: one network that segments pneumonia lesions in chest CT and classifies a scan as
//! COVID-19, community-acquired pneumonia or normal.
//!
//! [`nets`] are made of [`blocks`], and blocks of [`layers`]. A net is defined once, over the
//! operations of [`Compute`]. [`Eager`] executes them on [burn](https://burn.dev)'s tensors. The
//! device on which a net is created decides whether it trains (`device.autodiff()`: batch
//! statistics, dropout, gradients) or only runs (running statistics, no dropout).
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use multirnet_nn::{MultiRNetConfig, NetConfig, SystemConfig};
//!
//! let device = Device::flex();
//! // A net with two channels everywhere learns nothing, but it shows the shapes.
//! let config = MultiRNetConfig { channels: [2; 5], class_channels: [2; 6], ..MultiRNetConfig::base() };
//! config.check_window([16, 32, 32])?;
//! // Every system has the same form of output, and MultiR-Net is one of them.
//! let system = SystemConfig::from(config).init(&device);
//! let answer = system.answer(Tensor::<5>::zeros([1, 1, 16, 32, 32], &device));
//! // Each pass gives a lesion map. The last one is the result.
//! assert_eq!(answer.lesion.len(), 3);
//! assert_eq!(answer.lesion().map(|map| map.dims()), Some([1, 1, 16, 32, 32]));
//! assert_eq!(answer.logits().map(|logits| logits.dims()), Some([1, 3]));
//! # Ok::<(), multirnet_nn::Error>(())
//! ```

#![recursion_limit = "256"]

pub mod blocks;
mod checks;
pub mod compute;
pub mod config;
pub mod device;
pub mod error;
pub mod layers;
pub mod losses;
mod net;
pub mod nets;
pub mod ops;
pub mod passes;
pub mod systems;
mod tensors;
pub mod weights;

pub use compute::{Activation, Compute, Eager, PoolWindow};
pub use config::{ClassFrom, Kept, MaskFeedback, MultiRNetConfig, Norm};
pub use device::DeviceChoice;
pub use error::{Error, ErrorKind, Result};
pub use losses::{LossConfig, Losses, SegmentationLoss, Truth, TverskyWindows};
pub use net::{ModelOutput, Net, NetConfig, NetPass, SystemCard};
pub use nets::{GradCam, MultiRNet, Output, Pass, class_maps};
pub use passes::Passes;
pub use systems::{AnyNet, System, SystemConfig};
