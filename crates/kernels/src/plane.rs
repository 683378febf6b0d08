//! The convolution of one plane: outputs of a few channels at a line of positions.

use crate::simd::{Scalar, Simd, dispatch};

/// `NV` vectors of positions for `OC` output channels, all in registers.
///
/// # Safety
/// `x + (ci-1)·x_channel + max(taps)` must have `NV · LANES` readable floats, `w` `ci · taps · OC`,
/// and `y + o·y_channel` `NV · LANES` writable floats for every `o < OC`.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn tile<S: Simd, const OC: usize, const NV: usize>(
    x: *const f32,
    x_channel: usize,
    ci: usize,
    taps: &[usize],
    w: *const f32,
    y: *mut f32,
    y_channel: usize,
) {
    // SAFETY: all offsets stay within what the caller promises.
    unsafe {
        let mut acc = [[S::zero(); NV]; OC];
        let mut wp = w;
        for c in 0..ci {
            let xc = x.add(c * x_channel);
            for &tap in taps {
                let xt = xc.add(tap);
                let mut v = [S::zero(); NV];
                for (j, v) in v.iter_mut().enumerate() {
                    *v = S::load(xt.add(j * S::LANES));
                }
                for (o, row) in acc.iter_mut().enumerate() {
                    let weight = S::splat(*wp.add(o));
                    for (a, v) in row.iter_mut().zip(v) {
                        *a = S::fma(weight, v, *a);
                    }
                }
                wp = wp.add(OC);
            }
        }
        for (o, row) in acc.iter().enumerate() {
            for (j, a) in row.iter().enumerate() {
                S::store(y.add(o * y_channel + j * S::LANES), *a);
            }
        }
    }
}

/// A line of `len` positions for `OC` channels.
///
/// # Safety
/// The conditions of [`tile`] hold for `len` positions, rounded up to whole vectors unless `exact`.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn line<S: Simd, const OC: usize>(
    x: *const f32,
    x_channel: usize,
    ci: usize,
    taps: &[usize],
    w: *const f32,
    y: *mut f32,
    y_channel: usize,
    len: usize,
    exact: bool,
) {
    let mut p = 0;
    // SAFETY: whole tiles lie within `len` (rounded up unless `exact`).
    unsafe {
        macro_rules! step {
            ($simd:ty, $n:literal) => {{
                tile::<$simd, OC, $n>(x.add(p), x_channel, ci, taps, w, y.add(p), y_channel);
                p += $n * <$simd as Simd>::LANES;
            }};
        }
        while p < len {
            let left = len - p;
            if left >= 3 * S::LANES || (!exact && left > 2 * S::LANES) {
                step!(S, 3);
            } else if left >= 2 * S::LANES || (!exact && left > S::LANES) {
                step!(S, 2);
            } else if left >= S::LANES || !exact {
                step!(S, 1);
            } else {
                step!(Scalar, 1);
            }
        }
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn plane_generic<S: Simd>(
    x: *const f32,
    x_channel: usize,
    ci: usize,
    taps: &[usize],
    w: *const f32,
    oc: usize,
    y: *mut f32,
    y_channel: usize,
    len: usize,
    exact: bool,
) {
    // SAFETY: the caller's promise is the condition of `line`.
    unsafe {
        macro_rules! run {
            ($oc:literal) => {
                line::<S, $oc>(x, x_channel, ci, taps, w, y, y_channel, len, exact)
            };
        }
        match oc {
            8 => run!(8),
            4 => run!(4),
            2 => run!(2),
            _ => run!(1),
        }
    }
}

dispatch! {
    /// Computes a line of `len` positions of `oc` (8, 4, 2 or 1) output channels:
    /// `y[o][p] = Σ_c Σ_t w[c][t][o] · x[c][taps[t] + p]`.
    ///
    /// # Safety
    /// The processor has `isa`. `x + (ci-1)·x_channel + max(taps)` has `len` readable floats and
    /// `y + o·y_channel` as many writable ones. Unless `exact`, both numbers are rounded up to a
    /// multiple of 16. `w` has `ci · taps.len() · oc` floats.
    pub(crate) unsafe fn plane = plane_generic(
        x: *const f32,
        x_channel: usize,
        ci: usize,
        taps: &[usize],
        w: *const f32,
            oc: usize,
        y: *mut f32,
        y_channel: usize,
        len: usize,
        exact: bool,
    )
}
