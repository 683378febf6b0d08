//! JCS's grouped atrous module.

use crate::layers::{Conv2d, Conv2dConfig, Squeeze2d, Squeeze2dConfig};
use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

/// Configuration of [`GroupedAtrous`].
#[derive(Debug, Clone)]
pub struct GroupedAtrousConfig {
    /// Channels in and out, even.
    pub channels: usize,
    /// Dilation of each of the four groups.
    pub dilations: [usize; 4],
}

impl GroupedAtrousConfig {
    /// Makes the block.
    pub fn init(&self, device: &Device) -> GroupedAtrous {
        let c = self.channels;
        let conv = |channels, kernel, dilation| {
            Conv2dConfig::new(channels, kernel)
                .with_dilation(dilation)
                .with_bias(true)
                .init(device)
        };
        GroupedAtrous {
            expand: conv([c, 2 * c], 1, 1),
            atrous: self
                .dilations
                .map(|dilation| conv([c / 2; 2], 3, dilation))
                .into(),
            squeeze: Squeeze2dConfig {
                channels: 2 * c,
                inner: c / 2,
            }
            .init(device),
            reduce: conv([2 * c, c], 1, 1),
            last: conv([c, c], 3, 1),
        }
    }
}

/// Convolution to twice the channels, in four groups with 3 × 3 kernels of different dilations.
/// Then squeeze and excitation, and convolution back to the input's channels.
#[derive(Module, Debug)]
pub struct GroupedAtrous {
    /// 1 × 1 convolution to twice the channels.
    pub expand: Conv2d,
    /// Dilated 3 × 3 convolution of each group.
    pub atrous: Vec<Conv2d>,
    /// Squeeze and excitation of all groups.
    pub squeeze: Squeeze2d,
    /// 1 × 1 convolution back to the input's channels.
    pub reduce: Conv2d,
    /// 3 × 3 convolution.
    pub last: Conv2d,
}

impl GroupedAtrous {
    /// Applies the block.
    ///
    /// # Shapes
    ///
    /// - input and output: `[batch, channels, d, h, w]`
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let all = relu(self.expand.forward(x));
        let size = all.dims()[1] / self.atrous.len();
        let groups = self.atrous.iter().enumerate();
        let parts = groups.map(|(i, conv)| conv.forward(all.clone().narrow(1, i * size, size)));
        let x = self.squeeze.forward(relu(Tensor::cat(parts.collect(), 1)));
        relu(self.last.forward(relu(self.reduce.forward(x))))
    }
}
