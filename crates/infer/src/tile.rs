//! The option that merges windows into tiles.

use crate::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// Whether fine windows are merged into tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tile {
    /// No tiles: windows of [`PredictOptions::window_shape`](crate::PredictOptions::window_shape)
    /// that overlap by [`PredictOptions::overlap`](crate::PredictOptions::overlap).
    Off,
    /// Tiles of the shape that fits into memory and computes the fewest voxels.
    #[default]
    Auto,
    /// Tiles of at most this shape `(z, y, x)` in voxels, multiples of 16. A side shorter than a
    /// window's counts as the window's.
    #[serde(untagged)]
    Shape([usize; 3]),
}

impl std::fmt::Display for Tile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Auto => f.write_str("auto"),
            Self::Shape([z, y, x]) => write!(f, "{z},{y},{x}"),
        }
    }
}

impl std::str::FromStr for Tile {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let sides: Vec<usize> = text
            .split(',')
            .map_while(|n| n.trim().parse().ok())
            .collect();
        match (text.trim().to_ascii_lowercase().as_str(), &sides[..]) {
            ("off", _) => Ok(Self::Off),
            ("auto", _) => Ok(Self::Auto),
            (_, &[z, y, x]) if text.split(',').count() == 3 => Ok(Self::Shape([z, y, x])),
            _ => Err(
                Error::new(ErrorKind::Options, format!("unknown tile {text:?}"))
                    .hint("write off, auto or a shape in voxels as Z,Y,X"),
            ),
        }
    }
}
