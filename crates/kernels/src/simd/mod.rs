//! The few vector operations that the kernels need, one implementation per instruction set.
//!
//! Kernels are written once over [`Simd`] and marked `#[inline(always)]`; a thin
//! `#[target_feature]` function per instruction set ([`dispatch!`]) instantiates them, so that
//! everything inlines into code compiled for that set while the crate itself is built for the
//! baseline processor.

use std::sync::OnceLock;

/// Vector operations on `LANES` floats.
///
/// # Safety
/// Every method may only be called when the processor has the instruction set of the
/// implementation; `load` and `store` need `LANES` valid floats at the pointer (no alignment).
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

    /// Lanes `from..to`; zeros elsewhere. Floats outside them are not read.
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

    /// The first `n` lanes; floats behind them are not written.
    #[inline(always)]
    unsafe fn store_part(p: *mut f32, v: Self::V, n: usize) {
        let mut buffer = [0f32; 16];
        // SAFETY: the buffer holds the widest vector, the caller gives `n` valid floats.
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
        // SAFETY: as in `deinterleave`.
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

    /// Transposes blocks of 16 by 16 floats, if the set does it in registers: row `i` of `src` is
    /// at `i · src_row`, row `j` of `dst` at `j · dst_row`.
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

/// One float at a time: the tails.
#[derive(Clone, Copy)]
pub(crate) struct Scalar;

impl Simd for Scalar {
    type V = f32;
    const LANES: usize = 1;
    const CHANNELS: usize = 4;
    #[inline(always)]
    unsafe fn zero() -> f32 {
        0.0
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> f32 {
        x
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> f32 {
        // SAFETY: the caller gives one valid float.
        unsafe { *p }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: f32) {
        // SAFETY: the caller gives one valid float.
        unsafe { *p = v }
    }
    #[inline(always)]
    unsafe fn fma(a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }
    #[inline(always)]
    unsafe fn sum(v: f32) -> f32 {
        v
    }
    #[inline(always)]
    unsafe fn add(a: f32, b: f32) -> f32 {
        a + b
    }
    #[inline(always)]
    unsafe fn sub(a: f32, b: f32) -> f32 {
        a - b
    }
    #[inline(always)]
    unsafe fn mul(a: f32, b: f32) -> f32 {
        a * b
    }
    #[inline(always)]
    unsafe fn prelu(x: f32, slope: f32) -> f32 {
        if x > 0.0 { x } else { slope * x }
    }
}

/// Arrays of four floats, which compilers turn into SSE2 or NEON.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

impl Simd for Portable {
    type V = [f32; 4];
    const LANES: usize = 4;
    const CHANNELS: usize = 4;
    #[inline(always)]
    unsafe fn zero() -> [f32; 4] {
        [0.0; 4]
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> [f32; 4] {
        [x; 4]
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> [f32; 4] {
        // SAFETY: the caller gives four valid floats; the read asks for no alignment.
        unsafe { p.cast::<[f32; 4]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: [f32; 4]) {
        // SAFETY: the caller gives four valid floats; the write asks for no alignment.
        unsafe { p.cast::<[f32; 4]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn fma(a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        // Not `mul_add`: without the instruction it is a call per float.
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    unsafe fn sum(v: [f32; 4]) -> f32 {
        (v[0] + v[2]) + (v[1] + v[3])
    }
    #[inline(always)]
    unsafe fn add(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] + b[i])
    }
    #[inline(always)]
    unsafe fn sub(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] - b[i])
    }
    #[inline(always)]
    unsafe fn mul(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] * b[i])
    }
    #[inline(always)]
    unsafe fn prelu(x: [f32; 4], slope: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| if x[i] > 0.0 { x[i] } else { slope[i] * x[i] })
    }
}

#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

/// `M · LANES` floats from position `start` of a row of `w` floats on, as `M` (2 or 4) phases: lane `i` of phase
/// `k` is position `start + i·M + k`, zeros beyond the row's ends.
///
/// Not a closure of its caller: those are compiled without the caller's instruction set.
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

/// The instruction set that the kernels use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// AVX-512F: 16 floats.
    Avx512,
    /// AVX2 with FMA: 8 floats.
    Avx2,
    /// NEON with fused multiply-add: 4 floats.
    Neon,
    /// What the compiler makes of arrays of four floats.
    Portable,
}

impl Isa {
    /// Floats of a vector.
    pub(crate) fn lanes(self) -> usize {
        match self {
            Self::Avx512 => 16,
            Self::Avx2 => 8,
            Self::Neon | Self::Portable => 4,
        }
    }

    /// Output channels of a register tile.
    pub(crate) fn channels(self) -> usize {
        match self {
            Self::Avx512 | Self::Neon => 8,
            Self::Avx2 | Self::Portable => 4,
        }
    }
}

/// The instruction set in use: the widest one that the processor has.
///
/// The environment variable `MULTIRNET_ISA` (`avx512`, `avx2`, `neon`, `portable`) narrows it, for
/// tests and comparisons; it never selects one that the processor lacks.
pub fn isa() -> Isa {
    static ISA: OnceLock<Isa> = OnceLock::new();
    *ISA.get_or_init(|| {
        let wish = std::env::var("MULTIRNET_ISA").unwrap_or_default();
        available()
            .into_iter()
            .find(|isa| match wish.as_str() {
                "avx2" => *isa != Isa::Avx512,
                "portable" => *isa == Isa::Portable,
                _ => true,
            })
            .unwrap_or(Isa::Portable)
    })
}

/// Every instruction set that this processor can run, widest first.
pub fn available() -> Vec<Isa> {
    let mut found = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            found.push(Isa::Avx512);
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
        {
            found.push(Isa::Avx2);
        }
    }
    #[cfg(target_arch = "aarch64")]
    found.push(Isa::Neon);
    found.push(Isa::Portable);
    found
}

