//! Volumes with their geometry: reorient, resample, crop, pad; NIfTI, NRRD and MetaImage files.
//!
//! # Conventions
//!
//! Arrays are indexed `(z, y, x)`, `x` fastest. World coordinates are **LPS** millimetres (DICOM,
//! ITK): +X to the patient's left, +Y posterior, +Z superior. NIfTI's RAS is converted in one
//! place, `io::nifti`. The *canonical* orientation has array axes that run
//! z: inferior → superior, y: anterior → posterior, x: right → left, so for an axial scan its
//! direction matrix is the identity.

pub mod boxes;
pub mod components;
pub mod diagnosis;
mod digest;
pub mod distance;
mod edit;
mod error;
mod geometry;
pub mod io;
pub mod morphology;
mod orientation;
mod resample;
mod scalar;
mod volume;

pub use diagnosis::Diagnosis;
pub use digest::{content_sha256, content_sha256_unless};
pub use error::{Error, ErrorKind, Result};
pub use geometry::Geometry;
pub use orientation::{Axis, Orientation};
pub use resample::LinearSampler;
pub use scalar::Scalar;
pub use volume::{Planes, Volume, Voxel};
