//! Blocks: layers put together, one to a file.

mod axial_attention;
mod axial_block;
mod class_module;
mod double_conv;
mod fusion;
mod relu_unit;
mod residual;
mod reverse_attention;
mod standard_bottleneck;
mod unit;
mod up;
mod vit_layer;

pub use axial_attention::{AxialAttention, AxialAttentionConfig, Axis, Positions};
pub use axial_block::{AxialBlock, AxialBlockConfig};
pub use class_module::{ClassModule, ClassModuleConfig};
pub use double_conv::{DoubleConv, DoubleConvConfig};
pub use fusion::{Fusion, FusionConfig};
pub use relu_unit::{ReluUnit, ReluUnitConfig};
pub use residual::{Residual, ResidualConfig};
pub use reverse_attention::{ReverseAttention, ReverseAttentionConfig};
pub use standard_bottleneck::{StandardBottleneck, StandardBottleneckConfig};
pub use unit::{Unit, UnitConfig};
pub use up::{Up, UpConfig};
pub use vit_layer::{VitLayer, VitLayerConfig};
