//! 2D convolution with standardised weights (Qiao et al., Weight Standardization, 2019).

use super::conv2d::{Conv2d, Conv2dConfig};
use burn::module::Module;
use burn::tensor::{Device, Tensor};

/// ε, added to the variance of a filter.
const EPSILON: f64 = 1e-5;

/// Configuration of [`StandardConv2d`].
#[derive(Debug, Clone)]
pub struct StandardConv2dConfig {
    /// Channels in and out.
    pub channels: [usize; 2],
    /// Side of the kernel; padding is half of it.
    pub kernel: usize,
    /// Stride along each axis.
    pub stride: usize,
}

impl StandardConv2dConfig {
    /// A convolution with stride 1.
    pub fn new(channels: [usize; 2], kernel: usize) -> Self {
        Self {
            channels,
            kernel,
            stride: 1,
        }
    }

    /// Sets the stride.
    #[must_use]
    pub fn with_stride(mut self, stride: usize) -> Self {
        self.stride = stride;
        self
    }

    /// Makes the layer.
    pub fn init(&self, device: &Device) -> StandardConv2d {
        let conv = Conv2dConfig::new(self.channels, self.kernel).with_stride(self.stride);
        StandardConv2d {
            conv: conv.init(device),
        }
    }
}

/// 2D convolution without bias whose filters are standardised to mean 0 and variance 1 before use.
#[derive(Module, Debug)]
pub struct StandardConv2d {
    /// The convolution.
    pub conv: Conv2d,
}

impl StandardConv2d {
    /// The standardised weights, `[channels_out, channels_in, k, k]`.
    fn weight(&self) -> Tensor<4> {
        let weight = self.conv.weight.val();
        let [o, i, k, l] = weight.dims();
        let flat = weight.reshape([o, i * k * l]);
        let centred = flat.clone() - flat.mean_dim(1);
        let variance = centred.clone().square().mean_dim(1);
        (centred / (variance + EPSILON).sqrt()).reshape([o, i, k, l])
    }

    /// Applies the layer.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, channels_in, d, h, w]`
    /// - output: `[batch, channels_out, d, h / stride, w / stride]`, rounded up
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        self.conv.forward_with(x, self.weight())
    }

    /// Applies the layer to an input whose channels are all equal to `x`.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, 1, d, h, w]`
    /// - output: as [`forward`](Self::forward)
    pub fn forward_repeated(&self, x: Tensor<5>) -> Tensor<5> {
        self.conv.forward_with(x, self.weight().sum_dim(1))
    }
}
