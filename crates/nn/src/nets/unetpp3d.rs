//! 3D U-Net++.

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

/// Number of levels of the net.
const LEVELS: usize = 5;

/// How a map is upsampled to the next finer level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Upsampling {
    /// Trilinear interpolation, which has no parameters and keeps the channels.
    #[default]
    Trilinear,
    /// A transposed 2³ convolution to the finer level's channels.
    Transposed,
}

/// Configuration of [`UNetPp3d`].
///
/// Presets: `base` (27.47 M parameters), `narrow` (16 to 256 channels and transposed convolutions,
/// 6.55 M), `small` (an eighth of `base`'s channels).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UNetPp3dConfig {
    /// Channels of levels 1..5 (paper: 32, 64, 128, 256, 512).
    pub channels: [usize; LEVELS],
    /// How a map is upsampled to the next finer level.
    pub upsampling: Upsampling,
    /// Deep supervision: whether each column of the nested skips has a supervised output (paper),
    /// or only the last column.
    pub deep_supervision: bool,
    /// Whether convolutions have biases. A batch norm cancels them, but the published number of
    /// parameters includes them.
    pub conv_bias: bool,
    /// Normalisation after each convolution.
    pub norm: Norm,
    /// Lesion channels K: 1 (lesion) or 2 (ground-glass opacity, consolidation).
    pub lesion_channels: usize,
}

impl Default for UNetPp3dConfig {
    fn default() -> Self {
        Self {
            channels: [32, 64, 128, 256, 512],
            upsampling: Upsampling::Trilinear,
            deep_supervision: true,
            conv_bias: true,
            norm: Norm::Batch,
            lesion_channels: 1,
        }
    }
}

impl NetConfig for UNetPp3dConfig {
    type Net = UNetPp3d;

