//! Tensor operations that the layers are made of.

pub mod conv;
pub mod conv2d;
mod flex;
#[cfg(feature = "wgpu")]
mod gpu;
pub mod norm_act;
pub mod pool;
