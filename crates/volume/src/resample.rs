//! Resampling onto another grid.
//!
//! One affine map takes target voxel centres to source indices. If it scales each axis separately
//! (both grids share their axes, in any order and sign), the work separates: the source is
//! reoriented, and positions and weights are tabulated per axis. Oblique grids take the general
//! path. Both paths use the same [`Tap`], so they agree to within rounding.

use crate::volume::{Planes, blank};
use crate::{Geometry, Volume, Voxel};
use rayon::prelude::*;
use std::borrow::Cow;
use std::ops::Range;

/// Tolerance in voxels for the rounding of world coordinates. Positions this near to a voxel
/// centre count as on it, and positions this little beyond the outer edge count as on the edge.
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
enum Beyond {
    /// Nothing: the caller says which value is there.
    Outside,
    /// The nearest voxel of the source.
    Repeated,
}

impl Beyond {
    /// The position of `len` voxels that is read for `position`.
    fn position(self, position: f64, len: usize) -> f64 {
        match self {
            Self::Outside => position,
            Self::Repeated => position.clamp(0.0, (len - 1) as f64),
        }
    }
}

/// Source index = `origin` + Σ `step[a]` · target index `a`.
#[derive(Debug, Clone)]
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

    fn axis(&self, axis: usize, source: usize, target: usize, beyond: Beyond) -> Axis {
        let position = |i: usize| self.origin[axis] + self.step[axis][axis] * i as f64;
        Axis::new((0..target).map(|i| Tap::new(beyond.position(position(i), source), source)))
    }

    fn axes(&self, source: [usize; 3], target: [usize; 3], beyond: Beyond) -> [Axis; 3] {
        std::array::from_fn(|a| self.axis(a, source[a], target[a], beyond))
    }
}

/// One axis of the separable path: the place of each target position along the source.
#[derive(Debug, Clone)]
struct Axis {
    /// Target positions that lie inside; they are contiguous. The lists below hold one entry for
    /// each.
    inside: Range<usize>,
    low: Vec<u32>,
    high: Vec<u32>,
    weight: Vec<f32>,
    nearest: Vec<u32>,
    /// The source positions that are read. It holds at least one, because a block must not be
    /// empty.
    needed: Range<usize>,
    /// Whether consecutive target positions lie on consecutive voxels.
    is_copy: bool,
}

impl Axis {
    fn new(taps: impl Iterator<Item = Option<Tap>>) -> Self {
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
    fn rebase(&mut self, first: usize) {
        for list in [&mut self.low, &mut self.high, &mut self.nearest] {
            list.iter_mut().for_each(|i| *i -= first as u32);
        }
        self.needed = self.needed.start - first..self.needed.end - first;
    }

    /// Interpolates between `values`, the needed positions of the source, at every position inside.
    fn interpolate(&self, values: &[f32], out: &mut [f32]) {
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
    fn entry(&self, i: usize) -> Option<usize> {
        self.inside.contains(&i).then(|| i - self.inside.start)
    }
}

/// How target voxels find their values.
#[derive(Debug, Clone)]
enum Way {
    Axes(Box<[Axis; 3]>),
    General(IndexMap),
}

/// The way to `target`, and either the source itself or the part of it that is read, in the
/// target's axis order.
fn way<'a, T: Voxel>(
    source: Cow<'a, Volume<T>>,
    target: &Geometry,
    beyond: Beyond,
) -> (Cow<'a, Volume<T>>, Way) {
    let map = IndexMap::new(source.geometry(), target);
    if map.is_separable(target.shape()) {
        let axes = map.axes(source.shape(), target.shape(), beyond);
        return (source, Way::Axes(Box::new(axes)));
    }
    let orientation = target.orientation();
    let geometry = source.geometry().reoriented(orientation);
    let moved = IndexMap::new(&geometry, target);
    if !moved.is_separable(target.shape()) {
        return (source, Way::General(map));
    }
    let mut axes = moved.axes(geometry.shape(), target.shape(), beyond);
    let needed = [0, 1, 2].map(|a: usize| axes[a].needed.clone());
    let block = source.reorient_block(orientation, &needed);
    for (axis, needed) in axes.iter_mut().zip(needed) {
        axis.rebase(needed.start);
    }
    (Cow::Owned(block), Way::Axes(Box::new(axes)))
}

/// Trilinear interpolation onto a grid, computed by row or by plane on demand.
/// [`Volume::resample_linear`] computes the whole grid at once.
#[derive(Debug, Clone)]
pub struct LinearSampler<'a, T: Voxel> {
    source: Cow<'a, Volume<T>>,
    way: Way,
    target: Geometry,
    outside: f32,
}

