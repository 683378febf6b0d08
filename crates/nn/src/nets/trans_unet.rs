//! TransU-Net: a U-Net whose encoder is a ResNet with a vision transformer.
//!
//! Chen et al.: TransUNet: Transformers Make Strong Encoders for Medical Image Segmentation, 2021.

use crate::blocks::{StandardBottleneck, StandardBottleneckConfig, VitLayer, VitLayerConfig};
use crate::checks;
use crate::error::Result;
use crate::layers::{
    Conv2d, Conv2dConfig, Conv2dUnit, Conv2dUnitConfig, GroupNorm2d, GroupNorm2dConfig,
    StandardConv2d, StandardConv2dConfig, bilinear, max_pool2d,
};
use crate::net::{ModelOutput, Net, NetConfig, SystemCard};
use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig, Initializer, LayerNorm, LayerNormConfig};
use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::ops::PadMode;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// Number of pixels of the image along each side of a token.
const PATCH: usize = 16;

/// Configuration of [`TransUNet`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransUNetConfig {
    /// Side that slices are interpolated to (paper: 224). The number of position embeddings
    /// depends on it.
    pub image_size: usize,
    /// Channels of the ResNet's first layer (paper: 64).
    pub width: usize,
    /// Bottlenecks of the ResNet's stages (paper: 3, 4, 9).
    pub units: [usize; 3],
    /// Groups of the ResNet's norms (paper: 32).
    pub groups: usize,
    /// Length of a token's vector (paper: 768).
    pub hidden: usize,
    /// Layers of the transformer (paper: 12).
    pub layers: usize,
    /// Attention heads (paper: 12).
    pub heads: usize,
    /// Length of the vectors inside the transformer's perceptrons (paper: 3072).
    pub mlp: usize,
    /// Dropout of the transformer (paper: 0.1).
    pub dropout: f64,
    /// Channels between transformer and decoder (paper: 512).
    pub bridge: usize,
    /// Channels of the decoder's four steps (paper: 256, 128, 64, 16).
    pub decoder: [usize; 4],
    /// Lesion channels: 1 (lesion) or 2 (ground-glass opacity, consolidation).
    pub lesion_channels: usize,
}

impl Default for TransUNetConfig {
    fn default() -> Self {
        Self::base()
    }
}

impl TransUNetConfig {
    /// The published size, R50-ViT-B/16.
    pub fn base() -> Self {
        Self {
            image_size: 224,
            width: 64,
            units: [3, 4, 9],
            groups: 32,
            hidden: 768,
            layers: 12,
            heads: 12,
            mlp: 3072,
            dropout: 0.1,
            bridge: 512,
            decoder: [256, 128, 64, 16],
            lesion_channels: 1,
        }
    }

    /// A size for comparisons on a CPU.
    pub fn small() -> Self {
        Self {
            image_size: 96,
            width: 8,
            units: [1, 1, 1],
            groups: 8,
            hidden: 64,
            layers: 2,
            heads: 4,
            mlp: 128,
            dropout: 0.1,
            bridge: 32,
            decoder: [32, 16, 8, 8],
            lesion_channels: 1,
        }
    }
}

