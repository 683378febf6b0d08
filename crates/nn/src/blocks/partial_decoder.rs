//! Inf-Net's parallel partial decoder.

use super::receptive_field::linear_unit;
use crate::layers::{Conv2d, Conv2dConfig, Conv2dUnit, bilinear};
use burn::module::Module;
use burn::tensor::{Device, Tensor};

/// Configuration of [`PartialDecoder`].
#[derive(Debug, Clone)]
pub struct PartialDecoderConfig {
    /// Channels of each of the three features.
    pub channels: usize,
}

impl PartialDecoderConfig {
    /// Makes the block.
    pub fn init(&self, device: &Device) -> PartialDecoder {
        let unit = |times: usize| {
            let channels = times * self.channels;
            linear_unit(Conv2dConfig::new([channels; 2], 3), device)
        };
        PartialDecoder {
            ups: [1, 1, 1, 1, 2].into_iter().map(unit).collect(),
            joins: [2, 3, 3].into_iter().map(unit).collect(),
            head: Conv2dConfig::new([3 * self.channels, 1], 1)
                .with_bias(true)
                .init(device),
        }
    }
}

/// Joins the three deepest features into the global map's logits (Wu et al., CVPR 2019). Each
/// feature is multiplied by the upsampled deeper ones. Then all are concatenated, the deepest
/// first.
#[derive(Module, Debug)]
pub struct PartialDecoder {
    /// Convolutions of upsampled features.
    pub ups: Vec<Conv2dUnit>,
    /// Convolutions of joined features.
    pub joins: Vec<Conv2dUnit>,
    /// 1 × 1 convolution to the global map's logit.
    pub head: Conv2d,
}

fn up(x: Tensor<5>) -> Tensor<5> {
    let [_, _, _, h, w] = x.dims();
    bilinear(x, [2 * h, 2 * w], true)
}

impl PartialDecoder {
    /// The global map's logits.
    ///
    /// # Shapes
    ///
    /// - `features`: of stages 3, 4 and 5, `[batch, C, d, h/2^i, w/2^i]`, i = 0, 1, 2
    /// - output: `[batch, 1, d, h, w]`
    pub fn forward(&self, [f3, f4, f5]: [Tensor<5>; 3]) -> Tensor<5> {
        let unit = |i: usize, x| self.ups[i].forward(x);
        let up5 = up(f5);
        let g4 = unit(0, up5.clone()) * f4.clone();
        let g3 = unit(1, up(up5.clone())) * unit(2, up(f4)) * f3;
        let h4 = self.joins[0].forward(Tensor::cat(vec![g4, unit(3, up5)], 1));
        let h3 = self.joins[1].forward(Tensor::cat(vec![g3, unit(4, up(h4))], 1));
        self.head.forward(self.joins[2].forward(h3))
    }
}
