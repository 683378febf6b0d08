//! Exact Euclidean distance transform in millimetres.
//!
//! The lower envelope of parabolas (Felzenszwalb and Huttenlocher, "Distance Transforms of
//! Sampled Functions", Theory of Computing 8, 2012), one axis after the other, parallel over
//! planes. Spacing may differ per axis; the axes are taken as orthogonal.

use multirnet_volume::Volume;
use rayon::prelude::*;

/// Distance in millimetres from every voxel's centre to the centre of the nearest voxel of `mask`
/// that is not 0; 0 on the mask itself, infinite everywhere if the mask is empty.
#[must_use]
pub fn distance_to_mask(mask: &Volume<u8>) -> Volume<f32> {
    let squared = squared_distance(mask, |v| v != 0);
    root(squared)
}

/// Distance in millimetres from every voxel of `mask` that is not 0 to the nearest voxel that is
/// 0; 0 outside the mask, infinite everywhere if nothing is outside. What lies beyond the volume
/// does not count as outside.
#[must_use]
pub fn distance_to_background(mask: &Volume<u8>) -> Volume<f32> {
    let squared = squared_distance(mask, |v| v == 0);
    root(squared)
}

fn root(mut squared: Volume<f32>) -> Volume<f32> {
    squared
        .data_mut()
        .par_chunks_mut(1 << 14)
        .for_each(|chunk| chunk.iter_mut().for_each(|v| *v = v.sqrt()));
    squared
}

/// Squared distance in square millimetres to the nearest voxel for which `target` holds.
pub(crate) fn squared_distance(
    mask: &Volume<u8>,
    target: impl Fn(u8) -> bool + Sync,
) -> Volume<f32> {
    let [nz, ny, nx] = mask.shape();
    let [dz, dy, dx] = mask.geometry().spacing_mm();
    let mut plane_wise = mask.map(|_| 0.0f32);
    plane_wise
        .data_mut()
        .par_chunks_mut(ny * nx)
        .zip(mask.data().par_chunks(ny * nx))
        .for_each_init(Envelope::default, |envelope, (out, mask)| {
            for (out, mask) in out.chunks_exact_mut(nx).zip(mask.chunks_exact(nx)) {
                along_row(mask, &target, dx as f32, out);
            }
            let mut column = vec![0.0; ny];
            for x in 0..nx {
                for y in 0..ny {
                    column[y] = out[y * nx + x];
                }
                envelope.transform(&mut column, dy);
                for y in 0..ny {
                    out[y * nx + x] = column[y];
                }
            }
        });
    if nz == 1 {
        return plane_wise;
    }

    // Columns along z, gathered as planes (y; z, x), so that threads write apart.
    let data = plane_wise.data();
    let mut turned = vec![0.0f32; data.len()];
    turned.par_chunks_mut(nz * nx).enumerate().for_each_init(
        Envelope::default,
        |envelope, (y, out)| {
            let mut column = vec![0.0; nz];
            for x in 0..nx {
                for z in 0..nz {
                    column[z] = data[(z * ny + y) * nx + x];
                }
                envelope.transform(&mut column, dz);
                for z in 0..nz {
                    out[z * nx + x] = column[z];
                }
            }
        },
    );
    plane_wise
        .data_mut()
        .par_chunks_mut(ny * nx)
        .enumerate()
        .for_each(|(z, out)| {
            for (y, line) in out.chunks_exact_mut(nx).enumerate() {
                let from = (y * nz + z) * nx;
                line.copy_from_slice(&turned[from..from + nx]);
            }
        });
    plane_wise
}

/// Squared distances within one row: a sweep each way.
fn along_row(mask: &[u8], target: &impl Fn(u8) -> bool, step: f32, out: &mut [f32]) {
    let mut far = f32::INFINITY;
    for (o, &v) in out.iter_mut().zip(mask) {
        far = if target(v) { 0.0 } else { far + 1.0 };
        *o = far;
    }
    far = f32::INFINITY;
    for (o, &v) in out.iter_mut().zip(mask).rev() {
        far = if target(v) { 0.0 } else { far + 1.0 };
        let nearest = o.min(far) * step;
        *o = nearest * nearest;
    }
}

