//! Whether windows are merged into tiles.

use crate::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// Whether fine windows are merged into tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tile {
    /// Windows of [`PredictOptions::window_shape`](crate::PredictOptions::window_shape), overlapping by [`PredictOptions::overlap`](crate::PredictOptions::overlap).
    Off,
    /// Tiles of the shape that computes the fewest voxels and fits into memory.
    #[default]
    Auto,
    /// Tiles of at most these voxels `(z, y, x)`, multiples of 16, and at least a window.
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
                Error::new(ErrorKind::Options, format!("{text:?} is no tile"))
                    .hint("write off, auto or voxels as Z,Y,X"),
            ),
        }
    }
}
