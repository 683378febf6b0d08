//! Upward step of the decoder.

use crate::compute::Compute;
use crate::config::Norm;
use crate::layers::{NormConfig, NormLayer, UpConv, UpConvConfig};
use burn::module::Module;
use burn::nn::{PRelu, PReluConfig};
use burn::tensor::Device;

/// Configuration of [`Up`].
#[derive(Debug, Clone)]
pub struct UpConfig {
    /// Channels in and out.
    pub channels: [usize; 2],
    /// Kind of normalisation.
    pub norm: Norm,
}

impl UpConfig {
    /// An upward step.
    pub fn new(channels: [usize; 2], norm: Norm) -> Self {
        Self { channels, norm }
    }

    /// Makes the block.
    pub fn init(&self, device: &Device) -> Up {
        let channels = self.channels[1];
        Up {
            conv: UpConvConfig::new(self.channels).init(device),
            norm: NormConfig::new(self.norm, channels).init(device),
            act: PReluConfig::new()
                .with_num_parameters(channels)
                .init(device),
        }
    }
}

/// 2³ transposed convolution with stride 2 → norm → PReLU.
#[derive(Module, Debug)]
pub struct Up {
    /// The transposed convolution.
    pub conv: UpConv,
    /// The norm.
    pub norm: NormLayer,
    /// PReLU with one slope for each channel.
    pub act: PRelu,
}

impl Up {
    /// Applies the block.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, channels_in, d, h, w]`
    /// - output: `[batch, channels_out, 2d, 2h, 2w]`
    pub fn forward<C: Compute>(&self, on: &C, x: C::Map) -> C::Map {
        on.up(x, &self.conv, &self.norm, &self.act)
    }
}
