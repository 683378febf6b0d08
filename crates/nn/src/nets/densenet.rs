//! DenseNet, 3D, for classification.

use crate::checks;
use crate::compute::{Activation, Compute, Eager, PoolWindow};
use crate::config::{CLASSES, Norm};
use crate::error::Result;
use crate::layers::{Conv, ConvConfig, NormConfig, NormLayer};
use crate::net::{ModelOutput, Net, NetConfig, SystemCard};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// Pooling at the end of the stem.
const STEM_POOL: PoolWindow = PoolWindow {
    side: 3,
    stride: 2,
    padding: 1,
};

/// Configuration of [`DenseNet3d`].
///
/// Presets: `base` (DenseNet-121: 11.25 M parameters), `small` (half the channels).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DenseNet3dConfig {
    /// Channels of the stem (DenseNet-121: 64).
    pub stem_channels: usize,
    /// Channels that each dense layer adds (DenseNet-121: 32).
    pub growth: usize,
    /// Layers of each dense block (DenseNet-121: 6, 12, 24, 16).
    pub blocks: Vec<usize>,
    /// Channels of a layer's bottleneck, in multiples of `growth` (paper: 4).
    pub bottleneck: usize,
    /// Normalisation before each convolution (paper: batch).
    pub norm: Norm,
}

impl Default for DenseNet3dConfig {
    fn default() -> Self {
        Self {
            stem_channels: 64,
            growth: 32,
            blocks: vec![6, 12, 24, 16],
            bottleneck: 4,
            norm: Norm::Batch,
        }
    }
}

impl DenseNet3dConfig {
    /// Shortest side of a window. The stem divides the sides by four, and the transition before
    /// each further block by two.
    fn min_side(&self) -> usize {
        4 << self.blocks.len().saturating_sub(1)
    }
}

impl NetConfig for DenseNet3dConfig {
    type Net = DenseNet3d;

    const CARD: SystemCard = SystemCard {
        name: "DenseNet",
        source: "Huang, Liu, van der Maaten, Weinberger: Densely connected convolutional \
                 networks. CVPR 2017. DOI 10.1109/CVPR.2017.243, arXiv:1608.06993",
        differs: "DenseNet-121 with 3D kernels throughout, one input channel and three classes, \
                  layer by layer as in MONAI's `DenseNet121(spatial_dims=3)`: 11 245 699 \
                  parameters. Not trained beforehand on other pictures.",
    };
    const PRESETS: &'static [&'static str] = &["base", "small"];

    fn preset(name: &str) -> Option<Self> {
        match name {
            "base" => Some(Self::default()),
            "small" => Some(Self {
                stem_channels: 32,
                growth: 16,
                ..Self::default()
            }),
            _ => None,
        }
    }

    fn validate(&self) -> Result<()> {
        let layers = |n: &usize| (1..=64).contains(n);
        checks::fields(
            &[
                (
                    (2..=checks::MAX_CHANNELS).contains(&self.stem_channels),
                    "stem_channels",
                    "must be 2 to 2048",
                ),
                (
                    (1..=256).contains(&self.growth),
                    "growth",
                    "must be 1 to 256",
                ),
                (
                    (1..=5).contains(&self.blocks.len()) && self.blocks.iter().all(layers),
                    "blocks",
                    "must be one to five numbers of layers, each 1 to 64",
                ),
                (
                    (1..=16).contains(&self.bottleneck),
                    "bottleneck",
                    "must be 1 to 16",
                ),
            ],
            Self::PRESETS,
        )
    }

    fn check_window(&self, shape: [usize; 3]) -> Result<()> {
        let least = self.min_side();
        let rule = format!("at least {least}");
        checks::window(Self::CARD.name, shape, |n| n >= least, &rule)
    }

    fn segments(&self) -> bool {
        false
    }

    fn classifies(&self) -> bool {
        true
    }

    fn init(&self, device: &Device) -> DenseNet3d {
        if let Err(error) = self.validate() {
            panic!("{error}");
        }
        let norm = |channels| NormConfig::new(self.norm, channels).init(device);
        let conv = |from, to, kernel| ConvConfig::new([from, to], kernel).init(device);
        let between = self.bottleneck * self.growth;
        let layer = |from| DenseLayer {
            norm1: norm(from),
            conv1: conv(from, between, 1),
            norm2: norm(between),
            conv2: conv(between, self.growth, 3),
        };
        let mut channels = self.stem_channels;
        let (mut blocks, mut transitions) = (Vec::new(), Vec::new());
        for (i, layers) in self.blocks.iter().enumerate() {
            if i > 0 {
                transitions.push(Transition {
                    norm: norm(channels),
                    conv: conv(channels, channels / 2, 1),
                });
                channels /= 2;
            }
            let first = channels;
            blocks.push(DenseBlock {
                layers: (0..*layers)
                    .map(|l| layer(first + l * self.growth))
                    .collect(),
            });
            channels += layers * self.growth;
        }
        DenseNet3d {
            stem: ConvConfig::new([1, self.stem_channels], 7)
                .with_stride(2)
                .init(device),
            stem_norm: norm(self.stem_channels),
            blocks,
            transitions,
            norm: norm(channels),
            linear: LinearConfig::new(channels, CLASSES).init(device),
            config: self.clone(),
        }
    }
}

