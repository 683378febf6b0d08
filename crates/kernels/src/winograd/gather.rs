//! The order in which vectors of tiles are packed.

use super::tile::Tile;

/// How the tiles of a line are packed together.
///
/// A line has `width + 1` places a row: after the row's tiles comes one place that holds what the
/// last tile reads beyond its own positions. Vectors of tiles leave these places out.
#[derive(Debug, Clone)]
pub(super) struct Gather {
    /// Tiles of a row.
    pub(super) width: usize,
    /// For each vector of places, the lanes that are tiles, then any others.
    pub(super) order: Vec<u32>,
    /// For each vector of places, the number of its tiles.
    pub(super) count: Vec<usize>,
}

impl Gather {
    /// For up to `rows` rows of `width` tiles in vectors of `lanes`.
    pub(super) fn new(width: usize, rows: usize, lanes: usize) -> Self {
        let places = rows * (width + 1);
        let (mut order, mut count) = (Vec::new(), Vec::new());
        for first in (0..places).step_by(lanes) {
            let is_tile = |lane: &u32| (first + *lane as usize) % (width + 1) != width;
            let (tiles, others): (Vec<u32>, Vec<u32>) = (0..lanes as u32).partition(is_tile);
            count.push(tiles.len());
            order.extend(tiles.into_iter().chain(others));
        }
        Self {
            width,
            order,
            count,
        }
    }

    /// Most floats of working memory of a transform of `rows` rows of tiles.
    pub(super) fn floats(tile: Tile, rows: usize, width: usize, lanes: usize) -> usize {
        let m = tile.side();
        let lines = rows * m + 2;
        let line = (lines * (width + 1) + 3 * lanes) * m;
        line + (m + 2) * (lines * width + 2 * lanes)
    }
}
