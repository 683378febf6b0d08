//! Inf-Net's receptive field block.

use crate::layers::{Conv2dConfig, Conv2dUnit, Conv2dUnitConfig};
use burn::module::Module;
use burn::tensor::{Device, Tensor};

/// Kernels of the oblong convolutions of branches 1 to 3, and dilations of the 3 × 3 ones.
const REACH: [usize; 3] = [3, 5, 7];

/// A convolution with norm and without ReLU.
pub(super) fn linear_unit(conv: Conv2dConfig, device: &Device) -> Conv2dUnit {
    Conv2dUnitConfig::new(conv).without_relu().init(device)
}

/// Configuration of [`ReceptiveField`].
#[derive(Debug, Clone)]
pub struct ReceptiveFieldConfig {
    /// Channels in and out.
    pub channels: [usize; 2],
}

impl ReceptiveFieldConfig {
    /// Makes the block.
    pub fn init(&self, device: &Device) -> ReceptiveField {
        let [from, to] = self.channels;
        let reduce = || linear_unit(Conv2dConfig::new([from, to], 1), device);
        let branch = |k: usize| {
            let within = [to; 2];
            vec![
                reduce(),
                linear_unit(Conv2dConfig::oblong(within, [1, k]), device),
                linear_unit(Conv2dConfig::oblong(within, [k, 1]), device),
                linear_unit(Conv2dConfig::new(within, 3).with_dilation(k), device),
            ]
        };
        let mut branches = vec![vec![reduce()]];
        branches.extend(REACH.map(branch));
        ReceptiveField {
            branches,
            join: Conv2dUnitConfig::new(Conv2dConfig::new([4 * to, to], 3)).init(device),
            shortcut: reduce(),
        }
    }
}

/// Four branches with growing receptive fields, joined by a 3 × 3 convolution, with a residual.
///
/// No ReLU follows the branches' convolutions. This agrees with the authors' release of Inf-Net and
/// with PraNet, where the block comes from.
#[derive(Module, Debug)]
pub struct ReceptiveField {
    /// Convolutions of each branch: 1 × 1, followed in branches 1 to 3 by 1 × k, k × 1, and 3 × 3
    /// with dilation k.
    pub branches: Vec<Vec<Conv2dUnit>>,
    /// 3 × 3 convolution of all branches; the residual joins before its ReLU.
    pub join: Conv2dUnit,
    /// 1 × 1 convolution of the residual.
    pub shortcut: Conv2dUnit,
}

impl ReceptiveField {
    /// Applies the block.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, channels_in, d, h, w]`
    /// - output: `[batch, channels_out, d, h, w]`
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let branch = |units: &Vec<Conv2dUnit>| units.iter().fold(x.clone(), |x, u| u.forward(x));
        let parts = self.branches.iter().map(branch).collect();
        let residual = self.shortcut.forward(x.clone());
        self.join.forward_residual(Tensor::cat(parts, 1), residual)
    }
}
