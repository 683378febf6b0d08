//! The segmentation subnet: V-Net with reverse attention and multi-scale fusion.

use crate::blocks::{
    Fusion, FusionConfig, Residual, ResidualConfig, ReverseAttention, ReverseAttentionConfig, Unit,
    UnitConfig, Up, UpConfig,
};
use crate::compute::Compute;
use crate::config::{MultiRNetConfig, Norm};
use burn::module::Module;
use burn::tensor::Device;

/// Convolutions of the encoder's blocks, levels 1..5.
pub const ENCODER_CONVS: [usize; 5] = [1, 2, 3, 3, 3];
/// Convolutions of the decoder's blocks, levels 1..4.
pub const DECODER_CONVS: [usize; 4] = [1, 2, 3, 3];

/// Configuration of [`Segmentation`].
#[derive(Debug, Clone)]
pub struct SegmentationConfig {
    /// Channels of levels 1..5.
    pub channels: [usize; 5],
    /// Side of the blocks' kernels.
    pub kernel_size: usize,
    /// Kind of normalisation.
    pub norm: Norm,
    /// Whether skip connections pass through reverse attention.
    pub reverse_attention: bool,
    /// Lesion channels K.
    pub lesion_channels: usize,
    /// Weights ω of the fusion, levels 1..4.
    pub scale_weights: [f64; 4],
    /// Factor on the fusion's initial weights.
    pub logit_gain: f64,
}

impl From<&MultiRNetConfig> for SegmentationConfig {
    fn from(config: &MultiRNetConfig) -> Self {
        Self {
            channels: config.channels,
            kernel_size: config.kernel_size,
            norm: config.norm,
            reverse_attention: config.reverse_attention,
            lesion_channels: config.lesion_channels,
            scale_weights: config.scale_weights,
            logit_gain: config.logit_gain,
        }
    }
}

impl SegmentationConfig {
    /// Makes the subnet.
    pub fn init(&self, device: &Device) -> Segmentation {
        let (c, norm) = (self.channels, self.norm);
        let block = |from, to, convs| {
            ResidualConfig::new([from, to], convs, self.kernel_size, norm).init(device)
        };
        let attention = |i: usize| ReverseAttentionConfig::new([c[i], c[i + 1]], norm).init(device);
        Segmentation {
            encoders: (0..5)
                .map(|i| block(if i == 0 { 2 } else { c[i] }, c[i], ENCODER_CONVS[i]))
                .collect(),
            downs: (0..4)
                .map(|i| {
                    UnitConfig::new([c[i], c[i + 1]], 2, norm)
                        .with_stride(2)
                        .init(device)
                })
                .collect(),
            ups: (0..4)
                .map(|i| UpConfig::new([c[i + 1], c[i]], norm).init(device))
                .collect(),
            decoders: (0..4)
                .map(|i| block(2 * c[i], c[i], DECODER_CONVS[i]))
                .collect(),
            attentions: self
                .reverse_attention
                .then(|| (0..4).map(attention).collect()),
            fusion: FusionConfig {
                channels: [c[0], c[1], c[2], c[3]],
                lesion_channels: self.lesion_channels,
                scale_weights: self.scale_weights,
                gain: self.logit_gain,
            }
            .init(device),
        }
    }
}

/// V-Net with reverse attention on the skip connections and multi-scale fusion at the end.
///
/// The first encoder block has two input channels, V-Net's has one. Which of the two is the block's
/// residual is therefore ambiguous. Ours: the CT channel is added to every feature channel, as
/// V-Net does with its one channel. The fed-back map enters only through the convolution.
#[derive(Module, Debug)]
pub struct Segmentation {
    /// Encoder blocks, levels 1..5.
    pub encoders: Vec<Residual>,
    /// Steps from level i to i + 1: 2³ convolution with stride 2, norm, PReLU.
    pub downs: Vec<Unit>,
    /// Steps from level i + 1 to i.
    pub ups: Vec<Up>,
    /// Decoder blocks, levels 1..4. Their input is concat(up, skip), their residual is up.
    pub decoders: Vec<Residual>,
    /// Reverse attention, levels 1..4, if switched on.
    pub attentions: Option<Vec<ReverseAttention>>,
    /// Multi-scale fusion.
    pub fusion: Fusion,
}

impl Segmentation {
    /// Runs one pass.
    ///
    /// # Shapes
    ///
    /// - `x`: CT `[batch, 1, d, h, w]`
    /// - `previous`: previous lesion map `[batch, 1, d, h, w]`
    /// - output: lesion probabilities `[batch, K, d, h, w]` and the bottleneck feature
    ///   `[batch, C_5, d/16, h/16, w/16]`
    pub fn forward<C: Compute>(&self, on: &C, x: C::Map, previous: C::Map) -> (C::Map, C::Map) {
        let input = on.cat(vec![x.clone(), previous]);
        let mut feature = self.encoders[0].forward(on, input, x);
        let mut skips = Vec::with_capacity(4);
        for (down, encoder) in self.downs.iter().zip(&self.encoders[1..]) {
            let next = down.forward(on, feature.clone());
            skips.push(feature);
            feature = encoder.forward(on, next.clone(), next);
        }
        let bottleneck = feature;
        let d4 = self.decode(on, 3, skips.pop(), bottleneck.clone());
        let d3 = self.decode(on, 2, skips.pop(), d4.clone());
        let d2 = self.decode(on, 1, skips.pop(), d3.clone());
        let d1 = self.decode(on, 0, skips.pop(), d2.clone());
        (self.fusion.forward(on, [d1, d2, d3, d4]), bottleneck)
    }

    fn decode<C: Compute>(&self, on: &C, i: usize, skip: Option<C::Map>, deeper: C::Map) -> C::Map {
        let up = self.ups[i].forward(on, deeper.clone());
        let skip = match (&self.attentions, skip) {
            (Some(attentions), Some(skip)) => attentions[i].forward(on, skip, deeper),
            (None, Some(skip)) => skip,
            (_, None) => up.clone(),
        };
        self.decoders[i].forward(on, on.cat_for_conv(vec![up.clone(), skip]), up)
    }
}
