//! The conventions of what counts as surface.

use serde::{Deserialize, Serialize};

/// What counts as surface, and how much each element of it weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Convention {
    /// Surface elements weighted by their area, as in `surface-distance`.
    #[default]
    #[serde(rename = "area")]
    Area,
    /// Voxels of the mask with at least one of their six faces on the outside, each counting 1, as
    /// in MONAI.
    #[serde(rename = "voxel-6")]
    Voxel6,
}

impl Convention {
    /// `area` or `voxel-6`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Area => "area",
            Self::Voxel6 => "voxel-6",
        }
    }
}

impl std::fmt::Display for Convention {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
