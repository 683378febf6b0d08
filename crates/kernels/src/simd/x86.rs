//! The vector operations on x86-64.

use super::vector::Simd;
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
    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        // SAFETY: the caller has checked for the instruction set.
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: __m512, b: __m512) -> __m512 {
        // SAFETY: the caller has checked for the instruction set.
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: __m512, b: __m512) -> __m512 {
        // SAFETY: the caller has checked for the instruction set.
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn prelu(x: __m512, slope: __m512) -> __m512 {
        // SAFETY: the caller has checked for AVX-512F.
        unsafe {
            let negative = _mm512_cmp_ps_mask::<_CMP_LE_OQ>(x, _mm512_setzero_ps());
            _mm512_mask_mul_ps(x, negative, x, slope)
        }
    }
    #[inline(always)]
    unsafe fn load_part(p: *const f32, from: usize, to: usize) -> __m512 {
        let mask = (((1u32 << to) - 1) & !((1u32 << from) - 1)) as __mmask16;
        // SAFETY: the caller has checked for AVX-512F; lanes outside the mask are not touched.
        unsafe { _mm512_maskz_loadu_ps(mask, p) }
    }
    #[inline(always)]
    unsafe fn store_part(p: *mut f32, v: __m512, n: usize) {
        // SAFETY: the caller has checked for AVX-512F; lanes outside the mask are not touched.
        unsafe { _mm512_mask_storeu_ps(p, ((1u32 << n) - 1) as __mmask16, v) }
    }
    #[inline(always)]
    unsafe fn shift(a: __m512, b: __m512) -> __m512 {
        // SAFETY: the caller has checked for AVX-512F.
        unsafe {
            let (a, b) = (_mm512_castps_si512(a), _mm512_castps_si512(b));
            _mm512_castsi512_ps(_mm512_alignr_epi32::<1>(b, a))
        }
    }
    #[inline(always)]
    unsafe fn permute(v: __m512, order: *const u32) -> __m512 {
        // SAFETY: the caller has checked for AVX-512F and gives 16 numbers.
        unsafe { _mm512_permutexvar_ps(_mm512_loadu_si512(order.cast()), v) }
    }
    #[inline(always)]
    unsafe fn deinterleave<const N: usize>(mut x: [__m512; N]) -> [__m512; N] {
        // SAFETY: the caller has checked for AVX-512F.
        unsafe {
            if N == 2 {
                let even =
                    _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
                let odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
                let (a, b) = (x[0], x[1]);
                x[0] = _mm512_permutex2var_ps(a, even, b);
                x[1] = _mm512_permutex2var_ps(a, odd, b);
            } else if N == 4 {
                // Gathers phases 0 and 1 (2 and 3) of two vectors, then joins the halves.
                let low =
                    _mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 1, 5, 9, 13, 17, 21, 25, 29);
                let high = _mm512_add_epi32(low, _mm512_set1_epi32(2));
                let t = [
                    _mm512_permutex2var_ps(x[0], low, x[1]),
                    _mm512_permutex2var_ps(x[2], low, x[3]),
                    _mm512_permutex2var_ps(x[0], high, x[1]),
                    _mm512_permutex2var_ps(x[2], high, x[3]),
                ];
                for k in 0..2 {
                    x[2 * k] = _mm512_shuffle_f32x4::<0b01_00_01_00>(t[2 * k], t[2 * k + 1]);
                    x[2 * k + 1] = _mm512_shuffle_f32x4::<0b11_10_11_10>(t[2 * k], t[2 * k + 1]);
                }
            }
        }
        x
    }
    #[inline(always)]
    unsafe fn interleave<const N: usize>(mut x: [__m512; N]) -> [__m512; N] {
        // SAFETY: the caller has checked for AVX-512F.
        unsafe {
            if N == 2 {
                let low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
                let high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
                let (a, b) = (x[0], x[1]);
                x[0] = _mm512_permutex2var_ps(a, low, b);
                x[1] = _mm512_permutex2var_ps(a, high, b);
            } else if N == 4 {
                let low =
                    _mm512_setr_epi32(0, 8, 16, 24, 1, 9, 17, 25, 2, 10, 18, 26, 3, 11, 19, 27);
                let high = _mm512_add_epi32(low, _mm512_set1_epi32(4));
                let t = [
                    _mm512_shuffle_f32x4::<0b01_00_01_00>(x[0], x[1]),
                    _mm512_shuffle_f32x4::<0b01_00_01_00>(x[2], x[3]),
                    _mm512_shuffle_f32x4::<0b11_10_11_10>(x[0], x[1]),
                    _mm512_shuffle_f32x4::<0b11_10_11_10>(x[2], x[3]),
                ];
                for k in 0..2 {
                    x[2 * k] = _mm512_permutex2var_ps(t[2 * k], low, t[2 * k + 1]);
                    x[2 * k + 1] = _mm512_permutex2var_ps(t[2 * k], high, t[2 * k + 1]);
                }
            }
        }
        x
    }
    #[inline(always)]
    unsafe fn transpose16(src: *const f32, src_row: usize, dst: *mut f32, dst_row: usize) {
        // SAFETY: the caller has checked for AVX-512F and gives 16 rows of 16 floats.
        unsafe {
            let mut rows = [_mm512_setzero_ps(); 16];
            for (i, row) in rows.iter_mut().enumerate() {
                *row = _mm512_loadu_ps(src.add(i * src_row));
            }
            for (i, column) in transpose(rows).into_iter().enumerate() {
                _mm512_storeu_ps(dst.add(i * dst_row), column);
            }
        }
    }
}

