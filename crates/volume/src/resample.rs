//! Resampling onto another grid.

use crate::{Geometry, Volume, Voxel};

impl<T: Voxel> Volume<T> {
    /// Trilinear interpolation at the voxel centres of `target`, in world coordinates.
    /// Outside the source's outermost voxel centres the edge value is repeated up to the voxel's
    /// outer edge (half a voxel); further out the result is `outside`. Parallel over planes;
    /// separable fast path when both grids share their direction.
    #[must_use]
    pub fn resample_linear(&self, target: &Geometry, outside: f32) -> Volume<f32> {
        todo!("{target:?} {outside}")
    }

    /// The nearest voxel's value at the voxel centres of `target`; `outside` beyond the outer edge.
    #[must_use]
    pub fn resample_nearest(&self, target: &Geometry, outside: T) -> Volume<T> {
        todo!("{target:?} {outside:?}")
    }
}
