//! Volumes with their geometry: reorient, resample, crop, pad; NIfTI, NRRD and MetaImage files.
//!
//! ```
//! use multirnet_volume::{Geometry, Orientation, Volume};
//!
//! // Two axial slices 5 mm apart, of 3 × 4 pixels of 0.8 mm.
//! let grid = Geometry::axial([2, 3, 4], [5.0, 0.8, 0.8])?;
//! let scan = Volume::from_fn(grid, |[z, y, x]| (100 * z + 10 * y + x) as f32);
//! // Another axis order moves voxels in memory. Their places in the patient stay.
//! let turned = scan.reorient(Orientation::all()[11]);
//! let place = turned.geometry().world_to_index(grid.index_to_world([1.0, 2.0, 3.0]));
//! assert_eq!(turned.at(place.map(|v| v.round() as usize)), 123.0);
//! // A crop knows its place too. Resampling puts it back where it was.
//! let whole = scan.crop([1, 0, 1], [1, 3, 2])?.resample_nearest(&grid, -1.0);
//! assert_eq!((whole.at([1, 2, 1]), whole.at([0, 2, 1])), (121.0, -1.0));
//! # Ok::<(), multirnet_volume::Error>(())
//! ```
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
mod taps;
mod volume;

pub use diagnosis::Diagnosis;
pub use digest::{content_sha256, content_sha256_unless};
pub use error::{Error, ErrorKind, Result};
pub use geometry::Geometry;
pub use orientation::{Axis, Orientation};
pub use resample::LinearSampler;
pub use scalar::Scalar;
pub use volume::{Planes, Volume, Voxel};
