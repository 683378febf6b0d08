//! 2D convolution of each slice, plain and with norm and activation.

use super::conv::fan_in_uniform;
use super::norm::{NormConfig, NormLayer};
use crate::config::Norm;
use crate::ops::conv2d::{Conv2dOptions, conv2d};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

/// Configuration of [`Conv2d`].
#[derive(Debug, Clone)]
pub struct Conv2dConfig {
    /// Channels in and out.
    pub channels: [usize; 2],
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Stride along each axis.
    pub stride: usize,
    /// Zero padding above and below, and left and right.
    pub padding: [usize; 2],
    /// Distance between the kernel's taps.
    pub dilation: usize,
    /// Number of channel groups that are convolved separately.
    pub groups: usize,
    /// Whether a bias is added. A norm after the convolution would cancel it.
    pub bias: bool,
}

impl Conv2dConfig {
    /// A `kernel` × `kernel` convolution with stride 1, padding of half the kernel and no bias.
    pub fn new(channels: [usize; 2], kernel: usize) -> Self {
        Self::oblong(channels, [kernel; 2])
    }

    /// A convolution with a kernel `[height, width]`, stride 1, padding of half the kernel and no
    /// bias.
    pub fn oblong(channels: [usize; 2], kernel: [usize; 2]) -> Self {
        Self {
            channels,
            kernel,
            stride: 1,
            padding: kernel.map(|k| k / 2),
            dilation: 1,
            groups: 1,
            bias: false,
        }
    }

    /// Sets the stride.
    #[must_use]
    pub fn with_stride(mut self, stride: usize) -> Self {
        self.stride = stride;
        self
    }

    /// Sets the zero padding.
    #[must_use]
    pub fn with_padding(mut self, padding: [usize; 2]) -> Self {
        self.padding = padding;
        self
    }

    /// Sets the dilation, and a padding with which the size stays the same.
    #[must_use]
    pub fn with_dilation(mut self, dilation: usize) -> Self {
        self.dilation = dilation;
        self.padding = self.kernel.map(|k| k / 2 * dilation);
        self
    }

    /// Sets the groups.
    #[must_use]
    pub fn with_groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }

    /// Sets whether there is a bias.
    #[must_use]
    pub fn with_bias(mut self, bias: bool) -> Self {
        self.bias = bias;
        self
    }

    /// Makes the layer. Weights are uniform within ±1/√fan-in, which is PyTorch's default.
    pub fn init(&self, device: &Device) -> Conv2d {
        let ([channels_in, channels_out], [kh, kw]) = (self.channels, self.kernel);
        let per_group = channels_in / self.groups;
        let fan_in = Some(per_group * kh * kw);
        let initializer = fan_in_uniform();
        let shape = [channels_out, per_group, kh, kw];
        Conv2d {
            weight: initializer.init_with(shape, fan_in, None, device),
            bias: self
                .bias
                .then(|| initializer.init_with([channels_out], fan_in, None, device)),
            stride: self.stride,
            padding: self.padding,
            dilation: self.dilation,
            groups: self.groups,
        }
    }
}

/// 2D convolution of each slice of a window by itself.
#[derive(Module, Debug)]
pub struct Conv2d {
    /// Weights `[channels_out, channels_in / groups, kh, kw]`.
    pub weight: Param<Tensor<4>>,
    /// Bias `[channels_out]`.
    pub bias: Option<Param<Tensor<1>>>,
    /// Stride along each axis.
    pub stride: usize,
    /// Zero padding above and below, and left and right.
    pub padding: [usize; 2],
    /// Distance between the kernel's taps.
    pub dilation: usize,
    /// Number of channel groups that are convolved separately.
    pub groups: usize,
}

impl Conv2d {
    /// Applies the layer.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, channels_in, d, h, w]`
    /// - output: `[batch, channels_out, d, h', w']`
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        self.forward_with(x, self.weight.val())
    }

    /// Applies the layer with another weight of the same shape (standardised, for example).
    ///
    /// # Shapes
    ///
    /// - as [`forward`](Self::forward); `weight` as the layer's own
    pub fn forward_with(&self, x: Tensor<5>, weight: Tensor<4>) -> Tensor<5> {
        let options = Conv2dOptions {
            stride: self.stride,
            padding: self.padding,
            dilation: self.dilation,
            groups: self.groups,
        };
        conv2d(x, weight, self.bias.as_ref().map(Param::val), options)
    }
}

/// Configuration of [`Conv2dUnit`].
#[derive(Debug, Clone)]
pub struct Conv2dUnitConfig {
    /// The convolution.
    pub conv: Conv2dConfig,
    /// Kind of normalisation.
    pub norm: Norm,
    /// Whether a ReLU follows the norm.
    pub relu: bool,
}

impl Conv2dUnitConfig {
    /// Convolution, batch normalisation and ReLU.
    pub fn new(conv: Conv2dConfig) -> Self {
        Self {
            conv,
            norm: Norm::Batch,
            relu: true,
        }
    }

    /// Sets the kind of normalisation.
    #[must_use]
    pub fn with_norm(mut self, norm: Norm) -> Self {
        self.norm = norm;
        self
    }

    /// Leaves the ReLU out.
    #[must_use]
    pub fn without_relu(mut self) -> Self {
        self.relu = false;
        self
    }

    /// Makes the layers.
    pub fn init(&self, device: &Device) -> Conv2dUnit {
        Conv2dUnit {
            conv: self.conv.init(device),
            norm: NormConfig::new(self.norm, self.conv.channels[1]).init(device),
            slope: if self.relu { 0.0 } else { 1.0 },
        }
    }
}

/// Convolution → norm → (+ residual) → ReLU or nothing.
///
/// Batch statistics are taken over all slices of the batch's windows, as over a batch of images.
#[derive(Module, Debug)]
pub struct Conv2dUnit {
    /// The convolution.
    pub conv: Conv2d,
    /// The norm.
    pub norm: NormLayer,
    /// Factor on negative values: 0 makes a ReLU, 1 the identity.
    pub slope: f64,
}

impl Conv2dUnit {
    /// Applies the layers.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, channels_in, d, h, w]`
    /// - output: `[batch, channels_out, d, h', w']`
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        self.norm
            .forward_slope(self.conv.forward(x), None, self.slope)
    }

    /// Applies the layers with `residual` added before the activation.
    ///
    /// # Shapes
    ///
    /// - `residual`: as the output
    pub fn forward_residual(&self, x: Tensor<5>, residual: Tensor<5>) -> Tensor<5> {
        self.norm
            .forward_slope(self.conv.forward(x), Some(residual), self.slope)
    }
}
