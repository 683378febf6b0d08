//! Zhou et al.'s multi-task net.

use super::segmentation::{DECODER_CONVS, ENCODER_CONVS};
use crate::blocks::{Residual, ResidualConfig, Unit, UnitConfig, Up, UpConfig};
use crate::checks;
use crate::compute::{Compute, Eager};
use crate::config::{CLASSES, Norm};
use crate::error::Result;
use crate::layers::{Conv, ConvConfig};
use crate::net::{ModelOutput, Net, NetConfig, NetPass, SystemCard};
use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// Encoder stages that the classifier takes, counted from 0: the last three.
const CLASS_STAGES: [usize; 3] = [2, 3, 4];

/// Configuration of [`Zhou`].
///
/// Presets: `base` (V-Net's widths: 10.81 M parameters), `small` (a quarter of the channels).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ZhouConfig {
    /// Channels of V-Net's levels 1..5 (V-Net: 16, 32, 64, 128, 256).
    pub channels: [usize; 5],
    /// Channels of the classifier's convolution on each of its three stages (ours: 64).
    pub class_channels: usize,
    /// Side of the kernels (3, as in the paper's convolutions).
    pub kernel_size: usize,
    /// Normalisation after each convolution (paper: batch).
    pub norm: Norm,
    /// Lesion channels K: 1 (lesion) or 2 (ground-glass opacity, consolidation).
    pub lesion_channels: usize,
    /// Dropout before the classifier's linear layer (ours: 0.3, as MultiR-Net).
    pub dropout: f64,
    /// n of the iterations: the net runs passes 0..=n (ours: 2, as MultiR-Net).
    pub iterations: usize,
    /// Whether the lesion map that is fed back to the next pass is detached from the gradient
    /// (ours: true).
    pub detach_feedback: bool,
}

impl Default for ZhouConfig {
    fn default() -> Self {
        Self {
            channels: [16, 32, 64, 128, 256],
            class_channels: 64,
            kernel_size: 3,
            norm: Norm::Batch,
            lesion_channels: 1,
            dropout: 0.3,
            iterations: 2,
            detach_feedback: true,
        }
    }
}

impl NetConfig for ZhouConfig {
    type Net = Zhou;

    const CARD: SystemCard = SystemCard {
        name: "Zhou's",
        source: "Zhou, Chen, Li, Liu, Xu, Wang, Yap, Shen: Multi-task learning for segmentation \
                 and classification of tumors in 3D automated breast ultrasound images. Medical \
                 Image Analysis 70, 101918, 2021. DOI 10.1016/j.media.2020.101918",
        differs: "There is no public code, and MultiR-Net's paper, whose authors wrote it anew, \
                  says no more than its name; what its abstract and a public review of it tell is \
                  kept: V-Net with 3³ kernels and batch norms, a light classifier on several \
                  scales of the encoder, and passes that refine the features with the probability \
                  map of the pass before. Ours: the map enters as a second input channel, zeros in \
                  the first pass, and is cut off from the gradient; three passes; each of the last \
                  three encoder stages goes through one 3³ convolution to 64 channels with norm \
                  and PReLU, is averaged, and one linear layer acts on all; PReLU and residual \
                  blocks of 1, 2, 3, 3, 3 convolutions as in V-Net; one sigmoid output for each \
                  kind of lesion. The loss is the one that all systems share.",
    };
    const PRESETS: &'static [&'static str] = &["base", "small"];

    fn preset(name: &str) -> Option<Self> {
        match name {
            "base" => Some(Self::default()),
            "small" => Some(Self {
                channels: [4, 8, 16, 32, 64],
                class_channels: 16,
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
                    checks::is_width(&self.class_channels),
                    "class_channels",
                    "must be 1 to 2048",
                ),
                (
                    matches!(self.kernel_size, 3 | 5),
                    "kernel_size",
                    "must be 3 or 5",
                ),
                (
                    matches!(self.lesion_channels, 1 | 2),
                    "lesion_channels",
                    "must be 1 or 2",
                ),
                (
                    (0.0..1.0).contains(&self.dropout),
                    "dropout",
                    "must be at least 0 and below 1",
                ),
                (self.iterations <= 16, "iterations", "must be 0 to 16"),
            ],
            Self::PRESETS,
        )
    }

    fn check_window(&self, shape: [usize; 3]) -> Result<()> {
        checks::multiple("Zhou's net", shape, 16)
    }

    fn segments(&self) -> bool {
        true
    }

    fn lesion_channels(&self) -> usize {
        self.lesion_channels
    }

    fn classifies(&self) -> bool {
        true
    }

    fn init(&self, device: &Device) -> Zhou {
        if let Err(error) = self.validate() {
            panic!("{error}");
        }
        let (c, norm) = (self.channels, self.norm);
        let block = |from, to, convs| {
            ResidualConfig::new([from, to], convs, self.kernel_size, norm).init(device)
        };
        let unit = |from, to, kernel, stride| {
            UnitConfig::new([from, to], kernel, norm).with_stride(stride)
        };
        Zhou {
            encoders: (0..5)
                .map(|i| block(if i == 0 { 2 } else { c[i] }, c[i], ENCODER_CONVS[i]))
                .collect(),
            downs: (0..4)
                .map(|i| unit(c[i], c[i + 1], 2, 2).init(device))
                .collect(),
            ups: (0..4)
                .map(|i| UpConfig::new([c[i + 1], c[i]], norm).init(device))
                .collect(),
            decoders: (0..4)
                .map(|i| block(2 * c[i], c[i], DECODER_CONVS[i]))
                .collect(),
            head: ConvConfig::new([c[0], self.lesion_channels], 1)
                .with_bias(true)
                .init(device),
            class_units: CLASS_STAGES
                .iter()
                .map(|i| unit(c[*i], self.class_channels, 3, 1).init(device))
                .collect(),
            dropout: DropoutConfig::new(self.dropout).init(),
            linear: LinearConfig::new(CLASS_STAGES.len() * self.class_channels, CLASSES)
                .init(device),
            config: self.clone(),
        }
    }
}

