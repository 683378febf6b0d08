//! From the working grid back to the scan's own.

use crate::Result;
use multirnet_volume::{Geometry, Volume, Voxel};
use rayon::prelude::*;

/// The block of the scan's voxels that a working grid covers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct NativeBox {
    scan: Geometry,
    start: [usize; 3],
    geometry: Geometry,
}

impl NativeBox {
    /// The smallest block of `scan` that holds every voxel centre within `working`'s outer edges.
    /// `None` if there is none.
    pub(crate) fn around(scan: &Geometry, working: &Geometry) -> Result<Option<Self>> {
        let (mut low, mut high) = ([f64::INFINITY; 3], [f64::NEG_INFINITY; 3]);
        for corner in 0..8 {
            let index = std::array::from_fn(|a| {
                if corner >> a & 1 == 1 {
                    working.shape()[a] as f64 - 0.5
                } else {
                    -0.5
                }
            });
            let at = scan.world_to_index(working.index_to_world(index));
            for a in 0..3 {
                low[a] = low[a].min(at[a]);
                high[a] = high[a].max(at[a]);
            }
        }
        let mut start = [0; 3];
        let mut shape = [0; 3];
        for a in 0..3 {
            let n = scan.shape()[a] as f64;
            // A thousandth of a voxel for rounding in world coordinates.
            let first = (low[a] - 1e-3).ceil().max(0.0);
            let end = ((high[a] + 1e-3).floor() + 1.0).min(n);
            if end <= first {
                return Ok(None);
            }
            start[a] = first as usize;
            shape[a] = (end - first) as usize;
        }
        let geometry = scan.window(start.map(|s| s as i64), shape)?;
        Ok(Some(Self {
            scan: *scan,
            start,
            geometry,
        }))
    }

    /// The block's grid.
    pub(crate) fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// A map of the block put into a map of the whole scan, which is `outside` elsewhere.
    pub(crate) fn paste<T: Voxel>(&self, block: &Volume<T>, outside: T) -> Volume<T> {
        let mut whole = Volume::filled(outside, self.scan);
        let [_, ny, nx] = self.scan.shape();
        let [bz, by, bx] = self.geometry.shape();
        let [z0, y0, x0] = self.start;
        whole.data_mut()[z0 * ny * nx..(z0 + bz) * ny * nx]
            .par_chunks_exact_mut(ny * nx)
            .zip(block.data().par_chunks_exact(by * bx))
            .for_each(|(plane, from)| {
                for (y, line) in from.chunks_exact(bx).enumerate() {
                    let at = (y0 + y) * nx + x0;
                    plane[at..at + bx].copy_from_slice(line);
                }
            });
        whole
    }

    /// The block of a map of the whole scan.
    pub(crate) fn cut<T: Voxel>(&self, whole: &Volume<T>) -> Result<Volume<T>> {
        Ok(whole.crop(self.start, self.geometry.shape())?)
    }
}

/// Linear interpolation of `map` onto the block; 0 beyond its outer edge.
pub(crate) fn onto(map: &Volume<f32>, block: &NativeBox) -> Volume<f32> {
    map.resample_linear(block.geometry(), 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use multirnet_volume::Orientation;

    fn scan(orientation: Orientation) -> Geometry {
        let (s, c) = 0.2f64.sin_cos();
        Geometry::new(
            [20, 30, 40],
            [3.0, 0.9, 0.8],
            [-12.0, 7.0, 100.0],
            [[0.0, -s, c], [0.0, c, s], [1.0, 0.0, 0.0]],
        )
        .unwrap()
        .reoriented(orientation)
    }

    #[test]
    fn the_block_holds_the_working_grid_in_all_orientations() {
        for orientation in Orientation::all() {
            let scan = scan(orientation);
            let canonical = scan.reoriented(Orientation::CANONICAL);
            let working = canonical.window([3, 4, 5], [10, 20, 6]).unwrap();
            let block = NativeBox::around(&scan, &working).unwrap().unwrap();
            let back = block.geometry().reoriented(Orientation::CANONICAL);
            assert!(back.matches(&working, 1e-6), "{orientation:?}");
            let whole = Volume::from_fn(scan, |[z, y, x]| (z * 10_000 + y * 100 + x) as f32);
            let cut = block.cut(&whole).unwrap();
            let pasted = block.paste(&cut, -1.0);
            let inside = pasted.data().iter().filter(|v| **v >= 0.0).count();
            assert_eq!(inside, working.len());
            assert!(
                pasted
                    .data()
                    .iter()
                    .zip(whole.data())
                    .all(|(p, w)| p == w || *p == -1.0)
            );
        }
    }

    #[test]
    fn a_block_outside_the_scan_is_none_and_one_over_the_border_is_cut() {
        let scan = Geometry::axial([4, 5, 6], [1.0; 3]).unwrap();
        let far = scan.window([100, 0, 0], [2, 2, 2]).unwrap();
        assert_eq!(NativeBox::around(&scan, &far).unwrap(), None);
        let over = scan.window([-3, 2, 4], [5, 5, 5]).unwrap();
        let block = NativeBox::around(&scan, &over).unwrap().unwrap();
        assert_eq!(
            (block.start, block.geometry.shape()),
            ([0, 2, 4], [2, 3, 2])
        );
    }
}
