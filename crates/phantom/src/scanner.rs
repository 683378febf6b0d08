//! Effects of the scanner: blur, noise and streaks.

use multirnet_base::random::{Random, mix};

/// A symmetric filter applied along rows and columns.
pub(crate) struct Kernel {
    taps: Vec<f32>,
}

impl Kernel {
    /// A Gaussian of `sigma` pixels; `None` if it would do nothing.
    pub fn gaussian(sigma: f32) -> Option<Self> {
        if sigma < 0.22 {
            return None;
        }
        let reach = (2.7 * sigma).ceil() as usize;
        let mut taps: Vec<f32> = (0..=reach)
            .map(|k| (-0.5 * (k as f32 / sigma).powi(2)).exp())
            .collect();
        let sum = taps[0] + 2.0 * taps[1..].iter().sum::<f32>();
        taps.iter_mut().for_each(|t| *t /= sum);
        Some(Self { taps })
    }

    fn tap(&self, k: i64) -> f32 {
        self.taps
            .get(k.unsigned_abs() as usize)
            .copied()
            .unwrap_or(0.0)
    }

    /// Filters `plane` in place; edges repeat.
    pub fn apply(&self, plane: &mut [f32], width: usize, scratch: &mut Vec<f32>) {
        let reach = self.taps.len() - 1;
        let height = plane.len() / width;
        scratch.resize(width + 2 * reach, 0.0);
        for row in plane.chunks_exact_mut(width) {
            scratch[..reach].fill(row[0]);
            scratch[reach..reach + width].copy_from_slice(row);
            scratch[reach + width..].fill(row[width - 1]);
            for (i, out) in row.iter_mut().enumerate() {
                let mut sum = self.taps[0] * scratch[i + reach];
                for (k, t) in self.taps.iter().enumerate().skip(1) {
                    sum += t * (scratch[i + reach - k] + scratch[i + reach + k]);
                }
                *out = sum;
            }
        }
        scratch.clear();
        scratch.extend_from_slice(plane);
        for y in 0..height {
            let out = &mut plane[y * width..(y + 1) * width];
            let centre = &scratch[y * width..(y + 1) * width];
            for (o, c) in out.iter_mut().zip(centre) {
                *o = self.taps[0] * c;
            }
            for (k, t) in self.taps.iter().enumerate().skip(1) {
                let up = y.saturating_sub(k) * width;
                let down = (y + k).min(height - 1) * width;
                let (above, below) = (&scratch[up..up + width], &scratch[down..down + width]);
                for ((o, a), b) in out.iter_mut().zip(above).zip(below) {
                    *o += t * (a + b);
                }
            }
        }
    }
}

/// Noise with the band-limited texture of filtered back projection.
pub(crate) struct Grain {
    fine: Option<Kernel>,
    coarse: Option<Kernel>,
    gain: f32,
}

/// Share of the coarse band that reconstruction suppresses.
const SUPPRESSED: f32 = 0.75;

impl Grain {
    /// A texture whose finest structures measure `sigma` pixels.
    pub fn new(sigma: f32) -> Self {
        let (fine, coarse) = (Kernel::gaussian(sigma), Kernel::gaussian(2.0 * sigma));
        let tap = |kernel: &Option<Kernel>, k: i64| {
            kernel
                .as_ref()
                .map_or(f32::from(u8::from(k == 0)), |f| f.tap(k))
        };
        let share = if coarse.is_some() { SUPPRESSED } else { 0.0 };
        let reach = coarse.as_ref().map_or(0, |k| k.taps.len() as i64);
        let mut energy = 0.0;
        for y in -reach..=reach {
            for x in -reach..=reach {
                let v = tap(&fine, x) * tap(&fine, y) - share * tap(&coarse, x) * tap(&coarse, y);
                energy += v * v;
            }
        }
        Self {
            fine,
            coarse,
            gain: 1.0 / energy.sqrt().max(1e-6),
        }
    }

    /// Fills `plane` with noise of about unit variance.
    pub fn fill(
        &self,
        seed: u64,
        plane: &mut Vec<f32>,
        len: usize,
        width: usize,
        scratch: &mut [Vec<f32>; 2],
    ) {
        plane.clear();
        plane.extend((0..len as u64).map(|i| {
            let bits = mix(seed.wrapping_add(i));
            let sum =
                (bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48);
            // The sum of four uniforms is close enough to normal.
            (sum as f32 / 65536.0 - 2.0) * 1.732
        }));
        let [copy, work] = scratch;
        if let Some(coarse) = &self.coarse {
            copy.clear();
            copy.extend_from_slice(plane);
            coarse.apply(copy, width, work);
        }
        if let Some(fine) = &self.fine {
            fine.apply(plane, width, work);
        }
        if self.coarse.is_some() {
            for (p, c) in plane.iter_mut().zip(copy.iter()) {
                *p = self.gain * (*p - SUPPRESSED * c);
            }
        }
    }
}

