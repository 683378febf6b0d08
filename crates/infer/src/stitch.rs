//! Overlap-add of the windows' maps.

use crate::windows::clip;
use multirnet_volume::{Geometry, Result, Volume};
use rayon::prelude::*;

/// Standard deviation of the weights along an axis, as a share of the window.
const SIGMA: f64 = 0.125;
/// Smallest weight along an axis, relative to the centre. Without it rounding would lose the
/// corners.
const FLOOR: f64 = 1e-3;

/// Adds up maps of windows, weighted by a Gaussian around each window's centre, and divides by the
/// sum of the weights. Where windows overlap, the better centred one has the higher weight.
pub struct Stitcher {
    geometry: Geometry,
    axes: [Vec<f32>; 3],
    sums: Vec<Vec<f32>>,
    weights: Vec<f32>,
}

impl Stitcher {
    /// A stitcher onto `geometry` for windows of `shape` voxels with `channels` maps each.
    pub fn new(geometry: Geometry, shape: [usize; 3], channels: usize) -> Self {
        Self {
            geometry,
            axes: shape.map(gaussian),
            sums: vec![vec![0.0; geometry.len()]; channels],
            weights: vec![0.0; geometry.len()],
        }
    }

    /// Adds the maps of the window that starts at `start`. The window may extend beyond the
    /// volume's border. `maps` holds one channel after the other.
    ///
    /// # Panics
    /// If `maps` does not have the size that was given to [`Stitcher::new`].
    pub fn add(&mut self, start: [i64; 3], maps: &[f32]) {
        let axes = std::mem::take(&mut self.axes);
        self.add_weighted(start, &axes, maps);
        self.axes = axes;
    }

    /// Adds the maps of a tile of `shape` voxels. Its weights are equal, apart from a ramp over
    /// twice the `halo` at its borders.
    pub(crate) fn add_tile(
        &mut self,
        start: [i64; 3],
        shape: [usize; 3],
        halo: [usize; 3],
        maps: &[f32],
    ) {
        let axes = std::array::from_fn(|a| ramp(shape[a], 2 * halo[a]));
        self.add_weighted(start, &axes, maps);
    }

    /// Adds a window whose weights are the product of `axes`.
    fn add_weighted(&mut self, start: [i64; 3], axes: &[Vec<f32>; 3], maps: &[f32]) {
        let [sz, sy, sx] = [0, 1, 2].map(|a: usize| axes[a].len());
        let size = sz * sy * sx;
        assert_eq!(
            maps.len(),
            size * self.sums.len(),
            "the maps have another size than the windows"
        );
        let [_, ny, nx] = self.geometry.shape();
        let inside: [_; 3] =
            std::array::from_fn(|a| clip(start[a], axes[a].len(), self.geometry.shape()[a]));
        if inside[2].is_empty() {
            return;
        }
        let local = |i: usize, a: usize| (i as i64 - start[a]) as usize;
        let width = inside[2].len();
        let first = local(inside[2].start, 2);
        for z in inside[0].clone() {
            for y in inside[1].clone() {
                let (lz, ly) = (local(z, 0), local(y, 1));
                let plane = axes[0][lz] * axes[1][ly];
                let to = (z * ny + y) * nx + inside[2].start;
                let from = (lz * sy + ly) * sx + first;
                let row = &axes[2][first..first + width];
                for (w, g) in self.weights[to..to + width].iter_mut().zip(row) {
                    *w += plane * g;
                }
                for (c, sums) in self.sums.iter_mut().enumerate() {
                    let values = &maps[c * size + from..c * size + from + width];
                    for ((s, g), v) in sums[to..to + width].iter_mut().zip(row).zip(values) {
                        *s += plane * g * v;
                    }
                }
            }
        }
    }

    /// The stitched maps, one per channel, and a mask that is 1 where any window was added. The
    /// maps are 0 outside the mask.
    ///
    /// # Errors
    /// None in practice, because the maps have the grid's size.
    pub fn finish(self) -> Result<(Vec<Volume<f32>>, Volume<f32>)> {
        const PART: usize = 1 << 16;
        let mut weights = self.weights;
        let maps = self
            .sums
            .into_iter()
            .map(|mut sums| {
                let parts = sums.par_chunks_mut(PART).zip(weights.par_chunks(PART));
                parts.for_each(|(sums, weights)| {
                    for (s, w) in sums.iter_mut().zip(weights) {
                        *s = if *w > 0.0 { *s / w } else { *s };
                    }
                });
                Volume::new(sums, self.geometry)
            })
            .collect::<Result<_>>()?;
        let parts = weights.par_chunks_mut(PART);
        parts.for_each(|part| part.iter_mut().for_each(|w| *w = f32::from(*w > 0.0)));
        Ok((maps, Volume::new(weights, self.geometry)?))
    }
}

/// Weights that rise linearly over `width` values from either end.
fn ramp(n: usize, width: usize) -> Vec<f32> {
    (0..n)
        .map(|i| {
            let from_end = i.min(n - 1 - i) + 1;
            (from_end as f32 / (width + 1) as f32).clamp(FLOOR as f32, 1.0)
        })
        .collect()
}

