//! Volume files: NIfTI-1 (read, write), NRRD and MetaImage (read).

use crate::{Result, Volume, Voxel};
use std::path::Path;

/// Formats that [`read`] knows, by file name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// NIfTI-1, `.nii` or `.nii.gz`.
    Nifti,
    /// NRRD, `.nrrd` or detached `.nhdr`.
    Nrrd,
    /// MetaImage, `.mha` or `.mhd`.
    MetaImage,
}

impl Format {
    /// The format that the name of `path` stands for.
    pub fn from_path(path: &Path) -> Option<Self> {
        todo!("{path:?}")
    }
}

/// Reads a scalar 3D volume with scaling applied (scl_slope, scl_inter), as `f32`.
///
/// # Errors
/// `Io`, `Malformed` (truncated, empty, contradictory), `Unsupported` (4D, colour, 2D, unknown
/// format), `Geometry`. Each names the file.
pub fn read(path: &Path) -> Result<Volume<f32>> {
    todo!("{path:?}")
}

/// Reads an integer label map.
///
/// # Errors
/// As [`read`], and `Malformed` if a value is not an integer in 0..=255.
pub fn read_labels(path: &Path) -> Result<Volume<u8>> {
    todo!("{path:?}")
}

/// Writes NIfTI-1 (`.nii`, `.nii.gz`) through a temporary file that is renamed when complete.
///
/// # Errors
/// `Io` (a full disk leaves nothing behind), `Unsupported` for another file name.
pub fn write_nifti<T: Voxel>(path: &Path, volume: &Volume<T>) -> Result<()> {
    todo!("{path:?} {volume:?}")
}