/// Adds horizontal streaks of standard deviation about `sd` HU within the body.
pub(crate) fn streaks(plane: &mut [f32], width: usize, sd: f32, random: &mut Random) {
    const KEEP: f32 = 0.99;
    let drive = sd * (1.0 - KEEP * KEEP).sqrt();
    let mut state: Vec<f32> = Vec::new();
    for row in plane.chunks_exact_mut(width) {
        if state.is_empty() {
            state.push(0.0);
        }
        let mut value = sd * random.normal(0.0, 1.0) as f32 * 0.8 + 0.45 * state[0];
        state[0] = value;
        for (i, v) in row.iter_mut().enumerate() {
            if i % 4 == 0 {
                let push = (random.bits() >> 40) as f32 / (1u32 << 24) as f32 - 0.5;
                value = KEEP * value + 2.0 * 3.46 * drive * push;
            }
            if *v > -950.0 {
                *v += value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: usize = 96;

    fn moments(values: &[f32]) -> (f64, f64) {
        let n = values.len() as f64;
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
        let square = values.iter().map(|v| (f64::from(*v) - mean).powi(2));
        (mean, (square.sum::<f64>() / n).sqrt())
    }

    #[test]
    fn a_blur_keeps_what_is_even_and_spreads_a_point_by_its_sigma() {
        assert!(Kernel::gaussian(0.2).is_none());
        let mut work = Vec::new();
        for sigma in [0.6f32, 1.0, 2.5] {
            let blur = Kernel::gaussian(sigma).unwrap();
            let mut even = vec![-850.0f32; SIDE * SIDE];
            blur.apply(&mut even, SIDE, &mut work);
            assert!(even.iter().all(|v| (v + 850.0).abs() < 1e-2));

            let mut point = vec![0.0f32; SIDE * SIDE];
            let middle = SIDE / 2;
            point[middle * SIDE + middle] = 1000.0;
            blur.apply(&mut point, SIDE, &mut work);
            let (mut sum, mut spread) = (0.0, [0.0; 2]);
            for (i, v) in point.iter().enumerate() {
                sum += v;
                for (s, at) in spread.iter_mut().zip([i / SIDE, i % SIDE]) {
                    *s += v * (at as f32 - middle as f32).powi(2);
                }
            }
            assert!((sum - 1000.0).abs() < 0.1);
            for s in spread {
                // The kernel ends at 2.7 sigma, which takes some of its width.
                let found = (s / sum).sqrt();
                assert!(
                    (0.93 * sigma..1.02 * sigma).contains(&found),
                    "{found} for {sigma}"
                );
            }
        }
    }

    #[test]
    fn noise_has_unit_variance_whatever_its_grain() {
        let mut scratch = [Vec::new(), Vec::new()];
        let mut noise = |sigma: f32, seed: u64| {
            let mut plane = Vec::new();
            Grain::new(sigma).fill(seed, &mut plane, SIDE * SIDE, SIDE, &mut scratch);
            plane
        };
        for sigma in [0.1, 0.4, 0.8, 1.5] {
            let plane = noise(sigma, 7);
            let (mean, sd) = moments(&plane);
            assert!(
                mean.abs() < 0.05 && (0.9..1.1).contains(&sd),
                "{sigma}: {mean} and {sd}"
            );
            assert_eq!(plane, noise(sigma, 7));
            // Slices mix their seeds, and then share nothing.
            let other = noise(sigma, mix(8));
            let products: Vec<f32> = plane.iter().zip(&other).map(|(a, b)| a * b).collect();
            assert!(moments(&products).0.abs() < 0.08);
        }
    }

    #[test]
    fn streaks_run_along_rows_and_leave_air_alone() {
        let inside = |i: usize| i % SIDE >= 20;
        let before: Vec<f32> = (0..SIDE * SIDE)
            .map(|i| if inside(i) { 40.0 } else { -1000.0 })
            .collect();
        let mut after = before.clone();
        streaks(&mut after, SIDE, 10.0, &mut Random::new(2, 5));
        let (mut along, mut across) = (Vec::new(), Vec::new());
        for i in 0..before.len() - SIDE {
            if !inside(i) {
                assert_eq!(after[i], before[i]);
            } else if i % SIDE + 1 < SIDE {
                along.push(after[i + 1] - after[i]);
                across.push(after[i + SIDE] - after[i]);
            }
        }
        let (along, across) = (moments(&along).1, moments(&across).1);
        assert!(
            across > 5.0 && across > 4.0 * along,
            "{along} along, {across} across"
        );
    }
}
