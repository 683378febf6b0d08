//! The vector operations on AArch64, where every processor has NEON.

use super::vector::Simd;
use std::arch::aarch64::*;

/// 128-bit vectors with fused multiply-add.
#[derive(Clone, Copy)]
pub(crate) struct Neon;

impl Simd for Neon {
    type V = float32x4_t;
    const LANES: usize = 4;
    const CHANNELS: usize = 8;
    #[inline(always)]
    unsafe fn zero() -> float32x4_t {
        // SAFETY: every AArch64 processor has NEON.
        unsafe { vdupq_n_f32(0.0) }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> float32x4_t {
        // SAFETY: every AArch64 processor has NEON.
        unsafe { vdupq_n_f32(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> float32x4_t {
        // SAFETY: the caller gives four valid floats.
        unsafe { vld1q_f32(p) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: float32x4_t) {
        // SAFETY: the caller gives four valid floats.
        unsafe { vst1q_f32(p, v) }
    }
    #[inline(always)]
    unsafe fn fma(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        // SAFETY: every AArch64 processor has NEON.
        unsafe { vfmaq_f32(c, a, b) }
    }
    #[inline(always)]
    unsafe fn sum(v: float32x4_t) -> f32 {
        // SAFETY: every AArch64 processor has NEON.
        unsafe { vaddvq_f32(v) }
    }
    #[inline(always)]
    unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: every AArch64 processor has NEON.
        unsafe { vaddq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: every AArch64 processor has NEON.
        unsafe { vsubq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: every AArch64 processor has NEON.
        unsafe { vmulq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn prelu(x: float32x4_t, slope: float32x4_t) -> float32x4_t {
        // SAFETY: every AArch64 processor has NEON.
        unsafe { vbslq_f32(vcgtzq_f32(x), x, vmulq_f32(x, slope)) }
    }
    #[inline(always)]
    unsafe fn shift(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: every AArch64 processor has NEON.
        unsafe { vextq_f32::<1>(a, b) }
    }
}
