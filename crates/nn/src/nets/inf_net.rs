//! Inf-Net: segmentation of slices with a partial decoder, reverse attention and edge attention.

use super::res2net::{Res2NetBackbone, Res2NetConfig, check_multiple_of_32, refuse};
use crate::blocks::{
    PartialDecoder, PartialDecoderConfig, ReceptiveField, ReceptiveFieldConfig, ReverseBranch,
    ReverseBranchConfig,
};
use crate::error::Result;
use crate::layers::{Conv2dConfig, Conv2dUnit, Conv2dUnitConfig, bilinear};
use crate::net::{ModelOutput, Net, NetConfig, SystemCard};
use burn::module::Module;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// Configuration of [`InfNet`]. Presets: `base`, the published size, and `small`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InfNetConfig {
    /// The backbone (published: Res2Net-50 v1b 26w × 4s).
    pub backbone: Res2NetConfig,
    /// Channels of each feature in the partial decoder (published: 32).
    pub reduced_channels: usize,
    /// Channels of the edge feature and of the two higher reverse attention branches (published:
    /// 64).
    pub edge_channels: usize,
    /// Channels of the deepest reverse attention branch (published: 256).
    pub deepest_channels: usize,
}

impl Default for InfNetConfig {
    fn default() -> Self {
        Self::base()
    }
}

impl InfNetConfig {
    /// The published size.
    pub fn base() -> Self {
        Self {
            backbone: Res2NetConfig::base(),
            reduced_channels: 32,
            edge_channels: 64,
            deepest_channels: 256,
        }
    }

    /// A size for CPUs: [`Res2NetConfig::small`] and a quarter of the width.
    pub fn small() -> Self {
        Self {
            backbone: Res2NetConfig::small(),
            reduced_channels: 8,
            edge_channels: 16,
            deepest_channels: 64,
        }
    }
}

/// Inf-Net. See [`InfNetConfig`].
///
/// The maps have the paper's names: f_2 to f_5 are the features of the backbone's four stages, S_g
/// is the partial decoder's map, and S_5 to S_3 are the maps of the reverse attention branches.
#[derive(Module, Debug)]
pub struct InfNet {
    /// Backbone, which gives f_2 to f_5.
    pub backbone: Res2NetBackbone,
    /// Receptive field blocks on f_3, f_4, f_5.
    pub fields: Vec<ReceptiveField>,
    /// Partial decoder, which gives S_g.
    pub decoder: PartialDecoder,
    /// Reverse attention branch that gives S_5 from f_5 and S_g.
    pub reverse5: ReverseBranch,
    /// Reverse attention branch that gives S_4 from f_4 and S_5.
    pub reverse4: ReverseBranch,
    /// Reverse attention branch that gives S_3, the result, from f_3 and S_4.
    pub reverse3: ReverseBranch,
    /// Convolutions of f_2 to the edge feature.
    pub edge: Vec<Conv2dUnit>,
    /// 3 × 3 convolution of the edge feature to the edge map, with norm.
    pub edge_head: Conv2dUnit,
}

impl Net for InfNet {
    /// Lesion maps S_g, S_5, S_4, S_3; S_3 is the result.
    fn answer(&self, x: Tensor<5>) -> ModelOutput {
        let [_, _, _, h, w] = x.dims();
        let map = |logits: Tensor<5>| sigmoid(bilinear(logits, [h, w], false));
        let [f2, f3, f4, f5] = self.backbone.forward(x);
        let edge = self.edge.iter().fold(f2, |x, unit| unit.forward(x));
        let field = |i: usize, x: &Tensor<5>| self.fields[i].forward(x.clone());
        let s_g = self
            .decoder
            .forward([field(0, &f3), field(1, &f4), field(2, &f5)]);
        let s_5 = self.reverse5.forward(f5, s_g.clone(), edge.clone());
        let s_4 = self.reverse4.forward(f4, s_5.clone(), edge.clone());
        let s_3 = self.reverse3.forward(f3, s_4.clone(), edge.clone());
        ModelOutput {
            lesion: [s_g, s_5, s_4, s_3].map(map).to_vec(),
            edges: vec![map(self.edge_head.forward(edge))],
            ..ModelOutput::default()
        }
    }
}

impl NetConfig for InfNetConfig {
    type Net = InfNet;
    const CARD: SystemCard = SystemCard {
        name: "Inf-Net",
        source: "Fan, Zhou, Ji, Zhou, Chen, Fu, Shen, Shao: Inf-Net: Automatic COVID-19 Lung \
                 Infection Segmentation from CT Images. IEEE Transactions on Medical Imaging \
                 39(8):2626-2637, 2020. doi:10.1109/TMI.2020.2996645, arXiv:2004.14133.",
        differs: "Slice by slice; the CT fills all three input channels. Structure as in the \
                  authors' release. The published 33.12 M parameters count the backbone's linear \
                  layer for 1000 ImageNet classes (2.05 M), which the net never uses and which is \
                  left out here. Trained from random weights without ImageNet, on windows of one \
                  size instead of three, without pseudo labels (Semi-Inf-Net), and with the \
                  segmentation loss of all systems on its four maps instead of weighted IoU and \
                  cross-entropy. The preset `small` has a quarter of the channels and the \
                  small Res2Net as backbone.",
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
        self.backbone.validate()?;
        for (field, value) in [
            ("reduced_channels", self.reduced_channels),
            ("edge_channels", self.edge_channels),
            ("deepest_channels", self.deepest_channels),
        ] {
            if !(1..=1024).contains(&value) {
                return Err(refuse(field, "between 1 and 1024"));
            }
        }
        Ok(())
    }

    fn check_window(&self, shape: [usize; 3]) -> Result<()> {
        check_multiple_of_32(shape)
    }

    fn segments(&self) -> bool {
        true
    }

    fn classifies(&self) -> bool {
        false
    }

    fn init(&self, device: &Device) -> InfNet {
        if let Err(error) = self.validate() {
            panic!("{error}");
        }
        let [c2, c3, c4, c5] = self.backbone.features();
        let edge = self.edge_channels;
        let branch = |channels, inner, depth, kernel, head_kernel| {
            ReverseBranchConfig {
                channels,
                inner,
                edge,
                depth,
                kernel,
                head_kernel,
            }
            .init(device)
        };
        let field = |from| {
            let channels = [from, self.reduced_channels];
            ReceptiveFieldConfig { channels }.init(device)
        };
        let unit = |channels, kernel| {
            let conv = Conv2dConfig::new(channels, kernel);
            Conv2dUnitConfig::new(conv).without_relu().init(device)
        };
        InfNet {
            backbone: self.backbone.backbone(device),
            fields: [c3, c4, c5].into_iter().map(field).collect(),
            decoder: PartialDecoderConfig {
                channels: self.reduced_channels,
            }
            .init(device),
            reverse5: branch(c5, self.deepest_channels, 3, 5, 1),
            reverse4: branch(c4, edge, 2, 3, 3),
            reverse3: branch(c3, edge, 2, 3, 3),
            edge: vec![
                unit([c2, edge], 1),
                unit([edge, edge], 3),
                unit([edge, edge], 3),
            ],
            edge_head: unit([edge, 1], 3),
        }
    }
}