impl<'a, T: Voxel> LinearSampler<'a, T> {
    /// Samples `source` on `target`. Beyond the source's outer edge the value is `outside`.
    pub fn new(source: &'a Volume<T>, target: &Geometry, outside: f32) -> Self {
        Self::of(Cow::Borrowed(source), target, outside)
    }

    /// As [`LinearSampler::new`], but takes the source and keeps the part that is needed.
    pub fn owning(source: Volume<T>, target: &Geometry, outside: f32) -> LinearSampler<'static, T> {
        LinearSampler::of(Cow::Owned(source), target, outside)
    }

    fn of(source: Cow<'a, Volume<T>>, target: &Geometry, outside: f32) -> Self {
        let (source, way) = way(source, target, Beyond::Outside);
        Self {
            source,
            way,
            target: *target,
            outside,
        }
    }

    /// The source, or the part of it that the target needs.
    #[must_use]
    pub fn source(&self) -> &Volume<T> {
        &self.source
    }

    /// Fills `out` with the target's row `(z, y)`. `scratch` is reused from row to row.
    ///
    /// # Panics
    /// If the row is outside the target or `out` does not have a row's size.
    pub fn read_row(&self, z: usize, y: usize, scratch: &mut Vec<f32>, out: &mut [f32]) {
        match &self.way {
            Way::Axes(axes) => self.row_by_axes(axes, z, y, scratch, out),
            Way::General(map) => {
                let at = |z: usize, y: usize, x: usize| self.source.at([z, y, x]).to_f32();
                let place = (z, y, Beyond::Outside);
                general_row(map, self.source.shape(), place, self.outside, out, |taps| {
                    trilinear(taps, at)
                });
            }
        }
    }

    fn row_by_axes(
        &self,
        [az, ay, ax]: &[Axis; 3],
        z: usize,
        y: usize,
        scratch: &mut Vec<f32>,
        out: &mut [f32],
    ) {
        let (Some(z), Some(y)) = (az.entry(z), ay.entry(y)) else {
            out.fill(self.outside);
            return;
        };
        out[..ax.inside.start].fill(self.outside);
        out[ax.inside.end..].fill(self.outside);
        let out = &mut out[ax.inside.clone()];
        if out.is_empty() {
            return;
        }
        let needed = ax.needed.clone();
        let [_, sy, sx] = self.source.shape();
        let line = |z: u32, y: u32| {
            &self.source.data()[(z as usize * sy + y as usize) * sx..][needed.clone()]
        };
        let rows = [
            line(az.low[z], ay.low[y]),
            line(az.low[z], ay.high[y]),
            line(az.high[z], ay.low[y]),
            line(az.high[z], ay.high[y]),
        ];
        let weights = (az.weight[z], ay.weight[y]);
        if ax.is_copy {
            blend_rows(out, rows, weights, T::to_f32);
            return;
        }
        scratch.resize(needed.len(), 0.0);
        blend_rows(scratch, rows, weights, T::to_f32);
        ax.interpolate(scratch, out);
    }
}

impl<T: Voxel> Planes for LinearSampler<'_, T> {
    type Value = f32;

    fn geometry(&self) -> &Geometry {
        &self.target
    }

    fn read_plane(&self, z: usize, out: &mut [f32]) {
        let [nz, ny, nx] = self.target.shape();
        assert!(z < nz && out.len() == ny * nx, "no such plane");
        let mut scratch = Vec::new();
        for (y, row) in out.chunks_exact_mut(nx).enumerate() {
            self.read_row(z, y, &mut scratch, row);
        }
    }
}

/// Number of rows that a thread takes at once.
const ROWS: usize = 32;

impl<T: Voxel> Volume<T> {
    /// Trilinear interpolation at the voxel centres of `target`, in world coordinates. Outside the
    /// source's outermost voxel centres the edge value is repeated up to the voxel's outer edge
    /// (half a voxel); further out the result is `outside`. Voxels that are hit exactly are
    /// copied. There is no smoothing before going to a coarser grid. The work runs in parallel
    /// over rows, with a separable fast path if both grids share their axes.
    #[must_use]
    pub fn resample_linear(&self, target: &Geometry, outside: f32) -> Volume<f32> {
        let sampler = LinearSampler::new(self, target, outside);
        by_rows(target, |z, y, scratch, out| {
            sampler.read_row(z, y, scratch, out)
        })
    }

