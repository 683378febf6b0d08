//! The few vector operations that the kernels need, one implementation per instruction set.
//!
//! Kernels are written once over [`Simd`] and marked `#[inline(always)]`. A thin
//! `#[target_feature]` function per instruction set ([`dispatch!`]) instantiates them. Everything
//! inlines into that function and is compiled for its set, while the crate itself is built for the
//! baseline processor.

mod dispatch;
mod isa;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
mod vector;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use dispatch::dispatch;
pub(crate) use isa::widest_wanted;
pub use isa::{Isa, available, check_isa, isa};
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;
pub(crate) use portable::{Portable, Scalar};
pub(crate) use vector::{Simd, phases};
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512, transpose};

#[inline(always)]
unsafe fn transpose16_generic<S: Simd>(
    src: *const f32,
    src_row: usize,
    dst: *mut f32,
    dst_row: usize,
) {
    // SAFETY: the caller's promise.
    unsafe { S::transpose16(src, src_row, dst, dst_row) }
}

dispatch! {
    /// Transposes 16 rows of 16 floats.
    ///
    /// # Safety
    /// The processor has `isa`; `src` has 16 rows of 16 floats, `src_row` apart, and `dst` likewise.
    pub(crate) unsafe fn transpose16 = transpose16_generic(
        src: *const f32,
        src_row: usize,
        dst: *mut f32,
        dst_row: usize,
    )
}
