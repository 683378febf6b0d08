//! U-Net's pair of convolutions.

use super::relu_unit::{ReluUnit, ReluUnitConfig};
use crate::compute::Compute;
use crate::config::Norm;
use burn::module::Module;
use burn::tensor::Device;

/// Configuration of [`DoubleConv`].
#[derive(Debug, Clone)]
pub struct DoubleConvConfig {
    /// Channels in, between and out.
    pub channels: [usize; 3],
    /// Kind of normalisation.
    pub norm: Norm,
    /// Whether the convolutions have biases. A batch norm cancels them.
    pub bias: bool,
}

impl DoubleConvConfig {
    /// A pair without biases.
    pub fn new(channels: [usize; 3], norm: Norm) -> Self {
        Self {
            channels,
            norm,
            bias: false,
        }
    }

    /// Sets whether the convolutions have biases.
    #[must_use]
    pub fn with_bias(mut self, bias: bool) -> Self {
        self.bias = bias;
        self
    }

    /// Makes the block.
    pub fn init(&self, device: &Device) -> DoubleConv {
        let unit = |from, to| {
            let mut unit = ReluUnitConfig::new([from, to], 3, self.norm);
            unit.conv.bias = self.bias;
            unit.init(device)
        };
        let [from, between, to] = self.channels;
        DoubleConv {
            first: unit(from, between),
            second: unit(between, to),
        }
    }
}

/// Two 3³ convolutions, each with norm and ReLU.
#[derive(Module, Debug)]
pub struct DoubleConv {
    /// First convolution.
    pub first: ReluUnit,
    /// Second convolution.
    pub second: ReluUnit,
}

impl DoubleConv {
    /// Applies the block.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, channels_in, d, h, w]`
    /// - output: `[batch, channels_out, d, h, w]`
    pub fn forward<C: Compute>(&self, on: &C, x: C::Map) -> C::Map {
        self.second.forward(on, self.first.forward(on, x))
    }
}
