//! 3D U-Net.

use crate::blocks::{DoubleConv, DoubleConvConfig};
use crate::checks;
use crate::compute::{Compute, Eager, PoolWindow};
use crate::config::Norm;
use crate::error::Result;
use crate::layers::{Conv, ConvConfig, UpConv, UpConvConfig};
use crate::net::{ModelOutput, Net, NetConfig, SystemCard};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// Configuration of [`UNet3d`].
///
/// Presets: `base` (the paper's widths: 19.07 M parameters), `small` (an eighth of the channels).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UNet3dConfig {
    /// Channels of levels 1..4 (paper: 64, 128, 256, 512). They must be even, because a level's
    /// first convolution has half of them.
    pub channels: [usize; 4],
    /// Normalisation after each convolution (paper: batch).
    pub norm: Norm,
    /// Lesion channels K: 1 (lesion) or 2 (ground-glass opacity, consolidation).
    pub lesion_channels: usize,
}

impl Default for UNet3dConfig {
    fn default() -> Self {
        Self {
            channels: [64, 128, 256, 512],
            norm: Norm::Batch,
            lesion_channels: 1,
        }
    }
}

impl NetConfig for UNet3dConfig {
    type Net = UNet3d;

    const CARD: SystemCard = SystemCard {
        name: "3D U-Net",
        source: "Çiçek, Abdulkadir, Lienkamp, Brox, Ronneberger: 3D U-Net: learning dense \
                 volumetric segmentation from sparse annotation. MICCAI 2016. \
                 DOI 10.1007/978-3-319-46723-8_49, arXiv:1606.06650",
        differs: "Convolutions are padded, so that the output has the input's size; the original \
                  crops. One input channel and one sigmoid output for each kind of lesion in place \
                  of three channels and a softmax over three labels. Convolutions before a norm \
                  have no bias. The original states 19 069 955 parameters, which counts biases and \
                  not the norms' scales and shifts; ours has 19 070 433, and differs from it by \
                  these alone.",
    };
    const PRESETS: &'static [&'static str] = &["base", "small"];

    fn preset(name: &str) -> Option<Self> {
        match name {
            "base" => Some(Self::default()),
            "small" => Some(Self {
                channels: [8, 16, 32, 64],
                ..Self::default()
            }),
            _ => None,
        }
    }

    fn validate(&self) -> Result<()> {
        let width = |c: &usize| checks::is_width(c) && c.is_multiple_of(2);
        checks::fields(
            &[
                (
                    self.channels.iter().all(width),
                    "channels",
                    "must be even numbers from 2 to 2048",
                ),
                (
                    matches!(self.lesion_channels, 1 | 2),
                    "lesion_channels",
                    "must be 1 or 2",
                ),
            ],
            Self::PRESETS,
        )
    }

    fn check_window(&self, shape: [usize; 3]) -> Result<()> {
        checks::multiple(Self::CARD.name, shape, 8)
    }

    fn segments(&self) -> bool {
        true
    }

    fn lesion_channels(&self) -> usize {
        self.lesion_channels
    }

    fn classifies(&self) -> bool {
        false
    }

    fn init(&self, device: &Device) -> UNet3d {
        if let Err(error) = self.validate() {
            panic!("{error}");
        }
        let c = self.channels;
        let block = |channels| DoubleConvConfig::new(channels, self.norm).init(device);
        UNet3d {
            encoders: (0..4)
                .map(|i| block([if i == 0 { 1 } else { c[i - 1] }, c[i] / 2, c[i]]))
                .collect(),
            ups: (0..3)
                .map(|i| UpConvConfig::new([c[i + 1]; 2]).init(device))
                .collect(),
            decoders: (0..3)
                .map(|i| block([c[i + 1] + c[i], c[i], c[i]]))
                .collect(),
            head: ConvConfig::new([c[0], self.lesion_channels], 1)
                .with_bias(true)
                .init(device),
            config: self.clone(),
        }
    }
}

/// 3D U-Net: four levels of two 3³ convolutions each, 2³ max pooling in the encoder, transposed 2³
/// convolutions in the decoder, and skip connections by concatenation.
#[derive(Module, Debug)]
pub struct UNet3d {
    /// Encoder blocks, levels 1..4.
    pub encoders: Vec<DoubleConv>,
    /// Steps from level i + 1 to i, i = 1..3.
    pub ups: Vec<UpConv>,
    /// Decoder blocks, levels 1..3. Their input is concat(up, skip).
    pub decoders: Vec<DoubleConv>,
    /// 1³ convolution to lesion logits.
    pub head: Conv,
    #[module(skip)]
    config: UNet3dConfig,
}

impl UNet3d {
    /// The configuration that the net was made from.
    pub fn config(&self) -> &UNet3dConfig {
        &self.config
    }

    /// Lesion probabilities.
    ///
    /// # Shapes
    ///
    /// - input: CT in \[0, 1\], `[batch, 1, d, h, w]`, sides multiples of 8
    /// - output: `[batch, K, d, h, w]`
    ///
    /// # Panics
    ///
    /// For a shape that [`NetConfig::check_window`] refuses, and for another number of channels.
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let [_, _, d, h, w] = x.dims();
        checks::input(x.dims(), self.config.check_window([d, h, w]));
        self.forward_on(&Eager, x)
    }

    /// Lesion probabilities, with the operations of `on`; see [`forward`](Self::forward).
    pub fn forward_on<C: Compute>(&self, on: &C, x: C::Map) -> C::Map {
        let mut skips = Vec::with_capacity(self.decoders.len());
        let mut feature = self.encoders[0].forward(on, x);
        for encoder in &self.encoders[1..] {
            let pooled = on.max_pool(feature.clone(), PoolWindow::HALVING);
            skips.push(feature);
            feature = encoder.forward(on, pooled);
        }
        let steps = self.ups.iter().zip(&self.decoders).zip(skips).rev();
        for ((up, decoder), skip) in steps {
            let up = on.up_conv(feature, up);
            feature = decoder.forward(on, on.cat_for_conv(vec![up, skip]));
        }
        on.sigmoid(on.conv(feature, &self.head))
    }
}

impl Net for UNet3d {
    fn answer(&self, x: Tensor<5>) -> ModelOutput {
        ModelOutput {
            lesion: vec![self.forward(x)],
            ..ModelOutput::default()
        }
    }
}
