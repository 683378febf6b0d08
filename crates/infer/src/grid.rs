//! Box filters on the working grid.

use multirnet_volume::{Volume, Voxel};

/// Radius in voxels per axis that spans `radius_mm`, rounded up.
pub(crate) fn radius_voxels(spacing_mm: [f64; 3], radius_mm: f64) -> [usize; 3] {
    // The small term keeps 10 mm / 2.5 mm at 4 under rounding.
    spacing_mm.map(|s| (radius_mm / s - 1e-6).ceil().max(0.0) as usize)
}

/// `mask` (0 or 1) grown by a box of `radius` voxels per axis.
pub(crate) fn dilate(mask: &Volume<u8>, radius: [usize; 3]) -> Volume<u8> {
    let mut out = mask.map(|v| u8::from(v != 0));
    for (axis, &r) in radius.iter().enumerate().filter(|(_, r)| **r > 0) {
        along(&mut out, axis, |line, sums: &mut Vec<u32>| {
            let n = line.len();
            sums.clear();
            sums.push(0u32);
            for &v in line.iter() {
                sums.push(sums[sums.len() - 1] + u32::from(v));
            }
            for (i, v) in line.iter_mut().enumerate() {
                *v = u8::from(sums[(i + r + 1).min(n)] > sums[i.saturating_sub(r)]);
            }
        });
    }
    out
}

/// Box mean of `radius` voxels per axis over the voxels that lie inside the volume.
pub(crate) fn blur(volume: &Volume<f32>, radius: [usize; 3]) -> Volume<f32> {
    let mut out = volume.clone();
    for (axis, &r) in radius.iter().enumerate().filter(|(_, r)| **r > 0) {
        along(&mut out, axis, |line, sums: &mut Vec<f64>| {
            let n = line.len();
            sums.clear();
            sums.push(0f64);
            for &v in line.iter() {
                sums.push(sums[sums.len() - 1] + f64::from(v));
            }
            for (i, v) in line.iter_mut().enumerate() {
                let (a, b) = (i.saturating_sub(r), (i + r + 1).min(n));
                *v = ((sums[b] - sums[a]) / (b - a) as f64) as f32;
            }
        });
    }
    out
}

/// Applies `f` to every line of voxels along `axis`; the second argument is scratch space.
fn along<T: Voxel, S: Default>(volume: &mut Volume<T>, axis: usize, f: impl Fn(&mut [T], &mut S)) {
    let shape = volume.shape();
    let n = shape[axis];
    let inner: usize = shape[axis + 1..].iter().product();
    let mut scratch = S::default();
    let mut line = Vec::with_capacity(n);
    for block in volume.data_mut().chunks_exact_mut(n * inner) {
        for k in 0..inner {
            line.clear();
            line.extend((0..n).map(|i| block[i * inner + k]));
            f(&mut line, &mut scratch);
            for (i, &v) in line.iter().enumerate() {
                block[i * inner + k] = v;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use multirnet_volume::Geometry;

    fn grid(shape: [usize; 3]) -> Geometry {
        Geometry::axial(shape, [2.5, 1.5, 1.5]).unwrap()
    }

    #[test]
    fn radius_covers_the_millimetres() {
        assert_eq!(radius_voxels([2.5, 1.5, 1.5], 10.0), [4, 7, 7]);
        assert_eq!(radius_voxels([2.5, 1.5, 1.5], 0.0), [0, 0, 0]);
    }

    #[test]
    fn dilation_is_a_box() {
        let mask = Volume::from_fn(grid([7, 8, 9]), |i| u8::from(i == [3, 0, 8]) * 2);
        let grown = dilate(&mask, [1, 2, 3]);
        let want = Volume::from_fn(grid([7, 8, 9]), |[z, y, x]| {
            u8::from((2..=4).contains(&z) && y <= 2 && x >= 5)
        });
        assert_eq!(grown, want);
    }

    #[test]
    fn blur_keeps_constants_and_ramps_across_an_edge() {
        let one = Volume::filled(1.0, grid([5, 6, 7]));
        assert_eq!(blur(&one, [2, 2, 2]), one);
        let step = Volume::from_fn(grid([1, 1, 12]), |[_, _, x]| f32::from(x >= 6));
        let soft = blur(&step, [0, 0, 2]);
        let want = [0.0, 0.0, 0.0, 0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1.0, 1.0];
        for (a, b) in soft.data().iter().zip(want) {
            assert!((a - b).abs() < 1e-6, "{soft:?}");
        }
    }
}
