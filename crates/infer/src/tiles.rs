//! Tiles: the segmentation subnet is fully convolutional, so neighbouring windows can be computed
//! as one larger tile. Only the tiles' halos are then computed twice.

use crate::windows::{Region, cover};
use crate::{Block, Network, PredictOptions, Tile};
use multirnet_volume::Volume;
use rayon::prelude::*;

/// Voxels that [`Tile::Auto`] may add to a window's sides, per axis.
const GROWTH: [[usize; 3]; 3] = [[0, 16, 32], [0, 32, 64], [0, 32, 64]];

/// Shapes of the tiles that may be used. The window's own shape needs no room in the budget.
pub(crate) fn candidates(
    network: &dyn Network,
    options: &PredictOptions,
    budget: u64,
) -> Vec<[usize; 3]> {
    let window = options.window_shape;
    let larger = |shape: [usize; 3]| std::array::from_fn(|a| shape[a].max(window[a]));
    match options.tile {
        Tile::Off => vec![window],
        Tile::Shape(shape) => vec![larger(shape)],
        Tile::Auto => {
            let mut shapes = vec![window];
            for z in GROWTH[0] {
                for y in GROWTH[1] {
                    for x in GROWTH[2] {
                        let shape = [window[0] + z, window[1] + y, window[2] + x];
                        if shape != window && network.peak_memory_bytes(shape, 1) <= budget {
                            shapes.push(shape);
                        }
                    }
                }
            }
            shapes
        }
    }
}

/// Tiles that hold every non-zero voxel of `wanted`. Of the `candidates` it takes the shape that
/// computes the fewest voxels; a tie goes to the first.
pub(crate) fn plan_tiles(
    wanted: &Volume<u8>,
    candidates: &[[usize; 3]],
    window: [usize; 3],
    halo: [usize; 3],
) -> Vec<Region> {
    let plan = |most: &[usize; 3]| {
        cover(wanted, |axis, span, n| {
            axis_tiles(span, n, [window[axis], most[axis]], halo[axis])
        })
    };
    let plans: Vec<Vec<Region>> = candidates.par_iter().map(plan).collect();
    plans
        .into_iter()
        .min_by_key(|plan| voxels(plan))
        .unwrap_or_default()
}

/// Number of voxels of all regions together.
pub(crate) fn voxels(regions: &[Region]) -> usize {
    regions
        .iter()
        .map(|r| r.shape.iter().product::<usize>())
        .sum()
}

/// Pieces `(start, length)` of equal length, `least` to `most`, that cover `first..end` of an axis
/// of `n` voxels. Neighbours share at least two halos, or `most - 16` voxels if that is less.
fn axis_tiles(
    (first, end): (usize, usize),
    n: usize,
    [least, most]: [usize; 2],
    halo: usize,
) -> Vec<(i64, usize)> {
    let length = end - first;
    // A piece must be longer than its two halos.
    let shared = (2 * halo).min(most - 16);
    let count = if length <= most {
        1
    } else {
        (length - shared).div_ceil(most - shared)
    };
    let size = (length + (count - 1) * shared).div_ceil(count);
    let size = size.next_multiple_of(16).clamp(least, most);
    let (n, size_, first, length) = (n as i64, size as i64, first as i64, length as i64);
    let start = if n <= size_ {
        -(size_ - n) / 2
    } else {
        (first - (size_ - length).max(0) / 2).clamp(0, n - size_)
    };
    let room = (length - size_).max(0);
    let steps = count as i64 - 1;
    (0..=steps)
        .map(|k| (start + (k * room + steps / 2) / steps.max(1), size))
        .collect()
}

