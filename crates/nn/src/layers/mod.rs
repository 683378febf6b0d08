//! Layers: one operation with its parameters each, one to a file.

mod conv;
mod fusion_up;
mod nearest;
mod norm;
mod up_conv;

pub use conv::{Conv, ConvConfig};
pub use fusion_up::{FusionUp, FusionUpConfig};
pub use nearest::nearest_up2;
pub use norm::{NormConfig, NormLayer};
pub use up_conv::{UpConv, UpConvConfig};
