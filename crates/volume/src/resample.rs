//! Resampling onto another grid.
//!
//! One affine map takes target voxel centres to source indices. If it scales each axis separately
//! (both grids share their axes, in any order and sign), the work separates: the source is
//! reoriented, and positions and weights are tabulated per axis. Oblique grids take the general
//! path. Both paths use the same [`Tap`], so they agree to within rounding.

use crate::taps::{Axis, Beyond, IndexMap, Tap, mix};
use crate::volume::{Planes, blank};
use crate::{Geometry, Volume, Voxel};
use rayon::prelude::*;
use std::borrow::Cow;

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
