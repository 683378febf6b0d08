//! Geometries from and to Python.

use crate::error::Outcome;
use multirnet_volume::Geometry;

/// Spacing in mm per array axis `(z, y, x)`, LPS position of the first voxel in mm `(x, y, z)`, and the
/// unit LPS vectors along the array axes.
pub type Placed = ([f64; 3], [f64; 3], [[f64; 3]; 3]);

/// The geometry of an array of `shape` voxels.
///
/// # Errors
/// `geometry` as [`Geometry::new`].
pub fn geometry(shape: [usize; 3], placed: &Placed) -> Outcome<Geometry> {
    let (spacing, origin, direction) = *placed;
    Ok(Geometry::new(shape, spacing, origin, direction)?)
}

/// Spacing, origin and direction of a geometry.
pub fn placed(geometry: &Geometry) -> Placed {
    (
        geometry.spacing_mm(),
        geometry.origin_mm(),
        geometry.direction(),
    )
}