fn gaussian(n: usize) -> Vec<f32> {
    let centre = (n as f64 - 1.0) / 2.0;
    let sigma = (n as f64 * SIGMA).max(0.5);
    (0..n)
        .map(|i| {
            let t = (i as f64 - centre) / sigma;
            (-0.5 * t * t).exp().max(FLOOR) as f32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::windows::plan_windows;

    fn cut(field: &Volume<f32>, start: [i64; 3], shape: [usize; 3]) -> Vec<f32> {
        let at = |i: i64, n: usize| i.clamp(0, n as i64 - 1) as usize;
        let n = field.shape();
        let mut out = Vec::new();
        for z in 0..shape[0] as i64 {
            for y in 0..shape[1] as i64 {
                for x in 0..shape[2] as i64 {
                    out.push(field.at([
                        at(start[0] + z, n[0]),
                        at(start[1] + y, n[1]),
                        at(start[2] + x, n[2]),
                    ]));
                }
            }
        }
        out
    }

    #[test]
    fn weights_are_symmetric_and_peak_in_the_centre() {
        let g = gaussian(32);
        assert!((0..16).all(|i| g[i] == g[31 - i]));
        assert!(g.windows(2).take(15).all(|w| w[1] >= w[0]));
        assert!(g[15] > 0.99 && g[0] >= 1e-3 && g[0] < 0.01);
    }

    #[test]
    fn tiles_fade_over_their_halos() {
        assert_eq!(
            ramp(6, 2),
            [1.0 / 3.0, 2.0 / 3.0, 1.0, 1.0, 2.0 / 3.0, 1.0 / 3.0]
        );
        assert_eq!(ramp(3, 0), [1.0; 3]);
        let geometry = Geometry::axial([1, 1, 28], [1.0; 3]).unwrap();
        let mut stitcher = Stitcher::new(geometry, [1, 1, 16], 1);
        stitcher.add_tile([0, 0, 0], [1, 1, 16], [0, 0, 2], &[0.0; 16]);
        stitcher.add_tile([0, 0, 12], [1, 1, 16], [0, 0, 2], &[1.0; 16]);
        let (maps, _) = stitcher.finish().unwrap();
        let row = maps[0].data();
        assert_eq!(row[..12], [0.0; 12]);
        assert_eq!(row[16..], [1.0; 12]);
        for (i, want) in [0.2, 0.4, 0.6, 0.8].into_iter().enumerate() {
            assert!((row[12 + i] - want).abs() < 1e-6, "{row:?}");
        }
    }

    #[test]
    fn the_better_centred_window_counts_more() {
        let geometry = Geometry::axial([8, 8, 12], [1.0; 3]).unwrap();
        let mut stitcher = Stitcher::new(geometry, [8, 8, 8], 1);
        stitcher.add([0, 0, 0], &[0.0; 512]);
        stitcher.add([0, 0, 4], &[1.0; 512]);
        let (maps, covered) = stitcher.finish().unwrap();
        let row: Vec<f32> = (0..12).map(|x| maps[0].at([4, 4, x])).collect();
        assert_eq!(&row[..4], [0.0; 4]);
        assert_eq!(&row[8..], [1.0; 4]);
        assert!(row[4] < 0.1 && row[7] > 0.9 && row.is_sorted(), "{row:?}");
        assert!(covered.data().iter().all(|&c| c == 1.0));
    }

    #[test]
    fn uncovered_voxels_stay_zero() {
        let geometry = Geometry::axial([4, 4, 8], [1.0; 3]).unwrap();
        let mut stitcher = Stitcher::new(geometry, [4, 4, 4], 2);
        stitcher.add([0, 0, 4], &[3.0; 128]);
        stitcher.add([0, 0, 40], &[7.0; 128]);
        let (maps, covered) = stitcher.finish().unwrap();
        for map in &maps {
            assert_eq!(map.at([0, 0, 3]), 0.0);
            assert!((map.at([0, 0, 4]) - 3.0).abs() < 1e-6);
        }
        assert_eq!(covered.at([3, 3, 3]), 0.0);
    }

    #[test]
    fn constant_and_ramp_come_back_exactly() {
        let mut draw = crate::testing::Draw(2);
        for _ in 0..60 {
            let shape: [usize; 3] = std::array::from_fn(|_| draw.within(1, 40));
            let window: [usize; 3] = std::array::from_fn(|_| draw.within(2, 20));
            let overlap = draw.within(0, 90) as f64 / 100.0;
            let slope: [f32; 3] = std::array::from_fn(|_| draw.within(0, 400) as f32 / 100.0 - 2.0);
            let geometry = Geometry::axial(shape, [1.0; 3]).unwrap();
            let ramp = Volume::from_fn(geometry, |[z, y, x]| {
                10.0 + slope[0] * z as f32 + slope[1] * y as f32 + slope[2] * x as f32
            });
            let constant = Volume::filled(0.7f32, geometry);
            let plan = plan_windows(&Volume::filled(1u8, geometry), window, overlap);
            let mut stitcher = Stitcher::new(geometry, window, 2);
            for start in plan {
                let mut maps = cut(&ramp, start, window);
                maps.extend(cut(&constant, start, window));
                stitcher.add(start, &maps);
            }
            let (maps, covered) = stitcher.finish().unwrap();
            assert!(covered.data().iter().all(|&c| c == 1.0));
            for (map, want) in maps.iter().zip([&ramp, &constant]) {
                for (a, b) in map.data().iter().zip(want.data()) {
                    let close = (a - b).abs() <= 2e-5 * b.abs().max(1.0);
                    assert!(
                        close,
                        "{a} {b}: {window:?} in {shape:?} at overlap {overlap}"
                    );
                }
            }
        }
    }
}