/// Splits a tile into blocks about as large as a window, whose sides are multiples of 16.
pub(crate) fn blocks(shape: [usize; 3], window: [usize; 3]) -> Vec<Block> {
    let axis = |a: usize| -> Vec<(usize, usize)> {
        let cells = shape[a] / 16;
        let count = ((shape[a] as f64 / window[a] as f64).round() as usize).clamp(1, cells.max(1));
        let edge = |i: usize| 16 * (i * cells / count);
        (0..count)
            .map(|i| (edge(i), edge(i + 1) - edge(i)))
            .collect()
    };
    let mut blocks = Vec::new();
    for (z, depth) in axis(0) {
        for (y, height) in axis(1) {
            for (x, width) in axis(2) {
                blocks.push(Block {
                    start: [z, y, x],
                    shape: [depth, height, width],
                });
            }
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;
    use multirnet_volume::Geometry;

    #[test]
    fn tiles_are_parsed_and_survive_json() {
        for (text, tile) in [
            ("off", Tile::Off),
            ("Auto", Tile::Auto),
            ("48,128, 160", Tile::Shape([48, 128, 160])),
        ] {
            assert_eq!(text.parse::<Tile>().unwrap(), tile);
            assert_eq!(tile.to_string().parse::<Tile>().unwrap(), tile);
            let json = serde_json::to_string(&tile).unwrap();
            assert_eq!(serde_json::from_str::<Tile>(&json).unwrap(), tile, "{json}");
        }
        for text in ["", "48", "48,96", "48,96,x", "1,2,3,4", "big"] {
            let error = text.parse::<Tile>().unwrap_err();
            assert!(error.to_string().contains("Z,Y,X"), "{error}");
        }
    }

    #[test]
    fn axes_are_covered_with_their_halos() {
        let mut draw = crate::testing::Draw(11);
        for _ in 0..3000 {
            let n = draw.within(1, 300);
            let first = draw.within(0, n - 1);
            let end = draw.within(first + 1, n);
            let least = 16 * draw.within(1, 6);
            let most = least + 16 * draw.within(0, 6);
            let halo = draw.within(0, 12);
            let pieces = axis_tiles((first, end), n, [least, most], halo);
            let case = format!("{first}..{end} of {n}, {least} to {most}, halo {halo}: {pieces:?}");
            let size = pieces[0].1;
            assert!(
                size.is_multiple_of(16) && (least..=most).contains(&size),
                "{case}"
            );
            assert!(pieces.iter().all(|p| p.1 == size), "{case}");
            assert!(pieces[0].0 <= first as i64, "{case}");
            let last = pieces[pieces.len() - 1].0 + size as i64;
            assert!(last >= end as i64, "{case}");
            // The pieces lie within the volume, unless the volume is shorter than a piece.
            let inside = pieces[0].0 >= 0 && last <= n as i64;
            assert!(inside || n < size, "{case}");
            let shared = (2 * halo).min(most - 16) as i64;
            let close = |p: &[(i64, usize)]| p[1].0 - p[0].0 <= size as i64 - shared;
            assert!(pieces.windows(2).all(close), "{case}");
        }
    }

    #[test]
    fn blocks_fill_the_tile_without_overlap() {
        for shape in [[32, 96, 96], [48, 128, 160], [16, 16, 16], [64, 240, 112]] {
            let blocks = blocks(shape, [32, 96, 96]);
            let mut held = vec![0u8; shape.iter().product()];
            for b in &blocks {
                for a in 0..3 {
                    assert_eq!((b.start[a] % 16, b.shape[a] % 16), (0, 0));
                    assert!(b.shape[a] > 0);
                }
                for z in b.start[0]..b.start[0] + b.shape[0] {
                    for y in b.start[1]..b.start[1] + b.shape[1] {
                        let row = (z * shape[1] + y) * shape[2] + b.start[2];
                        held[row..row + b.shape[2]].iter_mut().for_each(|v| *v += 1);
                    }
                }
            }
            assert!(held.iter().all(|&v| v == 1), "{shape:?}");
        }
        assert_eq!(blocks([32, 96, 96], [32, 96, 96]).len(), 1);
        assert_eq!(blocks([64, 192, 96], [32, 96, 96]).len(), 4);
    }

    #[test]
    fn the_plan_covers_what_is_wanted_with_no_idle_tile() {
        let mut draw = crate::testing::Draw(5);
        for _ in 0..60 {
            let shape: [usize; 3] = std::array::from_fn(|_| draw.within(1, 70));
            let geometry = Geometry::axial(shape, [1.0; 3]).unwrap();
            let mut wanted = Volume::filled(0u8, geometry);
            for _ in 0..draw.within(0, 30) {
                let at = draw.within(0, wanted.data().len() - 1);
                wanted.data_mut()[at] = 1;
            }
            let shapes = [[16, 16, 16], [32, 32, 16], [16, 48, 32]];
            let plan = plan_tiles(&wanted, &shapes, [16; 3], [2, 4, 4]);
            let mut left = wanted.clone();
            for tile in &plan {
                let held = wanted.window(tile.start, tile.shape, 0).unwrap();
                assert!(held.data().contains(&1), "{tile:?} holds nothing");
                let inside: [_; 3] = std::array::from_fn(|a| {
                    crate::windows::clip(tile.start[a], tile.shape[a], shape[a])
                });
                for z in inside[0].clone() {
                    for y in inside[1].clone() {
                        for x in inside[2].clone() {
                            let at = left.offset([z, y, x]);
                            left.data_mut()[at] = 0;
                        }
                    }
                }
            }
            assert!(left.data().iter().all(|&v| v == 0));
        }
    }
}