/// Makes `fn $name(isa, args)` that runs the generic `$kernel::<S>` compiled for `isa`.
macro_rules! dispatch {
    ($(#[$doc:meta])* $vis:vis unsafe fn $name:ident = $kernel:ident($($arg:ident: $type:ty),* $(,)?)) => {
        $(#[$doc])*
        #[allow(clippy::too_many_arguments)]
        $vis unsafe fn $name(isa: $crate::simd::Isa, $($arg: $type),*) {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f")]
                #[allow(clippy::too_many_arguments)]
                unsafe fn avx512($($arg: $type),*) {
                    // SAFETY: passed on to the caller; the features are enabled here.
                    unsafe { $kernel::<$crate::simd::Avx512>($($arg),*) }
                }
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                unsafe fn avx2($($arg: $type),*) {
                    // SAFETY: passed on to the caller; the features are enabled here.
                    unsafe { $kernel::<$crate::simd::Avx2>($($arg),*) }
                }
                // SAFETY: `isa` comes from `available`, so the processor has the features; the
                // rest is the caller's promise.
                unsafe {
                    match isa {
                        $crate::simd::Isa::Avx512 => return avx512($($arg),*),
                        $crate::simd::Isa::Avx2 => return avx2($($arg),*),
                        $crate::simd::Isa::Neon | $crate::simd::Isa::Portable => {}
                    }
                }
            }
            #[cfg(target_arch = "aarch64")]
            if isa == $crate::simd::Isa::Neon {
                // SAFETY: NEON is always there; the rest is the caller's promise.
                return unsafe { $kernel::<$crate::simd::Neon>($($arg),*) };
            }
            let _ = isa;
            // SAFETY: the portable code needs no feature; the rest is the caller's promise.
            unsafe { $kernel::<$crate::simd::Portable>($($arg),*) }
        }
    };
}
pub(crate) use dispatch;
