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
pub use isa::{Isa, available, isa};
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;
pub(crate) use portable::{Portable, Scalar};
pub(crate) use vector::{Simd, phases};
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};
