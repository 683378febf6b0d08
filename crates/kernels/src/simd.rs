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
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Simd;
    use std::arch::x86_64::*;

    /// 512-bit vectors.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx512;

    impl Simd for Avx512 {
        type V = __m512;
        const LANES: usize = 16;
        const CHANNELS: usize = 8;
        #[inline(always)]
        unsafe fn zero() -> __m512 {
            // SAFETY: the caller has checked for AVX-512F.
            unsafe { _mm512_setzero_ps() }
        }
        #[inline(always)]
        unsafe fn splat(x: f32) -> __m512 {
            // SAFETY: the caller has checked for AVX-512F.
            unsafe { _mm512_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> __m512 {
            // SAFETY: the caller has checked for AVX-512F and gives 16 valid floats.
            unsafe { _mm512_loadu_ps(p) }
        }
        #[inline(always)]
        unsafe fn store(p: *mut f32, v: __m512) {
            // SAFETY: the caller has checked for AVX-512F and gives 16 valid floats.
            unsafe { _mm512_storeu_ps(p, v) }
        }
        #[inline(always)]
        unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
            // SAFETY: the caller has checked for AVX-512F.
            unsafe { _mm512_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn sum(v: __m512) -> f32 {
            // SAFETY: the caller has checked for AVX-512F.
            unsafe { _mm512_reduce_add_ps(v) }
        }
    }

    /// 256-bit vectors with fused multiply-add.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx2;

    impl Simd for Avx2 {
        type V = __m256;
        const LANES: usize = 8;
        const CHANNELS: usize = 4;
        #[inline(always)]
        unsafe fn zero() -> __m256 {
            // SAFETY: the caller has checked for AVX2.
            unsafe { _mm256_setzero_ps() }
        }
        #[inline(always)]
        unsafe fn splat(x: f32) -> __m256 {
            // SAFETY: the caller has checked for AVX2.
            unsafe { _mm256_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> __m256 {
            // SAFETY: the caller has checked for AVX2 and gives 8 valid floats.
            unsafe { _mm256_loadu_ps(p) }
        }
        #[inline(always)]
        unsafe fn store(p: *mut f32, v: __m256) {
            // SAFETY: the caller has checked for AVX2 and gives 8 valid floats.
            unsafe { _mm256_storeu_ps(p, v) }
        }
        #[inline(always)]
        unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
            // SAFETY: the caller has checked for FMA.
            unsafe { _mm256_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn sum(v: __m256) -> f32 {
            // SAFETY: the caller has checked for AVX2.
            unsafe {
                let lo = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
                let lo = _mm_add_ps(lo, _mm_movehl_ps(lo, lo));
                _mm_cvtss_f32(_mm_add_ss(lo, _mm_shuffle_ps::<1>(lo, lo)))
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

/// The instruction set that the kernels use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// AVX-512F: 16 floats.
    Avx512,
    /// AVX2 with FMA: 8 floats.
    Avx2,
    /// What the compiler makes of arrays of four floats.
    Portable,
}

/// The instruction set in use: the widest one that the processor has.
///
/// The environment variable `MULTIRNET_ISA` (`avx512`, `avx2`, `portable`) narrows it, for
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
                        $crate::simd::Isa::Portable => {}
                    }
                }
            }
            let _ = isa;
            // SAFETY: the portable code needs no feature; the rest is the caller's promise.
            unsafe { $kernel::<$crate::simd::Portable>($($arg),*) }
        }
    };
}
pub(crate) use dispatch;
