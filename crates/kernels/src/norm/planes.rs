//! The loops over a plane, or a piece of one, on each instruction set.

use crate::simd::{Simd, dispatch};

/// Number of values that are summed in `f32` before the sum is added to an `f64` total.
pub(super) const BLOCK: usize = 2048;
/// Number of partial sums that vector instructions compute at once.
const LANES: usize = 16;

/// # Safety
/// The function has no condition of its own; `dispatch!` needs an unsafe function.
#[inline(always)]
unsafe fn statistics_generic<S: Simd>(x: &[f32], pivot: f32, sums: &mut [f64; 2]) {
    for block in x.chunks(BLOCK) {
        let mut acc = [[0f32; LANES]; 2];
        let (whole, rest) = block.as_chunks::<LANES>();
        for v in whole {
            for i in 0..LANES {
                let d = v[i] - pivot;
                acc[0][i] += d;
                acc[1][i] += d * d;
            }
        }
        for (i, v) in rest.iter().enumerate() {
            let d = v - pivot;
            acc[0][i] += d;
            acc[1][i] += d * d;
        }
        for (sum, acc) in sums.iter_mut().zip(acc) {
            *sum += acc.iter().map(|&v| f64::from(v)).sum::<f64>();
        }
    }
}

dispatch! {
    /// Adds the sum and the sum of squares of `x - pivot` to `sums`.
    ///
    /// # Safety
    /// The processor has `isa`.
    pub(super) unsafe fn plane_statistics = statistics_generic(x: &[f32], pivot: f32, sums: &mut [f64; 2])
}

#[inline(always)]
fn act(z: f32, slope: f32) -> f32 {
    if z > 0.0 { z } else { slope * z }
}

/// # Safety
/// `y` is writable for as many floats as `x` has.
#[inline(always)]
unsafe fn forward_generic<S: Simd>(
    x: &[f32],
    residual: Option<&[f32]>,
    [scale, shift, slope]: [f32; 3],
    y: *mut f32,
) {
    match residual {
        Some(residual) => {
            for (i, (x, r)) in x.iter().zip(residual).enumerate() {
                // SAFETY: `i` is below the length of `x`.
                unsafe { *y.add(i) = act(x * scale + shift + r, slope) };
            }
        }
        None => {
            for (i, x) in x.iter().enumerate() {
                // SAFETY: `i` is below the length of `x`.
                unsafe { *y.add(i) = act(x * scale + shift, slope) };
            }
        }
    }
}

dispatch! {
    /// The output of one channel of one image.
    ///
    /// # Safety
    /// The processor has `isa`; `y` is writable for as many floats as `x` has.
    pub(super) unsafe fn plane_forward = forward_generic(
        x: &[f32],
        residual: Option<&[f32]>,
        parameters: [f32; 3],
        y: *mut f32,
    )
}

/// Writes the gradient before the activation to `dz`. Adds its sum, the sum of its products with
/// `x - mean`, and the slope's gradient to `sums`.
///
/// # Safety
/// `dz` is writable for as many floats as `x` has.
#[inline(always)]
unsafe fn backward_generic<S: Simd>(
    x: &[f32],
    g: &[f32],
    residual: Option<&[f32]>,
    [scale, shift, slope, mean]: [f32; 4],
    dz: *mut f32,
    sums: &mut [f64; 3],
) {
    let zeros = [0f32; BLOCK];
    for (b, (x, g)) in x.chunks(BLOCK).zip(g.chunks(BLOCK)).enumerate() {
        let start = b * BLOCK;
        let n = x.len().min(g.len());
        let r = residual.map_or(&zeros[..n], |r| &r[start..start + n]);
        let mut acc = [[0f32; LANES]; 3];
        let mut one = |i: usize, lane: usize, x: f32, g: f32, r: f32| {
            let z = x * scale + shift + r;
            let d = if z > 0.0 { g } else { slope * g };
            acc[0][lane] += d;
            acc[1][lane] += d * (x - mean);
            acc[2][lane] += if z > 0.0 { 0.0 } else { g * z };
            // SAFETY: `start + i` is below the length of `x`.
            unsafe { *dz.add(start + i) = d };
        };
        let whole = n / LANES * LANES;
        let (xs, gs, rs) = (
            x[..whole].as_chunks::<LANES>().0,
            g[..whole].as_chunks::<LANES>().0,
            r[..whole].as_chunks::<LANES>().0,
        );
        for (k, ((x, g), r)) in xs.iter().zip(gs).zip(rs).enumerate() {
            for i in 0..LANES {
                one(k * LANES + i, i, x[i], g[i], r[i]);
            }
        }
        for i in whole..n {
            one(i, i - whole, x[i], g[i], r[i]);
        }
        for (sum, acc) in sums.iter_mut().zip(acc) {
            *sum += acc.iter().map(|&v| f64::from(v)).sum::<f64>();
        }
    }
}

dispatch! {
    /// The gradient of one channel of one image, back through the activation.
    ///
    /// # Safety
    /// The processor has `isa`; `dz` is writable for as many floats as `x` has.
    pub(super) unsafe fn plane_backward = backward_generic(
        x: &[f32],
        g: &[f32],
        residual: Option<&[f32]>,
        parameters: [f32; 4],
        dz: *mut f32,
        sums: &mut [f64; 3],
    )
}

/// # Safety
/// `dz` is readable and `dx` writable for as many floats as `x` has; they may be the same.
#[inline(always)]
unsafe fn through_statistics_generic<S: Simd>(
    x: &[f32],
    [a, b, c]: [f32; 3],
    dz: *const f32,
    dx: *mut f32,
) {
    for (i, x) in x.iter().enumerate() {
        // SAFETY: `i` is below the length of `x`.
        unsafe { *dx.add(i) = a * *dz.add(i) + b * x + c };
    }
}

dispatch! {
    /// `dx = a·dz + b·x + c`.
    ///
    /// # Safety
    /// The processor has `isa`; `dz` is readable and `dx` writable for as many floats as `x` has.
    pub(super) unsafe fn plane_through_statistics = through_statistics_generic(
        x: &[f32],
        coefficients: [f32; 3],
        dz: *const f32,
        dx: *mut f32,
    )
}
