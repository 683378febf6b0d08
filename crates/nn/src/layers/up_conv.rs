//! Transposed convolution that doubles each side.

use super::conv::fan_in_uniform;
use crate::ops::conv::up2;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

/// Configuration of [`UpConv`].
#[derive(Debug, Clone)]
pub struct UpConvConfig {
    /// Channels in and out.
    pub channels: [usize; 2],
}

impl UpConvConfig {
    /// A 2³ transposed convolution with stride 2 and no bias.
    pub fn new(channels: [usize; 2]) -> Self {
        Self { channels }
    }

    /// Makes the layer. Weights are uniform within ±1/√(8 · channels_out), as in PyTorch.
    pub fn init(&self, device: &Device) -> UpConv {
        let [channels_in, channels_out] = self.channels;
        UpConv {
            weight: fan_in_uniform().init_with(
                [channels_in, channels_out, 2, 2, 2],
                Some(channels_out * 8),
                None,
                device,
            ),
        }
    }
}

/// 2³ transposed convolution with stride 2.
///
/// Kernels do not overlap, so the layer equals a 1³ convolution to 8·C channels and depth-to-space.
#[derive(Module, Debug)]
pub struct UpConv {
    /// Weights `[channels_in, channels_out, 2, 2, 2]`.
    pub weight: Param<Tensor<5>>,
}

impl UpConv {
    /// Applies the layer.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, channels_in, d, h, w]`
    /// - output: `[batch, channels_out, 2d, 2h, 2w]`
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        up2(x, self.weight.val(), None)
    }
}