/// V-Net with a classifier on three scales of its encoder, iterated.
#[derive(Module, Debug)]
pub struct Zhou {
    /// Encoder blocks, levels 1..5. The first block takes the CT and the map of the pass before.
    pub encoders: Vec<Residual>,
    /// Steps from level i to i + 1: 2³ convolution with stride 2, norm, PReLU.
    pub downs: Vec<Unit>,
    /// Steps from level i + 1 to i.
    pub ups: Vec<Up>,
    /// Decoder blocks, levels 1..4. Their input is concat(up, skip), their residual is up.
    pub decoders: Vec<Residual>,
    /// 1³ convolution to lesion logits.
    pub head: Conv,
    /// 3³ convolutions with norm and PReLU on encoder stages 3..5.
    pub class_units: Vec<Unit>,
    /// Dropout before the linear layer.
    pub dropout: Dropout,
    /// Linear layer `[3 · class_channels, 3]`; stage 3 comes first.
    pub linear: Linear,
    #[module(skip)]
    config: ZhouConfig,
}

impl Zhou {
    /// The configuration that the net was made from.
    pub fn config(&self) -> &ZhouConfig {
        &self.config
    }

    /// Runs one pass with the operations of `on`. `previous` is the map of the pass before (zeros
    /// for the first).
    ///
    /// # Shapes
    ///
    /// - `x` and `previous`: `[batch, 1, d, h, w]`
    pub fn pass_on<C: Compute>(
        &self,
        on: &C,
        x: C::Map,
        previous: C::Map,
    ) -> NetPass<C::Map, C::Vector> {
        let input = on.cat(vec![x.clone(), previous]);
        // As in V-Net, the CT channel is added to every feature channel.
        let mut feature = self.encoders[0].forward(on, input, x);
        let mut stages = Vec::with_capacity(5);
        for (down, encoder) in self.downs.iter().zip(&self.encoders[1..]) {
            let next = down.forward(on, feature.clone());
            stages.push(feature);
            feature = encoder.forward(on, next.clone(), next);
        }
        stages.push(feature.clone());
        let (class_logits, class_features) = self.classify(on, &stages);
        let steps = self.ups.iter().zip(&self.decoders).zip(stages).rev();
        for ((up, decoder), skip) in steps {
            let up = up.forward(on, feature);
            let input = on.cat_for_conv(vec![up.clone(), skip]);
            feature = decoder.forward(on, input, up);
        }
        let lesion = on.sigmoid(on.conv(feature, &self.head));
        NetPass {
            // Ours, for K > 1: the maximum over channels is fed back.
            mask: Some(match self.config.lesion_channels {
                1 => lesion.clone(),
                _ => on.channel_max(lesion.clone()),
            }),
            lesion: Some(lesion),
            class_logits: Some(class_logits),
            class_features: Some(class_features),
        }
    }

    /// Class logits `[batch, 3]` and the features `[batch, 3 · class_channels, d/16, h/16, w/16]`
    /// whose means are the linear layer's input.
    ///
    /// The finer stages are average-pooled to the grid of the last one. This does not change their
    /// means over all voxels, and the features of all stages make one map.
    fn classify<C: Compute>(&self, on: &C, stages: &[C::Map]) -> (C::Vector, C::Map) {
        let scales = CLASS_STAGES.iter().zip(&self.class_units);
        let maps = scales
            .map(|(i, unit)| on.avg_pool(unit.forward(on, stages[*i].clone()), 1 << (4 - i)))
            .collect();
        let features = on.cat(maps);
        let logits = on.head(vec![features.clone()], Some(&self.dropout), &self.linear);
        (logits, features)
    }
}

impl Net for Zhou {
    /// Runs the configured passes 0..=`iterations`.
    ///
    /// # Panics
    ///
    /// For a shape that [`NetConfig::check_window`] refuses, and for another number of channels.
    fn answer(&self, x: Tensor<5>) -> ModelOutput {
        let [_, _, d, h, w] = x.dims();
        checks::input(x.dims(), self.config.check_window([d, h, w]));
        let mut answer = ModelOutput::default();
        let mut previous = x.zeros_like();
        for _ in 0..=self.config.iterations {
            let pass = self.pass_on(&Eager, x.clone(), previous.clone());
            if let Some(mask) = pass.mask {
                previous = match self.config.detach_feedback {
                    true => mask.detach(),
                    false => mask,
                };
            }
            answer.lesion.extend(pass.lesion);
            answer.class_logits.extend(pass.class_logits);
            answer.class_features = pass.class_features;
        }
        answer
    }

    fn class_weights(&self) -> Option<Tensor<2>> {
        Some(self.linear.weight.val())
    }
}
