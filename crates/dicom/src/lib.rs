//! DICOM series to volumes.
//!
//! [`read`] takes a folder (searched through), a zip archive or a single file, finds the series,
//! chooses one, sorts its slices along their normal and gives a [`Volume`] in Hounsfield units.
//! [`list`] says what there is.
//!
//! # Rules
//!
//! - **Choice**: CT, axial (normal nearest to the patient's long axis), at least three slices, most
//!   slices; of equals the first by series number. [`ReadOptions::series`] overrides it. Localizers,
//!   projections, colour and other modalities are never slices.
//! - **A single file** stands for its series: the files beside it are searched for the rest. A file
//!   with many frames (enhanced CT) is read by itself.
//! - **Geometry** comes from the slices' positions and orientations, never from the slice thickness.
//!   Array axis z runs along row × column, ascending; y along a column, x along a row.
//! - **Values**: stored value × rescale slope + intercept, per slice. Pixel padding, and everything
//!   below −1024 HU, is air: −1024 HU.
//! - **Irregular series** (missing slices, uneven distances, gantry tilt, sideways shifts, mixed
//!   orientations or sizes, several slices at one place, damaged files) are refused with the list
//!   of files; [`ReadOptions::allow_irregular`] mends them and warns.
//! - **Compression**: none, deflated, RLE, JPEG Lossless, JPEG baseline, JPEG-LS, JPEG 2000; all
//!   decoders are Rust. Anything else is refused by name.
//! - **Bounds**: 2 GiB a file (unpacked), 100 000 files, 2³⁰ voxels a volume.

mod codec;
mod error;
mod header;
mod pixels;
mod read;
mod repair;
mod series;
mod source;
mod stack;
mod stream;

pub use error::{Error, ErrorKind, Result};
pub use read::{list, read};
pub use series::SeriesInfo;
pub use source::is_dicom;

use multirnet_volume::Volume;
use serde::{Deserialize, Serialize};

/// Value of air, of padding, and the least value of a volume.
pub const AIR_HU: f32 = -1024.0;
/// Slices that make a volume, at least: two cannot show whether one is missing.
const MIN_SLICES: usize = 3;
/// Voxels of a volume, at most (4 GiB of values).
const MAX_VOXELS: usize = 1 << 30;

/// How to read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReadOptions {
    /// The series to read: its UID, or its number in the listing (from 1). Unset: chosen by rule.
    pub series: Option<String>,
    /// Mend irregular series and warn, instead of refusing them.
    pub allow_irregular: bool,
}

/// A series read as a volume. It names no patient.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Scan {
    /// Hounsfield units, at least [`AIR_HU`].
    pub volume: Volume<f32>,
    /// The series that was read.
    pub series: SeriesInfo,
    /// All series that were found, with the reason why each was or was not taken.
    pub listing: Vec<SeriesInfo>,
    /// What makes the scan less trustworthy; belongs into the result.
    pub warnings: Vec<String>,
    /// What else a user may want to know (files skipped, how a single file was understood).
    pub notes: Vec<String>,
    /// Study instance UID.
    pub study_uid: String,
    /// Frame of reference UID, empty if not given.
    pub frame_of_reference_uid: String,
    /// Pseudonym of the patient: equal for scans with the same patient identifier, empty without
    /// one. It is a short hash; who knows an identifier can test for it.
    pub patient_key: String,
    /// Files of the volume's slices in order, relative to what was read.
    pub files: Vec<String>,
}

/// Runs third-party code on untrusted bytes: a panic in it becomes an error.
pub(crate) fn guard<T>(work: impl FnOnce() -> T) -> Result<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).map_err(|_| {
        Error::new(
            ErrorKind::Malformed,
            "the decoder failed on this file's content",
        )
        .hint("the file is damaged; fetch it again")
    })
}

pub(crate) fn check_voxels(shape: [usize; 3]) -> Result<()> {
    match shape.iter().try_fold(1usize, |n, &s| n.checked_mul(s)) {
        Some(n) if n <= MAX_VOXELS => Ok(()),
        _ => Err(Error::new(
            ErrorKind::TooLarge,
            format!("the volume would have {shape:?} voxels (z, y, x), more than {MAX_VOXELS}"),
        )
        .hint("read a series with fewer or smaller slices")),
    }
}
