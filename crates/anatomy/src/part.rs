//! A box of a scan in canonical order, cut out without a copy of the scan.

use std::ops::Range;

use multirnet_volume::{Geometry, Orientation, Volume, Voxel};
use rayon::prelude::*;

use crate::Result;

/// What a box shows beyond the scan.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Beyond<T> {
    /// The nearest voxel of the scan.
    Repeat,
    /// This value.
    Value(T),
}

/// The lung box in canonical order, and where its voxels lie in the scan.
pub(crate) struct Part {
    pub(crate) geometry: Geometry,
    /// Per axis of the box: the positions that lie in the scan.
    pub(crate) inside: [Range<usize>; 3],
    /// Index into the scan's data of the box's first voxel, which may lie outside the scan.
    pub(crate) origin: i64,
    /// Step in the scan's data to the box's next voxel, per axis of the box.
    pub(crate) step: [i64; 3],
}

impl Part {
    /// `geometry` must have the scan's voxels; its axes may be permuted and flipped.
    pub(crate) fn new(scan: &Geometry, geometry: Geometry) -> Self {
        let first = scan.world_to_index(geometry.index_to_world([0.0; 3]));
        let size = scan.shape();
        let stride = [size[1] * size[2], size[2], 1].map(|n| n as i64);
        let mut inside = [0..0, 0..0, 0..0];
        let mut step = [0; 3];
        for a in 0..3 {
            let mut index = [0.0; 3];
            index[a] = 1.0;
            let next = scan.world_to_index(geometry.index_to_world(index));
            let moved = |k: &usize| (next[*k] - first[*k]).round() as i64;
            let axis = (0..3).find(|k| moved(k) != 0).unwrap_or(a);
            let (start, n) = (first[axis].round() as i64, size[axis] as i64);
            let (low, high) = if moved(&axis) > 0 {
                (-start, n - start)
            } else {
                (start + 1 - n, start + 1)
            };
            let most = geometry.shape()[a] as i64;
            let low = low.clamp(0, most);
            inside[a] = low as usize..high.clamp(low, most) as usize;
            step[a] = moved(&axis) * stride[axis];
        }
        let origin = (0..3).map(|k| first[k].round() as i64 * stride[k]).sum();
        Self {
            geometry,
            inside,
            origin,
            step,
        }
    }

    /// The smallest box of the scan's voxels, in canonical order, that covers `grid`.
    pub(crate) fn around(scan: &Geometry, grid: &Geometry) -> Result<Self> {
        let target = scan.reoriented(Orientation::CANONICAL);
        let last = grid.shape().map(|n| n as f64 - 1.0);
        let corners = [[0.0; 3], last].map(|c| target.world_to_index(grid.index_to_world(c)));
        let ends = std::array::from_fn::<_, 3, _>(|a| {
            let (p, q) = (corners[0][a], corners[1][a]);
            [p.min(q).floor() as i64, p.max(q).ceil() as i64]
        });
        let start = ends.map(|[low, _]| low);
        let shape = ends.map(|[low, high]| (high - low) as usize + 1);
        Ok(Self::new(scan, target.window(start, shape)?))
    }

    /// Cuts the box out of `volume`, which lies on the scan's grid, and fills it with `beyond`
    /// outside. Every value goes through `value`. Only the box is copied, not the scan.
    pub(crate) fn cut<T: Voxel>(
        &self,
        volume: &Volume<T>,
        beyond: Beyond<T>,
        value: impl Fn(T) -> T + Sync,
    ) -> Volume<T> {
        let [_, ny, nx] = self.geometry.shape();
        let data = volume.data();
        let [rows_z, rows_y, columns] = &self.inside;
        let mut out = Volume::filled(T::from_f64(0.0), self.geometry);
        let nearest = |i: usize, range: &Range<usize>| i.clamp(range.start, range.end - 1);
        let empty = rows_z.is_empty() || rows_y.is_empty() || columns.is_empty();
        out.data_mut()
            .par_chunks_mut(ny * nx)
            .enumerate()
            .for_each(|(z, plane)| {
                for (y, line) in plane.chunks_exact_mut(nx).enumerate() {
                    let inside = rows_z.contains(&z) && rows_y.contains(&y);
                    let (z, y) = match beyond {
                        Beyond::Repeat if empty => continue,
                        Beyond::Repeat => (nearest(z, rows_z), nearest(y, rows_y)),
                        Beyond::Value(_) if inside && !empty => (z, y),
                        Beyond::Value(outside) => {
                            line.fill(value(outside));
                            continue;
                        }
                    };
                    let at = |x: usize| {
                        let steps = [z, y, x].into_iter().zip(self.step);
                        (self.origin + steps.map(|(i, s)| i as i64 * s).sum::<i64>()) as usize
                    };
                    let first = at(columns.start);
                    let part = &mut line[columns.clone()];
                    match self.step[2] {
                        1 => {
                            let source = &data[first..first + part.len()];
                            for (to, &v) in part.iter_mut().zip(source) {
                                *to = value(v);
                            }
                        }
                        step => {
                            for (i, to) in part.iter_mut().enumerate() {
                                *to = value(data[(first as i64 + i as i64 * step) as usize]);
                            }
                        }
                    }
                    let [before, after] = match beyond {
                        Beyond::Repeat => [line[columns.start], line[columns.end - 1]],
                        Beyond::Value(outside) => [value(outside); 2],
                    };
                    line[..columns.start].fill(before);
                    line[columns.end..].fill(after);
                }
            });
        out
    }
}
