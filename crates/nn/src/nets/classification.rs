//! The classification subnet.

use crate::blocks::{ClassModule, ClassModuleConfig};
use crate::compute::Compute;
use crate::config::{CLASSES, MaskFeedback, MultiRNetConfig, Norm};
use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
use burn::tensor::Device;

/// Strides of the six modules.
pub const STRIDES: [usize; 6] = [1, 2, 2, 2, 2, 1];

/// Configuration of [`Classification`].
#[derive(Debug, Clone)]
pub struct ClassificationConfig {
    /// Channels of the six modules.
    pub channels: [usize; 6],
    /// Channels of the segmentation subnet's bottleneck feature.
    pub bottleneck: usize,
    /// Kind of normalisation.
    pub norm: Norm,
    /// How the lesion map enters.
    pub mask_feedback: MaskFeedback,
    /// Dropout before the linear layer.
    pub dropout: f64,
}

impl From<&MultiRNetConfig> for ClassificationConfig {
    fn from(config: &MultiRNetConfig) -> Self {
        Self {
            channels: config.class_channels,
            bottleneck: config.channels[4],
            norm: config.norm,
            mask_feedback: config.mask_feedback,
            dropout: config.dropout,
        }
    }
}

impl ClassificationConfig {
    /// Makes the subnet.
    pub fn init(&self, device: &Device) -> Classification {
        let module = |i: usize| {
            let from = if i == 0 { 1 } else { self.channels[i - 1] };
            ClassModuleConfig::new([from, self.channels[i]], STRIDES[i], self.norm).init(device)
        };
        Classification {
            modules: (0..6).map(module).collect(),
            dropout: DropoutConfig::new(self.dropout).init(),
            linear: LinearConfig::new(self.channels[5] + self.bottleneck, CLASSES).init(device),
            mask_feedback: self.mask_feedback,
        }
    }
}

/// Six residual modules on the masked CT. One linear layer acts on their pooled output and on the
/// segmentation subnet's pooled bottleneck feature.
#[derive(Module, Debug)]
pub struct Classification {
    /// The residual modules.
    pub modules: Vec<ClassModule>,
    /// Dropout before the linear layer.
    pub dropout: Dropout,
    /// Linear layer `[class_channels[5] + channels[4], 3]`; the last module's features come first.
    pub linear: Linear,
    /// How the lesion map enters.
    #[module(skip)]
    pub mask_feedback: MaskFeedback,
}

impl Classification {
    /// Class logits in the order normal, CAP, COVID-19, and the last module's features.
    ///
    /// # Shapes
    ///
    /// - `x`: CT `[batch, 1, d, h, w]`
    /// - `mask`: lesion map `[batch, 1, d, h, w]`
    /// - `bottleneck`: `[batch, C_5, d/16, h/16, w/16]`
    /// - output: `[batch, 3]` and `[batch, class_channels[5], d/16, h/16, w/16]`
    pub fn forward<C: Compute>(
        &self,
        on: &C,
        x: C::Map,
        mask: C::Map,
        bottleneck: C::Map,
    ) -> (C::Vector, C::Map) {
        let z = match self.mask_feedback {
            MaskFeedback::Multiply => on.multiply(x, mask),
            MaskFeedback::Add => on.add(x, mask),
            MaskFeedback::None => x,
        };
        let modules = self.modules.iter();
        let features = modules.fold(z, |z, module| module.forward(on, z));
        (self.head(on, features.clone(), bottleneck), features)
    }

    /// Class logits from the last module's features and the segmentation subnet's bottleneck
    /// feature.
    ///
    /// # Shapes
    ///
    /// - `features`: `[batch, class_channels[5], d', h', w']`
    /// - `bottleneck`: `[batch, C_5, d', h', w']`
    /// - output: `[batch, 3]`
    pub fn head<C: Compute>(&self, on: &C, features: C::Map, bottleneck: C::Map) -> C::Vector {
        on.head(
            vec![features, bottleneck],
            Some(&self.dropout),
            &self.linear,
        )
    }
}