impl NetConfig for TransUNetConfig {
    type Net = TransUNet;
    const CARD: SystemCard = SystemCard {
        name: "TransU-Net",
        source: "Chen, Lu, Yu, Luo, Adeli, Wang, Lu, Yuille, Zhou. TransUNet: Transformers Make \
                 Strong Encoders for Medical Image Segmentation. 2021. arXiv:2102.04306",
        differs: "Takes a window slice by slice: each slice is interpolated bilinearly to \
                  image_size (224 in the published size), its logits back to the window's size, \
                  and slices are stitched. Starts from random weights; the paper's starts from \
                  ones trained on ImageNet. Sigmoid outputs in place of softmax: with one channel \
                  105 275 921 parameters, with two, as published for lesion and background, \
                  105 276 066.",
    };
    const PRESETS: &'static [&'static str] = &["base", "small"];

    fn preset(name: &str) -> Option<Self> {
        match name {
            "base" => Some(Self::base()),
            "small" => Some(Self::small()),
            _ => None,
        }
    }

    fn validate(&self) -> Result<()> {
        let width = checks::is_width;
        let fields = [
            (
                (PATCH..=2048).contains(&self.image_size) && self.image_size.is_multiple_of(PATCH),
                "image_size",
                "must be a positive multiple of 16, at most 2048",
            ),
            ((1..=64).contains(&self.groups), "groups", "must be 1 to 64"),
            (
                (1..=128).contains(&self.width) && self.width.is_multiple_of(self.groups.max(1)),
                "width",
                "must be a multiple of `groups`, at most 128",
            ),
            (
                self.units.iter().all(|n| (1..=64).contains(n)),
                "units",
                "must be 1 to 64 each",
            ),
            ((1..=64).contains(&self.heads), "heads", "must be 1 to 64"),
            (
                width(&self.hidden) && self.hidden.is_multiple_of(self.heads.max(1)),
                "hidden",
                "must be a multiple of `heads`, at most 2048",
            ),
            ((1..=64).contains(&self.layers), "layers", "must be 1 to 64"),
            ((1..=8192).contains(&self.mlp), "mlp", "must be 1 to 8192"),
            (
                (0.0..1.0).contains(&self.dropout),
                "dropout",
                "must be at least 0 and below 1",
            ),
            (width(&self.bridge), "bridge", "must be 1 to 2048"),
            (
                self.decoder.iter().all(width),
                "decoder",
                "must be 1 to 2048 each",
            ),
            (
                matches!(self.lesion_channels, 1 | 2),
                "lesion_channels",
                "must be 1 or 2",
            ),
        ];
        checks::fields(&fields, Self::PRESETS)
    }

    fn check_window(&self, shape: [usize; 3]) -> Result<()> {
        checks::window(Self::CARD.name, shape, |side| side > 0, "positive")
    }

    fn segments(&self) -> bool {
        true
    }

    fn classifies(&self) -> bool {
        false
    }

    fn lesion_channels(&self) -> usize {
        self.lesion_channels
    }

    fn init(&self, device: &Device) -> TransUNet {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let (hidden, width) = (self.hidden, self.width);
        let tokens = (self.image_size / PATCH).pow(2);
        let layer = VitLayerConfig {
            hidden,
            heads: self.heads,
            mlp: self.mlp,
            dropout: self.dropout,
        };
        let unit = |from, to| Conv2dUnitConfig::new(Conv2dConfig::new([from, to], 3)).init(device);
        let skips = [8 * width, 4 * width, width, 0];
        let mut from = self.bridge;
        let mut step = |(&to, skip): (&usize, usize)| {
            let units = vec![unit(from + skip, to), unit(to, to)];
            from = to;
            Upscale { units }
        };
        TransUNet {
            resnet: ResNet::new(self, device),
            embed: Conv2dConfig::new([16 * width, hidden], 1)
                .with_bias(true)
                .init(device),
            positions: Initializer::Zeros.init([1, tokens, hidden], device),
            dropout: DropoutConfig::new(self.dropout).init(),
            layers: (0..self.layers).map(|_| layer.init(device)).collect(),
            norm: LayerNormConfig::new(hidden).with_epsilon(1e-6).init(device),
            bridge: unit(hidden, self.bridge),
            decoders: self.decoder.iter().zip(skips).map(&mut step).collect(),
            head: Conv2dConfig::new([self.decoder[3], self.lesion_channels], 3)
                .with_bias(true)
                .init(device),
            image_size: self.image_size,
        }
    }
}

/// The first three stages of a ResNet-50 with standardised weights and group norms.
#[derive(Module, Debug)]
pub struct ResNet {
    /// 7² convolution with stride 2.
    pub root: StandardConv2d,
    /// Norm after `root`.
    pub root_norm: GroupNorm2d,
    /// Bottlenecks of each stage. From the second stage on, the first bottleneck halves the sides.
    pub stages: Vec<Vec<StandardBottleneck>>,
}

impl ResNet {
    fn new(config: &TransUNetConfig, device: &Device) -> Self {
        let mut from = config.width;
        let mut stage = |(at, &units): (usize, &usize)| {
            let middle = config.width << at;
            let mut block = |i: usize| {
                let block = StandardBottleneckConfig {
                    channels: [from, middle, 4 * middle],
                    stride: if at > 0 && i == 0 { 2 } else { 1 },
                    groups: config.groups,
                };
                from = 4 * middle;
                block.init(device)
            };
            (0..units).map(&mut block).collect()
        };
        Self {
            root: StandardConv2dConfig::new([3, config.width], 7)
                .with_stride(2)
                .init(device),
            root_norm: GroupNorm2dConfig {
                channels: config.width,
                groups: config.groups,
                epsilon: 1e-6,
            }
            .init(device),
            stages: config.units.iter().enumerate().map(&mut stage).collect(),
        }
    }

