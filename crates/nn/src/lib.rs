//! MultiR-Net: one network that segments pneumonia lesions in chest CT and tells COVID-19,
//! community-acquired pneumonia and neither apart.
//!
//! From small to large: [`layers`] → [`blocks`] → [`nets`]. A net is written once, here, over the
//! operations of [`Compute`]. [`Eager`] carries them out on [burn](https://burn.dev)'s tensors: the
//! device that a net is created on decides whether it trains (`device.autodiff()`: batch
//! statistics, dropout, gradients) or only runs (running statistics, no dropout).
//!
//! ```no_run
//! use burn::tensor::{Device, Tensor};
//! use multirnet_nn::MultiRNetConfig;
//!
//! let device = Device::flex();
//! let net = MultiRNetConfig::small().init(&device);
//! let window = Tensor::<5>::zeros([1, 1, 32, 96, 96], &device);
//! let output = net.forward(window);
//! assert_eq!(output.lesion().dims(), [1, 1, 32, 96, 96]);
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
pub mod systems;
mod tensors;
pub mod weights;

pub use compute::{Compute, Eager};
pub use config::{ClassFrom, Kept, MaskFeedback, MultiRNetConfig, Norm};
pub use device::DeviceChoice;
pub use error::{Error, ErrorKind, Result};
pub use losses::{LossConfig, Losses, SegmentationLoss, Truth, TverskyWindows};
pub use net::{ModelOutput, Net, NetConfig, SystemCard};
pub use nets::{GradCam, MultiRNet, Output, Pass, class_maps};
pub use systems::{AnyNet, System, SystemConfig};
