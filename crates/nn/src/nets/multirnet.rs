//! MultiR-Net: segmentation and classification, iterated.

use super::classification::{Classification, ClassificationConfig};
use super::segmentation::{Segmentation, SegmentationConfig};
use crate::compute::{Compute, Eager};
use crate::config::{ClassFrom, MultiRNetConfig};
use crate::error::Result;
use crate::net::{ModelOutput, Net, NetConfig, SystemCard};
use burn::module::Module;
use burn::tensor::{Device, Tensor};

impl MultiRNetConfig {
    /// Makes the net on `device`. On an autodiff device it trains.
    ///
    /// # Panics
    ///
    /// If [`validate`](Self::validate) would refuse the configuration.
    pub fn init(&self, device: &Device) -> MultiRNet {
        if let Err(error) = self.validate() {
            panic!("{error}");
        }
        MultiRNet {
            segmentation: SegmentationConfig::from(self).init(device),
            classification: self
                .classification
                .then(|| ClassificationConfig::from(self).init(device)),
            config: self.clone(),
        }
    }
}

/// MultiR-Net. See [`MultiRNetConfig`].
///
/// Clones share the running statistics of batch norms. [`Module::valid`] makes a copy for
/// evaluation with separate statistics.
#[derive(Module, Debug)]
pub struct MultiRNet {
    /// The segmentation subnet.
    pub segmentation: Segmentation,
    /// The classification subnet, unless switched off.
    pub classification: Option<Classification>,
    #[module(skip)]
    config: MultiRNetConfig,
}

/// Output of one pass.
#[derive(Debug, Clone)]
pub struct Pass<M = Tensor<5>, V = Tensor<2>> {
    /// Lesion probabilities `[batch, K, d, h, w]`.
    pub lesion: M,
    /// Class logits `[batch, 3]`: normal, CAP, COVID-19.
    pub class_logits: Option<V>,
    /// Output of the last classification module `[batch, channels, d/16, h/16, w/16]`.
    pub class_features: Option<M>,
    /// The segmentation subnet's bottleneck feature `[batch, C_5, d/16, h/16, w/16]`, which is also
    /// an input of the classification subnet's head.
    pub bottleneck: M,
}

/// Output of the net: all passes, first to last.
#[derive(Debug, Clone)]
pub struct Output {
    /// The passes; never empty.
    pub passes: Vec<Pass>,
}

impl Output {
    /// Lesion probabilities of the last pass, `[batch, K, d, h, w]`.
    pub fn lesion(&self) -> Tensor<5> {
        self.passes[self.passes.len() - 1].lesion.clone()
    }

    /// Class logits `[batch, 3]` of the chosen pass, or the mean of all passes' logits; `None`
    /// without classification subnet.
    pub fn class_logits(&self, from: ClassFrom) -> Option<Tensor<2>> {
        self.select(from, |pass| pass.class_logits.clone())
    }

    /// Class features `[batch, channels, d', h', w']` behind [`class_logits`](Self::class_logits);
    /// `None` without classification subnet.
    pub fn class_features(&self, from: ClassFrom) -> Option<Tensor<5>> {
        self.select(from, |pass| pass.class_features.clone())
    }

    /// Bottleneck features `[batch, C_5, d', h', w']` behind [`class_logits`](Self::class_logits).
    /// The head is linear. It may therefore be applied to the mean over passes, or to parts of the
    /// features.
    pub fn bottleneck(&self, from: ClassFrom) -> Option<Tensor<5>> {
        self.select(from, |pass| Some(pass.bottleneck.clone()))
    }

    fn select<const D: usize>(
        &self,
        from: ClassFrom,
        get: impl Fn(&Pass) -> Option<Tensor<D>>,
    ) -> Option<Tensor<D>> {
        let mut kept = None;
        for pass in &self.passes {
            kept = from.keep(kept, get(pass)?, |sum, now| sum + now);
        }
        kept.map(|kept| match kept.count {
            1 => kept.value,
            n => kept.value.div_scalar(n as f64),
        })
    }
}

impl MultiRNet {
    /// The configuration that the net was made from.
    pub fn config(&self) -> &MultiRNetConfig {
        &self.config
    }

    /// Runs the configured passes 0..=`iterations`.
    ///
    /// # Shapes
    ///
    /// - input: CT in \[0, 1\], `[batch, 1, d, h, w]`, sides multiples of 16
    ///
    /// # Panics
    ///
    /// For a shape that [`MultiRNetConfig::check_window`] refuses, and for another number of
    /// channels.
    pub fn forward(&self, x: Tensor<5>) -> Output {
        self.forward_with(x, self.config.iterations)
    }

