//! Medical Transformer's residual block of axial attention.

use super::axial_attention::{AxialAttention, AxialAttentionConfig, Axis};
use crate::layers::{Conv2dConfig, Conv2dUnit, Conv2dUnitConfig, avg_pool2d};
use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

/// Configuration of [`AxialBlock`].
#[derive(Debug, Clone)]
pub struct AxialBlockConfig {
    /// Channels of the input.
    pub channels: usize,
    /// Channels inside the block; the output has twice as many.
    pub width: usize,
    /// Attention heads.
    pub heads: usize,
    /// Side of the input; `None` for attention without relative positions.
    pub positions: Option<usize>,
    /// Stride: 1, or 2 to halve the sides.
    pub stride: usize,
}

impl AxialBlockConfig {
    /// Makes the block.
    pub fn init(&self, device: &Device) -> AxialBlock {
        let (width, out) = (self.width, 2 * self.width);
        let unit = |from: usize, to: usize| Conv2dUnitConfig::new(Conv2dConfig::new([from, to], 1));
        let attention = AxialAttentionConfig {
            channels: width,
            heads: self.heads,
            positions: self.positions,
        };
        let project = || {
            let conv = Conv2dConfig::new([self.channels, out], 1).with_stride(self.stride);
            Conv2dUnitConfig::new(conv).without_relu().init(device)
        };
        AxialBlock {
            down: unit(self.channels, width).init(device),
            height: attention.init(device),
            width: attention.init(device),
            up: unit(width, out).init(device),
            project: (self.stride != 1 || self.channels != out).then(project),
            stride: self.stride,
        }
    }
}

/// 1² convolution to fewer channels, attention along the height and the width, average pooling if
/// the stride is 2, and 1² convolution to more channels. A residual connection spans the whole
/// block.
#[derive(Module, Debug)]
pub struct AxialBlock {
    /// Convolution to fewer channels.
    pub down: Conv2dUnit,
    /// Attention along the height.
    pub height: AxialAttention,
    /// Attention along the width.
    pub width: AxialAttention,
    /// Convolution to more channels.
    pub up: Conv2dUnit,
    /// Convolution of the residual path, if the shape changes.
    pub project: Option<Conv2dUnit>,
    /// Stride, 1 or 2.
    pub stride: usize,
}

impl AxialBlock {
    /// Applies the block.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, channels, d, h, w]`
    /// - output: `[batch, 2 · width, d, h / stride, w / stride]`
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let y = self.down.forward(x.clone());
        let y = self.height.forward(y, Axis::Height);
        let mut y = self.width.forward(y, Axis::Width);
        if self.stride > 1 {
            y = avg_pool2d(y, self.stride, self.stride, 0, true);
        }
        let residual = match &self.project {
            Some(project) => project.forward(x),
            None => x,
        };
        self.up.forward_residual(relu(y), residual)
    }
}
