//! Trained upsampling of a lesion map by 2, 4 or 8.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

/// Configuration of [`FusionUp`].
#[derive(Debug, Clone)]
pub struct FusionUpConfig {
    /// Channels in and out.
    pub channels: usize,
    /// Kernel side and stride.
    pub factor: usize,
    /// Factor on the initial weights (default 1).
    pub gain: f64,
}

impl FusionUpConfig {
    /// Upsampling of `channels` channels by `factor`.
    pub fn new(channels: usize, factor: usize) -> Self {
        Self {
            channels,
            factor,
            gain: 1.0,
        }
    }

    /// Sets the factor on the initial weights.
    pub fn with_gain(self, gain: f64) -> Self {
        Self { gain, ..self }
    }

    /// Makes the layer. It starts as nearest-neighbour upsampling (the identity for factor 1)
    /// times the gain.
    pub fn init(&self, device: &Device) -> FusionUp {
        let (k, s) = (self.channels, self.factor);
        let weight = Tensor::<2>::eye(k, device)
            .mul_scalar(self.gain)
            .reshape([k, k, 1, 1, 1])
            .expand([k, k, s, s, s]);
        FusionUp {
            weight: Param::from_tensor(weight),
        }
    }
}

/// Transposed convolution whose kernel equals its stride, without bias.
///
/// The kernels do not overlap in the output, so the layer is a matrix product and a reordering.
#[derive(Module, Debug)]
pub struct FusionUp {
    /// Weights `[channels_in, channels_out, s, s, s]`.
    pub weight: Param<Tensor<5>>,
}

impl FusionUp {
    /// Applies the layer.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, channels, d, h, w]`
    /// - output: `[batch, channels, s·d, s·h, s·w]`
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let [b, c, d, h, w] = x.dims();
        let [_, out, s, _, _] = self.weight.dims();
        let n = d * h * w;
        // [1, out·s³, c] × [b, c, n] → [b, out·s³, n]
        let weight = self
            .weight
            .val()
            .reshape([c, out * s * s * s])
            .transpose()
            .unsqueeze::<3>();
        weight
            .matmul(x.reshape([b, c, n]))
            .reshape([b * out, s, s, s, d, h, w])
            .permute([0, 4, 1, 5, 2, 6, 3])
            .reshape([b, out, d * s, h * s, w * s])
    }
}
