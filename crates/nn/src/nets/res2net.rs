//! Res2Net (v1b): classification of slices, and the backbone of Inf-Net and JCS.

use crate::blocks::{Bottle2neck, Bottle2neckConfig};
use crate::config::CLASSES;
use crate::error::{Error, ErrorKind, Result};
use crate::layers::{Conv2dConfig, Conv2dUnit, Conv2dUnitConfig, max_pool2d};
use crate::net::{ModelOutput, Net, NetConfig, SystemCard};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// Stride of the last stage's features. The sides of slices must be multiples of it.
const STRIDE: usize = 32;

/// Configuration of [`Res2Net`]. Presets: `base`, the published Res2Net-50 v1b 26w × 4s, and
/// `small`, a quarter of the channels with one or two blocks per stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Res2NetConfig {
    /// Input channels, all with the same CT (published: 3, for photographs).
    pub input_channels: usize,
    /// Channels after the stem (published: 64); stage i gives `4 · channels · 2^i`.
    pub channels: usize,
    /// Blocks of the four stages (published: 3, 4, 6, 3).
    pub blocks: [usize; 4],
    /// Width of a group of channels in a block of 64 planes (published: 26).
    pub width: usize,
    /// Groups of a block, the scale (published: 4).
    pub scale: usize,
}

impl Default for Res2NetConfig {
    fn default() -> Self {
        Self::base()
    }
}

impl Res2NetConfig {
    /// Res2Net-50 v1b 26w × 4s.
    pub fn base() -> Self {
        Self {
            input_channels: 3,
            channels: 64,
            blocks: [3, 4, 6, 3],
            width: 26,
            scale: 4,
        }
    }

    /// A size for CPUs.
    pub fn small() -> Self {
        Self {
            input_channels: 1,
            channels: 16,
            blocks: [1, 2, 2, 1],
            width: 32,
            scale: 4,
        }
    }

    /// Channels of the features of the four stages.
    pub fn features(&self) -> [usize; 4] {
        [0, 1, 2, 3].map(|stage| (4 * self.channels) << stage)
    }

    /// Makes the net without its linear layer.
    pub fn backbone(&self, device: &Device) -> Res2NetBackbone {
        let [c, half] = [self.channels, self.channels / 2];
        let stem = |channels, stride| {
            Conv2dUnitConfig::new(Conv2dConfig::new(channels, 3).with_stride(stride)).init(device)
        };
        let features = self.features();
        let stage = |stage: usize| -> Vec<Bottle2neck> {
            let block = |block: usize| {
                let from = match (block, stage) {
                    (0, 0) => c,
                    (0, _) => features[stage - 1],
                    _ => features[stage],
                };
                Bottle2neckConfig {
                    channels: [from, features[stage]],
                    group: (c << stage) * self.width / 64,
                    groups: self.scale,
                    stride: if stage > 0 && block == 0 { 2 } else { 1 },
                    first: block == 0,
                }
                .init(device)
            };
            (0..self.blocks[stage]).map(block).collect()
        };
        Res2NetBackbone {
            stem: vec![
                stem([self.input_channels, half], 2),
                stem([half, half], 1),
                stem([half, c], 1),
            ],
            stages: (0..4).map(stage).collect(),
            input_channels: self.input_channels,
        }
    }
}

/// Res2Net without its linear layer.
///
/// Gao et al.: Res2Net: A New Multi-Scale Backbone Architecture. IEEE TPAMI 43(2), 2021. This is
/// the variant v1b of the authors' release: its stem is three 3 × 3 convolutions; for its blocks
/// see [`Bottle2neck`].
#[derive(Module, Debug)]
pub struct Res2NetBackbone {
    /// The three convolutions before the max pool; the first has stride 2.
    pub stem: Vec<Conv2dUnit>,
    /// The blocks of the four stages.
    pub stages: Vec<Vec<Bottle2neck>>,
    /// Input channels of the stem.
    pub input_channels: usize,
}

impl Res2NetBackbone {
    /// The features of the four stages. Slices do not affect each other.
    ///
    /// # Shapes
    ///
    /// - `x`: CT `[batch, 1, d, h, w]`
    /// - output: `[batch, C_i, d, h/2^(i+2), w/2^(i+2)]`, i = 0..3
    pub fn forward(&self, x: Tensor<5>) -> [Tensor<5>; 4] {
        let [b, _, d, h, w] = x.dims();
        let x = x.expand([b, self.input_channels, d, h, w]);
        let x = self.stem.iter().fold(x, |x, unit| unit.forward(x));
        let mut x = max_pool2d(x, 3, 2, 1);
        [0, 1, 2, 3].map(|stage: usize| {
            let blocks = self.stages[stage].iter();
            x = blocks.fold(x.clone(), |x, block| block.forward(x));
            x.clone()
        })
    }
}

