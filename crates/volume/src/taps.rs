//! Where target positions lie along the axes of a source, for resampling.

use std::ops::Range;

use crate::Geometry;

/// Tolerance in voxels for the rounding of world coordinates. Positions this near to a voxel
/// centre count as on it, and positions this little beyond the outer edge count as on the edge.
const SNAP: f64 = 1e-6;

/// Off-axis movement (in voxels, over a whole grid) below which axes count as shared.
const SHARED: f64 = 1e-4;

/// Where along one source axis a position lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tap {
    pub(crate) low: usize,
    pub(crate) high: usize,
    /// Weight of `high`; zero if `low == high`.
    pub(crate) weight: f32,
    pub(crate) nearest: usize,
}

impl Tap {
    /// `None` if `position` lies beyond the outer edges of `len` voxels.
    #[inline]
    pub(crate) fn new(position: f64, len: usize) -> Option<Self> {
        let last = (len - 1) as f64;
        // The negated comparison also refuses NaN.
        if !(position >= -0.5 - SNAP && position <= last + 0.5 + SNAP) {
            return None;
        }
        let inside = position.clamp(0.0, last);
        let nearest = ((inside + 0.5 + SNAP) as usize).min(len - 1);
        if (inside - nearest as f64).abs() <= SNAP {
            return Some(Self {
                low: nearest,
                high: nearest,
                weight: 0.0,
                nearest,
            });
        }
        let low = inside as usize;
        Some(Self {
            low,
            high: (low + 1).min(len - 1),
            weight: (inside - low as f64) as f32,
            nearest,
        })
    }
}

/// What lies beyond the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beyond {
    /// Nothing: the caller says which value is there.
    Outside,
    /// The nearest voxel of the source.
    Repeated,
}

impl Beyond {
    /// The position of `len` voxels that is read for `position`.
    pub(crate) fn position(self, position: f64, len: usize) -> f64 {
        match self {
            Self::Outside => position,
            Self::Repeated => position.clamp(0.0, (len - 1) as f64),
        }
    }
}

/// Source index = `origin` + Σ `step[a]` · target index `a`.
#[derive(Debug, Clone)]
pub(crate) struct IndexMap {
    pub(crate) origin: [f64; 3],
    pub(crate) step: [[f64; 3]; 3],
}

impl IndexMap {
    pub(crate) fn new(source: &Geometry, target: &Geometry) -> Self {
        let origin = source.world_to_index(target.origin_mm());
        let step = std::array::from_fn(|a| {
            let mut unit = [0.0; 3];
            unit[a] = 1.0;
            let moved = source.world_to_index(target.index_to_world(unit));
            std::array::from_fn(|s| moved[s] - origin[s])
        });
        Self { origin, step }
    }

    /// Whether target axis `a` moves along source axis `a` only.
    pub(crate) fn is_separable(&self, shape: [usize; 3]) -> bool {
        (0..3).all(|a| (0..3).all(|s| a == s || self.step[a][s].abs() * (shape[a] as f64) < SHARED))
    }

    /// The position of voxel `(z, y, 0)`.
    pub(crate) fn row(&self, z: usize, y: usize) -> [f64; 3] {
        std::array::from_fn(|s| {
            self.origin[s] + self.step[0][s] * z as f64 + self.step[1][s] * y as f64
        })
    }

    pub(crate) fn axis(&self, axis: usize, source: usize, target: usize, beyond: Beyond) -> Axis {
        let position = |i: usize| self.origin[axis] + self.step[axis][axis] * i as f64;
        Axis::new((0..target).map(|i| Tap::new(beyond.position(position(i), source), source)))
    }

    pub(crate) fn axes(&self, source: [usize; 3], target: [usize; 3], beyond: Beyond) -> [Axis; 3] {
        std::array::from_fn(|a| self.axis(a, source[a], target[a], beyond))
    }
}

/// One axis of the separable path: the place of each target position along the source.
#[derive(Debug, Clone)]
pub(crate) struct Axis {
    /// Target positions that lie inside; they are contiguous. The lists below hold one entry for
    /// each.
    pub(crate) inside: Range<usize>,
    pub(crate) low: Vec<u32>,
    pub(crate) high: Vec<u32>,
    pub(crate) weight: Vec<f32>,
    pub(crate) nearest: Vec<u32>,
    /// The source positions that are read. It holds at least one, because a block must not be
    /// empty.
    pub(crate) needed: Range<usize>,
    /// Whether consecutive target positions lie on consecutive voxels.
    pub(crate) is_copy: bool,
}

impl Axis {
    pub(crate) fn new(taps: impl Iterator<Item = Option<Tap>>) -> Self {
        let mut axis = Self {
            inside: 0..0,
            low: Vec::new(),
            high: Vec::new(),
            weight: Vec::new(),
            nearest: Vec::new(),
            needed: 0..1,
            is_copy: false,
        };
        for (i, tap) in taps.enumerate() {
            let Some(tap) = tap else { continue };
            if axis.low.is_empty() {
                axis.inside.start = i;
            }
            axis.inside.end = i + 1;
            // Axes are shorter than 2³² voxels, so the cast is exact.
            axis.low.push(tap.low as u32);
            axis.high.push(tap.high as u32);
            axis.weight.push(tap.weight);
            axis.nearest.push(tap.nearest as u32);
        }
        if let (Some(&low), Some(&high)) = (axis.low.iter().min(), axis.high.iter().max()) {
            axis.needed = low as usize..high as usize + 1;
        }
        axis.is_copy =
            axis.weight.iter().all(|&w| w == 0.0) && axis.low.windows(2).all(|p| p[1] == p[0] + 1);
        axis
    }

    /// Counts source positions from `first`.
    pub(crate) fn rebase(&mut self, first: usize) {
        for list in [&mut self.low, &mut self.high, &mut self.nearest] {
            list.iter_mut().for_each(|i| *i -= first as u32);
        }
        self.needed = self.needed.start - first..self.needed.end - first;
    }

    /// Interpolates between `values`, the needed positions of the source, at every position inside.
    pub(crate) fn interpolate(&self, values: &[f32], out: &mut [f32]) {
        let first = self.needed.start as u32;
        let taps = self.low.iter().zip(&self.high).zip(&self.weight);
        for (value, ((&low, &high), &weight)) in out.iter_mut().zip(taps) {
            let (low, high) = (
                values[(low - first) as usize],
                values[(high - first) as usize],
            );
            *value = mix(low, high, weight);
        }
    }

    /// Position in the lists of target position `i`.
    pub(crate) fn entry(&self, i: usize) -> Option<usize> {
        self.inside.contains(&i).then(|| i - self.inside.start)
    }
}

/// Interpolates between `low` and `high`. At weight 0 the result is exactly `low`, even if `high`
/// is NaN.
#[inline]
pub(crate) fn mix(low: f32, high: f32, weight: f32) -> f32 {
    if weight == 0.0 {
        low
    } else {
        low + (high - low) * weight
    }
}
