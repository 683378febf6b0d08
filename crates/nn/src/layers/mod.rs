//! Layers: single operations with their parameters. Each file has one layer.

mod bilinear;
mod conv;
mod conv2d;
mod fusion_up;
mod group_norm2d;
mod nearest;
mod norm;
mod pool2d;
mod pool3d;
mod squeeze;
mod standard_conv2d;
mod trilinear;
mod up_conv;

pub use bilinear::bilinear;
pub use conv::{Conv, ConvConfig};
pub use conv2d::{Conv2d, Conv2dConfig, Conv2dUnit, Conv2dUnitConfig};
pub use fusion_up::{FusionUp, FusionUpConfig};
pub use group_norm2d::{GroupNorm2d, GroupNorm2dConfig};
pub use nearest::nearest_up2;
pub(crate) use norm::conv_norm_act;
pub use norm::{NormConfig, NormLayer};
pub use pool2d::{avg_pool2d, max_pool2d};
pub use pool3d::{avg_pool3d, global_avg_pool, max_pool3d};
pub use squeeze::{Squeeze2d, Squeeze2dConfig};
pub use standard_conv2d::{StandardConv2d, StandardConv2dConfig};
pub use trilinear::trilinear_up2;
pub use up_conv::{UpConv, UpConvConfig};
