//! Multi-scale fusion of the decoder's features into the lesion map.

use crate::compute::Compute;
use crate::layers::{Conv, ConvConfig, FusionUp, FusionUpConfig};
use burn::module::Module;
use burn::tensor::Device;

/// Configuration of [`Fusion`].
#[derive(Debug, Clone)]
pub struct FusionConfig {
    /// Channels of the decoder's levels 1..4.
    pub channels: [usize; 4],
    /// Lesion channels K.
    pub lesion_channels: usize,
    /// Weights ω of levels 1..4.
    pub scale_weights: [f64; 4],
    /// Factor on the initial weights of `UP_i`.
    pub gain: f64,
}

impl FusionConfig {
    /// Makes the block.
    pub fn init(&self, device: &Device) -> Fusion {
        let k = self.lesion_channels;
        let head = |c: &usize| ConvConfig::new([*c, k], 1).with_bias(true).init(device);
        Fusion {
            heads: self.channels.iter().map(head).collect(),
            ups: (0..4)
                .map(|i| {
                    FusionUpConfig::new(k, 1 << i)
                        .with_gain(self.gain)
                        .init(device)
                })
                .collect(),
            scale_weights: self.scale_weights.to_vec(),
        }
    }
}

/// `P = sigmoid(Σ ω_i · UP_i(S_i))` with `S_i` a 1³ convolution of decoder feature i to K
/// channels, and `UP_i` a transposed convolution by 2^(i−1) (equation 1 of the paper).
#[derive(Module, Debug)]
pub struct Fusion {
    /// `S_i`, i = 1..4.
    pub heads: Vec<Conv>,
    /// `UP_i`, i = 1..4.
    pub ups: Vec<FusionUp>,
    /// ω, i = 1..4.
    pub scale_weights: Vec<f64>,
}

impl Fusion {
    /// Applies the block.
    ///
    /// # Shapes
    ///
    /// - `features`: decoder features of levels 1..4, `[batch, C_i, d/2^(i−1), …]`
    /// - output: probabilities `[batch, K, d, h, w]`
    pub fn forward<C: Compute>(&self, on: &C, features: [C::Map; 4]) -> C::Map {
        let layers = self.heads.iter().zip(&self.ups).zip(&self.scale_weights);
        let parts = features
            .into_iter()
            .zip(layers)
            .map(|(x, ((head, up), weight))| (on.conv(x, head), up, *weight))
            .collect();
        on.fuse(parts)
    }
}
