//! Cropping and padding.

use crate::{Result, Volume, Voxel};

impl<T: Voxel> Volume<T> {
    /// The block of `shape` voxels from the (possibly negative) voxel `start`; what lies outside
    /// the volume is `outside`. The geometry moves along, so every voxel keeps its world position.
    ///
    /// # Errors
    /// `Geometry` if `shape` is empty.
    pub fn window(&self, start: [i64; 3], shape: [usize; 3], outside: T) -> Result<Self> {
        todo!("{start:?} {shape:?} {outside:?}")
    }

    /// The volume without everything outside `start..start + shape`.
    ///
    /// # Errors
    /// `Mismatch` if the block does not lie within the volume.
    pub fn crop(&self, start: [usize; 3], shape: [usize; 3]) -> Result<Self> {
        todo!("{start:?} {shape:?}")
    }

    /// The volume with `before` and `after` voxels of `value` added per axis.
    ///
    /// # Errors
    /// `Geometry` if the result is too large.
    pub fn pad(&self, before: [usize; 3], after: [usize; 3], value: T) -> Result<Self> {
        todo!("{before:?} {after:?} {value:?}")
    }
}
