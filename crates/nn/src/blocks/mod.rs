//! Blocks, which combine layers. Each file has one block.

mod attentive_fusion;
mod axial_attention;
mod axial_block;
mod class_module;
mod double_conv;
mod fusion;
mod grouped_atrous;
mod partial_decoder;
mod receptive_field;
mod relu_unit;
mod res2net;
mod residual;
mod reverse_attention;
mod reverse_branch;
mod standard_bottleneck;
mod unit;
mod up;
mod vit_layer;

pub use attentive_fusion::{AttentiveFusion, AttentiveFusionConfig};
pub use axial_attention::{AxialAttention, AxialAttentionConfig, Axis, Positions};
pub use axial_block::{AxialBlock, AxialBlockConfig};
pub use class_module::{ClassModule, ClassModuleConfig};
pub use double_conv::{DoubleConv, DoubleConvConfig};
pub use fusion::{Fusion, FusionConfig};
pub use grouped_atrous::{GroupedAtrous, GroupedAtrousConfig};
pub use partial_decoder::{PartialDecoder, PartialDecoderConfig};
pub use receptive_field::{ReceptiveField, ReceptiveFieldConfig};
pub use relu_unit::{ReluUnit, ReluUnitConfig};
pub use res2net::{Bottle2neck, Bottle2neckConfig};
pub use residual::{Residual, ResidualConfig};
pub use reverse_attention::{ReverseAttention, ReverseAttentionConfig};
pub use reverse_branch::{ReverseBranch, ReverseBranchConfig};
pub use standard_bottleneck::{StandardBottleneck, StandardBottleneckConfig};
pub use unit::{Unit, UnitConfig};
pub use up::{Up, UpConfig};
pub use vit_layer::{VitLayer, VitLayerConfig};
