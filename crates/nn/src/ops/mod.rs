//! Tensor operations that the layers are made of.

pub mod conv;
pub mod conv2d;
pub mod conv_norm_act;
mod flex;
pub mod gate;
#[cfg(feature = "wgpu")]
mod gpu;
pub mod join;
pub mod norm_act;
pub mod pool;
mod precision;
mod rounded;

pub use multirnet_kernels::Precision;
pub use precision::with_precision;
