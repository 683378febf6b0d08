//! The chunks of tiles that a task computes together.

use super::gather::Gather;
use super::tile::Tile;

/// Most vectors of tiles in a chunk. This is the register tile's width.
const VECTORS: usize = 3;

/// Share of the processor's peak that the products reach, measured with `benches/conv.rs` on
/// AVX-512. The plans apply it to the other instruction sets as well, which differ more in lanes
/// than in proportions.
const RATE: f64 = 0.85;
/// Cycles per weight and point of the filter's transform, measured in the same way.
const FILTER: f64 = 5.0;

/// Expected processor cycles of a direct convolution, or of one of its gradients, with `products` of
/// weights and positions for each pair of channels, in rows of `width`.
pub(crate) fn direct_cycles(
    products: usize,
    width: usize,
    channels: [usize; 2],
    lanes: usize,
) -> f64 {
    let waste = (width + 2) as f64 / width as f64;
    (products * channels[0] * channels[1]) as f64 * waste / lanes as f64 / RATE
}

/// How the tiles of a convolution are split into chunks.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) tile: Tile,
    pub(crate) batch: usize,
    /// Depth, height and width.
    pub(crate) size: [usize; 3],
    /// Tiles per axis.
    pub(crate) tiles: [usize; 3],
    pub(crate) lanes: usize,
    /// Number of tiles of a row that a chunk takes.
    width: usize,
    /// Number of rows of tiles (or parts of rows) in a chunk.
    rows: usize,
}

/// Rows of tiles of one image and one z.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    pub(crate) image: usize,
    /// Tile index along z and y.
    pub(crate) z: usize,
    pub(crate) y: usize,
    pub(crate) rows: usize,
    /// First tile along x and their number.
    pub(crate) x: usize,
    pub(crate) width: usize,
    /// First column in the chunk.
    pub(crate) column: usize,
}

/// The [`Gather`] of each width that a plan's segments have.
pub(super) struct Gathers([Gather; 2]);

impl Gathers {
    pub(super) fn of(&self, segment: &Segment) -> &Gather {
        let [usual, last] = &self.0;
        if segment.width == usual.width {
            usual
        } else {
            last
        }
    }
}

/// Tiles whose products fill up to [`VECTORS`] vectors.
pub(crate) struct Chunk {
    pub(crate) segments: Vec<Segment>,
    pub(crate) vectors: usize,
}

impl Plan {
    pub(crate) fn new(tile: Tile, batch: usize, size: [usize; 3], lanes: usize) -> Self {
        let m = tile.side();
        let tiles = [
            size[0].div_ceil(tile.depth()),
            size[1].div_ceil(m),
            size[2].div_ceil(m),
        ];
        let most = VECTORS * lanes;
        let parts = tiles[2].div_ceil(most);
        let width = tiles[2].div_ceil(parts);
        let units = batch * tiles[0] * tiles[1] * parts;
        // This prefers chunks of full vectors, and of several vectors, because each chunk reads the
        // weights once.
        let worth = |rows: usize| {
            let vectors = (rows * width).div_ceil(lanes);
            (rows * width) as f64 / lanes as f64 / (vectors as f64 + 0.25)
        };
        let rows = if parts > 1 {
            1
        } else {
            (1..=(most / width).clamp(1, units))
                .max_by(|a, b| worth(*a).total_cmp(&worth(*b)))
                .unwrap_or(1)
        };
        Self {
            tile,
            batch,
            size,
            tiles,
            lanes,
            width,
            rows,
        }
    }

    /// Rows of tiles, or parts of rows where a row is wider than a chunk.
    fn units(&self) -> usize {
        self.batch * self.tiles[0] * self.tiles[1] * self.parts()
    }

    fn parts(&self) -> usize {
        self.tiles[2].div_ceil(self.width)
    }

    pub(crate) fn chunks(&self) -> usize {
        self.units().div_ceil(self.rows)
    }

    /// Number of columns that all chunks compute, those that fill up vectors included.
    pub(crate) fn columns(&self) -> usize {
        let (full, rest) = (self.units() / self.rows, self.units() % self.rows);
        let columns = |rows: usize| (rows * self.width).next_multiple_of(self.lanes);
        full * columns(self.rows) + columns(rest)
    }

    /// Expected processor cycles of the forward pass, for comparison with [`direct_cycles`].
    /// `packed` means that the weights are already transformed.
    pub(crate) fn forward_cycles(
        &self,
        channels_in: usize,
        channels_out: usize,
        packed: bool,
    ) -> f64 {
        let filter = if packed { 0.5 } else { FILTER };
        self.cycles(channels_in, channels_out, filter)
    }

