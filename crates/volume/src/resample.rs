//! Resampling onto another grid.
//!
//! Target voxel centres map to source indices by one affine map. Where that map scales each axis
//! by itself (both grids share their axes, in whatever order and sign) the work separates: the
//! source is reoriented, positions and weights are tabulated per axis. Oblique grids take the
//! general path. Both use the same [`Tap`], so they agree to rounding.

use crate::volume::blank;
use crate::{Geometry, Volume, Voxel};
use rayon::prelude::*;

/// Positions this near (in voxels) to a voxel centre are taken to lie on it and positions this
/// little past the outer edge to lie on the edge: world coordinates carry rounding.
const SNAP: f64 = 1e-6;

/// Off-axis movement (in voxels, over a whole grid) below which axes count as shared.
const SHARED: f64 = 1e-4;

/// Where along one source axis a position lies.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Tap {
    low: usize,
    high: usize,
    /// Weight of `high`; zero if `low == high`.
    weight: f32,
    nearest: usize,
}

impl Tap {
    /// `None` if `position` lies beyond the outer edges of `len` voxels.
    #[inline]
    fn new(position: f64, len: usize) -> Option<Self> {
        let last = (len - 1) as f64;
        // Also refuses NaN.
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

/// Source index = `origin` + Σ `step[a]` · target index `a`.
struct IndexMap {
    origin: [f64; 3],
    step: [[f64; 3]; 3],
}

impl IndexMap {
    fn new(source: &Geometry, target: &Geometry) -> Self {
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
    fn is_separable(&self, shape: [usize; 3]) -> bool {
        (0..3).all(|a| (0..3).all(|s| a == s || self.step[a][s].abs() * (shape[a] as f64) < SHARED))
    }

    /// The position of voxel `(z, y, 0)`.
    fn row(&self, z: usize, y: usize) -> [f64; 3] {
        std::array::from_fn(|s| {
            self.origin[s] + self.step[0][s] * z as f64 + self.step[1][s] * y as f64
        })
    }

    fn taps(&self, axis: usize, source: usize, target: usize) -> Vec<Option<Tap>> {
        (0..target)
            .map(|i| Tap::new(self.origin[axis] + self.step[axis][axis] * i as f64, source))
            .collect()
    }
}

/// The tables of the separable path.
struct Tables {
    z: Vec<Option<Tap>>,
    y: Vec<Option<Tap>>,
    x: Vec<Option<Tap>>,
    /// Target columns that lie inside, and the source columns they need (`first..end`).
    inside: std::ops::Range<usize>,
    needed: std::ops::Range<usize>,
}

impl Tables {
    fn new(map: &IndexMap, source: [usize; 3], target: [usize; 3]) -> Self {
        let [z, y, x] = std::array::from_fn(|a| map.taps(a, source[a], target[a]));
        let start = x.iter().position(Option::is_some).unwrap_or(0);
        let end = x.iter().rposition(Option::is_some).map_or(start, |i| i + 1);
        let first = x.iter().flatten().map(|t| t.low).min().unwrap_or(0);
        let last = x.iter().flatten().map(|t| t.high + 1).max().unwrap_or(0);
        Self {
            z,
            y,
            x,
            inside: start..end,
            needed: first..last,
        }
    }

    fn is_on_voxels(&self) -> bool {
        [&self.z, &self.y, &self.x]
            .into_iter()
            .all(|axis| axis.iter().flatten().all(|t| t.low == t.high))
    }
}

/// Rows handed to a thread at once.
const ROWS: usize = 32;

impl<T: Voxel> Volume<T> {
    /// Trilinear interpolation at the voxel centres of `target`, in world coordinates.
    /// Outside the source's outermost voxel centres the edge value is repeated up to the voxel's
    /// outer edge (half a voxel); further out the result is `outside`. Parallel over rows;
    /// separable fast path when both grids share their axes. Voxels that are hit exactly are
    /// copied. There is no smoothing before going to a coarser grid.
    #[must_use]
    pub fn resample_linear(&self, target: &Geometry, outside: f32) -> Volume<f32> {
        self.with_shared_axes(
            target,
            |source, map| source.linear_separable(map, target, outside),
            |map| self.linear_general(map, target, outside),
        )
    }

    /// The nearest voxel's value at the voxel centres of `target`; `outside` beyond the outer edge.
    /// Half way between two voxels the one of the larger index is taken.
    #[must_use]
    pub fn resample_nearest(&self, target: &Geometry, outside: T) -> Volume<T> {
        self.with_shared_axes(
            target,
            |source, map| source.nearest_separable(map, target, outside),
            |map| self.nearest_general(map, target, outside),
        )
    }

    /// Calls `separable` with the source reoriented to the target's axes if they are shared.
    fn with_shared_axes<R>(
        &self,
        target: &Geometry,
        separable: impl FnOnce(&Self, &IndexMap) -> R,
        general: impl FnOnce(&IndexMap) -> R,
    ) -> R {
        let map = IndexMap::new(self.geometry(), target);
        if map.is_separable(target.shape()) {
            return separable(self, &map);
        }
        let orientation = target.orientation();
        let geometry = self.geometry().reoriented(orientation);
        let moved = IndexMap::new(&geometry, target);
        if moved.is_separable(target.shape()) {
            return separable(&self.reorient(orientation), &moved);
        }
        general(&map)
    }

    fn linear_separable(&self, map: &IndexMap, target: &Geometry, outside: f32) -> Volume<f32> {
        let tables = Tables::new(map, self.shape(), target.shape());
        if tables.is_on_voxels() {
            let value = |v: T| v.to_f64() as f32;
            return self.gather(&tables, target, outside, value);
        }
        let [_, ny, nx] = target.shape();
        let [_, sy, sx] = self.shape();
        let mut data = blank(target.len());
        let needed = tables.needed.clone();
        data.par_chunks_mut(nx)
            .enumerate()
            .with_min_len(ROWS)
            .for_each_init(
                || vec![0.0f32; needed.len()],
                |blend, (row, out)| {
                    out.fill(outside);
                    let (Some(z), Some(y)) = (tables.z[row / ny], tables.y[row % ny]) else {
                        return;
                    };
                    let line = |z: usize, y: usize| {
                        &self.data()[(z * sy + y) * sx..][needed.start..needed.end]
                    };
                    blend_rows(
                        blend,
                        [
                            line(z.low, y.low),
                            line(z.low, y.high),
                            line(z.high, y.low),
                            line(z.high, y.high),
                        ],
                        (z.weight, y.weight),
                    );
                    let inside = tables.inside.clone();
                    for (value, tap) in out[inside.clone()].iter_mut().zip(&tables.x[inside]) {
                        let Some(tap) = tap else { continue };
                        let low = blend[tap.low - needed.start];
                        let high = blend[tap.high - needed.start];
                        *value = mix(low, high, tap.weight);
                    }
                },
            );
        Volume::from_parts(data, *target)
    }

    fn nearest_separable(&self, map: &IndexMap, target: &Geometry, outside: T) -> Self {
        let tables = Tables::new(map, self.shape(), target.shape());
        self.gather(&tables, target, outside, |v| v)
    }

    fn gather<U: Voxel>(
        &self,
        tables: &Tables,
        target: &Geometry,
        outside: U,
        value: impl Fn(T) -> U + Sync,
    ) -> Volume<U> {
        let [_, ny, nx] = target.shape();
        let [_, sy, sx] = self.shape();
        let mut data = blank(target.len());
        data.par_chunks_mut(nx)
            .enumerate()
            .with_min_len(ROWS)
            .for_each(|(row, out)| {
                out.fill(outside);
                let (Some(z), Some(y)) = (tables.z[row / ny], tables.y[row % ny]) else {
                    return;
                };
                let line = &self.data()[(z.nearest * sy + y.nearest) * sx..][..sx];
                let inside = tables.inside.clone();
                for (out, tap) in out[inside.clone()].iter_mut().zip(&tables.x[inside]) {
                    if let Some(tap) = tap {
                        *out = value(line[tap.nearest]);
                    }
                }
            });
        Volume::from_parts(data, *target)
    }

    fn linear_general(&self, map: &IndexMap, target: &Geometry, outside: f32) -> Volume<f32> {
        let at = |z: usize, y: usize, x: usize| self.at([z, y, x]).to_f64() as f32;
        self.general(map, target, outside, |[z, y, x]| {
            let edge = |zi, yi| mix(at(zi, yi, x.low), at(zi, yi, x.high), x.weight);
            let face = |zi| mix(edge(zi, y.low), edge(zi, y.high), y.weight);
            mix(face(z.low), face(z.high), z.weight)
        })
    }

    fn nearest_general(&self, map: &IndexMap, target: &Geometry, outside: T) -> Self {
        self.general(map, target, outside, |taps| {
            self.at(taps.map(|t| t.nearest))
        })
    }

    fn general<U: Voxel>(
        &self,
        map: &IndexMap,
        target: &Geometry,
        outside: U,
        value: impl Fn([Tap; 3]) -> U + Sync,
    ) -> Volume<U> {
        let [_, ny, nx] = target.shape();
        let shape = self.shape();
        let mut data = blank(target.len());
        data.par_chunks_mut(nx)
            .enumerate()
            .with_min_len(ROWS)
            .for_each(|(row, out)| {
                out.fill(outside);
                let start = map.row(row / ny, row % ny);
                for (i, out) in out.iter_mut().enumerate() {
                    let tap = |s: usize| Tap::new(start[s] + map.step[2][s] * i as f64, shape[s]);
                    if let (Some(z), Some(y), Some(x)) = (tap(0), tap(1), tap(2)) {
                        *out = value([z, y, x]);
                    }
                }
            });
        Volume::from_parts(data, *target)
    }
}

/// Between `low` and `high`; exactly `low` at weight 0, whatever `high` is.
#[inline]
fn mix(low: f32, high: f32, weight: f32) -> f32 {
    if weight == 0.0 {
        low
    } else {
        low + (high - low) * weight
    }
}

/// Bilinear mixture of the four rows `(z, y)`: low-low, low-high, high-low, high-high.
fn blend_rows<T: Voxel>(out: &mut [f32], rows: [&[T]; 4], (wz, wy): (f32, f32)) {
    let read = |v: T| v.to_f64() as f32;
    let two = |out: &mut [f32], a: &[T], b: &[T], w: f32| {
        for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
            let (a, b) = (read(a), read(b));
            *out = a + (b - a) * w;
        }
    };
    let [ll, lh, hl, hh] = rows;
    match (wz == 0.0, wy == 0.0) {
        (true, true) => {
            for (out, &a) in out.iter_mut().zip(ll) {
                *out = read(a);
            }
        }
        (true, false) => two(out, ll, lh, wy),
        (false, true) => two(out, ll, hl, wz),
        (false, false) => {
            for ((((out, &a), &b), &c), &d) in out.iter_mut().zip(ll).zip(lh).zip(hl).zip(hh) {
                let (a, b, c, d) = (read(a), read(b), read(c), read(d));
                let low = a + (b - a) * wy;
                let high = c + (d - c) * wy;
                *out = low + (high - low) * wz;
            }
        }
    }
}
