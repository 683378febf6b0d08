//! 3D convolution and normalisation kernels for the CPU.
//!
//! [`Conv`] describes one convolution and computes it forward and backward on dense
//! `[batch, channel, depth, height, width]` arrays of `f32`. The instruction set is chosen at
//! run time ([`isa`]); threads are rayon's. Results depend neither on the number of threads nor
//! on their timing: every sum has a fixed order.
//!
//! This is the workspace's only crate with `unsafe` code; all that is public is safe.

// The kernels work on raw pointers and processor intrinsics; every block says why it is sound.
#![allow(unsafe_code)]
#![deny(unsafe_op_in_unsafe_fn)]
// Transforms index several small arrays at once, and closures of iterators would be compiled
// without the instruction set of the function around them.
#![allow(clippy::needless_range_loop)]

#[cfg(feature = "mimalloc")]
pub mod allocator;
mod conv;
mod direct;
mod epilogue;
mod error;
mod layer;
mod norm;
mod pack;
mod passes;
pub mod peak;
mod plane;
mod pointer;
pub mod reference;
mod scratch;
mod simd;
mod weight;
mod winograd;

pub use conv::{Algorithm, Conv};
pub use error::{Error, ErrorKind, Result};
pub use layer::{Layer, Maps, MapsMut, Precision};
pub use norm::{NormAct, NormGrads, Statistics, statistics};
pub use simd::{Isa, available, isa};
pub use weight::bias_grad;
pub use winograd::bf16_available;
