//! The one-dimensional transforms.
//!
//! At the points p of a tile and at ∞, `G` evaluates the three weights as a polynomial and `Bᵀ`
//! transforms the input. `Aᵀ` turns their products into outputs. All three are for
//! cross-correlation.

use crate::simd::Simd;

/// a and b of the points ±a and ±b of `m = 4`: 1/√2 and √2, whose product is 1.
const A: f32 = std::f32::consts::FRAC_1_SQRT_2;
const B: f32 = std::f32::consts::SQRT_2;
/// a², b² and their sum.
const A2: f32 = 0.5;
const B2: f32 = 2.0;
const SUM: f32 = 2.5;

/// `Bᵀ x` of `m + 2` inputs. The rest of the array is ignored.
///
/// # Safety
/// The processor has the instruction set of `S`.
#[inline(always)]
pub(super) unsafe fn bt<S: Simd, const M: usize>(x: [S::V; 6]) -> [S::V; 6] {
    // SAFETY: the caller promises the instruction set, and only registers are used.
    unsafe {
        let mut r = x;
        if M == 2 {
            r[0] = S::sub(x[0], x[2]);
            r[1] = S::add(x[1], x[2]);
            r[2] = S::sub(x[2], x[1]);
            r[3] = S::sub(x[1], x[3]);
        } else {
            r[0] = S::fma(S::splat(-SUM), x[2], S::add(x[0], x[4]));
            r[5] = S::fma(S::splat(-SUM), x[3], S::add(x[1], x[5]));
            let (e, o) = (
                S::fma(S::splat(-B2), x[2], x[4]),
                S::fma(S::splat(-B2), x[1], x[3]),
            );
            r[1] = S::fma(S::splat(A), o, e);
            r[2] = S::fma(S::splat(-A), o, e);
            let (e, o) = (
                S::fma(S::splat(-A2), x[2], x[4]),
                S::fma(S::splat(-A2), x[1], x[3]),
            );
            r[3] = S::fma(S::splat(B), o, e);
            r[4] = S::fma(S::splat(-B), o, e);
        }
        r
    }
}

/// `Aᵀ x` of `m + 2` products: the first `m` values of the result are the outputs.
///
/// # Safety
/// The processor has the instruction set of `S`.
#[inline(always)]
pub(super) unsafe fn at<S: Simd, const M: usize>(x: [S::V; 6]) -> [S::V; 6] {
    // SAFETY: the caller promises the instruction set, and only registers are used.
    unsafe {
        let mut r = x;
        if M == 2 {
            r[0] = S::add(S::add(x[0], x[1]), x[2]);
            r[1] = S::sub(S::sub(x[1], x[2]), x[3]);
        } else {
            let (s, d) = (S::add(x[1], x[2]), S::sub(x[1], x[2]));
            let (t, e) = (S::add(x[3], x[4]), S::sub(x[3], x[4]));
            r[0] = S::add(S::add(x[0], s), t);
            r[1] = S::fma(S::splat(A), d, S::mul(S::splat(B), e));
            r[2] = S::fma(S::splat(A2), s, S::mul(S::splat(B2), t));
            r[3] = S::fma(S::splat(A * A2), d, S::fma(S::splat(B * B2), e, x[5]));
        }
        r
    }
}

/// `A x` of `m` output gradients: `m + 2` values.
///
/// # Safety
/// The processor has the instruction set of `S`.
#[inline(always)]
pub(super) unsafe fn a<S: Simd, const M: usize>(x: [S::V; 6]) -> [S::V; 6] {
    // SAFETY: the caller promises the instruction set, and only registers are used.
    unsafe {
        let mut r = x;
        if M == 2 {
            r[1] = S::add(x[0], x[1]);
            r[2] = S::sub(x[0], x[1]);
            r[3] = S::sub(S::zero(), x[1]);
        } else {
            let even = S::fma(S::splat(A2), x[2], x[0]);
            let odd = S::fma(S::splat(A * A2), x[3], S::mul(S::splat(A), x[1]));
            r[1] = S::add(even, odd);
            r[2] = S::sub(even, odd);
            let even = S::fma(S::splat(B2), x[2], x[0]);
            let odd = S::fma(S::splat(B * B2), x[3], S::mul(S::splat(B), x[1]));
            r[3] = S::add(even, odd);
            r[4] = S::sub(even, odd);
            r[5] = x[3];
        }
        r
    }
}

