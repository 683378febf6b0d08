//! Squeeze and excitation of each slice.

use super::conv2d::{Conv2d, Conv2dConfig};
use burn::module::Module;
use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::{Device, Tensor};

/// Configuration of [`Squeeze2d`].
#[derive(Debug, Clone)]
pub struct Squeeze2dConfig {
    /// Channels in and out.
    pub channels: usize,
    /// Channels between the two linear layers.
    pub inner: usize,
}

impl Squeeze2dConfig {
    /// Makes the layer.
    pub fn init(&self, device: &Device) -> Squeeze2d {
        let linear = |channels| Conv2dConfig::new(channels, 1).with_bias(true).init(device);
        Squeeze2d {
            squeeze: linear([self.channels, self.inner]),
            excite: linear([self.inner, self.channels]),
        }
    }
}

/// Squeeze and excitation: multiplies each channel of a slice by
/// `sigmoid(excite(relu(squeeze(mean over the slice))))` (Hu et al., CVPR 2018).
#[derive(Module, Debug)]
pub struct Squeeze2d {
    /// Linear layer from the channels' means.
    pub squeeze: Conv2d,
    /// Linear layer to the channels' weights.
    pub excite: Conv2d,
}

impl Squeeze2d {
    /// Applies the layer.
    ///
    /// # Shapes
    ///
    /// - input and output: `[batch, channels, d, h, w]`
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let [b, c, d, h, w] = x.dims();
        let mean = x
            .clone()
            .reshape([b, c, d, h * w])
            .mean_dim(3)
            .reshape([b, c, d, 1, 1]);
        let gate = self.excite.forward(relu(self.squeeze.forward(mean)));
        x * sigmoid(gate)
    }
}