/// Scratch space for the lower envelope of the parabolas over one line.
#[derive(Default)]
struct Envelope {
    /// Positions of the parabolas in the envelope.
    apex: Vec<usize>,
    /// Heights of their apices.
    height: Vec<f32>,
    /// Where each takes over from the one before.
    from: Vec<f64>,
}

impl Envelope {
    /// Replaces `line[i]` by the minimum over j of `line[j] + ((i - j) step)²`.
    fn transform(&mut self, line: &mut [f32], step: f64) {
        if line.iter().all(|&v| v == 0.0) {
            return;
        }
        self.apex.clear();
        self.height.clear();
        self.from.clear();
        let square = step * step;
        for (i, &value) in line.iter().enumerate() {
            if value.is_infinite() {
                continue;
            }
            let mut start = f64::NEG_INFINITY;
            while let (Some(&j), Some(&height)) = (self.apex.last(), self.height.last()) {
                let (p, q) = (i as f64, j as f64);
                let meet = (f64::from(value) - f64::from(height)) / (2.0 * square * (p - q))
                    + (p + q) / 2.0;
                if self.from.last().is_some_and(|&f| meet <= f) {
                    self.apex.pop();
                    self.height.pop();
                    self.from.pop();
                } else {
                    start = meet;
                    break;
                }
            }
            self.apex.push(i);
            self.height.push(value);
            self.from.push(start);
        }
        if self.apex.is_empty() {
            return;
        }
        let mut k = 0;
        for (i, value) in line.iter_mut().enumerate() {
            while k + 1 < self.from.len() && self.from[k + 1] < i as f64 {
                k += 1;
            }
            let away = i as f64 - self.apex[k] as f64;
            *value = (away * away * square) as f32 + self.height[k];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use multirnet_volume::Geometry;

    /// The definition itself.
    fn naive(mask: &Volume<u8>) -> Vec<f32> {
        let spacing = mask.geometry().spacing_mm();
        let indices: Vec<[usize; 3]> = {
            let mut all = Vec::new();
            Volume::from_fn(*mask.geometry(), |i| {
                all.push(i);
                0u8
            });
            all
        };
        indices
            .iter()
            .map(|p| {
                indices
                    .iter()
                    .filter(|&&q| mask.at(q) != 0)
                    .map(|q| {
                        (0..3)
                            .map(|a| ((p[a] as f64 - q[a] as f64) * spacing[a]).powi(2))
                            .sum::<f64>()
                    })
                    .fold(f64::INFINITY, f64::min)
                    .sqrt() as f32
            })
            .collect()
    }

    #[test]
    fn equals_the_definition() {
        for (seed, shape, density) in [
            (1u32, [5, 7, 6], 40),
            (2, [1, 9, 8], 10),
            (3, [9, 1, 4], 20),
            (4, [6, 6, 6], 3),
            (5, [4, 3, 11], 90),
        ] {
            let geometry = Geometry::axial(shape, [2.5, 0.7, 1.3]).expect("a valid grid");
            let mut state = seed;
            let mask = Volume::from_fn(geometry, |_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                u8::from((state >> 16) % 100 < density)
            });
            let fast = distance_to_mask(&mask);
            for (a, b) in fast.data().iter().zip(naive(&mask)) {
                assert!(a == &b || (a - b).abs() < 1e-4, "{a} is not {b}");
            }
            let inverse = mask.map(|v| u8::from(v == 0));
            assert_eq!(distance_to_background(&inverse), fast);
        }
    }

    #[test]
    fn without_a_target_it_is_infinitely_far() {
        let geometry = Geometry::axial([2, 3, 4], [1.0; 3]).expect("a valid grid");
        let empty = Volume::filled(0u8, geometry);
        assert!(
            distance_to_mask(&empty)
                .data()
                .iter()
                .all(|v| v.is_infinite())
        );
    }
}
