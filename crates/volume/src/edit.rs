//! Cropping and padding.

use crate::{Error, ErrorKind, Geometry, Result, Volume, Voxel};
use rayon::prelude::*;

impl<T: Voxel> Volume<T> {
    /// The block of `shape` voxels from the (possibly negative) voxel `start`. Voxels outside the
    /// volume get the value `outside`. The geometry moves along, so every voxel keeps its world
    /// position.
    ///
    /// # Errors
    /// `Geometry` if `shape` is empty or too large.
    pub fn window(&self, start: [i64; 3], shape: [usize; 3], outside: T) -> Result<Self> {
        let geometry = self.geometry().window(start, shape)?;
        let mut data = filled(outside, &geometry)?;
        let [_, ny, nx] = shape;
        // Per axis, the part of the block that lies in the volume: (first in block, first in
        // volume, count). `i128` cannot overflow for any `start`.
        let overlap: [(usize, usize, usize); 3] = std::array::from_fn(|a| {
            let (start, own) = (i128::from(start[a]), self.shape()[a] as i128);
            let from = start.clamp(0, own);
            let to = (start + shape[a] as i128).clamp(from, own);
            let first = if to > from { from - start } else { 0 };
            (first as usize, from as usize, (to - from) as usize)
        });
        let [(bz, vz, mz), (by, vy, my), (bx, vx, mx)] = overlap;
        if mz > 0 && my > 0 && mx > 0 {
            data.par_chunks_mut(ny * nx)
                .skip(bz)
                .take(mz)
                .enumerate()
                .for_each(|(z, plane)| {
                    for y in 0..my {
                        let from = self.offset([vz + z, vy + y, vx]);
                        plane[(by + y) * nx + bx..][..mx]
                            .copy_from_slice(&self.data()[from..from + mx]);
                    }
                });
        }
        Ok(Self::from_parts(data, geometry))
    }

    /// The block of `shape` voxels from the (possibly negative) voxel `start`, where voxels outside
    /// the volume repeat the nearest voxel inside. The geometry moves along as in
    /// [`Volume::window`].
    ///
    /// # Errors
    /// `Geometry` if `shape` is empty or too large.
    pub fn window_repeated(&self, start: [i64; 3], shape: [usize; 3]) -> Result<Self> {
        let geometry = self.geometry().window(start, shape)?;
        let mut data = filled(self.data()[0], &geometry)?;
        let [_, ny, nx] = shape;
        let own = self.shape();
        let nearest = |a: usize, i: usize| {
            let at = i128::from(start[a]) + i as i128;
            at.clamp(0, own[a] as i128 - 1) as usize
        };
        let columns: Vec<usize> = (0..nx).map(|x| nearest(2, x)).collect();
        data.par_chunks_mut(ny * nx)
            .enumerate()
            .for_each(|(z, plane)| {
                for (y, row) in plane.chunks_exact_mut(nx).enumerate() {
                    let from = self.offset([nearest(0, z), nearest(1, y), 0]);
                    let source = &self.data()[from..from + own[2]];
                    for (to, &x) in row.iter_mut().zip(&columns) {
                        *to = source[x];
                    }
                }
            });
        Ok(Self::from_parts(data, geometry))
    }

    /// The volume without everything outside `start..start + shape`.
    ///
    /// # Errors
    /// `Geometry` if `shape` is empty, `Mismatch` if the block does not lie within the volume.
    pub fn crop(&self, start: [usize; 3], shape: [usize; 3]) -> Result<Self> {
        let own = self.shape();
        let inside = (0..3).all(|a| {
            start[a]
                .checked_add(shape[a])
                .is_some_and(|end| end <= own[a])
        });
        if !inside {
            return Err(Error::new(
                ErrorKind::Mismatch,
                format!("the block of {shape:?} voxels from {start:?} is not within {own:?}"),
            ));
        }
        // The block lies inside the volume, so this outside value is never used.
        self.window(start.map(|s| s as i64), shape, self.data()[0])
    }

    /// The volume with `before` and `after` voxels of `value` added per axis.
    ///
    /// # Errors
    /// `Geometry` if the result is too large.
    pub fn pad(&self, before: [usize; 3], after: [usize; 3], value: T) -> Result<Self> {
        let too_large = || {
            Error::new(
                ErrorKind::Geometry,
                format!(
                    "{:?} voxels padded by {before:?} and {after:?} are too large",
                    self.shape()
                ),
            )
        };
        let (mut start, mut shape) = ([0; 3], [0; 3]);
        for a in 0..3 {
            start[a] = -i64::try_from(before[a]).map_err(|_| too_large())?;
            shape[a] = self.shape()[a]
                .checked_add(before[a])
                .and_then(|n| n.checked_add(after[a]))
                .ok_or_else(too_large)?;
        }
        self.window(start, shape, value)
    }
}

/// Values for a grid whose size a caller chose. Too large a size is an error and does not abort
/// the process.
fn filled<T: Voxel>(value: T, geometry: &Geometry) -> Result<Vec<T>> {
    let mut data = Vec::new();
    data.try_reserve_exact(geometry.len()).map_err(|_| {
        Error::new(
            ErrorKind::Geometry,
            format!("no memory for {:?} voxels", geometry.shape()),
        )
    })?;
    data.resize(geometry.len(), value);
    Ok(data)
}