    const CARD: SystemCard = SystemCard {
        name: "3D U-Net++",
        source: "Zhou, Siddiquee, Tajbakhsh, Liang: UNet++: a nested U-Net architecture for \
                 medical image segmentation. DLMIA 2018. DOI 10.1007/978-3-030-00889-5_1, \
                 arXiv:1807.10165",
        differs: "The original is 2D; the kernels are 3³ here, pooling and interpolation 3D. The \
                  published 27.47 M parameters are those of 32 to 512 channels, interpolation \
                  without parameters, biases and batch norms; the published 6.55 M those of 16 to \
                  256 channels with transposed convolutions (preset `narrow`). With deep \
                  supervision the loss is averaged over the four outputs and the last one is the \
                  result; the original also offers their mean. The original states no norm; ours \
                  is batch norm, as in the authors' later code.",
    };
    const PRESETS: &'static [&'static str] = &["base", "small", "narrow"];

    fn preset(name: &str) -> Option<Self> {
        match name {
            "base" => Some(Self::default()),
            "small" => Some(Self {
                channels: [4, 8, 16, 32, 64],
                conv_bias: false,
                ..Self::default()
            }),
            "narrow" => Some(Self {
                channels: [16, 32, 64, 128, 256],
                upsampling: Upsampling::Transposed,
                conv_bias: false,
                ..Self::default()
            }),
            _ => None,
        }
    }

    fn validate(&self) -> Result<()> {
        checks::fields(
            &[
                (
                    self.channels.iter().all(checks::is_width),
                    "channels",
                    "must be 1 to 2048 each",
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
        checks::multiple(Self::CARD.name, shape, 16)
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

    fn init(&self, device: &Device) -> UNetPp3d {
        if let Err(error) = self.validate() {
            panic!("{error}");
        }
        let c = self.channels;
        let transposed = self.upsampling == Upsampling::Transposed;
        let node = |i: usize, j: usize| {
            let from = match (i, j) {
                (0, 0) => 1,
                (_, 0) => c[i - 1],
                _ => j * c[i] + if transposed { c[i] } else { c[i + 1] },
            };
            DoubleConvConfig::new([from, c[i], c[i]], self.norm)
                .with_bias(self.conv_bias)
                .init(device)
        };
        let up = |i: usize| UpConvConfig::new([c[i + 1], c[i]]).init(device);
        let head = || {
            ConvConfig::new([c[0], self.lesion_channels], 1)
                .with_bias(true)
                .init(device)
        };
        let heads = if self.deep_supervision { LEVELS - 1 } else { 1 };
        UNetPp3d {
            nodes: (0..LEVELS)
                .map(|i| (0..LEVELS - i).map(|j| node(i, j)).collect())
                .collect(),
            ups: transposed.then(|| {
                (0..LEVELS - 1)
                    .map(|i| (1..LEVELS - i).map(|_| up(i)).collect())
                    .collect()
            }),
            heads: (0..heads).map(|_| head()).collect(),
            config: self.clone(),
        }
    }
}

/// 3D U-Net++: a U-Net with nodes of convolutions along its skip connections.
///
/// Node (i, j) of level i and column j takes all earlier nodes of its level and the upsampled node
/// (i + 1, j − 1). Column 0 is the encoder, with 2³ max pooling between levels. Each node has two
/// 3³ convolutions.
#[derive(Module, Debug)]
pub struct UNetPp3d {
    /// Nodes of levels 1..5, from column 0 on each level.
    pub nodes: Vec<Vec<DoubleConv>>,
    /// Transposed convolutions to levels 1..4, from column 1 on each level; `None` for trilinear
    /// upsampling.
    pub ups: Option<Vec<Vec<UpConv>>>,
    /// 1³ convolutions to lesion logits from level 1's columns 1..4, or from the last column alone.
    pub heads: Vec<Conv>,
    #[module(skip)]
    config: UNetPp3dConfig,
}

impl UNetPp3d {
    /// The configuration that the net was made from.
    pub fn config(&self) -> &UNetPp3dConfig {
        &self.config
    }

    /// Lesion probabilities of each supervised column; the last one is the result.
    ///
    /// # Shapes
    ///
    /// - input: CT in \[0, 1\], `[batch, 1, d, h, w]`, sides multiples of 16
    /// - output: `[batch, K, d, h, w]` each
    ///
    /// # Panics
    ///
    /// For a shape that [`NetConfig::check_window`] refuses, and for another number of channels.
    pub fn forward(&self, x: Tensor<5>) -> Vec<Tensor<5>> {
        let [_, _, d, h, w] = x.dims();
        checks::input(x.dims(), self.config.check_window([d, h, w]));
        self.forward_on(&Eager, x)
    }

    /// Lesion probabilities of each supervised column, with the operations of `on`; see
    /// [`forward`](Self::forward).
    pub fn forward_on<C: Compute>(&self, on: &C, x: C::Map) -> Vec<C::Map> {
        // The nodes of each level that have been computed, by column.
        let mut known: Vec<Vec<C::Map>> = Vec::with_capacity(LEVELS);
        for level in &self.nodes {
            let input = match known.last() {
                None => x.clone(),
                Some(finer) => on.max_pool(finer[0].clone(), PoolWindow::HALVING),
            };
            known.push(vec![level[0].forward(on, input)]);
        }
        for j in 1..LEVELS {
            for i in 0..LEVELS - j {
                let deeper = known[i + 1][j - 1].clone();
                let up = match &self.ups {
                    Some(ups) => on.up_conv(deeper, &ups[i][j - 1]),
                    None => on.trilinear_up2(deeper),
                };
                let inputs = known[i].iter().cloned().chain([up]).collect();
                let node = self.nodes[i][j].forward(on, on.cat_for_conv(inputs));
                known[i].push(node);
            }
        }
        let columns = known.swap_remove(0);
        let supervised = columns.into_iter().skip(LEVELS - self.heads.len());
        supervised
            .zip(&self.heads)
            .map(|(node, head)| on.sigmoid(on.conv(node, head)))
            .collect()
    }
}

impl Net for UNetPp3d {
    fn answer(&self, x: Tensor<5>) -> ModelOutput {
        ModelOutput {
            lesion: self.forward(x),
            ..ModelOutput::default()
        }
    }
}
