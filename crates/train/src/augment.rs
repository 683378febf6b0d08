//! Variation of windows (ours: the paper does not describe its augmentation).
//!
//! Flip, rotation and scale make up one resampling of the scan around the window's centre, so
//! rotated corners show the scan itself. The change of intensity follows.

use crate::Result;
use multirnet_base::Ranges;
use multirnet_base::random::Random;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// How windows are varied. Each part is drawn independently for each window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentConfig {
    /// Probability of a mirror image, left for right.
    pub flip: f64,
    /// Probability of a rotation and scale.
    pub affine: f64,
    /// Largest angle about the body's axis, degrees.
    pub rotation_degrees: f64,
    /// Largest angle about the two other axes, degrees.
    pub tilt_degrees: f64,
    /// Largest relative change of size.
    pub scale: f64,
    /// Probability of a change of intensity (contrast, brightness and noise).
    pub intensity: f64,
    /// Largest relative change of contrast.
    pub contrast: f64,
    /// Largest shift of brightness, in units of the window (0.05 = 70 HU).
    pub brightness: f64,
    /// Largest standard deviation of noise, in units of the window.
    pub noise: f64,
    /// Probability that the scan ends within the window: below, above or on both sides. The last
    /// slice is repeated beyond the end. Half of these windows keep at most a quarter of their
    /// slices, down to a single one, to imitate slabs and single slices.
    pub cut: f64,
    /// Probability that the field of view ends within the window, at one to four sides.
    pub narrow: f64,
}

impl Default for AugmentConfig {
    fn default() -> Self {
        Self {
            flip: 0.5,
            affine: 0.5,
            rotation_degrees: 10.0,
            tilt_degrees: 4.0,
            scale: 0.1,
            intensity: 0.7,
            contrast: 0.1,
            brightness: 0.03,
            noise: 0.03,
            cut: 0.25,
            narrow: 0.05,
        }
    }
}

impl AugmentConfig {
    /// No variation at all.
    pub fn none() -> Self {
        Self {
            flip: 0.0,
            affine: 0.0,
            intensity: 0.0,
            cut: 0.0,
            narrow: 0.0,
            ..Self::default()
        }
    }

    pub(crate) fn validate(&self) -> Result<()> {
        Ok(Ranges::of_table("augment")
            .within("flip", self.flip, 0.0..=1.0)
            .within("affine", self.affine, 0.0..=1.0)
            .within("intensity", self.intensity, 0.0..=1.0)
            .within("rotation_degrees", self.rotation_degrees, 0.0..=180.0)
            .within("tilt_degrees", self.tilt_degrees, 0.0..=45.0)
            .within("scale", self.scale, 0.0..=0.5)
            .within("contrast", self.contrast, 0.0..=0.9)
            .within("brightness", self.brightness, 0.0..=1.0)
            .within("noise", self.noise, 0.0..=1.0)
            .within("cut", self.cut, 0.0..=1.0)
            .within("narrow", self.narrow, 0.0..=1.0)
            .check()?)
    }

    /// Draws a map from a window's voxels to the scan's, for voxels of `spacing_mm` `(z, y, x)`.
    pub(crate) fn draw_affine(&self, rng: &mut Random, spacing_mm: [f64; 3]) -> Affine {
        let flip = rng.unit() < self.flip;
        let moved = rng.unit() < self.affine;
        // These are drawn in any case, so switching one part off does not change the other draws.
        let angles = [
            rng.symmetric(self.rotation_degrees),
            rng.symmetric(self.tilt_degrees),
            rng.symmetric(self.tilt_degrees),
        ];
        let size = 1.0 + rng.symmetric(self.scale);
        if !moved {
            return Affine::mirror(flip);
        }
        let mut m = rotation(angles.map(f64::to_radians));
        for (row, line) in m.iter_mut().enumerate() {
            for (column, value) in line.iter_mut().enumerate() {
                *value *= spacing_mm[column] / (spacing_mm[row] * size);
                if flip && column == 2 {
                    *value = -*value;
                }
            }
        }
        Affine { matrix: m }
    }

    /// Draws and applies a change of intensity.
    pub(crate) fn vary_intensity(&self, rng: &mut Random, image: &mut [f32]) {
        if rng.unit() >= self.intensity {
            return;
        }
        let contrast = (1.0 + rng.symmetric(self.contrast)) as f32;
        let brightness = rng.symmetric(self.brightness) as f32;
        let noise = (rng.unit() * self.noise) as f32;
        for v in image {
            *v = ((*v - 0.5) * contrast + 0.5 + brightness + noise * rng.fast_normal())
                .clamp(0.0, 1.0);
        }
    }
}

impl AugmentConfig {
    /// Draws the part of a window of `shape` voxels that was scanned; `None` if it is all of it.
    pub(crate) fn draw_ends(
        &self,
        rng: &mut Random,
        shape: [usize; 3],
    ) -> Option<[Range<usize>; 3]> {
        let (cut, narrow) = (rng.unit() < self.cut, rng.unit() < self.narrow);
        let mut kept = shape.map(|n| 0..n);
        if cut {
            let most = if rng.unit() < 0.5 {
                shape[0].div_ceil(4)
            } else {
                shape[0]
            };
            let height = 1 + rng.below(most);
            let start = rng.below(shape[0] - height + 1);
            kept[0] = start..start + height;
        }
        if narrow {
            for (side, n) in kept[1..].iter_mut().zip(&shape[1..]) {
                // At least half of the width stays.
                *side = rng.below(n / 4 + 1)..n - rng.below(n / 4 + 1);
            }
        }
        (cut || narrow).then_some(kept)
    }
}

