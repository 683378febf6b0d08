//! 3D convolution and normalisation kernels for the CPU.
//!
//! [`Conv`] describes one convolution and computes it forward and backward on dense
//! `[batch, channel, depth, height, width]` arrays of `f32`. The instruction set is chosen at
//! run time ([`isa`]); threads are rayon's. Results depend neither on the number of threads nor
//! on their timing: every sum has a fixed order.
//!
//! This is the workspace's only crate with `unsafe` code. Its public interface is safe.
//!
//! ```
//! use multirnet_kernels::{Algorithm, Conv, reference};
//!
//! // One image, 2 channels in, 3 out, a 3³ kernel with stride 1 and padding 1.
//! let conv = Conv::new(1, [2, 3], [4, 8, 8], 3, 1, 1)?;
//! let x: Vec<f32> = (0..conv.input_len()).map(|i| (i % 7) as f32 - 3.0).collect();
//! let w: Vec<f32> = (0..conv.weight_len()).map(|i| (i % 5) as f32 - 2.0).collect();
//! let naive = reference::forward(&conv, &x, &w);
//! // Every algorithm gives the sums of the definition, up to rounding.
//! for algorithm in [Algorithm::Direct, Algorithm::Winograd2, Algorithm::Winograd4] {
//!     let y = conv.with_algorithm(algorithm).forward(&x, &w, None)?;
//!     assert!(y.iter().zip(&naive).all(|(a, b)| (a - b).abs() < 1e-3));
//! }
//! # Ok::<(), multirnet_kernels::Error>(())
//! ```

// The kernels work on raw pointers and processor intrinsics. Every block explains why it is sound.
#![allow(unsafe_code)]
#![deny(unsafe_op_in_unsafe_fn)]
#![deny(clippy::undocumented_unsafe_blocks, clippy::missing_safety_doc)]
// Transforms index several small arrays at once. Iterators are not an option there: the compiler
// would compile their closures without the instruction set of the function around them.
#![allow(clippy::needless_range_loop)]

#[cfg(feature = "mimalloc")]
pub mod allocator;
mod bf16;
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

pub use bf16::{
    Bf16Unit, Values, ValuesMut, available_bf16_units, bf16_available, bf16_unit, narrow,
    narrow_into, reads_bf16_maps, round, widen, widen_into,
};
pub use conv::{Algorithm, Conv};
pub use error::{Error, ErrorKind, Result};
pub use layer::{Layer, Maps, MapsMut, Precision};
pub use norm::{NormAct, NormGrads, Statistics, statistics};
pub use scratch::release_scratch;
pub use simd::{Isa, available, check_isa, isa};
pub use weight::bias_grad;
