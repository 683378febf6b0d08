//! Convolution, norm, ReLU.

use crate::compute::{Activation, Compute};
use crate::config::Norm;
use crate::layers::{Conv, ConvConfig, NormConfig, NormLayer};
use burn::module::Module;
use burn::tensor::Device;

/// Configuration of [`ReluUnit`].
#[derive(Debug, Clone)]
pub struct ReluUnitConfig {
    /// The convolution.
    pub conv: ConvConfig,
    /// Kind of normalisation.
    pub norm: Norm,
}

impl ReluUnitConfig {
    /// A unit whose convolution has stride 1 and does not have a bias.
    pub fn new(channels: [usize; 2], kernel_size: usize, norm: Norm) -> Self {
        Self {
            conv: ConvConfig::new(channels, kernel_size),
            norm,
        }
    }

    /// Makes the block.
    pub fn init(&self, device: &Device) -> ReluUnit {
        ReluUnit {
            conv: self.conv.init(device),
            norm: NormConfig::new(self.norm, self.conv.channels[1]).init(device),
        }
    }
}

/// Convolution → norm → ReLU.
#[derive(Module, Debug)]
pub struct ReluUnit {
    /// The convolution.
    pub conv: Conv,
    /// The norm.
    pub norm: NormLayer,
}

impl ReluUnit {
    /// Applies the block.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, channels_in, d, h, w]`
    /// - output: `[batch, channels_out, d', h', w']`, sides divided by the stride
    pub fn forward<C: Compute>(&self, on: &C, x: C::Map) -> C::Map {
        on.conv_norm_act(x, &self.conv, &self.norm, Activation::Relu, None)
    }
}
