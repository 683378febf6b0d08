//! Group normalisation of each slice by itself.

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};

/// Configuration of [`GroupNorm2d`].
#[derive(Debug, Clone)]
pub struct GroupNorm2dConfig {
    /// Channels, a multiple of `groups`.
    pub channels: usize,
    /// Number of groups. With one group per channel the layer is an instance norm.
    pub groups: usize,
    /// ε, added to the variance.
    pub epsilon: f64,
}

impl GroupNorm2dConfig {
    /// Makes the layer: γ = 1, β = 0.
    pub fn init(&self, device: &Device) -> GroupNorm2d {
        GroupNorm2d {
            gamma: Initializer::Ones.init([self.channels], device),
            beta: Initializer::Zeros.init([self.channels], device),
            groups: self.groups,
            epsilon: self.epsilon,
        }
    }
}

/// Group normalisation with the statistics of one slice, as in a 2D net. The group norms of burn
/// and of [`NormLayer`](super::NormLayer) use the statistics of a whole window.
#[derive(Module, Debug)]
pub struct GroupNorm2d {
    /// Scale of each channel.
    pub gamma: Param<Tensor<1>>,
    /// Shift of each channel.
    pub beta: Param<Tensor<1>>,
    /// Groups of channels.
    pub groups: usize,
    /// ε, added to the variance.
    pub epsilon: f64,
}

impl GroupNorm2d {
    /// Applies the layer.
    ///
    /// # Shapes
    ///
    /// - input and output: `[batch, channels, d, h, w]`
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let [b, c, d, h, w] = x.dims();
        let (g, per_group) = (self.groups, c / self.groups);
        let mean = |x: Tensor<5>| x.mean_dim(4).mean_dim(2);
        let x = x.reshape([b, g, per_group, d, h * w]);
        let centred = x.clone() - mean(x);
        let variance = mean(centred.clone().square());
        let by_channel = |p: &Param<Tensor<1>>| p.val().reshape([1, g, per_group, 1, 1]);
        let scale = by_channel(&self.gamma) / (variance + self.epsilon).sqrt();
        (centred * scale + by_channel(&self.beta)).reshape([b, c, d, h, w])
    }
}
