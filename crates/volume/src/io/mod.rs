//! Volume files: NIfTI-1 (read, write), NRRD and MetaImage (read); pictures of single slices.
//!
//! | format | names | encodings | not supported (a clear error) |
//! |---|---|---|---|
//! | NIfTI-1 | `.nii`, `.nii.gz` | raw, gzip | NIfTI-2, `.hdr`/`.img` pairs |
//! | NRRD | `.nrrd`, `.nhdr` | raw, gzip, ascii | bzip2, hex, several data files |
//! | MetaImage | `.mha`, `.mhd` | raw, zlib, ascii | several data files |
//!
//! All integer types and both floating point types are read, in both byte orders. Time series,
//! vectors and colour are refused. World coordinates are LPS for every format. [`read_with_notes`]
//! returns what had to be assumed.
//!
//! A PNG or JPEG picture of a single slice is not a volume file, because it does not state the
//! size of its pixels. The caller of [`read_picture`] gives it.

mod deflate;
mod metaimage;
mod nifti;
mod nifti_write;
mod nrrd;
mod picture;
mod source;
mod text;

pub use nifti_write::{nifti_bytes, stream_nifti, write_nifti, write_scaled_nifti, write_shares};
pub use picture::{is_picture, read_picture, read_picture_labels};

use crate::{Error, ErrorKind, Result, Volume};
use rayon::prelude::*;
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
    /// The format that the name of `path` stands for. The pair `.hdr` and `.img` counts as
    /// NIfTI, though [`read`] only explains why it does not read it.
    pub fn from_path(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
        let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
        if ends(&[".nii", ".nii.gz", ".hdr", ".hdr.gz", ".img", ".img.gz"]) {
            Some(Self::Nifti)
        } else if ends(&[".nrrd", ".nhdr"]) {
            Some(Self::Nrrd)
        } else if ends(&[".mha", ".mhd"]) {
            Some(Self::MetaImage)
        } else {
            None
        }
    }
}

/// Reads a scalar 3D volume with scaling applied (scl_slope, scl_inter), as `f32`.
///
/// # Errors
/// `Io`, `Malformed` (truncated, empty, contradictory), `Unsupported` (4D, colour, 2D, unknown
/// format), `Geometry`. Each names the file.
pub fn read(path: &Path) -> Result<Volume<f32>> {
    Ok(read_with_notes(path)?.0)
}

/// As [`read`], with notes for the user. A note says what the file leaves open or contradicts (no
/// orientation, NIfTI's two transforms that disagree, unknown units), and what was assumed.
///
/// # Errors
/// As [`read`].
pub fn read_with_notes(path: &Path) -> Result<(Volume<f32>, Vec<String>)> {
    read_at_most(path, text::MAX_VOXELS)
}

/// As [`read_with_notes`], for volumes of at most `max_voxels` voxels. A packed file can hold about a
/// thousand times its size, so this bounds the memory that reading takes: four bytes a voxel. The limit
/// of the other functions is 2³¹ voxels.
///
/// # Errors
/// As [`read`], and `Unsupported` for a larger volume.
pub fn read_at_most(path: &Path, max_voxels: usize) -> Result<(Volume<f32>, Vec<String>)> {
    let read = match Format::from_path(path) {
        Some(Format::Nifti) => nifti::read,
        Some(Format::Nrrd) => nrrd::read,
        Some(Format::MetaImage) => metaimage::read,
        None => {
            // A directory or a missing file also has an unknown name, and its own error is more
            // helpful.
            source::ByteSource::open(path)?;
            return Err(Error::new(ErrorKind::Unsupported, "unknown kind of file")
                .hint("use .nii, .nii.gz, .nrrd, .nhdr, .mha or .mhd")
                .at(path));
        }
    };
    let mut notes = Vec::new();
    let volume = read(path, max_voxels, &mut notes).map_err(|e| e.at(path))?;
    Ok((volume, notes))
}

/// Reads an integer label map.
///
/// # Errors
/// As [`read`], and `Malformed` if a value is not an integer in 0..=255.
pub fn read_labels(path: &Path) -> Result<Volume<u8>> {
    let volume = read(path)?;
    // Scaling in the file may leave rounding errors.
    let is_label = |v: f32| (-0.5..255.5).contains(&v) && (v - v.round()).abs() < 1e-3;
    let chunk = 1 << 16;
    let wrong = volume.data().par_chunks(chunk).enumerate();
    let wrong = wrong.find_map_first(|(i, values)| {
        let position = values.iter().position(|&v| !is_label(v))?;
        Some(i * chunk + position)
    });
    if let Some(position) = wrong {
        let [_, ny, nx] = volume.shape();
        let index = [position / (ny * nx), position / nx % ny, position % nx];
        let value = volume.data()[position];
        return Err(Error::new(
            ErrorKind::Malformed,
            format!("voxel {index:?} (z, y, x) is {value}, not a label (an integer from 0 to 255)"),
        )
        .hint("is this a scan or a probability map instead of a label map?")
        .at(path));
    }
    Ok(volume.map(|v| v.round() as u8))
}
