//! JCS: segmentation of slices with a VGG-16 encoder, and separate classification with Res2Net.

use super::res2net::{Res2Net, Res2NetConfig, check_multiple_of_32, refuse};
use crate::blocks::{AttentiveFusion, AttentiveFusionConfig, GroupedAtrous, GroupedAtrousConfig};
use crate::error::Result;
use crate::layers::{
    Conv2d, Conv2dConfig, Conv2dUnit, Conv2dUnitConfig, avg_pool2d, bilinear, max_pool2d,
};
use crate::net::{ModelOutput, Net, NetConfig, SystemCard};
use burn::module::Module;
use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// Number of convolutions of the encoder's five stages, as in VGG-16.
const CONVS: [usize; 5] = [2, 2, 3, 3, 3];
/// Dilations of the two modules that enhance the bottleneck feature.
const DILATIONS: [[usize; 4]; 2] = [[1, 3, 6, 9], [1, 2, 3, 4]];

/// Configuration of [`Jcs`]. Presets: `base`, the published size, and `small`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JcsConfig {
    /// Input channels of the segmentation net, all with the same CT (published: 3).
    pub input_channels: usize,
    /// Factor by which average pooling reduces the slices for the segmentation net, 1 or 2
    /// (published: 1). The maps are interpolated back.
    pub reduction: usize,
    /// Channels of the five levels, even (published: 64, 128, 256, 512, 512).
    pub channels: [usize; 5],
    /// The classification net (published: Res2Net-50 v1b 26w × 4s).
    pub classifier: Res2NetConfig,
}

impl Default for JcsConfig {
    fn default() -> Self {
        Self::base()
    }
}

impl JcsConfig {
    /// The published size.
    pub fn base() -> Self {
        Self {
            input_channels: 3,
            reduction: 1,
            channels: [64, 128, 256, 512, 512],
            classifier: Res2NetConfig::base(),
        }
    }

    /// A size for CPUs.
    pub fn small() -> Self {
        Self {
            input_channels: 1,
            reduction: 2,
            channels: [8, 16, 32, 32, 32],
            classifier: Res2NetConfig::small(),
        }
    }

    fn segmentation(&self, device: &Device) -> JcsSegmentation {
        let channels = self.channels;
        let bottleneck = channels[4];
        let plain = |channels, kernel| {
            Conv2dConfig::new(channels, kernel)
                .with_bias(true)
                .init(device)
        };
        let stage = |i: usize| -> Vec<Conv2dUnit> {
            let from = if i == 0 {
                self.input_channels
            } else {
                channels[i - 1]
            };
            let unit = |n: usize| {
                let from = if n == 0 { from } else { channels[i] };
                let conv = Conv2dConfig::new([from, channels[i]], 3).with_bias(true);
                Conv2dUnitConfig::new(conv).init(device)
            };
            (0..CONVS[i]).map(unit).collect()
        };
        let fusion = |i: usize| {
            AttentiveFusionConfig {
                channels: channels[i],
                deeper: channels[(i + 1).min(4)],
            }
            .init(device)
        };
        let enhance = |dilations| {
            GroupedAtrousConfig {
                channels: bottleneck,
                dilations,
            }
            .init(device)
        };
        JcsSegmentation {
            encoder: (0..5).map(stage).collect(),
            enhance: DILATIONS.map(enhance).into(),
            top: vec![plain([bottleneck; 2], 1), plain([bottleneck; 2], 3)],
            fusions: (0..5).map(fusion).collect(),
            heads: channels.map(|c| plain([c, 1], 1)).into(),
            input_channels: self.input_channels,
            reduction: self.reduction,
        }
    }
}

/// The segmentation net: VGG-16's convolutions with batch norm, two grouped atrous modules on the
/// bottleneck feature (the enhanced feature module), and a decoder of attentive feature fusions
/// with a map at each level.
#[derive(Module, Debug)]
pub struct JcsSegmentation {
    /// Convolutions of the five stages. Max pooling precedes stages 2, 3 and 4.
    pub encoder: Vec<Vec<Conv2dUnit>>,
    /// Grouped atrous modules on the bottleneck feature, and on the same feature at half the size.
    pub enhance: Vec<GroupedAtrous>,
    /// Convolutions between the enhanced features and the decoder.
    pub top: Vec<Conv2d>,
    /// Fusions of levels 1 to 5.
    pub fusions: Vec<AttentiveFusion>,
    /// 1 × 1 convolutions to the logits of levels 1 to 5.
    pub heads: Vec<Conv2d>,
    /// Input channels of the first convolution.
    pub input_channels: usize,
    /// Factor by which average pooling reduces the slices.
    pub reduction: usize,
}

