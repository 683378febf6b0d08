//! Layers: one operation with its parameters each, one to a file.

mod conv;
mod fusion_up;
mod nearest;
mod norm;
mod pool3d;
mod trilinear;
mod up_conv;

pub use conv::{Conv, ConvConfig};
pub use fusion_up::{FusionUp, FusionUpConfig};
pub use nearest::nearest_up2;
pub use norm::{NormConfig, NormLayer};
pub use pool3d::{avg_pool3d, global_avg_pool, max_pool3d};
pub use trilinear::trilinear_up2;
pub use up_conv::{UpConv, UpConvConfig};
