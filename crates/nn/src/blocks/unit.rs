//! Convolution, norm, PReLU.

use crate::compute::{Activation, Compute};
use crate::config::Norm;
use crate::layers::{Conv, ConvConfig, NormConfig, NormLayer};
use burn::module::Module;
use burn::nn::{PRelu, PReluConfig};
use burn::tensor::Device;

/// Configuration of [`Unit`].
#[derive(Debug, Clone)]
pub struct UnitConfig {
    /// The convolution.
    pub conv: ConvConfig,
    /// Kind of normalisation.
    pub norm: Norm,
}

impl UnitConfig {
    /// A unit whose convolution has stride 1.
    pub fn new(channels: [usize; 2], kernel_size: usize, norm: Norm) -> Self {
        Self {
            conv: ConvConfig::new(channels, kernel_size),
            norm,
        }
    }

    /// Sets the convolution's stride.
    #[must_use]
    pub fn with_stride(mut self, stride: usize) -> Self {
        self.conv.stride = stride;
        self
    }

    /// Makes the block. The PReLU starts with slope 0.25 in each channel.
    pub fn init(&self, device: &Device) -> Unit {
        let channels = self.conv.channels[1];
        Unit {
            conv: self.conv.init(device),
            norm: NormConfig::new(self.norm, channels).init(device),
            act: PReluConfig::new()
                .with_num_parameters(channels)
                .init(device),
        }
    }
}

/// Convolution → norm → (+ residual) → PReLU.
#[derive(Module, Debug)]
pub struct Unit {
    /// The convolution, without bias.
    pub conv: Conv,
    /// The norm.
    pub norm: NormLayer,
    /// PReLU with one slope for each channel.
    pub act: PRelu,
}

impl Unit {
    /// Applies the block.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, channels_in, d, h, w]`
    /// - output: `[batch, channels_out, d', h', w']`, sides divided by the stride
    pub fn forward<C: Compute>(&self, on: &C, x: C::Map) -> C::Map {
        let act = Activation::PRelu(&self.act);
        on.conv_norm_act(x, &self.conv, &self.norm, act, None)
    }

    /// Applies the block with `residual` added before the PReLU.
    ///
    /// # Shapes
    ///
    /// - `residual`: as the output, or with one channel, which is then added to every channel
    pub fn forward_residual<C: Compute>(&self, on: &C, x: C::Map, residual: C::Map) -> C::Map {
        let act = Activation::PRelu(&self.act);
        on.conv_norm_act(x, &self.conv, &self.norm, act, Some(residual))
    }
}