/// A linear map of offsets from a window's centre, in voxels `(z, y, x)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Affine {
    pub matrix: [[f64; 3]; 3],
}

impl Affine {
    /// The identity, or the mirror image in x.
    pub fn mirror(flip: bool) -> Self {
        let x = if flip { -1.0 } else { 1.0 };
        Self {
            matrix: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, x]],
        }
    }

    /// Whether x is mirrored, if the map needs no interpolation; else `None`.
    pub fn as_mirror(&self) -> Option<bool> {
        [false, true]
            .into_iter()
            .find(|&flip| *self == Self::mirror(flip))
    }
}

/// Rotation about z, then y, then x (axes ordered z, y, x), angles in radians.
fn rotation(angles: [f64; 3]) -> [[f64; 3]; 3] {
    let about = |axis: usize, angle: f64| {
        let (a, b) = ((axis + 1) % 3, (axis + 2) % 3);
        let mut m = [[0.0; 3]; 3];
        m[axis][axis] = 1.0;
        m[a][a] = angle.cos();
        m[b][b] = angle.cos();
        m[a][b] = -angle.sin();
        m[b][a] = angle.sin();
        m
    };
    let times = |p: [[f64; 3]; 3], q: [[f64; 3]; 3]| -> [[f64; 3]; 3] {
        std::array::from_fn(|r| std::array::from_fn(|c| (0..3).map(|k| p[r][k] * q[k][c]).sum()))
    };
    times(
        about(2, angles[2]),
        times(about(1, angles[1]), about(0, angles[0])),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use multirnet_base::random::Random;

    #[test]
    fn rotations_keep_lengths_in_millimetres() {
        let config = AugmentConfig {
            flip: 1.0,
            affine: 1.0,
            scale: 0.0,
            ..AugmentConfig::default()
        };
        let spacing = [2.5, 1.5, 1.0];
        let m = config.draw_affine(&mut Random::keyed(&[1]), spacing).matrix;
        // Columns in millimetres are orthonormal.
        let mm = |r: usize, c: usize| m[r][c] * spacing[r] / spacing[c];
        for a in 0..3 {
            for b in 0..3 {
                let dot: f64 = (0..3).map(|r| mm(r, a) * mm(r, b)).sum();
                assert!((dot - f64::from(u8::from(a == b))).abs() < 1e-12);
            }
        }
        assert!(m[2][2] < 0.0 && m[1][1] > 0.0, "x is mirrored: {m:?}");
    }

    #[test]
    fn switched_off_means_identity() {
        let config = AugmentConfig::none();
        for seed in 0..50 {
            let mut rng = Random::keyed(&[seed]);
            assert_eq!(
                config.draw_affine(&mut rng, [1.0; 3]).as_mirror(),
                Some(false)
            );
            let mut image = [0.25, 0.5];
            config.vary_intensity(&mut rng, &mut image);
            assert_eq!(image, [0.25, 0.5]);
        }
    }

    #[test]
    fn intensity_stays_in_range_and_changes() {
        let config = AugmentConfig {
            intensity: 1.0,
            noise: 0.2,
            ..AugmentConfig::default()
        };
        let mut image = vec![0.0f32, 0.5, 1.0];
        config.vary_intensity(&mut Random::keyed(&[5]), &mut image);
        assert!(image.iter().all(|v| (0.0..=1.0).contains(v)));
        assert_ne!(image, [0.0, 0.5, 1.0]);
    }

    #[test]
    fn bad_values_are_named() {
        let config = AugmentConfig {
            scale: 2.0,
            ..AugmentConfig::default()
        };
        let e = config.validate().unwrap_err();
        assert!(e.to_string().contains("augment.scale"), "{e}");
    }

    #[test]
    fn scans_end_where_they_are_drawn_to_end() {
        let shape = [32, 48, 48];
        let config = AugmentConfig {
            cut: 0.5,
            narrow: 0.2,
            ..AugmentConfig::none()
        };
        let drawn: Vec<_> = (0..400)
            .map(|seed| config.draw_ends(&mut Random::keyed(&[seed]), shape))
            .collect();
        let some: Vec<_> = drawn.iter().flatten().collect();
        for kept in &some {
            for (range, n) in kept.iter().zip(shape) {
                assert!(range.start < range.end && range.end <= n);
            }
            assert!(kept[1].len() >= 24 && kept[2].len() >= 24);
        }
        // 1 − 0.5 · 0.8 of the windows.
        assert!((200..280).contains(&some.len()), "{}", some.len());
        assert!(some.iter().any(|k| k[0].len() == 1));
        assert!(some.iter().any(|k| k[0].len() > 24 && k[0].len() < 32));
        let whole = AugmentConfig::none().draw_ends(&mut Random::keyed(&[1]), shape);
        assert_eq!(whole, None);
    }
}