    /// Expected processor cycles of the weight gradient, for comparison with [`direct_cycles`].
    pub(crate) fn weight_grad_cycles(&self, channels_in: usize, channels_out: usize) -> f64 {
        let vectors = (self.columns() / self.lanes) as f64;
        let wide = channels_in.next_multiple_of(16);
        // Transposing the input costs five cycles a vector.
        self.cycles(wide, channels_out, FILTER) + 5.0 * vectors * (self.tile.points() * wide) as f64
    }

    fn cycles(&self, channels_in: usize, channels_out: usize, filter: f64) -> f64 {
        let (ci, co) = (channels_in as f64, channels_out.next_multiple_of(4) as f64);
        let vectors = (self.columns() / self.lanes) as f64;
        let points = self.tile.points() as f64;
        let transform = match (self.tile.is_large, self.tile.is_flat) {
            (false, false) => 850.0,
            (true, false) => 2000.0,
            (false, true) => 300.0,
            (true, true) => 600.0,
        };
        vectors * (points * ci * co / RATE + transform * (ci + co)) + filter * points * ci * co
    }

    /// Number of floats of a chunk's row buffers.
    pub(crate) fn row_floats(&self) -> usize {
        let m = self.tile.side();
        let input = Gather::floats(self.tile, self.rows, self.width, self.lanes);
        let output = 2 * m * (m + 2) * self.lanes + 2 * m * m * VECTORS * self.lanes;
        input.max(output)
    }

    /// How the rows of segments are packed, in vectors of `lanes`.
    pub(super) fn gathers(&self, lanes: usize) -> Gathers {
        let rows = self.rows * self.tile.side() + 2;
        let last = self.tiles[2] - (self.parts() - 1) * self.width;
        Gathers([self.width, last].map(|width| Gather::new(width, rows, lanes)))
    }

    /// Number of columns of the largest chunk.
    pub(crate) fn most_columns(&self) -> usize {
        (self.rows * self.width).next_multiple_of(self.lanes)
    }

    pub(crate) fn chunk(&self, i: usize) -> Chunk {
        let parts = self.parts();
        let end = ((i + 1) * self.rows).min(self.units());
        let mut unit = i * self.rows;
        let mut segments = Vec::with_capacity(2);
        let mut column = 0;
        while unit < end {
            let (row, part) = (unit / parts, unit % parts);
            let (slab, y) = (row / self.tiles[1], row % self.tiles[1]);
            let rows = if parts > 1 {
                1
            } else {
                (end - unit).min(self.tiles[1] - y)
            };
            let x = part * self.width;
            let width = self.width.min(self.tiles[2] - x);
            segments.push(Segment {
                image: slab / self.tiles[0],
                z: slab % self.tiles[0],
                y,
                rows,
                x,
                width,
                column,
            });
            column += rows * width;
            unit += rows;
        }
        Chunk {
            segments,
            vectors: column.div_ceil(self.lanes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_every_tile_once() {
        for (batch, size) in [
            (1, [32, 96, 96]),
            (2, [5, 7, 9]),
            (3, [2, 6, 6]),
            (1, [4, 12, 12]),
            (1, [3, 9, 500]),
            (4, [1, 1, 1]),
        ] {
            let tiles = [Tile::SMALL, Tile::LARGE];
            for tile in tiles.into_iter().chain(tiles.map(Tile::flat)) {
                for lanes in [4, 8, 16] {
                    let plan = Plan::new(tile, batch, size, lanes);
                    let [nz, ny, nx] = plan.tiles;
                    let mut seen = vec![0; batch * nz * ny * nx];
                    let mut columns = 0;
                    for i in 0..plan.chunks() {
                        let chunk = plan.chunk(i);
                        columns += chunk.vectors * lanes;
                        assert!(chunk.vectors <= VECTORS && chunk.vectors > 0);
                        for s in chunk.segments {
                            for y in s.y..s.y + s.rows {
                                for x in s.x..s.x + s.width {
                                    seen[((s.image * nz + s.z) * ny + y) * nx + x] += 1;
                                }
                            }
                        }
                    }
                    assert!(seen.iter().all(|&n| n == 1), "{plan:?}");
                    assert!(plan.columns() >= columns, "{plan:?}");
                }
            }
        }
    }
}
