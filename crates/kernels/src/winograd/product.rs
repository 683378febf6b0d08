//! The matrix products at each point: outputs are sums over input channels.

use crate::simd::{Simd, dispatch};

/// `OC` output channels of `NV` vectors of tiles.
///
/// # Safety
/// `v` has `ci` rows of `NV` vectors, `u` `ci · OC` floats, `m` `OC` rows of `NV` vectors; rows
/// are `channel` floats apart.
#[inline(always)]
unsafe fn block<S: Simd, const OC: usize, const NV: usize>(
    v: *const f32,
    channel: usize,
    ci: usize,
    u: *const f32,
    m: *mut f32,
) {
    // SAFETY: the caller promises the instruction set and that all positions lie in their arrays.
    unsafe {
        let mut acc = [[S::zero(); NV]; OC];
        let (mut v, mut u) = (v, u);
        for _ in 0..ci {
            let mut x = [S::zero(); NV];
            for (j, x) in x.iter_mut().enumerate() {
                *x = S::load(v.add(j * S::LANES));
            }
            for (o, row) in acc.iter_mut().enumerate() {
                let weight = S::splat(*u.add(o));
                for (a, x) in row.iter_mut().zip(x) {
                    *a = S::fma(weight, x, *a);
                }
            }
            // After the last channel this points beyond the buffer, and `add` may not compute that.
            v = v.wrapping_add(channel);
            u = u.add(OC);
        }
        for (o, row) in acc.iter().enumerate() {
            for (j, a) in row.iter().enumerate() {
                S::store(m.add(o * channel + j * S::LANES), *a);
            }
        }
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn products_generic<S: Simd>(
    points: usize,
    v: *const f32,
    ci: usize,
    vectors: usize,
    u: *const f32,
    u_point: usize,
    blocks: usize,
    m: *mut f32,
    channel: usize,
) {
    let columns = vectors * S::LANES;
    for p in 0..points {
        for b in 0..blocks {
            // SAFETY: the caller's promise, for this point and block.
            unsafe {
                let v = v.add(p * columns);
                let u = u.add(p * u_point + b * ci * S::CHANNELS);
                let m = m.add(p * columns + b * S::CHANNELS * channel);
                macro_rules! run {
                    ($oc:literal) => {
                        match vectors {
                            3 => block::<S, $oc, 3>(v, channel, ci, u, m),
                            2 => block::<S, $oc, 2>(v, channel, ci, u, m),
                            _ => block::<S, $oc, 1>(v, channel, ci, u, m),
                        }
                    };
                }
                if S::CHANNELS == 8 { run!(8) } else { run!(4) }
            }
        }
    }
}

dispatch! {
    /// `m[p][o] = Σ_c u[p][o][c] · v[p][c]` over `vectors` vectors of tiles, for `blocks` blocks of
    /// output channels.
    ///
    /// # Safety
    /// The processor has `isa`; `v` holds `[ci][points][columns]` and `m`
    /// `[blocks · CHANNELS][points][columns]`, their channels `channel` floats apart; `u` for each
    /// point (`u_point` apart) `[blocks][ci][CHANNELS]`.
    pub(super) unsafe fn products = products_generic(
        points: usize,
        v: *const f32,
        ci: usize,
        vectors: usize,
        u: *const f32,
        u_point: usize,
        blocks: usize,
        m: *mut f32,
        channel: usize,
    )
}
