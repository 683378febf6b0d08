//! Between `f32` and bf16.

use rayon::prelude::*;

use super::unit::{Bf16Unit, converting_unit};
use crate::simd::{Simd, dispatch, isa};

/// Numbers of a task.
const CHUNK: usize = 1 << 16;

/// Rounds to the nearest bf16; ties go to the even one. NaN stays NaN.
#[inline(always)]
pub fn round(v: f32) -> u16 {
    let bits = v.to_bits();
    if v.is_nan() {
        // The upper bits alone could be those of an infinity.
        return (bits >> 16) as u16 | 0x40;
    }
    ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

/// The number that a bf16 stands for.
#[inline(always)]
pub fn widen(v: u16) -> f32 {
    f32::from_bits(u32::from(v) << 16)
}

/// Rounds every value to bf16. Where the processor has an instruction for it, subnormal numbers become zero.
pub fn narrow(values: &[f32]) -> Vec<u16> {
    let mut to = vec![0; values.len()];
    to.par_chunks_mut(CHUNK)
        .zip(values.par_chunks(CHUNK))
        .for_each(|(to, from)| narrow_into(from, to));
    to
}

/// [`narrow`] into a slice of the same length, on this thread.
///
/// # Panics
/// If the slices have different lengths.
pub fn narrow_into(from: &[f32], to: &mut [u16]) {
    narrow_on(converting_unit(), from, to);
}

/// [`narrow_into`] with the instructions of `unit`.
pub(super) fn narrow_on(unit: Bf16Unit, from: &[f32], to: &mut [u16]) {
    assert_eq!(from.len(), to.len());
    match unit {
        // SAFETY: the processor has the unit.
        #[cfg(target_arch = "x86_64")]
        Bf16Unit::Amx | Bf16Unit::Avx512 => unsafe { narrow_avx512(from, to) },
        // SAFETY: the processor has this instruction set, and slices know their lengths.
        _ => unsafe { narrow_slice(isa(), from, to) },
    }
}

/// # Safety
/// The function has no condition of its own; `dispatch!` needs an unsafe function.
#[inline(always)]
unsafe fn narrow_slice_generic<S: Simd>(from: &[f32], to: &mut [u16]) {
    for (to, v) in to.iter_mut().zip(from) {
        *to = round(*v);
    }
}

dispatch! {
    /// Rounds as many values as both slices have.
    ///
    /// # Safety
    /// The processor has `isa`.
    unsafe fn narrow_slice = narrow_slice_generic(from: &[f32], to: &mut [u16])
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn narrow_avx512(from: &[f32], to: &mut [u16]) {
    use std::arch::x86_64::*;
    let n = from.len();
    let mut i = 0;
    while i < n {
        let mask = if n - i >= 16 {
            !0
        } else {
            (1u16 << (n - i)) - 1
        };
        // SAFETY: numbers outside the mask are neither read nor written; both types are 256 bits.
        unsafe {
            let v = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, from.as_ptr().add(i)));
            let v: __m256i = std::mem::transmute(v);
            _mm256_mask_storeu_epi16(to.as_mut_ptr().add(i).cast(), mask, v);
        }
        i += 16;
    }
}

/// The numbers that bf16 values stand for, as many as both slices have.
pub fn widen_into(from: &[u16], to: &mut [f32]) {
    // SAFETY: the processor has this instruction set, and slices know their lengths.
    unsafe { widen_slice(isa(), from, to) };
}

/// # Safety
/// The function has no condition of its own; `dispatch!` needs an unsafe function.
#[inline(always)]
unsafe fn widen_slice_generic<S: Simd>(from: &[u16], to: &mut [f32]) {
    for (to, v) in to.iter_mut().zip(from) {
        *to = widen(*v);
    }
}

dispatch! {
    /// Widens as many values as both slices have.
    ///
    /// # Safety
    /// The processor has `isa`.
    unsafe fn widen_slice = widen_slice_generic(from: &[u16], to: &mut [f32])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_to_the_nearest_and_ties_to_even() {
        for (v, wanted) in [
            (1.0f32, 0x3f80),
            (f32::from_bits(0x3f80_8000), 0x3f80),
            (f32::from_bits(0x3f81_8000), 0x3f82),
            (f32::from_bits(0x3f80_8001), 0x3f81),
            (-2.5, 0xc020),
            (0.0, 0),
            (f32::INFINITY, 0x7f80),
        ] {
            assert_eq!(round(v), wanted, "{v}");
            assert_eq!(narrow(&[v; 19]), [wanted; 19], "{v}");
        }
        assert!(widen(round(f32::from_bits(0x7f80_0001))).is_nan());
        assert_eq!(widen(0xc020), -2.5);
    }
}