/// One layer of a dense block: norm, ReLU and 1³ convolution to the bottleneck, then norm, ReLU and
/// 3³ convolution to the channels that the layer adds.
#[derive(Module, Debug)]
pub struct DenseLayer {
    /// Norm of the layer's input, which has the outputs of all layers before it.
    pub norm1: NormLayer,
    /// 1³ convolution to the bottleneck.
    pub conv1: Conv,
    /// Norm of the bottleneck.
    pub norm2: NormLayer,
    /// 3³ convolution to the channels that the layer adds.
    pub conv2: Conv,
}

impl DenseLayer {
    /// The input's channels, followed by the channels that the layer adds.
    fn forward<C: Compute>(&self, on: &C, x: C::Map) -> C::Map {
        let y = on.norm_relu(x.clone(), &self.norm1);
        let y = on.conv_norm_act(y, &self.conv1, &self.norm2, Activation::Relu, None);
        let y = on.conv(y, &self.conv2);
        on.cat(vec![x, y])
    }
}

/// Layers each of which sees the outputs of all layers before it.
#[derive(Module, Debug)]
pub struct DenseBlock {
    /// The layers.
    pub layers: Vec<DenseLayer>,
}

/// Transition between blocks: norm, ReLU, 1³ convolution to half the channels, and 2³ average
/// pooling.
#[derive(Module, Debug)]
pub struct Transition {
    /// The norm.
    pub norm: NormLayer,
    /// 1³ convolution to half the channels.
    pub conv: Conv,
}

/// DenseNet in 3D: stem (7³ convolution with stride 2, 3³ max pooling with stride 2), dense blocks
/// with transitions between them, global average pooling, and linear layer.
#[derive(Module, Debug)]
pub struct DenseNet3d {
    /// 7³ convolution with stride 2.
    pub stem: Conv,
    /// Norm after the stem.
    pub stem_norm: NormLayer,
    /// The dense blocks.
    pub blocks: Vec<DenseBlock>,
    /// Transitions between the dense blocks.
    pub transitions: Vec<Transition>,
    /// Norm after the last block.
    pub norm: NormLayer,
    /// Linear layer `[channels, 3]`.
    pub linear: Linear,
    #[module(skip)]
    config: DenseNet3dConfig,
}

impl DenseNet3d {
    /// The configuration that the net was made from.
    pub fn config(&self) -> &DenseNet3dConfig {
        &self.config
    }

    /// Class logits `[batch, 3]` in the order normal, CAP, COVID-19, and the features
    /// `[batch, C, d/32, h/32, w/32]` whose means are the linear layer's input.
    ///
    /// # Shapes
    ///
    /// - input: CT in \[0, 1\], `[batch, 1, d, h, w]`, sides of at least 32 with four blocks
    ///
    /// # Panics
    ///
    /// For a shape that [`NetConfig::check_window`] refuses, and for another number of channels.
    pub fn forward(&self, x: Tensor<5>) -> (Tensor<2>, Tensor<5>) {
        let [_, _, d, h, w] = x.dims();
        checks::input(x.dims(), self.config.check_window([d, h, w]));
        self.forward_on(&Eager, x)
    }

    /// Class logits and features, with the operations of `on`; see [`forward`](Self::forward).
    pub fn forward_on<C: Compute>(&self, on: &C, x: C::Map) -> (C::Vector, C::Map) {
        let stem = on.conv_norm_act(x, &self.stem, &self.stem_norm, Activation::Relu, None);
        let mut feature = on.max_pool(stem, STEM_POOL);
        for (i, block) in self.blocks.iter().enumerate() {
            if i > 0 {
                let step = &self.transitions[i - 1];
                feature = on.conv(on.norm_relu(feature, &step.norm), &step.conv);
                feature = on.avg_pool(feature, 2);
            }
            let layers = block.layers.iter();
            feature = layers.fold(feature, |x, layer| layer.forward(on, x));
        }
        let features = on.norm_relu(feature, &self.norm);
        let logits = on.head(vec![features.clone()], None, &self.linear);
        (logits, features)
    }
}

impl Net for DenseNet3d {
    fn answer(&self, x: Tensor<5>) -> ModelOutput {
        let (logits, features) = self.forward(x);
        ModelOutput {
            class_logits: vec![logits],
            class_features: Some(features),
            ..ModelOutput::default()
        }
    }

    fn class_weights(&self) -> Option<Tensor<2>> {
        Some(self.linear.weight.val())
    }
}
