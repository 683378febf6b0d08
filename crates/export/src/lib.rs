//! Trained nets as ONNX files, for other runtimes, and as MONAI bundles.
//!
//! A net is defined once, over [`multirnet_nn::Compute`]. This crate is a reader of that definition:
//! it writes each operation as nodes of an ONNX graph (opset 17, IR version 8). All passes of an
//! iterated net are unrolled. Batch and sides of the windows are dynamic.
//!
//! ```
//! use multirnet_export::{ExportOptions, export};
//! use multirnet_nn::{MultiRNetConfig, SystemConfig, device::Device};
//!
//! let config = MultiRNetConfig { channels: [2; 5], class_channels: [2; 6], ..MultiRNetConfig::base() };
//! let system = SystemConfig::from(config).init(&Device::flex());
//! let bytes = export(&system, &ExportOptions::default())?;
//! assert!(bytes.len() > 1000);
//! # Ok::<(), multirnet_export::Error>(())
//! ```

mod bundle;
mod error;
mod graph;
mod metadata;
mod model;
mod options;
pub mod proto;
mod writer;

pub use bundle::{BundleFile, bundle};
pub use error::{Error, ErrorKind, Result};
pub use model::{LESION_OUTPUT, LOGITS_OUTPUT, export};
pub use options::{ExportOptions, Provenance, What};
