//! Box filters: dilation, sums and means over boxes of voxels.

use crate::Volume;
use rayon::prelude::*;

/// Radius in voxels per axis that spans `radius_mm`, rounded up.
pub fn radius_voxels(spacing_mm: [f64; 3], radius_mm: f64) -> [usize; 3] {
    // The small term absorbs rounding: 10 mm / 2.5 mm stays 4.
    spacing_mm.map(|s| (radius_mm / s - 1e-6).ceil().max(0.0) as usize)
}

/// `mask` (0 or 1) grown by a box of `radius` voxels per axis.
pub fn dilate(mask: &Volume<u8>, radius: [usize; 3]) -> Volume<u8> {
    let [nz, ny, nx] = mask.shape();
    let [rz, ry, rx] = radius;
    let join = |to: &mut [u8], from: &[u8]| {
        for (t, &f) in to.iter_mut().zip(from) {
            *t |= f;
        }
    };
    let around = |i: usize, r: usize, n: usize| i.saturating_sub(r)..(i + r + 1).min(n);
    let mut flat = mask.map(|v| u8::from(v != 0));
    let planes = flat.data_mut().par_chunks_mut(ny * nx);
    planes.for_each_init(Vec::new, |wide: &mut Vec<u8>, plane| {
        wide.clear();
        wide.extend_from_slice(plane);
        for (out, row) in wide.chunks_exact_mut(nx).zip(plane.chunks_exact(nx)) {
            for r in 1..=rx.min(nx - 1) {
                join(&mut out[r..], row);
                join(out, &row[r..]);
            }
        }
        for (y, out) in plane.chunks_exact_mut(nx).enumerate() {
            for other in around(y, ry, ny) {
                join(out, &wide[other * nx..(other + 1) * nx]);
            }
        }
    });
    let mut out = flat.clone();
    let planes = out.data_mut().par_chunks_mut(ny * nx).enumerate();
    planes.for_each(|(z, plane)| {
        for other in around(z, rz, nz) {
            join(plane, flat.plane(other));
        }
    });
    out
}

/// Box mean of `radius` voxels per axis over the voxels that lie inside the volume.
pub fn blur(volume: &Volume<f32>, radius: [usize; 3]) -> Volume<f32> {
    let shape = volume.shape();
    let mut out = volume.clone();
    let mean = |sum: f64, count: usize| (sum / count as f64) as f32;
    for (axis, half) in radius.into_iter().enumerate() {
        if half > 0 {
            box_filter(out.data_mut(), shape, axis, half, mean);
        }
    }
    out
}

/// Replaces each value by the sum over `half` neighbours to either side along `axis`.
pub fn box_sum(values: &mut [f32], shape: [usize; 3], axis: usize, half: usize) {
    box_filter(values, shape, axis, half, |sum, _| sum as f32);
}

/// Replaces each value by the result of `finish`, which receives the sum over `half` neighbours to
/// either side along `axis` and the number of values in it. That number is smaller at the border.
fn box_filter(
    values: &mut [f32],
    [nz, ny, nx]: [usize; 3],
    axis: usize,
    half: usize,
    finish: impl Fn(f64, usize) -> f32 + Sync,
) {
    match axis {
        2 => {
            let planes = values.par_chunks_mut(ny * nx);
            planes.for_each_init(Vec::new, |sums, plane| {
                for row in plane.chunks_exact_mut(nx) {
                    sum_rows(row, 1, half, &finish, sums);
                }
            });
        }
        1 => {
            let planes = values.par_chunks_mut(ny * nx);
            planes.for_each_init(Vec::new, |sums, plane| {
                sum_rows(plane, nx, half, &finish, sums)
            });
        }
        _ => {
            // Columns along z are gathered as planes (y; z, x). Each thread then writes its own
            // memory.
            let mut turned = vec![0.0f32; values.len()];
            let planes = turned.par_chunks_mut(nz * nx).enumerate();
            planes.for_each_init(Vec::new, |sums, (y, plane)| {
                for (z, row) in plane.chunks_exact_mut(nx).enumerate() {
                    row.copy_from_slice(&values[(z * ny + y) * nx..][..nx]);
                }
                sum_rows(plane, nx, half, &finish, sums);
            });
            let planes = values.par_chunks_mut(ny * nx).enumerate();
            planes.for_each(|(z, plane)| {
                for (y, row) in plane.chunks_exact_mut(nx).enumerate() {
                    row.copy_from_slice(&turned[(y * nz + z) * nx..][..nx]);
                }
            });
        }
    }
}