    /// [`resample_linear`](Self::resample_linear) of the volume whose voxels are `value` of this one's,
    /// and whose outermost voxels are repeated beyond it. That volume is not made.
    #[must_use]
    pub fn resample_repeated(
        &self,
        target: &Geometry,
        value: impl Fn(T) -> f32 + Sync,
    ) -> Volume<f32> {
        let (source, way) = way(Cow::Borrowed(self), target, Beyond::Repeated);
        let [_, sy, sx] = source.shape();
        by_rows(target, |z, y, scratch: &mut Vec<f32>, out| match &way {
            Way::Axes(axes) => {
                let [az, ay, ax] = axes.as_ref();
                let needed = ax.needed.clone();
                let line = |z: u32, y: u32| {
                    &source.data()[(z as usize * sy + y as usize) * sx..][needed.clone()]
                };
                let rows = [
                    line(az.low[z], ay.low[y]),
                    line(az.low[z], ay.high[y]),
                    line(az.high[z], ay.low[y]),
                    line(az.high[z], ay.high[y]),
                ];
                scratch.resize(needed.len(), 0.0);
                blend_rows(scratch, rows, (az.weight[z], ay.weight[y]), &value);
                ax.interpolate(scratch, out);
            }
            Way::General(map) => {
                let at = |z: usize, y: usize, x: usize| value(source.at([z, y, x]));
                let place = (z, y, Beyond::Repeated);
                general_row(map, source.shape(), place, 0.0, out, |taps| {
                    trilinear(taps, at)
                });
            }
        })
    }

    /// The nearest voxel's value at the voxel centres of `target`, or `outside` beyond the outer
    /// edge. Half way between two voxels the larger index wins.
    #[must_use]
    pub fn resample_nearest(&self, target: &Geometry, outside: T) -> Volume<T> {
        let (source, way) = way(Cow::Borrowed(self), target, Beyond::Outside);
        let [_, sy, sx] = source.shape();
        by_rows(target, |z, y, _: &mut (), out| match &way {
            Way::Axes(axes) => {
                let [az, ay, ax] = axes.as_ref();
                out.fill(outside);
                let (Some(z), Some(y)) = (az.entry(z), ay.entry(y)) else {
                    return;
                };
                let row = az.nearest[z] as usize * sy + ay.nearest[y] as usize;
                let line = &source.data()[row * sx..][..sx];
                for (out, &x) in out[ax.inside.clone()].iter_mut().zip(&ax.nearest) {
                    *out = line[x as usize];
                }
            }
            Way::General(map) => {
                let place = (z, y, Beyond::Outside);
                general_row(map, source.shape(), place, outside, out, |taps| {
                    source.at(taps.map(|t| t.nearest))
                });
            }
        })
    }
}

/// A volume on `target`. `row` fills each row `(z, y)`, in parallel.
fn by_rows<U: Voxel, S: Default>(
    target: &Geometry,
    row: impl Fn(usize, usize, &mut S, &mut [U]) + Sync,
) -> Volume<U> {
    let [_, ny, nx] = target.shape();
    let mut data = blank(target.len());
    data.par_chunks_mut(nx)
        .enumerate()
        .with_min_len(ROWS)
        .for_each_init(S::default, |scratch, (i, out)| {
            row(i / ny, i % ny, scratch, out);
        });
    Volume::from_parts(data, *target)
}

/// Row `(z, y)` of grids whose axes are not shared. `value` receives the taps per source axis.
fn general_row<U: Voxel>(
    map: &IndexMap,
    source: [usize; 3],
    (z, y, beyond): (usize, usize, Beyond),
    outside: U,
    out: &mut [U],
    value: impl Fn([Tap; 3]) -> U,
) {
    let start = map.row(z, y);
    for (i, out) in out.iter_mut().enumerate() {
        let tap = |s: usize| {
            let position = start[s] + map.step[2][s] * i as f64;
            Tap::new(beyond.position(position, source[s]), source[s])
        };
        *out = match (tap(0), tap(1), tap(2)) {
            (Some(z), Some(y), Some(x)) => value([z, y, x]),
            _ => outside,
        };
    }
}

/// Interpolates between `low` and `high`. At weight 0 the result is exactly `low`, even if `high`
/// is NaN.
#[inline]
fn mix(low: f32, high: f32, weight: f32) -> f32 {
    if weight == 0.0 {
        low
    } else {
        low + (high - low) * weight
    }
}

/// Trilinear interpolation between the values `at` the voxels of three taps.
fn trilinear([z, y, x]: [Tap; 3], at: impl Fn(usize, usize, usize) -> f32) -> f32 {
    let edge = |zi, yi| mix(at(zi, yi, x.low), at(zi, yi, x.high), x.weight);
    let face = |zi| mix(edge(zi, y.low), edge(zi, y.high), y.weight);
    mix(face(z.low), face(z.high), z.weight)
}

/// Bilinear mixture of the four rows `(z, y)`, read by `read`: low-low, low-high, high-low, high-high.
fn blend_rows<T: Voxel>(
    out: &mut [f32],
    rows: [&[T]; 4],
    (wz, wy): (f32, f32),
    read: impl Fn(T) -> f32,
) {
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