    /// Runs passes 0..=`iterations`. Shapes and panics are those of [`forward`](Self::forward).
    pub fn forward_with(&self, x: Tensor<5>, iterations: usize) -> Output {
        let [_, channels, d, h, w] = x.dims();
        assert_eq!(channels, 1, "the net takes one CT channel");
        if let Err(error) = MultiRNetConfig::check_window([d, h, w]) {
            panic!("{error}");
        }
        let mut passes = Vec::with_capacity(iterations + 1);
        let mut previous = x.zeros_like();
        for _ in 0..=iterations {
            let pass = self.pass(x.clone(), previous);
            previous = self.lesion_mask(&Eager, pass.lesion.clone());
            if self.config.detach_feedback {
                previous = previous.detach();
            }
            passes.push(pass);
        }
        Output { passes }
    }

    /// Runs one pass. `previous` is the lesion map of the pass before (zeros for the first).
    ///
    /// # Shapes
    ///
    /// - `x` and `previous`: `[batch, 1, d, h, w]`
    pub fn pass(&self, x: Tensor<5>, previous: Tensor<5>) -> Pass {
        self.pass_on(&Eager, x, previous)
    }

    /// Runs one pass with the operations of `on`; see [`pass`](Self::pass).
    ///
    /// # Shapes
    ///
    /// - `x` and `previous`: `[batch, 1, d, h, w]`
    pub fn pass_on<C: Compute>(
        &self,
        on: &C,
        x: C::Map,
        previous: C::Map,
    ) -> Pass<C::Map, C::Vector> {
        let (lesion, bottleneck) = self.segmentation.forward(on, x.clone(), previous);
        let class = self.classification.as_ref().map(|net| {
            let mask = self.lesion_mask(on, lesion.clone());
            let mask = match self.config.detach_mask {
                true => on.detach(mask),
                false => mask,
            };
            net.forward(on, x, mask, bottleneck.clone())
        });
        let (class_logits, class_features) = class.unzip();
        Pass {
            lesion,
            class_logits,
            class_features,
            bottleneck,
        }
    }

    /// The single lesion map that is fed back: the maximum over the K channels (ours, for K > 1).
    ///
    /// # Shapes
    ///
    /// - input: `[batch, K, d, h, w]`
    /// - output: `[batch, 1, d, h, w]`
    pub fn lesion_mask<C: Compute>(&self, on: &C, lesion: C::Map) -> C::Map {
        match self.config.lesion_channels {
            1 => lesion,
            _ => on.channel_max(lesion),
        }
    }
}

impl Output {
    /// This output in the form that all systems share. `from` chooses the class logits of the
    /// result.
    pub fn into_answer(self, from: ClassFrom) -> ModelOutput {
        let chosen_logits = self.class_logits(from);
        let class_features = self.class_features(from);
        let (lesion, logits): (Vec<_>, Vec<_>) = self
            .passes
            .into_iter()
            .map(|pass| (pass.lesion, pass.class_logits))
            .unzip();
        ModelOutput {
            lesion,
            class_logits: logits.into_iter().flatten().collect(),
            chosen_logits,
            class_features,
            edges: Vec::new(),
        }
    }
}

impl Net for MultiRNet {
    fn answer(&self, x: Tensor<5>) -> ModelOutput {
        self.forward(x).into_answer(self.config().class_from)
    }

    fn class_weights(&self) -> Option<Tensor<2>> {
        // The first rows act on the class features, the rest on the bottleneck feature.
        let linear = &self.classification.as_ref()?.linear;
        Some(
            linear
                .weight
                .val()
                .narrow(0, 0, self.config().class_channels[5]),
        )
    }
}

impl NetConfig for MultiRNetConfig {
    type Net = MultiRNet;
    const CARD: SystemCard = SystemCard {
        name: "MultiR-Net",
        source: "MultiR-Net: a novel joint learning network for COVID-19 segmentation and \
                 classification. Computers in Biology and Medicine 144:105340, 2022.",
        differs: "3³ kernels instead of V-Net's 5³ (preset `vnet5`); every choice that the paper \
                  leaves open is a field of the configuration.",
    };
    const PRESETS: &'static [&'static str] = &Self::PRESETS;

    fn preset(name: &str) -> Option<Self> {
        Self::preset(name)
    }

    fn validate(&self) -> Result<()> {
        self.validate()
    }

    fn check_window(&self, shape: [usize; 3]) -> Result<()> {
        Self::check_window(shape)
    }

    fn segments(&self) -> bool {
        true
    }

    fn classifies(&self) -> bool {
        self.classification
    }

    fn lesion_channels(&self) -> usize {
        self.lesion_channels
    }

    fn init(&self, device: &Device) -> MultiRNet {
        self.init(device)
    }
}