impl JcsSegmentation {
    /// Lesion probabilities of levels 5 to 1, `[batch, 1, d, h, w]` each; the last is the result.
    ///
    /// # Shapes
    ///
    /// - `x`: CT `[batch, 1, d, h, w]`
    pub fn forward(&self, x: Tensor<5>) -> Vec<Tensor<5>> {
        let [_, _, _, h, w] = x.dims();
        let x = match self.reduction {
            1 => x,
            r => avg_pool2d(x, r, r, 0, false),
        };
        let [b, _, d, p, q] = x.dims();
        let mut x = x.expand([b, self.input_channels, d, p, q]);
        let mut features = Vec::with_capacity(self.encoder.len());
        for (level, stage) in self.encoder.iter().enumerate() {
            if (1..4).contains(&level) {
                x = max_pool2d(x, 2, 2, 0);
            }
            x = stage.iter().fold(x, |x, unit| unit.forward(x));
            features.push(x.clone());
        }
        // The decoder takes the enhanced bottleneck feature in place of the encoder's.
        x = self.enhance[0].forward(x);
        features.pop();
        features.push(x.clone());
        x = self.enhance[1].forward(max_pool2d(x, 2, 2, 0));
        x = self.top.iter().fold(x, |x, conv| relu(conv.forward(x)));
        let levels = features.into_iter().zip(&self.fusions).zip(&self.heads);
        let maps = levels.rev().map(|((feature, fusion), head)| {
            x = fusion.forward(feature, x.clone());
            sigmoid(bilinear(head.forward(x.clone()), [h, w], false))
        });
        maps.collect()
    }
}

/// JCS. See [`JcsConfig`].
#[derive(Module, Debug)]
pub struct Jcs {
    /// The segmentation net.
    pub segmentation: JcsSegmentation,
    /// The classification net, which shares no weights with the segmentation net.
    pub classification: Res2Net,
}

impl Net for Jcs {
    /// Lesion maps of levels 5 to 1; level 1's is the result.
    fn answer(&self, x: Tensor<5>) -> ModelOutput {
        let (logits, class_features) = self.classification.forward(x.clone());
        ModelOutput {
            lesion: self.segmentation.forward(x),
            class_logits: vec![logits],
            class_features: Some(class_features),
            ..ModelOutput::default()
        }
    }

    fn class_weights(&self) -> Option<Tensor<2>> {
        self.classification.class_weights()
    }
}

impl NetConfig for JcsConfig {
    type Net = Jcs;
    const CARD: SystemCard = SystemCard {
        name: "JCS",
        source: "Wu, Gao, Mei, Xu, Fan, Zhang, Cheng: JCS: An Explainable COVID-19 Diagnosis \
                 System by Joint Classification and Segmentation. IEEE Transactions on Image \
                 Processing 30:3113-3126, 2021. doi:10.1109/TIP.2021.3058783, arXiv:2004.07054.",
        differs: "Slice by slice; the CT fills all three input channels; the logits of a window \
                  are the mean of its slices' logits, for three classes. The segmentation net is \
                  the one without features of the classification net, with the structure of the \
                  authors' release (no pooling before the fifth stage). Both nets run in one \
                  loop, but share no weights and no gradient passes between them; since Adam \
                  treats each weight by itself, that is the same as training them apart on the \
                  same batches. Trained from random weights without ImageNet, so that the \
                  encoder's batch norms are trained instead of frozen; the segmentation loss is \
                  that of all systems. The preset `small` has an eighth of the channels (a \
                  sixteenth in the two bottleneck levels), one input channel, sees slices at half \
                  resolution for segmentation and classifies by the small Res2Net.",
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
        if !(1..=16).contains(&self.input_channels) {
            return Err(refuse("input_channels", "between 1 and 16"));
        }
        if ![1, 2].contains(&self.reduction) {
            return Err(refuse("reduction", "1 or 2"));
        }
        let fits = |c: &usize| (2..=1024).contains(c) && c.is_multiple_of(2);
        if !self.channels.iter().all(fits) {
            return Err(refuse("channels", "five even numbers between 2 and 1024"));
        }
        self.classifier.validate()
    }

    fn check_window(&self, shape: [usize; 3]) -> Result<()> {
        check_multiple_of_32(shape)
    }

    fn segments(&self) -> bool {
        true
    }

    fn classifies(&self) -> bool {
        true
    }

    fn init(&self, device: &Device) -> Jcs {
        if let Err(error) = self.validate() {
            panic!("{error}");
        }
        Jcs {
            segmentation: self.segmentation(device),
            classification: self.classifier.init(device),
        }
    }
}
