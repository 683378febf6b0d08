//! Axis orientations and reorientation.

use crate::volume::blank;
use crate::{Geometry, Volume, Voxel};
use rayon::prelude::*;
use std::ops::Range;

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

impl Axis {
    /// The LPS world axis (0 X, 1 Y, 2 Z) that this direction lies on.
    pub fn world(self) -> usize {
        match self {
            Self::Left | Self::Right => 0,
            Self::Posterior | Self::Anterior => 1,
            Self::Superior | Self::Inferior => 2,
        }
    }

    /// Whether the direction is that of the LPS world axis (and not against it).
    pub fn is_positive(self) -> bool {
        matches!(self, Self::Left | Self::Posterior | Self::Superior)
    }

    /// The direction along (or against) an LPS world axis.
    fn from_world(world: usize, positive: bool) -> Self {
        match (world, positive) {
            (0, true) => Self::Left,
            (0, false) => Self::Right,
            (1, true) => Self::Posterior,
            (1, false) => Self::Anterior,
            (_, true) => Self::Superior,
            (_, false) => Self::Inferior,
        }
    }

    /// One letter: `L`, `R`, `P`, `A`, `S` or `I`.
    pub fn letter(self) -> char {
        match self {
            Self::Left => 'L',
            Self::Right => 'R',
            Self::Posterior => 'P',
            Self::Anterior => 'A',
            Self::Superior => 'S',
            Self::Inferior => 'I',
        }
    }
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
        let [a, b, c] = axes.map(Axis::world);
        (a != b && b != c && a != c).then_some(Self(axes))
    }

    /// All 48 orientations.
    pub fn all() -> Vec<Self> {
        PERMUTATIONS
            .iter()
            .flat_map(|worlds| {
                (0..8).map(move |signs| {
                    Self(std::array::from_fn(|a| {
                        Axis::from_world(worlds[a], signs >> a & 1 == 0)
                    }))
                })
            })
            .collect()
    }

    /// The axes `(z, y, x)`.
    pub fn axes(&self) -> [Axis; 3] {
        self.0
    }

    /// How to get from this orientation to `target`. Per target axis: the matching axis of this
    /// orientation, and whether it is reversed.
    fn moves_to(&self, target: Self) -> [(usize, bool); 3] {
        target.0.map(|wanted| {
            let source = (0..3).find(|&s| self.0[s].world() == wanted.world());
            // Each world axis occurs once in an orientation, so the search cannot fail.
            let source = source.unwrap_or(0);
            (source, self.0[source] != wanted)
        })
    }
}

impl std::fmt::Display for Orientation {
    /// Writes the letters of the axes x, y, z, e.g. `LPS`, as ITK and nibabel do.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [z, y, x] = self.0.map(Axis::letter);
        write!(f, "{x}{y}{z}")
    }
}

const PERMUTATIONS: [[usize; 3]; 6] = [
    [2, 1, 0],
    [1, 2, 0],
    [2, 0, 1],
    [0, 2, 1],
    [1, 0, 2],
    [0, 1, 2],
];

impl Geometry {
    /// The orientation nearest to this grid's direction (also for oblique grids).
    pub fn orientation(&self) -> Orientation {
        let direction = self.direction();
        let agreement = |worlds: &[usize; 3]| -> f64 {
            (0..3).map(|a| direction[a][worlds[a]].powi(2)).sum::<f64>()
        };
        let mut best = PERMUTATIONS[0];
        for worlds in &PERMUTATIONS[1..] {
            // The margin lets the first of several equal candidates win in spite of rounding.
            if agreement(worlds) > agreement(&best) + 1e-9 {
                best = *worlds;
            }
        }
        Orientation(std::array::from_fn(|a| {
            Axis::from_world(best[a], direction[a][best[a]] >= 0.0)
        }))
    }

