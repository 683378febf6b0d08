//! Axis orientations and reorientation.

use crate::{Geometry, Volume, Voxel};

/// The patient direction towards which an array axis grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Axis {
    /// Towards the patient's left.
    Left,
    /// Towards the patient's right.
    Right,
    /// Towards the back.
    Posterior,
    /// Towards the front.
    Anterior,
    /// Towards the head.
    Superior,
    /// Towards the feet.
    Inferior,
}

/// The nearest axis-aligned orientation of a grid: one [`Axis`] per array axis `(z, y, x)`,
/// each pair of opposites used once (48 of them).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Orientation([Axis; 3]);

impl Orientation {
    /// The canonical orientation: z superior, y posterior, x left.
    pub const CANONICAL: Self = Self([Axis::Superior, Axis::Posterior, Axis::Left]);

    /// An orientation from axes `(z, y, x)`; `None` if two axes lie on the same patient axis.
    pub fn new(axes: [Axis; 3]) -> Option<Self> {
        todo!("{axes:?}")
    }

    /// All 48 orientations.
    pub fn all() -> Vec<Self> {
        todo!()
    }

    /// The axes `(z, y, x)`.
    pub fn axes(&self) -> [Axis; 3] {
        self.0
    }
}

impl Geometry {
    /// The orientation nearest to this grid's direction (also for oblique grids).
    pub fn orientation(&self) -> Orientation {
        todo!()
    }

    /// This grid with its axes permuted and flipped to `target`; voxels keep their world positions.
    pub fn reoriented(&self, target: Orientation) -> Self {
        todo!("{target:?}")
    }
}

impl<T: Voxel> Volume<T> {
    /// The same voxels with axes permuted and flipped to `target`. Exact: no interpolation, every
    /// voxel keeps its world position; going back to [`Geometry::orientation`] restores the volume.
    #[must_use]
    pub fn reorient(&self, target: Orientation) -> Self {
        todo!("{target:?}")
    }

    /// The volume in canonical orientation (see the crate's documentation).
    #[must_use]
    pub fn to_canonical(&self) -> Self {
        self.reorient(Orientation::CANONICAL)
    }
}
