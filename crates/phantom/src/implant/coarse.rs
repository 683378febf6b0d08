//! Means over some millimetres on a coarse grid.

use crate::noise::lerp;

/// A field of block means. Reading interpolates between its points.
pub(super) struct Coarse {
    shape: [usize; 3],
    step_mm: [f32; 3],
    values: Vec<f32>,
}

impl Coarse {
    /// Means of `value` over blocks of about `block_mm` on a grid of `shape` and `spacing_mm`. They
    /// are smoothed over neighbouring blocks with the weights 1, 2, 1 per axis. Voxels whose `value`
    /// is `None` do not count. The field is `fallback` where no voxel counts.
    pub fn mean(
        shape: [usize; 3],
        spacing_mm: [f32; 3],
        block_mm: f32,
        fallback: f32,
        value: impl Fn(usize) -> Option<f32> + Sync,
    ) -> Self {
        use rayon::prelude::*;
        let block: [usize; 3] =
            std::array::from_fn(|a| ((block_mm / spacing_mm[a]).round() as usize).max(1));
        let small: [usize; 3] = std::array::from_fn(|a| shape[a].div_ceil(block[a]));
        let layer = small[1] * small[2];
        // Sum and count per block. One thread adds a layer of blocks, so the order is fixed.
        let mut sums = vec![[0.0f32; 2]; small[0] * layer];
        sums.par_chunks_exact_mut(layer)
            .enumerate()
            .for_each(|(k, sums)| {
                for z in k * block[0]..((k + 1) * block[0]).min(shape[0]) {
                    for y in 0..shape[1] {
                        let row = (z * shape[1] + y) * shape[2];
                        let to = y / block[1] * small[2];
                        for x in 0..shape[2] {
                            if let Some(v) = value(row + x) {
                                let sum = &mut sums[to + x / block[2]];
                                sum[0] += v;
                                sum[1] += 1.0;
                            }
                        }
                    }
                }
            });
        for axis in 0..3 {
            sums = widen(&sums, small, axis);
        }
        Self {
            shape: small,
            step_mm: std::array::from_fn(|a| block[a] as f32 * spacing_mm[a]),
            values: sums
                .iter()
                .map(|[sum, n]| if *n > 0.0 { sum / n } else { fallback })
                .collect(),
        }
    }

    /// The field at a point in mm from the first voxel's centre; `spacing_mm` is the fine grid's.
    #[inline]
    pub fn at(&self, p: [f32; 3], spacing_mm: [f32; 3]) -> f32 {
        let mut low = [0usize; 3];
        let mut high = [0usize; 3];
        let mut share = [0.0f32; 3];
        for a in 0..3 {
            let last = self.shape[a] - 1;
            let t = ((p[a] + 0.5 * spacing_mm[a]) / self.step_mm[a] - 0.5).clamp(0.0, last as f32);
            low[a] = t as usize;
            high[a] = (low[a] + 1).min(last);
            share[a] = t - low[a] as f32;
        }
        let row = |z: usize, y: usize| {
            let base = (z * self.shape[1] + y) * self.shape[2];
            lerp(
                self.values[base + low[2]],
                self.values[base + high[2]],
                share[2],
            )
        };
        let plane = |z: usize| lerp(row(z, low[1]), row(z, high[1]), share[1]);
        lerp(plane(low[0]), plane(high[0]), share[0])
    }
}

fn widen(sums: &[[f32; 2]], shape: [usize; 3], axis: usize) -> Vec<[f32; 2]> {
    let stride = [shape[1] * shape[2], shape[2], 1][axis];
    (0..sums.len())
        .map(|i| {
            let at = i / stride % shape[axis];
            let before = if at > 0 { sums[i - stride] } else { [0.0; 2] };
            let after = if at + 1 < shape[axis] {
                sums[i + stride]
            } else {
                [0.0; 2]
            };
            std::array::from_fn(|c| 2.0 * sums[i][c] + before[c] + after[c])
        })
        .collect()
}
