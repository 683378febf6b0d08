//! Random numbers that depend on their keys alone, never on threads or history.

use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// A generator for the item that `keys` name.
pub(crate) fn keyed(keys: &[u64]) -> Pcg64Mcg {
    // SplitMix64's finaliser over each key: nearby keys give unrelated states.
    let state = keys.iter().fold(0x9e37_79b9_7f4a_7c15u64, |state, &key| {
        let mut z = (state ^ key).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    });
    Pcg64Mcg::seed_from_u64(state)
}

/// Fisher–Yates shuffle keyed by `keys`.
pub(crate) fn shuffle<T>(list: &mut [T], keys: &[u64]) {
    let mut rng = keyed(keys);
    for i in (1..list.len()).rev() {
        list.swap(i, below(&mut rng, i + 1));
    }
}

/// A whole number below `n` (which is at least 1).
pub(crate) fn below(rng: &mut Pcg64Mcg, n: usize) -> usize {
    ((u128::from(rng.next_u64()) * n as u128) >> 64) as usize
}

/// Uniform in [0, 1).
pub(crate) fn unit(rng: &mut Pcg64Mcg) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// Uniform in [−limit, limit).
pub(crate) fn symmetric(rng: &mut Pcg64Mcg, limit: f64) -> f64 {
    (2.0 * unit(rng) - 1.0) * limit
}

/// Nearly Gaussian with mean 0 and variance 1: the sum of four uniform numbers from one draw, for
/// speed (its tails end at ±3.5).
pub(crate) fn normal(rng: &mut Pcg64Mcg) -> f32 {
    let bits = rng.next_u64();
    let sum: u32 = (0..4).map(|k| (bits >> (16 * k) & 0xffff) as u32).sum();
    (sum as f32 - 131_070.0) * (1.732_050_8 / 65_536.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_alone_decide() {
        let draw = |keys: &[u64]| keyed(keys).next_u64();
        assert_eq!(draw(&[1, 2, 3]), draw(&[1, 2, 3]));
        assert_ne!(draw(&[1, 2, 3]), draw(&[1, 3, 2]));
        assert_ne!(draw(&[0]), draw(&[0, 0]));
    }

    #[test]
    fn noise_has_unit_variance() {
        let mut rng = keyed(&[7]);
        let draws: Vec<f64> = (0..100_000).map(|_| f64::from(normal(&mut rng))).collect();
        let mean = draws.iter().sum::<f64>() / 1e5;
        let var = draws.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 1e5;
        assert!(
            mean.abs() < 0.02 && (var - 1.0).abs() < 0.02,
            "{mean} {var}"
        );
    }

    #[test]
    fn below_reaches_every_number_and_none_else() {
        let mut rng = keyed(&[3]);
        let mut seen = [0; 5];
        (0..1000).for_each(|_| seen[below(&mut rng, 5)] += 1);
        assert!(seen.iter().all(|&n| n > 120), "{seen:?}");
    }
}