/// Transposes 16 rows of 16 floats.
///
/// # Safety
/// The processor has AVX-512F.
#[inline(always)]
pub(crate) unsafe fn transpose(mut a: [__m512; 16]) -> [__m512; 16] {
    // SAFETY: the caller has checked for AVX-512F.
    unsafe {
        // Transposes pairs of floats, then pairs of pairs, then 128-bit lanes in two steps.
        let mut b = a;
        for i in 0..8 {
            b[2 * i] = _mm512_unpacklo_ps(a[2 * i], a[2 * i + 1]);
            b[2 * i + 1] = _mm512_unpackhi_ps(a[2 * i], a[2 * i + 1]);
        }
        for i in 0..4 {
            for k in 0..2 {
                let x = _mm512_castps_pd(b[4 * i + k]);
                let y = _mm512_castps_pd(b[4 * i + 2 + k]);
                a[4 * i + 2 * k] = _mm512_castpd_ps(_mm512_unpacklo_pd(x, y));
                a[4 * i + 2 * k + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(x, y));
            }
        }
        // a[4i + c]: lane l holds column 4l + c of rows 4i..4i+4.
        for c in 0..4 {
            let low = [
                _mm512_shuffle_f32x4::<0b01_00_01_00>(a[c], a[4 + c]),
                _mm512_shuffle_f32x4::<0b01_00_01_00>(a[8 + c], a[12 + c]),
            ];
            let high = [
                _mm512_shuffle_f32x4::<0b11_10_11_10>(a[c], a[4 + c]),
                _mm512_shuffle_f32x4::<0b11_10_11_10>(a[8 + c], a[12 + c]),
            ];
            for (l, half) in [low, high].into_iter().enumerate() {
                b[8 * l + c] = _mm512_shuffle_f32x4::<0b10_00_10_00>(half[0], half[1]);
                b[8 * l + 4 + c] = _mm512_shuffle_f32x4::<0b11_01_11_01>(half[0], half[1]);
            }
        }
        b
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
    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        // SAFETY: the caller has checked for the instruction set.
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: __m256, b: __m256) -> __m256 {
        // SAFETY: the caller has checked for the instruction set.
        unsafe { _mm256_sub_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: __m256, b: __m256) -> __m256 {
        // SAFETY: the caller has checked for the instruction set.
        unsafe { _mm256_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn prelu(x: __m256, slope: __m256) -> __m256 {
        // SAFETY: the caller has checked for AVX2.
        unsafe {
            let positive = _mm256_cmp_ps::<_CMP_GT_OQ>(x, _mm256_setzero_ps());
            _mm256_blendv_ps(_mm256_mul_ps(x, slope), x, positive)
        }
    }
    #[inline(always)]
    unsafe fn shift(a: __m256, b: __m256) -> __m256 {
        // SAFETY: the caller has checked for AVX2.
        unsafe {
            let (a, b) = (_mm256_castps_si256(a), _mm256_castps_si256(b));
            let middle = _mm256_permute2x128_si256::<0x21>(a, b);
            _mm256_castsi256_ps(_mm256_alignr_epi8::<4>(middle, a))
        }
    }
    #[inline(always)]
    unsafe fn permute(v: __m256, order: *const u32) -> __m256 {
        // SAFETY: the caller has checked for AVX2 and gives 8 numbers.
        unsafe { _mm256_permutevar8x32_ps(v, _mm256_loadu_si256(order.cast())) }
    }
    #[inline(always)]
    unsafe fn load_part(p: *const f32, from: usize, to: usize) -> __m256 {
        // SAFETY: the caller has checked for AVX2; lanes outside the mask are not read.
        unsafe { _mm256_maskload_ps(p, lanes(from, to)) }
    }
    #[inline(always)]
    unsafe fn store_part(p: *mut f32, v: __m256, n: usize) {
        // SAFETY: the caller has checked for AVX2; lanes outside the mask are not written.
        unsafe { _mm256_maskstore_ps(p, lanes(0, n), v) }
    }
    #[inline(always)]
    unsafe fn deinterleave<const N: usize>(mut x: [__m256; N]) -> [__m256; N] {
        // SAFETY: the caller has checked for AVX2.
        unsafe {
            if N == 2 {
                let order = _mm256_setr_epi32(0, 1, 4, 5, 2, 3, 6, 7);
                let even = _mm256_shuffle_ps::<0b10_00_10_00>(x[0], x[1]);
                let odd = _mm256_shuffle_ps::<0b11_01_11_01>(x[0], x[1]);
                x[0] = _mm256_permutevar8x32_ps(even, order);
                x[1] = _mm256_permutevar8x32_ps(odd, order);
            } else if N == 4 {
                let y = transpose_lanes([
                    _mm256_permute2f128_ps::<0x20>(x[0], x[2]),
                    _mm256_permute2f128_ps::<0x31>(x[0], x[2]),
                    _mm256_permute2f128_ps::<0x20>(x[1], x[3]),
                    _mm256_permute2f128_ps::<0x31>(x[1], x[3]),
                ]);
                x.copy_from_slice(&y);
            }
        }
        x
    }
    #[inline(always)]
    unsafe fn interleave<const N: usize>(mut x: [__m256; N]) -> [__m256; N] {
        // SAFETY: the caller has checked for AVX2.
        unsafe {
            if N == 2 {
                let (low, high) = (
                    _mm256_unpacklo_ps(x[0], x[1]),
                    _mm256_unpackhi_ps(x[0], x[1]),
                );
                x[0] = _mm256_permute2f128_ps::<0x20>(low, high);
                x[1] = _mm256_permute2f128_ps::<0x31>(low, high);
            } else if N == 4 {
                let y = transpose_lanes([x[0], x[1], x[2], x[3]]);
                x[0] = _mm256_permute2f128_ps::<0x20>(y[0], y[1]);
                x[1] = _mm256_permute2f128_ps::<0x20>(y[2], y[3]);
                x[2] = _mm256_permute2f128_ps::<0x31>(y[0], y[1]);
                x[3] = _mm256_permute2f128_ps::<0x31>(y[2], y[3]);
            }
        }
        x
    }
}

/// A mask of the lanes `from..to`.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn lanes(from: usize, to: usize) -> __m256i {
    // SAFETY: the caller has checked for AVX2.
    unsafe {
        let lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        let after = _mm256_cmpgt_epi32(_mm256_set1_epi32(from as i32), lane);
        let before = _mm256_cmpgt_epi32(_mm256_set1_epi32(to as i32), lane);
        _mm256_andnot_si256(after, before)
    }
}

/// Transposes the 4 by 4 floats of each 128-bit lane.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn transpose_lanes(x: [__m256; 4]) -> [__m256; 4] {
    // SAFETY: the caller has checked for AVX2.
    unsafe {
        let (a, b) = (
            _mm256_unpacklo_ps(x[0], x[1]),
            _mm256_unpackhi_ps(x[0], x[1]),
        );
        let (c, d) = (
            _mm256_unpacklo_ps(x[2], x[3]),
            _mm256_unpackhi_ps(x[2], x[3]),
        );
        [
            _mm256_shuffle_ps::<0b01_00_01_00>(a, c),
            _mm256_shuffle_ps::<0b11_10_11_10>(a, c),
            _mm256_shuffle_ps::<0b01_00_01_00>(b, d),
            _mm256_shuffle_ps::<0b11_10_11_10>(b, d),
        ]
    }
}
