//! Medical Transformer (MedT): gated axial attention in a global and a local branch.
//!
//! Valanarasu, Oza, Hacihaliloglu, Patel: Medical Transformer: Gated Axial-Attention for Medical
//! Image Segmentation, MICCAI 2021.

use crate::blocks::{AxialBlock, AxialBlockConfig};
use crate::checks;
use crate::error::Result;
use crate::layers::{Conv2d, Conv2dConfig, Conv2dUnit, Conv2dUnitConfig, bilinear};
use crate::net::{ModelOutput, Net, NetConfig, SystemCard};
use burn::module::Module;
use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// Number of levels of the global branch.
const GLOBAL_LEVELS: usize = 2;
/// Largest number of levels of the local branch.
const MAX_LEVELS: usize = 6;

/// Configuration of [`MedT`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MedTConfig {
    /// Side that slices are interpolated to (paper: 128). Relative positions depend on it.
    pub image_size: usize,
    /// Number of patches along each side of a slice in the local branch (paper: 4).
    pub patches: usize,
    /// Channels of the first level's blocks (paper: 16). They double from level to level.
    pub width: usize,
    /// Channels in the middle of the stems (paper: 128).
    pub stem_width: usize,
    /// Attention heads (paper: 8).
    pub heads: usize,
    /// Number of blocks of each level of the local branch (paper: 1, 2, 4, 1). The first two
    /// numbers also apply to the global branch.
    pub blocks: Vec<usize>,
    /// Lesion channels: 1 (lesion) or 2 (ground-glass opacity, consolidation).
    pub lesion_channels: usize,
}

impl Default for MedTConfig {
    fn default() -> Self {
        Self::base()
    }
}

impl MedTConfig {
    /// The published size.
    pub fn base() -> Self {
        Self {
            image_size: 128,
            patches: 4,
            width: 16,
            stem_width: 128,
            heads: 8,
            blocks: vec![1, 2, 4, 1],
            lesion_channels: 1,
        }
    }

    /// A size for comparisons on a CPU: slices of 48 × 48, a quarter of the width, three levels.
    pub fn small() -> Self {
        Self {
            image_size: 48,
            patches: 3,
            width: 4,
            stem_width: 8,
            heads: 2,
            blocks: vec![1, 1, 1],
            lesion_channels: 1,
        }
    }
}

