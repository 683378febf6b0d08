//! Seeded synthetic chest CT with known truth: lungs, ground glass, consolidation and class.
//!
//! A [`PhantomConfig`] lists everything that makes a phantom. [`PhantomConfig::sample`] draws one
//! from a seed, and [`PhantomConfig::generate`] renders it. The same configuration gives the same
//! voxels for any number of threads.
//!
//! ```
//! use multirnet_phantom::PhantomConfig;
//! use multirnet_volume::Diagnosis;
//!
//! // The patient of seed 7 on 64 × 64 pixels and 24 slices.
//! let config = PhantomConfig::sample(7, Diagnosis::Covid19, 64).with_slices(24)?;
//! let phantom = config.generate()?;
//! assert_eq!(phantom.ct.shape(), [24, 64, 64]);
//! // Every lesion voxel lies in a lung.
//! let pairs = phantom.lesions.data().iter().zip(phantom.lungs.data());
//! let lungs: Vec<u8> = pairs.filter(|(lesion, _)| **lesion > 0).map(|(_, lung)| *lung).collect();
//! assert!(!lungs.is_empty() && lungs.iter().all(|lung| [1, 2].contains(lung)));
//! // The same configuration gives the same voxels.
//! assert_eq!(config.generate()?, phantom);
//! # Ok::<(), multirnet_phantom::Error>(())
//! ```
//!
//! # How it works
//! The anatomy is a set of implicit surfaces in *reference millimetres* (an average adult, see
//! [`PatientConfig`]). Each slice is evaluated at a few depths within its thickness and painted with
//! vessel, airway and lesion densities. The depths are averaged, blurred by the kernel and given
//! noise.
//!
//! # Truth
//! - `lungs` is everything within the pleura that belongs to the lung: parenchyma, vessels and
//!   bronchi inside it, lesions, nodules, scars and atelectasis. Mediastinum, large hilar vessels,
//!   trachea, main bronchi and pleural effusion do not belong to it.
//! - `lesions` marks voxels where a pneumonic opacity has at least half of its full density:
//!   1 ground glass, 2 consolidation (air bronchograms inside included). Confounders
//!   (atelectasis, nodules, emphysema, scars, effusion) are never marked.

mod anatomy;
mod config;
mod error;
mod frame;
pub mod implant;
mod lesions;
mod noise;
mod paint;
mod place;
mod render;
mod sample;
mod scanner;
mod tree;

pub use config::{
    Confounders, Effusion, Lesion, Lobe, Nodule, PatientConfig, PhantomConfig, ScannerConfig, Side,
};
pub use error::{Error, ErrorKind, Result};
pub use render::Phantom;
