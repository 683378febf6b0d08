//! Random numbers that depend only on a seed and on keys. Threads, earlier draws and new versions of
//! libraries do not change them. The generator is PCG64-MCG, and this module defines every
//! distribution.

use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// A seeded stream of random numbers.
#[derive(Debug, Clone)]
pub struct Random(Pcg64Mcg);

impl Random {
    /// The stream `stream` of `seed`; different streams are independent.
    pub fn new(seed: u64, stream: u64) -> Self {
        Self(Pcg64Mcg::seed_from_u64(mix(
            seed ^ mix(stream.wrapping_add(0x5eed))
        )))
    }

    /// The stream that belongs to `keys`. Their order matters.
    pub fn keyed(keys: &[u64]) -> Self {
        let start = 0x9e37_79b9_7f4a_7c15u64;
        let state = keys.iter().fold(start, |state, &key| mix(state ^ key));
        Self(Pcg64Mcg::seed_from_u64(state))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in `[low, high)`.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Uniform in `[−limit, limit)`.
    pub fn symmetric(&mut self, limit: f64) -> f64 {
        (2.0 * self.unit() - 1.0) * limit
    }

    /// Normal with `mean` and standard deviation `sd`, clamped to 2.5 standard deviations.
    pub fn normal(&mut self, mean: f64, sd: f64) -> f64 {
        let (u, v) = (self.unit().max(1e-12), self.unit());
        let z = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
        mean + sd * z.clamp(-2.5, 2.5)
    }

    /// Approximately normal with mean 0 and variance 1. For speed it is the sum of four uniform
    /// numbers from one draw. Its tails end at ±3.5.
    pub fn fast_normal(&mut self) -> f32 {
        let bits = self.bits();
        let sum: u32 = (0..4).map(|k| (bits >> (16 * k) & 0xffff) as u32).sum();
        (sum as f32 - 131_070.0) * (1.732_050_8 / 65_536.0)
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// A uniform integer below `n`; 0 if `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.bits()) * n as u128) >> 64) as usize
    }

    /// A uniformly chosen element of `items`.
    ///
    /// # Panics
    /// If `items` is empty.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// Puts `list` in a random order (Fisher–Yates).
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for i in (1..list.len()).rev() {
            list.swap(i, self.below(i + 1));
        }
    }
}

/// A bijective mixing function of 64 bits: the finaliser of SplitMix64.
pub fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_alone_decide() {
        let draw = |keys: &[u64]| Random::keyed(keys).bits();
        assert_eq!(draw(&[1, 2, 3]), draw(&[1, 2, 3]));
        assert_ne!(draw(&[1, 2, 3]), draw(&[1, 3, 2]));
        assert_ne!(draw(&[0]), draw(&[0, 0]));
    }

    #[test]
    fn noise_has_unit_variance() {
        let mut random = Random::keyed(&[7]);
        let draws: Vec<f64> = (0..100_000)
            .map(|_| f64::from(random.fast_normal()))
            .collect();
        let mean = draws.iter().sum::<f64>() / 1e5;
        let var = draws.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 1e5;
        assert!(
            mean.abs() < 0.02 && (var - 1.0).abs() < 0.02,
            "{mean} {var}"
        );
    }

    #[test]
    fn below_reaches_every_number_and_none_else() {
        let mut random = Random::keyed(&[3]);
        let mut seen = [0; 5];
        (0..1000).for_each(|_| seen[random.below(5)] += 1);
        assert!(seen.iter().all(|&n| n > 120), "{seen:?}");
    }
}