impl NetConfig for MedTConfig {
    type Net = MedT;
    const CARD: SystemCard = SystemCard {
        name: "MedT",
        source: "Valanarasu, Oza, Hacihaliloglu, Patel. Medical Transformer: Gated Axial-Attention \
                 for Medical Image Segmentation. MICCAI 2021. doi:10.1007/978-3-030-87193-2_4, \
                 arXiv:2102.10662",
        differs: "Takes a window slice by slice: each slice is interpolated bilinearly to \
                  image_size, its logits back to the window's size, and slices are stitched. \
                  Where paper and published code differ, the code is followed: attention of the \
                  local branch has neither positions nor gates, and gates stand before the batch \
                  norms, which cancel their scale while training. Gates are trained from the \
                  start (published: after ten epochs). All patches of a batch share one pass, so \
                  batch norms see them together (published: one patch position after the other). \
                  One input channel, and sigmoid outputs in place of two softmax channels. The \
                  published 1.56 M parameters (1 560 140) count layers that the published forward \
                  pass never uses (35 570), RGB input (7 056) and the second class (17); without \
                  them 1 517 497 are left, which is what ours has at image_size 128.",
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
        let levels = self.blocks.len();
        // The sides are halved by the stem, by each level below the first, and by the convolution
        // below the last level.
        let multiple = 1usize << (levels.min(MAX_LEVELS) + 1);
        let image_size = format!(
            "must be at most 2048 and a positive multiple of {multiple} · `patches`, where \
             {multiple} = 2^(levels + 1)"
        );
        let fields = [
            (
                (GLOBAL_LEVELS..=MAX_LEVELS).contains(&levels)
                    && self.blocks.iter().all(|n| (1..=64).contains(n)),
                "blocks",
                "must be two to six numbers from 1 to 64",
            ),
            (
                (1..=16).contains(&self.patches),
                "patches",
                "must be 1 to 16",
            ),
            (
                (1..=2048).contains(&self.image_size)
                    && self
                        .image_size
                        .is_multiple_of(multiple * self.patches.max(1)),
                "image_size",
                &image_size,
            ),
            ((1..=64).contains(&self.heads), "heads", "must be 1 to 64"),
            (
                (2..=128).contains(&self.width) && self.width.is_multiple_of(2 * self.heads.max(1)),
                "width",
                "must be at most 128 and a multiple of 2 · `heads`",
            ),
            (
                checks::is_width(&self.stem_width),
                "stem_width",
                "must be 1 to 2048",
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

    fn init(&self, device: &Device) -> MedT {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let side = self.image_size / self.patches;
        let patches = Branch::new(self, 4 * self.width, side, self.blocks.len(), false, device);
        MedT {
            whole: Branch::new(
                self,
                self.width / 2,
                self.image_size,
                GLOBAL_LEVELS,
                true,
                device,
            ),
            patches,
            fuse: Conv2dConfig::new([self.width; 2], 3)
                .with_bias(true)
                .init(device),
            head: Conv2dConfig::new([self.width, self.lesion_channels], 1)
                .with_bias(true)
                .init(device),
            image_size: self.image_size,
            patches_per_side: self.patches,
        }
    }
}

/// An encoder of axial attention and its decoder.
#[derive(Module, Debug)]
pub struct Branch {
    /// Three convolutions. The first one halves the sides.
    pub stem: Vec<Conv2dUnit>,
    /// Blocks of each level. From the second level on, the first block halves the sides.
    pub levels: Vec<Vec<AxialBlock>>,
    /// Convolution with stride 2 below the last level, in the local branch.
    pub bottom: Option<Conv2d>,
    /// Convolutions of the decoder, bottleneck first.
    pub decoders: Vec<Conv2d>,
}

impl Branch {
    fn new(
        config: &MedTConfig,
        stem: usize,
        side: usize,
        levels: usize,
        whole: bool,
        device: &Device,
    ) -> Self {
        let middle = config.stem_width;
        let conv3 = |from, to| Conv2dConfig::new([from, to], 3);
        let biased = |conv: Conv2dConfig| conv.with_bias(true).init(device);
        let (mut channels, mut side) = (stem, side / 2);
        let mut level = |at: usize| {
            let width = config.width << at;
            let mut block = |i: usize| {
                let stride = if at > 0 && i == 0 { 2 } else { 1 };
                let block = AxialBlockConfig {
                    channels,
                    width,
                    heads: config.heads,
                    positions: whole.then_some(side),
                    stride,
                };
                channels = 2 * width;
                side /= stride;
                block.init(device)
            };
            (0..config.blocks[at]).map(&mut block).collect()
        };
        let levels: Vec<Vec<AxialBlock>> = (0..levels).map(&mut level).collect();
        let decoder = |at: usize| biased(conv3((2 * config.width) << at, config.width << at));
        Self {
            stem: [
                Conv2dConfig::new([1, stem], 7).with_stride(2),
                conv3(stem, middle),
                conv3(middle, stem),
            ]
            .map(|conv| Conv2dUnitConfig::new(conv).init(device))
            .into(),
            bottom: (!whole).then(|| biased(conv3(channels, channels).with_stride(2))),
            decoders: (0..levels.len()).rev().map(decoder).collect(),
            levels,
        }
    }

    /// Features with the input's height and width.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, 1, d, h, w]`
    /// - output: `[batch, width, d, h, w]`
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let mut x = self.stem.iter().fold(x, |x, unit| unit.forward(x));
        let mut skips = Vec::new();
        for level in &self.levels {
            x = level.iter().fold(x, |x, block| block.forward(x));
            skips.push(x.clone());
        }
        if let Some(bottom) = &self.bottom {
            x = up(bottom.forward(x.clone())) + x;
        }
        // The decoder starts from the last level's output, so that is not a skip connection.
        skips.pop();
        for decoder in &self.decoders {
            x = up(decoder.forward(x));
            if let Some(skip) = skips.pop() {
                x = x + skip;
            }
        }
        x
    }
}

/// Bilinear upsampling to twice the height and width, then ReLU.
fn up(x: Tensor<5>) -> Tensor<5> {
    let [.., h, w] = x.dims();
    relu(bilinear(x, [2 * h, 2 * w], false))
}

/// Medical Transformer. A shallow branch sees each slice as a whole, a deeper one sees it patch by
/// patch. Their sum gives the lesion map. The net does not classify.
#[derive(Module, Debug)]
pub struct MedT {
    /// The global branch.
    pub whole: Branch,
    /// The local branch.
    pub patches: Branch,
    /// Convolution of the branches' sum.
    pub fuse: Conv2d,
    /// Convolution to lesion logits.
    pub head: Conv2d,
    /// Side that slices are interpolated to.
    pub image_size: usize,
    /// Number of patches along each side of a slice.
    pub patches_per_side: usize,
}

impl MedT {
    /// Lesion probabilities.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, 1, d, h, w]`
    /// - output: `[batch, lesion_channels, d, h, w]`
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let [.., h, w] = x.dims();
        let x = bilinear(x, [self.image_size; 2], false);
        let patches = self.patches.forward(cut(x.clone(), self.patches_per_side));
        let x = self.whole.forward(x) + join(patches, self.patches_per_side);
        let logits = self.head.forward(relu(self.fuse.forward(x)));
        sigmoid(bilinear(logits, [h, w], false))
    }
}

impl Net for MedT {
    fn answer(&self, x: Tensor<5>) -> ModelOutput {
        ModelOutput {
            lesion: vec![self.forward(x)],
            ..ModelOutput::default()
        }
    }
}

/// Slices cut into `n` × `n` patches: `[b, c, d, h, w]` → `[b, c, d · n², h / n, w / n]`.
fn cut(x: Tensor<5>, n: usize) -> Tensor<5> {
    let [b, c, d, h, w] = x.dims();
    let (p, q) = (h / n, w / n);
    x.reshape([b * c * d, n, p, n, q])
        .permute([0, 1, 3, 2, 4])
        .reshape([b, c, d * n * n, p, q])
}

/// Undoes [`cut`].
fn join(x: Tensor<5>, n: usize) -> Tensor<5> {
    let [b, c, d, p, q] = x.dims();
    let d = d / (n * n);
    x.reshape([b * c * d, n, n, p, q])
        .permute([0, 1, 3, 2, 4])
        .reshape([b, c, d, n * p, n * q])
}