/// Res2Net for windows. The linear layer acts on the mean over all slices of the window, which
/// gives the mean of the slices' logits.
#[derive(Module, Debug)]
pub struct Res2Net {
    /// Backbone, whose last features are averaged.
    pub backbone: Res2NetBackbone,
    /// Linear layer `[C_3, 3]`.
    pub linear: Linear,
}

impl Res2Net {
    /// Class logits `[batch, 3]` and the last stage's features `[batch, C_3, d, h/32, w/32]`.
    ///
    /// # Shapes
    ///
    /// - `x`: CT `[batch, 1, d, h, w]`
    pub fn forward(&self, x: Tensor<5>) -> (Tensor<2>, Tensor<5>) {
        let [_, _, _, features] = self.backbone.forward(x);
        let [b, c, d, h, w] = features.dims();
        let pooled = features.clone().reshape([b, c, d * h * w]).mean_dim(2);
        (self.linear.forward(pooled.reshape([b, c])), features)
    }
}

impl Net for Res2Net {
    fn answer(&self, x: Tensor<5>) -> ModelOutput {
        let (logits, class_features) = self.forward(x);
        ModelOutput {
            class_logits: vec![logits],
            class_features: Some(class_features),
            ..ModelOutput::default()
        }
    }

    fn class_weights(&self) -> Option<Tensor<2>> {
        Some(self.linear.weight.val())
    }
}

/// An error that names a field of the configuration.
pub(super) fn refuse(field: &str, range: &str) -> Error {
    Error::new(ErrorKind::Config, format!("`{field}` must be {range}"))
}

/// Refuses windows whose slices' sides are not multiples of 32.
pub(super) fn check_multiple_of_32([d, h, w]: [usize; 3]) -> Result<()> {
    let fits = |side: usize| side > 0 && side.is_multiple_of(STRIDE);
    if d > 0 && fits(h) && fits(w) {
        return Ok(());
    }
    let reason = format!(
        "a window of {d} × {h} × {w} voxels does not fit: height and width must be multiples of \
         {STRIDE}, the depth at least 1"
    );
    Err(Error::new(ErrorKind::Mismatch, reason))
}

impl NetConfig for Res2NetConfig {
    type Net = Res2Net;
    const CARD: SystemCard = SystemCard {
        name: "Res2Net",
        source: "Gao, Cheng, Zhao, Zhang, Yang, Torr: Res2Net: A New Multi-Scale Backbone \
                 Architecture. IEEE TPAMI 43(2):652-662, 2021. doi:10.1109/TPAMI.2019.2938758. \
                 Variant v1b, 26w x 4s, of the authors' release.",
        differs: "Slice by slice; the logits of a window are the mean of its slices' logits. The \
                  CT fills all three input channels. Trained from random weights, without \
                  ImageNet. The preset `small` has one input channel, a quarter of the channels, \
                  1, 2, 2 and 1 blocks in its stages and groups of 8, 16, 32 and 64 channels.",
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
        let within = |v: usize, low: usize, high: usize| (low..=high).contains(&v);
        if !within(self.input_channels, 1, 16) {
            return Err(refuse("input_channels", "between 1 and 16"));
        }
        if !within(self.channels, 2, 512) || !self.channels.is_multiple_of(2) {
            return Err(refuse("channels", "even, between 2 and 512"));
        }
        if !self.blocks.iter().all(|b| within(*b, 1, 64)) {
            return Err(refuse("blocks", "four numbers between 1 and 64"));
        }
        if !within(self.width, 1, 256) || self.channels * self.width < 64 {
            return Err(refuse(
                "width",
                "between 1 and 256, and at least 64 / `channels`",
            ));
        }
        if !within(self.scale, 2, 16) {
            return Err(refuse("scale", "between 2 and 16"));
        }
        Ok(())
    }

    fn check_window(&self, shape: [usize; 3]) -> Result<()> {
        check_multiple_of_32(shape)
    }

    fn segments(&self) -> bool {
        false
    }

    fn classifies(&self) -> bool {
        true
    }

    fn init(&self, device: &Device) -> Res2Net {
        if let Err(error) = self.validate() {
            panic!("{error}");
        }
        Res2Net {
            backbone: self.backbone(device),
            linear: LinearConfig::new(self.features()[3], CLASSES).init(device),
        }
    }
}
