//! The vector operations that the kernels use.

/// Vector operations on `LANES` floats.
///
/// # Safety
/// Every method may only be called when the processor has the instruction set of the
/// implementation. `load` and `store` need `LANES` valid floats at the pointer, without alignment.
pub(crate) trait Simd: Copy {
    type V: Copy;
    const LANES: usize;
    /// Output channels that one register tile holds together with three vectors of positions.
    const CHANNELS: usize;
    unsafe fn zero() -> Self::V;
    unsafe fn splat(x: f32) -> Self::V;
    unsafe fn load(p: *const f32) -> Self::V;
    unsafe fn store(p: *mut f32, v: Self::V);
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    unsafe fn sum(v: Self::V) -> f32;
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// `x` where it is positive, else `slope · x`.
    unsafe fn prelu(x: Self::V, slope: Self::V) -> Self::V;

    /// Loads lanes `from..to`; the other lanes are zero. Floats outside the range are not read.
    #[inline(always)]
    unsafe fn load_part(p: *const f32, from: usize, to: usize) -> Self::V {
        let mut buffer = [0f32; 16];
        for (i, v) in buffer.iter_mut().enumerate().take(to).skip(from) {
            // SAFETY: the caller gives valid floats for these lanes.
            *v = unsafe { *p.wrapping_add(i) };
        }
        // SAFETY: the buffer holds the widest vector.
        unsafe { Self::load(buffer.as_ptr()) }
    }

    /// Stores the first `n` lanes. Floats behind them are not written.
    #[inline(always)]
    unsafe fn store_part(p: *mut f32, v: Self::V, n: usize) {
        let mut buffer = [0f32; 16];
        // SAFETY: the buffer holds the widest vector; the caller gives `n` valid floats.
        unsafe {
            Self::store(buffer.as_mut_ptr(), v);
            p.copy_from_nonoverlapping(buffer.as_ptr(), n);
        }
    }

    /// Lanes 1.. of `a` followed by lane 0 of `b`.
    #[inline(always)]
    unsafe fn shift(a: Self::V, b: Self::V) -> Self::V {
        let mut buffer = [0f32; 32];
        // SAFETY: the buffer holds two of the widest vectors.
        unsafe {
            Self::store(buffer.as_mut_ptr(), a);
            Self::store(buffer.as_mut_ptr().add(Self::LANES), b);
            Self::load(buffer.as_ptr().add(1))
        }
    }

    /// Lane `i` of the result is lane `order[i]` of `v`. `order` has `LANES` numbers below `LANES`.
    #[inline(always)]
    unsafe fn permute(v: Self::V, order: *const u32) -> Self::V {
        let mut from = [0f32; 16];
        let mut to = [0f32; 16];
        // SAFETY: the buffers hold the widest vector; the caller gives `LANES` numbers.
        unsafe {
            Self::store(from.as_mut_ptr(), v);
            for i in 0..Self::LANES {
                to[i] = from[*order.add(i) as usize & 15];
            }
            Self::load(to.as_ptr())
        }
    }

    /// `N` neighbouring vectors as `N` phases: lane `i` of result `k` is float `N·i + k`.
    #[inline(always)]
    unsafe fn deinterleave<const N: usize>(x: [Self::V; N]) -> [Self::V; N] {
        let mut from = [0f32; 64];
        let mut to = [0f32; 64];
        // SAFETY: the buffers hold four of the widest vectors, and N is at most 4.
        unsafe {
            for (i, v) in x.into_iter().enumerate() {
                Self::store(from.as_mut_ptr().add(i * Self::LANES), v);
            }
            for i in 0..Self::LANES {
                for k in 0..N {
                    to[k * Self::LANES + i] = from[i * N + k];
                }
            }
            std::array::from_fn(|k| Self::load(to.as_ptr().add(k * Self::LANES)))
        }
    }

    /// The inverse of [`deinterleave`](Self::deinterleave).
    #[inline(always)]
    unsafe fn interleave<const N: usize>(x: [Self::V; N]) -> [Self::V; N] {
        let mut from = [0f32; 64];
        let mut to = [0f32; 64];
        // SAFETY: the buffers hold four of the widest vectors, and N is at most 4.
        unsafe {
            for (i, v) in x.into_iter().enumerate() {
                Self::store(from.as_mut_ptr().add(i * Self::LANES), v);
            }
            for i in 0..Self::LANES {
                for k in 0..N {
                    to[i * N + k] = from[k * Self::LANES + i];
                }
            }
            std::array::from_fn(|k| Self::load(to.as_ptr().add(k * Self::LANES)))
        }
    }

    /// Transposes a block of 16 by 16 floats. Row `i` of `src` is at `i · src_row`, row `j` of
    /// `dst` at `j · dst_row`.
    #[inline(always)]
    unsafe fn transpose16(src: *const f32, src_row: usize, dst: *mut f32, dst_row: usize) {
        for i in 0..16 {
            for j in 0..16 {
                // SAFETY: the caller gives 16 rows of 16 floats each.
                unsafe { *dst.add(j * dst_row + i) = *src.add(i * src_row + j) };
            }
        }
    }
}

/// `M · LANES` floats of a row of `w` floats, from position `start` on, as `M` (2 or 4) phases.
/// Lane `i` of phase `k` is position `start + i·M + k`; lanes beyond the row's ends are zero.
///
/// This is not a closure of its caller, because the compiler would compile a closure without the
/// caller's instruction set.
///
/// # Safety
/// `row` has `w` readable floats.
#[inline(always)]
pub(crate) unsafe fn phases<S: Simd, const M: usize>(
    row: *const f32,
    w: usize,
    start: isize,
) -> [S::V; 4] {
    // SAFETY: only lanes whose positions lie in the row are read.
    unsafe {
        let mut x = [S::zero(); 4];
        for i in 0..M {
            let at = start + (i * S::LANES) as isize;
            let p = row.wrapping_offset(at);
            let from = (-at).clamp(0, S::LANES as isize) as usize;
            let end = (w as isize - at).clamp(0, S::LANES as isize) as usize;
            if from == 0 && end == S::LANES {
                x[i] = S::load(p);
            } else if from < end {
                x[i] = S::load_part(p, from, end);
            }
        }
        if M == 2 {
            let [a, b] = S::deinterleave([x[0], x[1]]);
            [a, b, x[2], x[3]]
        } else {
            S::deinterleave(x)
        }
    }
}
