//! Reverse attention on a skip connection.

use super::unit::{Unit, UnitConfig};
use crate::compute::Compute;
use crate::config::Norm;
use crate::layers::{Conv, ConvConfig};
use burn::module::Module;
use burn::tensor::Device;

/// Configuration of [`ReverseAttention`].
#[derive(Debug, Clone)]
pub struct ReverseAttentionConfig {
    /// Channels of the skip connection and of the next deeper feature.
    pub channels: [usize; 2],
    /// Kind of normalisation.
    pub norm: Norm,
}

impl ReverseAttentionConfig {
    /// Reverse attention on a skip connection of `channels[0]`, controlled by a feature of
    /// `channels[1]`.
    pub fn new(channels: [usize; 2], norm: Norm) -> Self {
        Self { channels, norm }
    }

    /// Makes the block.
    pub fn init(&self, device: &Device) -> ReverseAttention {
        let [skip, deeper] = self.channels;
        ReverseAttention {
            logit: ConvConfig::new([deeper, 1], 1).with_bias(true).init(device),
            unit: UnitConfig::new([skip, skip], 3, self.norm).init(device),
        }
    }
}

/// Erases from a skip connection the regions that the deeper level has already found. The decoder
/// then works on the rest: borders and missed regions.
///
/// The module follows PraNet's. The paper changes its width, which follows the level. Ours: the
/// attention map is upsampled by nearest neighbour.
#[derive(Module, Debug)]
pub struct ReverseAttention {
    /// 1³ convolution of the deeper feature to one logit.
    pub logit: Conv,
    /// 3³ convolution, norm and PReLU on the attended skip.
    pub unit: Unit,
}

impl ReverseAttention {
    /// `unit(skip ⊙ (1 − sigmoid(up2(logit(deeper)))))`.
    ///
    /// # Shapes
    ///
    /// - `skip`: `[batch, C, d, h, w]`
    /// - `deeper`: `[batch, C', d/2, h/2, w/2]`
    /// - output: `[batch, C, d, h, w]`
    pub fn forward<C: Compute>(&self, on: &C, skip: C::Map, deeper: C::Map) -> C::Map {
        let logit = on.conv(deeper, &self.logit);
        self.unit.forward(on, on.reverse_attention(skip, logit))
    }
}
