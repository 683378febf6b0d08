//! Inf-Net's reverse attention branch.

use super::receptive_field::linear_unit;
use crate::layers::{Conv2dConfig, Conv2dUnit, Conv2dUnitConfig, bilinear};
use burn::module::Module;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor};

/// Configuration of [`ReverseBranch`].
#[derive(Debug, Clone)]
pub struct ReverseBranchConfig {
    /// Channels of the feature.
    pub channels: usize,
    /// Channels inside the branch.
    pub inner: usize,
    /// Channels of the edge feature.
    pub edge: usize,
    /// Convolutions between the first and the last.
    pub depth: usize,
    /// Side of their kernels.
    pub kernel: usize,
    /// Side of the last convolution's kernel.
    pub head_kernel: usize,
}

impl ReverseBranchConfig {
    /// Makes the block.
    pub fn init(&self, device: &Device) -> ReverseBranch {
        let unit = |i: usize| {
            let from = self.inner + if i == 0 { self.edge } else { 0 };
            Conv2dUnitConfig::new(Conv2dConfig::new([from, self.inner], self.kernel)).init(device)
        };
        ReverseBranch {
            reduce: linear_unit(Conv2dConfig::new([self.channels, self.inner], 1), device),
            units: (0..self.depth).map(unit).collect(),
            head: linear_unit(Conv2dConfig::new([self.inner, 1], self.head_kernel), device),
        }
    }
}

/// Erases from a feature the regions that a deeper map has found, appends the edge feature, and
/// corrects the deeper map with what remains.
#[derive(Module, Debug)]
pub struct ReverseBranch {
    /// 1 × 1 convolution of the erased feature.
    pub reduce: Conv2dUnit,
    /// Convolutions with ReLU; the first takes the edge feature too.
    pub units: Vec<Conv2dUnit>,
    /// Convolution to one channel, with norm.
    pub head: Conv2dUnit,
}

impl ReverseBranch {
    /// Logits of the corrected map.
    ///
    /// # Shapes
    ///
    /// - `feature`: `[batch, C, d, h, w]`
    /// - `guide`: logits of the deeper map, `[batch, 1, d, h', w']`
    /// - `edge`: `[batch, E, d, h'', w'']`
    /// - output: `[batch, 1, d, h, w]`
    pub fn forward(&self, feature: Tensor<5>, guide: Tensor<5>, edge: Tensor<5>) -> Tensor<5> {
        let [_, _, _, h, w] = feature.dims();
        let guide = bilinear(guide, [h, w], false);
        // 1 − sigmoid(x) = sigmoid(−x)
        let rest = feature * sigmoid(guide.clone().neg());
        let x = vec![self.reduce.forward(rest), bilinear(edge, [h, w], false)];
        let x = Tensor::cat(x, 1);
        let x = self.units.iter().fold(x, |x, unit| unit.forward(x));
        self.head.forward(x) + guide
    }
}