    /// This grid with its axes permuted and flipped to `target`. Voxels keep their world
    /// positions.
    #[must_use]
    pub fn reoriented(&self, target: Orientation) -> Self {
        self.moved(&self.orientation().moves_to(target))
    }

    fn moved(&self, moves: &[(usize, bool); 3]) -> Self {
        let mut first = [0.0; 3];
        for &(source, flip) in moves {
            if flip {
                first[source] = (self.shape()[source] - 1) as f64;
            }
        }
        let direction = moves.map(|(source, flip)| {
            // `0.0 - v` instead of `-v` avoids negative zeros.
            let axis = self.direction()[source];
            if flip { axis.map(|v| 0.0 - v) } else { axis }
        });
        Self::from_parts(
            moves.map(|(source, _)| self.shape()[source]),
            moves.map(|(source, _)| self.spacing_mm()[source]),
            self.index_to_world(first),
            direction,
        )
    }
}

/// Edge of the cubes that are moved at once. At this size both sides of a transposition stay in
/// the cache.
const TILE: usize = 16;

impl<T: Voxel> Volume<T> {
    /// The same voxels with axes permuted and flipped to `target`. This is exact: values are
    /// copied and every voxel keeps its world position. Going back to [`Geometry::orientation`]
    /// restores the volume (its origin to within rounding).
    #[must_use]
    pub fn reorient(&self, target: Orientation) -> Self {
        let moves = self.geometry().orientation().moves_to(target);
        if moves == [(0, false), (1, false), (2, false)] {
            return self.clone();
        }
        let geometry = self.geometry().moved(&moves);
        let [_, ny, nx] = geometry.shape();
        let shape = self.shape();
        let stride = [shape[1] * shape[2], shape[2], 1];
        // Where voxel `i` of target axis `a` lies along its source axis, as an offset.
        let offset = |a: usize, i: usize| {
            let (source, flip) = moves[a];
            let i = if flip { shape[source] - 1 - i } else { i };
            i * stride[source]
        };
        let xs: Vec<usize> = (0..nx).map(|x| offset(2, x)).collect();
        let mut data = blank(geometry.len());
        let source = self.data();
        data.par_chunks_mut(TILE * ny * nx)
            .enumerate()
            .for_each(|(chunk, out)| {
                let planes = out.len() / (ny * nx);
                for y0 in (0..ny).step_by(TILE) {
                    for x0 in (0..nx).step_by(TILE) {
                        let x1 = (x0 + TILE).min(nx);
                        for z in 0..planes {
                            for y in y0..(y0 + TILE).min(ny) {
                                let base = offset(0, chunk * TILE + z) + offset(1, y);
                                let row = &mut out[(z * ny + y) * nx..][x0..x1];
                                for (value, x) in row.iter_mut().zip(&xs[x0..x1]) {
                                    *value = source[base + x];
                                }
                            }
                        }
                    }
                }
            });
        Self::from_parts(data, geometry)
    }

    /// The block `wanted` (positions per axis of the reoriented volume) of
    /// [`reorient`](Self::reorient). Only the block is copied.
    pub(crate) fn reorient_block(&self, target: Orientation, wanted: &[Range<usize>; 3]) -> Self {
        let moves = self.geometry().orientation().moves_to(target);
        let (mut start, mut shape) = ([0; 3], [0; 3]);
        for (wanted, (source, flip)) in wanted.iter().zip(moves) {
            shape[source] = wanted.len();
            start[source] = if flip {
                self.shape()[source] - wanted.end
            } else {
                wanted.start
            };
        }
        match self.crop(start, shape) {
            // The block of an oblique grid keeps its direction, so the same axes are moved.
            Ok(block) => block.reorient(target),
            // Positions within the volume never reach this branch.
            Err(_) => self.reorient(target),
        }
    }

    /// The volume in canonical orientation (see the crate's documentation).
    #[must_use]
    pub fn to_canonical(&self) -> Self {
        self.reorient(Orientation::CANONICAL)
    }
}
