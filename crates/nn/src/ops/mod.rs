//! Tensor operations that the layers are made of.

pub mod conv;
mod flex;
pub mod norm_act;
