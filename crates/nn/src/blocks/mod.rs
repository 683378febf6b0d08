//! Blocks: layers put together, one to a file.

mod class_module;
mod fusion;
mod residual;
mod reverse_attention;
mod unit;
mod up;

pub use class_module::{ClassModule, ClassModuleConfig};
pub use fusion::{Fusion, FusionConfig};
pub use residual::{Residual, ResidualConfig};
pub use reverse_attention::{ReverseAttention, ReverseAttentionConfig};
pub use unit::{Unit, UnitConfig};
pub use up::{Up, UpConfig};
