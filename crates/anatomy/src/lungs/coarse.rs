//! The scan on a coarse grid.

use crate::Result;
use multirnet_volume::{Geometry, Volume};
use rayon::prelude::*;

/// Values are clamped to this range before they are averaged. Padding (−2000, −3024) then counts as
/// air, and metal does not spread.
const RANGE_HU: [f32; 2] = [-1024.0, 1000.0];

/// Averages blocks of whole voxels whose size is about `target_mm`; the axes keep their order.
/// Also returns the block's size in voxels. The last block of an axis may be partial.
pub(super) fn shrink(scan: &Volume<f32>, target_mm: f64) -> Result<(Volume<f32>, [usize; 3])> {
    let geometry = scan.geometry();
    let [nz, ny, nx] = geometry.shape();
    let spacing = geometry.spacing_mm();
    let factor = spacing.map(|s| ((target_mm / s).round() as usize).max(1));
    let shape: [usize; 3] = std::array::from_fn(|a| geometry.shape()[a].div_ceil(factor[a]));
    let coarse = Geometry::new(
        shape,
        std::array::from_fn(|a| spacing[a] * factor[a] as f64),
        geometry.index_to_world(factor.map(|f| (f as f64 - 1.0) / 2.0)),
        geometry.direction(),
    )?;

    let mut out = Volume::filled(0.0f32, coarse);
    let data = scan.data();
    out.data_mut()
        .par_chunks_mut(shape[1] * shape[2])
        .enumerate()
        .for_each(|(cz, plane)| {
            let from = cz * factor[0];
            let planes = from..(from + factor[0]).min(nz);
            for z in planes.clone() {
                for y in 0..ny {
                    let line = &data[(z * ny + y) * nx..][..nx];
                    let sums = &mut plane[y / factor[1] * shape[2]..][..shape[2]];
                    for (sum, block) in sums.iter_mut().zip(line.chunks(factor[2])) {
                        for &v in block {
                            // NaN becomes air.
                            let v = if v.is_nan() { RANGE_HU[0] } else { v };
                            *sum += v.clamp(RANGE_HU[0], RANGE_HU[1]);
                        }
                    }
                }
            }
            for (cy, line) in plane.chunks_exact_mut(shape[2]).enumerate() {
                let rows = factor[1].min(ny - cy * factor[1]);
                for (cx, sum) in line.iter_mut().enumerate() {
                    let columns = factor[2].min(nx - cx * factor[2]);
                    *sum /= (planes.len() * rows * columns) as f32;
                }
            }
        });
    Ok((out, factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_averaged_and_keep_their_place() {
        let geometry = Geometry::axial([1, 3, 4], [5.0, 1.0, 1.0]).expect("a valid grid");
        let scan = Volume::from_fn(geometry, |[_, y, x]| (y * 4 + x) as f32);
        let (small, factor) = shrink(&scan, 2.0).expect("a valid grid");
        assert_eq!(factor, [1, 2, 2]);
        assert_eq!(small.shape(), [1, 2, 2]);
        assert_eq!(small.data(), [2.5, 4.5, 8.5, 10.5]);
        assert_eq!(small.geometry().index_to_world([0.0; 3]), [0.5, 0.5, 0.0]);
        let world = small.geometry().index_to_world([0.0, 1.0, 1.0]);
        assert_eq!(world, [2.5, 2.5, 0.0]);
    }

    #[test]
    fn padding_counts_as_air() {
        let geometry = Geometry::axial([1, 1, 2], [1.0; 3]).expect("a valid grid");
        let scan = Volume::new(vec![-3024.0, -1024.0], geometry).expect("two values");
        let (small, _) = shrink(&scan, 2.0).expect("a valid grid");
        assert_eq!(small.data(), [-1024.0]);
    }
}
