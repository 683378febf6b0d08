//! JCS's attentive feature fusion.

use crate::layers::{Conv2d, Conv2dConfig, Squeeze2d, Squeeze2dConfig, bilinear};
use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

/// Configuration of [`AttentiveFusion`].
#[derive(Debug, Clone)]
pub struct AttentiveFusionConfig {
    /// Channels of the encoder's feature, and of the output; even.
    pub channels: usize,
    /// Channels of the deeper level's output.
    pub deeper: usize,
}

impl AttentiveFusionConfig {
    /// Makes the block.
    pub fn init(&self, device: &Device) -> AttentiveFusion {
        let (c, half) = (self.channels, self.channels / 2);
        let conv = |channels, kernel| {
            Conv2dConfig::new(channels, kernel)
                .with_bias(true)
                .init(device)
        };
        let attention = |channels| Squeeze2dConfig { channels, inner: 1 }.init(device);
        AttentiveFusion {
            lateral: conv([c, half], 1),
            deeper: conv([self.deeper, half], 1),
            attention: attention(c),
            first: conv([c, c], 3),
            again: attention(c + half),
            reduce: conv([c + half, c], 1),
            second: conv([c, c], 3),
        }
    }
}

/// Joins an encoder's feature and the deeper level's output, with channel attention. Both are first
/// reduced to half the channels. The deeper output joins a second time after the first convolution.
#[derive(Module, Debug)]
pub struct AttentiveFusion {
    /// 1 × 1 convolution of the encoder's feature.
    pub lateral: Conv2d,
    /// 1 × 1 convolution of the deeper level's output.
    pub deeper: Conv2d,
    /// Channel attention on both.
    pub attention: Squeeze2d,
    /// 3 × 3 convolution of both.
    pub first: Conv2d,
    /// Channel attention on the output of `first` and the deeper level's output.
    pub again: Squeeze2d,
    /// 1 × 1 convolution of the output of `again`.
    pub reduce: Conv2d,
    /// 3 × 3 convolution to the output.
    pub second: Conv2d,
}

impl AttentiveFusion {
    /// Applies the block.
    ///
    /// # Shapes
    ///
    /// - `lateral`: `[batch, channels, d, h, w]`
    /// - `deeper`: `[batch, deeper, d, h', w']`
    /// - output: `[batch, channels, d, h, w]`
    pub fn forward(&self, lateral: Tensor<5>, deeper: Tensor<5>) -> Tensor<5> {
        let [_, _, _, h, w] = lateral.dims();
        let low = relu(self.lateral.forward(lateral));
        let high = bilinear(relu(self.deeper.forward(deeper)), [h, w], false);
        let x = self
            .attention
            .forward(Tensor::cat(vec![low, high.clone()], 1));
        let x = relu(self.first.forward(x));
        let x = self.again.forward(Tensor::cat(vec![x, high], 1));
        relu(self.second.forward(relu(self.reduce.forward(x))))
    }
}
