//! Tensor operations that the layers are made of.

pub mod conv;
mod flex;
#[cfg(feature = "wgpu")]
mod gpu;
pub mod norm_act;
pub mod pool;