    /// Features at a 16th of the input's sides, and those at a half, a quarter and an eighth.
    fn forward(&self, x: Tensor<5>) -> (Tensor<5>, Vec<Tensor<5>>) {
        let [.., side] = x.dims();
        // Pretrained weights expect three channels. As published, all three are the same image.
        let x = relu(self.root_norm.forward(self.root.forward_repeated(x)));
        let mut skips = vec![x.clone()];
        let mut x = max_pool2d(x, 3, 2, 0);
        for (at, stage) in self.stages.iter().enumerate() {
            x = stage.iter().fold(x, |x, block| block.forward(x));
            if at + 1 < self.stages.len() {
                skips.push(fill(x.clone(), side >> (at + 2)));
            }
        }
        (x, skips)
    }
}

/// Pads `x` with zeros below and on the right up to `side`. The ResNet's pooling has no padding and
/// therefore loses a row and a column.
fn fill(x: Tensor<5>, side: usize) -> Tensor<5> {
    let [.., h, w] = x.dims();
    if [h, w] == [side; 2] {
        return x;
    }
    x.pad((0, side - w, 0, side - h), PadMode::Constant(0.0))
}

/// A step of the decoder: upsampling to twice the sides, concatenation with the skip connection,
/// and two convolutions.
#[derive(Module, Debug)]
pub struct Upscale {
    /// The convolutions with their norms.
    pub units: Vec<Conv2dUnit>,
}

impl Upscale {
    /// Applies the step.
    ///
    /// # Shapes
    ///
    /// - `x`: `[batch, channels, d, h, w]`
    /// - `skip`: `[batch, skip_channels, d, 2h, 2w]`
    /// - output: `[batch, channels_out, d, 2h, 2w]`
    pub fn forward(&self, x: Tensor<5>, skip: Option<Tensor<5>>) -> Tensor<5> {
        let [.., h, w] = x.dims();
        let x = bilinear(x, [2 * h, 2 * w], true);
        let x = match skip {
            Some(skip) => Tensor::cat(vec![x, skip], 1),
            None => x,
        };
        self.units.iter().fold(x, |x, unit| unit.forward(x))
    }
}

/// TransU-Net. A ResNet's features become the tokens of a transformer. The decoder upsamples the
/// transformer's output to the image's size, with skip connections from the ResNet. The net does
/// not classify.
#[derive(Module, Debug)]
pub struct TransUNet {
    /// The convolutional part of the encoder.
    pub resnet: ResNet,
    /// 1² convolution to tokens.
    pub embed: Conv2d,
    /// Position embeddings, which are added to the tokens: `[1, tokens, hidden]`.
    pub positions: Param<Tensor<3>>,
    /// Dropout of the tokens.
    pub dropout: Dropout,
    /// Layers of the transformer.
    pub layers: Vec<VitLayer>,
    /// Norm after the transformer.
    pub norm: LayerNorm,
    /// Convolution between transformer and decoder.
    pub bridge: Conv2dUnit,
    /// Steps of the decoder, coarsest first.
    pub decoders: Vec<Upscale>,
    /// Convolution to lesion logits.
    pub head: Conv2d,
    /// Side that slices are interpolated to.
    pub image_size: usize,
}

impl TransUNet {
    /// Lesion probabilities.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, 1, d, h, w]`
    /// - output: `[batch, lesion_channels, d, h, w]`
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let [.., h, w] = x.dims();
        let x = bilinear(x, [self.image_size; 2], false);
        let (x, mut skips) = self.resnet.forward(x);
        let x = self.transform(self.embed.forward(x));
        let x = self.bridge.forward(x);
        let mut step = |x, decoder: &Upscale| decoder.forward(x, skips.pop());
        let x = self.decoders.iter().fold(x, &mut step);
        sigmoid(bilinear(self.head.forward(x), [h, w], false))
    }

    /// Runs the transformer on a map whose pixels are tokens. Slices do not see each other.
    fn transform(&self, x: Tensor<5>) -> Tensor<5> {
        let [b, c, d, h, w] = x.dims();
        let tokens = x.permute([0, 2, 3, 4, 1]).reshape([b * d, h * w, c]);
        let tokens = self.dropout.forward(tokens + self.positions.val());
        let layers = self.layers.iter();
        let tokens = layers.fold(tokens, |tokens, layer| layer.forward(tokens));
        let tokens = self.norm.forward(tokens);
        tokens.reshape([b, d, h, w, c]).permute([0, 4, 1, 2, 3])
    }
}

impl Net for TransUNet {
    fn answer(&self, x: Tensor<5>) -> ModelOutput {
        ModelOutput {
            lesion: vec![self.forward(x)],
            ..ModelOutput::default()
        }
    }
}
