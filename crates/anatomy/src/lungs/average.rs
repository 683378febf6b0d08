//! Sums over boxes.

use rayon::prelude::*;

/// Replaces each value by the sum over `half` neighbours to either side along `axis`.
pub(super) fn box_sum(values: &mut [f32], [nz, ny, nx]: [usize; 3], axis: usize, half: usize) {
    match axis {
        2 => {
            let planes = values.par_chunks_mut(ny * nx);
            planes.for_each_init(Vec::new, |sums, plane| {
                for row in plane.chunks_exact_mut(nx) {
                    sum_rows(row, 1, half, sums);
                }
            });
        }
        1 => {
            let planes = values.par_chunks_mut(ny * nx);
            planes.for_each_init(Vec::new, |sums, plane| sum_rows(plane, nx, half, sums));
        }
        _ => {
            // Columns along z, gathered as planes (y; z, x), so that threads write apart.
            let mut turned = vec![0.0f32; values.len()];
            let planes = turned.par_chunks_mut(nz * nx).enumerate();
            planes.for_each_init(Vec::new, |sums, (y, plane)| {
                for (z, row) in plane.chunks_exact_mut(nx).enumerate() {
                    row.copy_from_slice(&values[(z * ny + y) * nx..][..nx]);
                }
                sum_rows(plane, nx, half, sums);
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

/// Sums over `half` rows of `width` values to either side; `sums` is scratch space.
fn sum_rows(rows: &mut [f32], width: usize, half: usize, sums: &mut Vec<f64>) {
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
        let (low, high) = (i.saturating_sub(half), (i + half + 1).min(n));
        let (low, high) = (&sums[low * width..], &sums[high * width..]);
        for ((v, &low), &high) in row.iter_mut().zip(low).zip(high) {
            *v = (high - low) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
