//! Limits of what is read as a volume.

use crate::{Error, ErrorKind, Result};

/// Hounsfield units of air. Padding gets this value, and no voxel of a volume lies below it.
pub const AIR_HU: f32 = -1024.0;
/// Least number of slices of a volume. Two slices cannot show whether one between them is missing.
pub(crate) const MIN_SLICES: usize = 3;
/// Largest single file that is read; an enhanced CT of 2000 frames of 512 × 512 has 1.05 GB.
pub(crate) const MAX_FILE_BYTES: u64 = 2 << 30;
/// Largest number of voxels of a volume (4 GiB of values).
pub const MAX_VOXELS: usize = 1 << 30;

/// Refuses a volume of more than `most` voxels.
pub(crate) fn check_voxels(shape: [usize; 3], most: usize) -> Result<()> {
    match shape.iter().try_fold(1usize, |n, &s| n.checked_mul(s)) {
        Some(n) if n <= most.min(MAX_VOXELS) => Ok(()),
        _ => Err(Error::new(
            ErrorKind::TooLarge,
            format!(
                "the volume would have {shape:?} voxels (z, y, x), more than {}",
                most.min(MAX_VOXELS)
            ),
        )
        .hint("read a series with fewer or smaller slices")),
    }
}
