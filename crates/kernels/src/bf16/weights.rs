//! Weights in the order in which the products read them.

use rayon::prelude::*;

use super::block::{DEPTH, SIDE, Tile};
use super::channels_last::{Lines, even};
use super::convert::round;

/// Weights of a kernel, as tiles `[block of 32 outputs][step][16 outputs of the block]`.
///
/// The steps go over the kernel's planes and rows. A row of taps reads `kernel[2] · channels` neighbouring
/// numbers, 32 a step; weights beyond them are zero.
#[derive(Debug)]
pub(crate) struct Weights {
    pub(super) kernel: [usize; 3],
    pub(super) channels_in: usize,
    pub(super) channels_out: usize,
    pub(super) tiles: Vec<Tile>,
}

impl Weights {
    /// Takes the weight of an output, an input and a tap from `get(output, input, [z, y, x])`.
    pub(super) fn new(
        kernel: [usize; 3],
        channels_in: usize,
        channels_out: usize,
        get: impl Fn(usize, usize, [usize; 3]) -> f32 + Sync,
    ) -> Self {
        let width = even(channels_in);
        let chunks = (kernel[2] * width).div_ceil(DEPTH);
        let steps = kernel[0] * kernel[1] * chunks;
        let mut tiles = vec![Tile([0; SIDE * DEPTH]); channels_out.div_ceil(SIDE) * steps];
        tiles
            .par_chunks_mut((2 * steps).max(1))
            .enumerate()
            .for_each(|(block, tiles)| {
                let wide = wide(channels_out, block);
                for (i, tile) in tiles.iter_mut().enumerate() {
                    let (step, first) = (i / wide, 2 * SIDE * block + i % wide * SIDE);
                    let (row, chunk) = (step / chunks, step % chunks);
                    let (z, y) = (row / kernel[1], row % kernel[1]);
                    for k in 0..DEPTH {
                        let (x, c) = ((chunk * DEPTH + k) / width, (chunk * DEPTH + k) % width);
                        if x >= kernel[2] || c >= channels_in {
                            continue;
                        }
                        let mut column = [0f32; SIDE];
                        let n = SIDE.min(channels_out - first);
                        for (o, v) in column[..n].iter_mut().enumerate() {
                            *v = get(first + o, c, [z, y, x]);
                        }
                        let to = &mut tile.0[k / 2 * SIDE * 2..][..SIDE * 2];
                        for (pair, v) in to.chunks_exact_mut(2).zip(column) {
                            pair[k % 2] = round(v);
                        }
                    }
                }
            });
        Self {
            kernel,
            channels_in,
            channels_out,
            tiles,
        }
    }

    /// Number of blocks of up to 32 outputs.
    pub(super) fn blocks(&self) -> usize {
        self.channels_out.div_ceil(2 * SIDE)
    }

    /// The tiles of a block, and the number of tiles that lie beside each other.
    pub(super) fn block(&self, block: usize, steps: usize) -> (&[Tile], usize) {
        let wide = wide(self.channels_out, block);
        (&self.tiles[2 * block * steps..][..wide * steps], wide)
    }

    /// Where the numbers of each step lie in a packed input, from those of the first tap on.
    pub(super) fn offsets(&self, lines: &Lines) -> Vec<usize> {
        let [_, rows, columns] = lines.size;
        let chunks = (self.kernel[2] * lines.width).div_ceil(DEPTH);
        (0..self.kernel[0] * self.kernel[1])
            .flat_map(|row| {
                let (z, y) = (row / self.kernel[1], row % self.kernel[1]);
                let first = (z * rows + y) * columns * lines.width;
                (0..chunks).map(move |chunk| first + chunk * DEPTH)
            })
            .collect()
    }
}

/// Tiles beside each other in a block of up to 32 outputs.
fn wide(channels_out: usize, block: usize) -> usize {
    (channels_out - 2 * SIDE * block).div_ceil(SIDE).min(2)
}