/// Filters over `half` rows of `width` values to either side; `sums` is scratch space.
fn sum_rows(
    rows: &mut [f32],
    width: usize,
    half: usize,
    finish: &impl Fn(f64, usize) -> f32,
    sums: &mut Vec<f64>,
) {
    let n = rows.len() / width;
    sums.clear();
    sums.resize((n + 1) * width, 0.0);
    for (i, row) in rows.chunks_exact(width).enumerate() {
        let (before, after) = sums.split_at_mut((i + 1) * width);
        let before = &before[i * width..];
        for ((sum, &so_far), &v) in after.iter_mut().zip(before).zip(row) {
            *sum = so_far + f64::from(v);
        }
    }
    for (i, row) in rows.chunks_exact_mut(width).enumerate() {
        let (a, b) = (i.saturating_sub(half), (i + half + 1).min(n));
        let (low, high) = (&sums[a * width..], &sums[b * width..]);
        for ((v, &low), &high) in row.iter_mut().zip(low).zip(high) {
            *v = finish(high - low, b - a);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Geometry;

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

    /// Visits a box around `at`.
    fn over_box(
        shape: [usize; 3],
        radius: [usize; 3],
        at: [usize; 3],
        f: &mut dyn FnMut([usize; 3]),
    ) {
        let range =
            |a: usize| at[a].saturating_sub(radius[a])..(at[a] + radius[a] + 1).min(shape[a]);
        for z in range(0) {
            for y in range(1) {
                for x in range(2) {
                    f([z, y, x]);
                }
            }
        }
    }

    #[test]
    fn both_filters_equal_their_definitions() {
        let mut draw = multirnet_base::random::Random::new(7, 0);
        for _ in 0..60 {
            let shape: [usize; 3] = std::array::from_fn(|_| 1 + draw.below(9));
            let radius: [usize; 3] = std::array::from_fn(|_| draw.below(12));
            let mask = Volume::from_fn(grid(shape), |_| u8::from(draw.below(31) == 0));
            let values = Volume::from_fn(grid(shape), |_| draw.below(1001) as f32 / 1000.0);
            let any = Volume::from_fn(grid(shape), |at| {
                let mut any = 0;
                over_box(shape, radius, at, &mut |i| any |= mask.at(i));
                any
            });
            assert_eq!(dilate(&mask, radius), any, "{shape:?} {radius:?}");
            let soft = blur(&values, radius);
            // The reference adds in 64 bits, line by line and one axis after the other. Results
            // are bit-identical.
            let mut mean = values.clone();
            for (axis, &r) in radius.iter().enumerate().filter(|(_, r)| **r > 0) {
                let before = mean.clone();
                mean = Volume::from_fn(grid(shape), |at| {
                    let n = shape[axis];
                    let sum = |end: usize| {
                        (0..end).fold(0.0, |sum, i| {
                            let mut at = at;
                            at[axis] = i;
                            sum + f64::from(before.at(at))
                        })
                    };
                    let (low, high) = (at[axis].saturating_sub(r), (at[axis] + r + 1).min(n));
                    ((sum(high) - sum(low)) / (high - low) as f64) as f32
                });
            }
            assert_eq!(soft, mean, "{shape:?} {radius:?}");
        }
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

    #[test]
    fn every_axis_follows_the_definition() {
        let shape = [5, 4, 7];
        let values: Vec<f32> = (0..140).map(|i| (i * 37 % 23) as f32).collect();
        let stride = [28, 7, 1];
        for (axis, half) in [(0, 1), (0, 2), (1, 1), (1, 9), (2, 3), (2, 0)] {
            let mut sums = values.clone();
            box_sum(&mut sums, shape, axis, half);
            for (i, &sum) in sums.iter().enumerate() {
                let at = i / stride[axis] % shape[axis];
                let range = at.saturating_sub(half)..(at + half + 1).min(shape[axis]);
                let line = i - at * stride[axis];
                let want: f32 = range.map(|j| values[line + j * stride[axis]]).sum();
                assert_eq!(sum, want, "axis {axis} half {half}");
            }
        }
    }

    #[test]
    fn sums_are_cut_at_the_border() {
        let mut values = vec![1.0, 2.0, 3.0, 10.0, 20.0, 30.0];
        box_sum(&mut values, [2, 1, 3], 2, 1);
        assert_eq!(values, [3.0, 6.0, 5.0, 30.0, 60.0, 50.0]);
        box_sum(&mut values, [2, 1, 3], 0, 5);
        assert_eq!(values, [33.0, 66.0, 55.0, 33.0, 66.0, 55.0]);
    }
}