/// `G w` of three weights: `m + 2` values.
///
/// # Safety
/// The processor has the instruction set of `S`.
#[inline(always)]
pub(super) unsafe fn g<S: Simd, const M: usize>(w: [S::V; 3]) -> [S::V; 6] {
    // SAFETY: the caller promises the instruction set, and only registers are used.
    unsafe {
        let mut r = [w[0]; 6];
        if M == 2 {
            let half = S::splat(0.5);
            let (even, odd) = (S::mul(half, S::add(w[0], w[2])), S::mul(half, w[1]));
            r[1] = S::add(even, odd);
            r[2] = S::sub(even, odd);
            r[3] = w[2];
        } else {
            // 1 / (2a²(a² − b²)) and 1 / (2b²(b² − a²)); 1 / (a²b²) is 1.
            let (na, nb) = (1.0 / (2.0 * A2 * (A2 - B2)), 1.0 / (2.0 * B2 * (B2 - A2)));
            let even = S::fma(S::splat(A2 * na), w[2], S::mul(S::splat(na), w[0]));
            let odd = S::mul(S::splat(A * na), w[1]);
            r[1] = S::add(even, odd);
            r[2] = S::sub(even, odd);
            let even = S::fma(S::splat(B2 * nb), w[2], S::mul(S::splat(nb), w[0]));
            let odd = S::mul(S::splat(B * nb), w[1]);
            r[3] = S::add(even, odd);
            r[4] = S::sub(even, odd);
            r[5] = w[2];
        }
        r
    }
}

/// `Gᵀ x` of `m + 2` values: three gradients of weights.
///
/// # Safety
/// The processor has the instruction set of `S`.
#[inline(always)]
pub(super) unsafe fn gt<S: Simd, const M: usize>(x: [S::V; 6]) -> [S::V; 3] {
    // SAFETY: the caller promises the instruction set, and only registers are used.
    unsafe {
        if M == 2 {
            let half = S::splat(0.5);
            let (s, d) = (
                S::mul(half, S::add(x[1], x[2])),
                S::mul(half, S::sub(x[1], x[2])),
            );
            [S::add(x[0], s), d, S::add(s, x[3])]
        } else {
            let (na, nb) = (1.0 / (2.0 * A2 * (A2 - B2)), 1.0 / (2.0 * B2 * (B2 - A2)));
            let (s, d) = (S::add(x[1], x[2]), S::sub(x[1], x[2]));
            let (t, e) = (S::add(x[3], x[4]), S::sub(x[3], x[4]));
            [
                S::fma(S::splat(na), s, S::fma(S::splat(nb), t, x[0])),
                S::fma(S::splat(A * na), d, S::mul(S::splat(B * nb), e)),
                S::fma(S::splat(A2 * na), s, S::fma(S::splat(B2 * nb), t, x[5])),
            ]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Scalar;

    /// Checks the correlation of `m + 2` inputs with three weights, and the gradient of the
    /// weights.
    fn check<const M: usize>() {
        let x: [f32; 6] = [0.3, -1.2, 0.7, 2.1, -0.4, 0.9];
        let w: [f32; 3] = [0.5, -0.8, 1.1];
        // SAFETY: scalars need no instruction set.
        unsafe {
            let (u, v) = (g::<Scalar, M>(w), bt::<Scalar, M>(x));
            let y = at::<Scalar, M>(std::array::from_fn(|i| u[i] * v[i]));
            for o in 0..M {
                let want: f32 = (0..3).map(|t| w[t] * x[o + t]).sum();
                assert!((y[o] - want).abs() < 1e-5, "{M} {o}: {} {want}", y[o]);
            }
            let gy: [f32; 6] = [1.0, -0.5, 0.25, 2.0, 0.0, 0.0];
            let ag = a::<Scalar, M>(gy);
            let gw = gt::<Scalar, M>(std::array::from_fn(|i| ag[i] * v[i]));
            for t in 0..3 {
                let want: f32 = (0..M).map(|o| gy[o] * x[o + t]).sum();
                assert!((gw[t] - want).abs() < 1e-5, "{M} {t}: {} {want}", gw[t]);
            }
        }
    }

    #[test]
    fn transforms_make_a_correlation_and_its_gradient() {
        check::<2>();
        check::<4>();
    }
}
