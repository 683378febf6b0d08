//! Blocks: layers put together, one to a file.

mod axial_attention;
mod axial_block;
mod class_module;
mod double_conv;
mod fusion;
mod relu_unit;
mod residual;
mod reverse_attention;
mod unit;
mod up;

pub use axial_attention::{AxialAttention, AxialAttentionConfig, Axis, Positions};
pub use axial_block::{AxialBlock, AxialBlockConfig};
pub use class_module::{ClassModule, ClassModuleConfig};
pub use double_conv::{DoubleConv, DoubleConvConfig};
pub use fusion::{Fusion, FusionConfig};
pub use relu_unit::{ReluUnit, ReluUnitConfig};
pub use residual::{Residual, ResidualConfig};
pub use reverse_attention::{ReverseAttention, ReverseAttentionConfig};
pub use unit::{Unit, UnitConfig};
pub use up::{Up, UpConfig};
