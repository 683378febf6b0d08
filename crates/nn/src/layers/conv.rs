//! 3D convolution.

use crate::ops::conv::conv3d;
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};

/// Configuration of [`Conv`]: a cubic kernel with zero padding of half its side (none if the side
/// is even).
#[derive(Debug, Clone)]
pub struct ConvConfig {
    /// Channels in and out.
    pub channels: [usize; 2],
    /// Side of the kernel.
    pub kernel_size: usize,
    /// Stride along each axis.
    pub stride: usize,
    /// Whether a bias is added. A norm after the convolution would cancel it.
    pub bias: bool,
}

impl ConvConfig {
    /// A convolution with stride 1 and no bias.
    pub fn new(channels: [usize; 2], kernel_size: usize) -> Self {
        Self {
            channels,
            kernel_size,
            stride: 1,
            bias: false,
        }
    }

    /// Sets the stride.
    #[must_use]
    pub fn with_stride(mut self, stride: usize) -> Self {
        self.stride = stride;
        self
    }

    /// Sets whether there is a bias.
    #[must_use]
    pub fn with_bias(mut self, bias: bool) -> Self {
        self.bias = bias;
        self
    }

    /// Makes the layer. Weights are uniform within ±1/√fan-in.
    pub fn init(&self, device: &Device) -> Conv {
        let [channels_in, channels_out] = self.channels;
        let k = self.kernel_size;
        let fan_in = channels_in * k * k * k;
        let initializer = fan_in_uniform();
        Conv {
            weight: initializer.init_with(
                [channels_out, channels_in, k, k, k],
                Some(fan_in),
                None,
                device,
            ),
            bias: self
                .bias
                .then(|| initializer.init_with([channels_out], Some(fan_in), None, device)),
            stride: self.stride,
            padding: if k % 2 == 1 { k / 2 } else { 0 },
        }
    }
}

/// Uniform within ±1/√fan-in, which is the default of PyTorch and burn for convolutions.
pub(crate) fn fan_in_uniform() -> Initializer {
    Initializer::KaimingUniform {
        gain: 1.0 / 3f64.sqrt(),
        fan_out_only: false,
    }
}

/// 3D convolution with a cubic kernel.
#[derive(Module, Debug)]
pub struct Conv {
    /// Weights `[channels_out, channels_in, k, k, k]`.
    pub weight: Param<Tensor<5>>,
    /// Bias `[channels_out]`.
    pub bias: Option<Param<Tensor<1>>>,
    /// Stride along each axis.
    pub stride: usize,
    /// Zero padding on each side.
    pub padding: usize,
}

impl Conv {
    /// Applies the layer.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, channels_in, d, h, w]`
    /// - output: `[batch, channels_out, d', h', w']`, sides divided by the stride
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        conv3d(
            x,
            self.weight.val(),
            self.bias.as_ref().map(Param::val),
            self.stride,
            self.padding,
        )
    }
}
