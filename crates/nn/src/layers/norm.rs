//! Batch, instance and group normalisation.

use super::Conv;
use crate::config::Norm;
use crate::ops::conv_norm_act as ops;
use crate::ops::norm_act::{BatchNormAct, Parameters, batch_norm_act, norm_act};
use burn::module::Module;
use burn::nn::{
    BatchNorm, BatchNormConfig, GroupNorm, GroupNormConfig, InstanceNorm, InstanceNormConfig, PRelu,
};
use burn::tensor::activation::leaky_relu;
use burn::tensor::{Device, Tensor};

/// Configuration of [`NormLayer`].
#[derive(Debug, Clone)]
pub struct NormConfig {
    /// Kind of normalisation.
    pub kind: Norm,
    /// Channels of the input.
    pub channels: usize,
}

impl NormConfig {
    /// A norm of `kind` over `channels`.
    pub fn new(kind: Norm, channels: usize) -> Self {
        Self { kind, channels }
    }

    /// Groups of the group norm: the largest number up to 8 that divides the channels.
    pub fn groups(&self) -> usize {
        (1..=8)
            .rev()
            .find(|g| self.channels.is_multiple_of(*g))
            .unwrap_or(1)
    }

    /// Makes the layer: γ = 1, β = 0, running mean 0 and variance 1, ε = 1e-5.
    pub fn init(&self, device: &Device) -> NormLayer {
        match self.kind {
            Norm::Batch => NormLayer::Batch(BatchNormConfig::new(self.channels).init(device)),
            Norm::Instance => {
                NormLayer::Instance(InstanceNormConfig::new(self.channels).init(device))
            }
            Norm::Group => {
                NormLayer::Group(GroupNormConfig::new(self.groups(), self.channels).init(device))
            }
        }
    }
}

/// Normalisation with a trained scale γ and shift β for each channel.
///
/// If the input is on an autodiff device, batch normalisation uses the batch's own statistics. It
/// then moves the running statistics towards them with momentum 0.1 (biased variance). On other
/// devices it uses the running statistics. In an iterative net each pass counts as a batch.
#[derive(Module, Debug)]
pub enum NormLayer {
    /// Batch normalisation.
    Batch(BatchNorm),
    /// Instance normalisation.
    Instance(InstanceNorm),
    /// Group normalisation.
    Group(GroupNorm),
}

impl NormLayer {
    /// Applies the layer.
    ///
    /// # Shapes
    ///
    /// - input and output: `[batch, channels, d, h, w]`
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        match self {
            Self::Batch(norm) => norm.forward(x),
            Self::Instance(norm) => norm.forward(x),
            Self::Group(norm) => norm.forward(x),
        }
    }

    /// Applies the layer, adds `residual` and applies `act`, in one operation where the norm
    /// allows it.
    ///
    /// # Shapes
    ///
    /// - input and output: `[batch, channels, d, h, w]`
    /// - `residual`: as the input, or with one channel, which is then added to every channel
    pub fn forward_act(&self, x: Tensor<5>, residual: Option<Tensor<5>>, act: &PRelu) -> Tensor<5> {
        match self {
            Self::Batch(norm) if act.alpha.dims() == norm.gamma.dims() => {
                batch_act(norm, x, residual, act.alpha.val())
            }
            _ => {
                let y = self.forward(x);
                act.forward(match residual {
                    Some(residual) => y + residual,
                    None => y,
                })
            }
        }
    }

    /// Applies the layer, adds `residual` and multiplies negative values by a fixed `slope`: 0
    /// makes a ReLU, 1 the identity.
    ///
    /// # Shapes
    ///
    /// - as [`forward_act`](Self::forward_act)
    pub fn forward_slope(
        &self,
        x: Tensor<5>,
        residual: Option<Tensor<5>>,
        slope: f64,
    ) -> Tensor<5> {
        match self {
            Self::Batch(norm) => {
                let slope = Tensor::full(norm.gamma.dims(), slope, &x.device());
                batch_act(norm, x, residual, slope)
            }
            _ => {
                let y = self.forward(x);
                let y = match residual {
                    Some(residual) => y + residual,
                    None => y,
                };
                leaky_relu(y, slope)
            }
        }
    }
}

/// A convolution, the norm, an optional residual and a PReLU, or a ReLU without `act`, as one operation of mixed
/// precision; `None` where they are separate operations.
pub(crate) fn conv_norm_act(
    x: &Tensor<5>,
    conv: &Conv,
    norm: &NormLayer,
    act: Option<&PRelu>,
    residual: Option<&Tensor<5>>,
) -> Option<Tensor<5>> {
    let NormLayer::Batch(norm) = norm else {
        return None;
    };
    let slope = match act {
        Some(act) => act.alpha.val(),
        None => Tensor::zeros(norm.gamma.dims(), &x.device()),
    };
    if conv.bias.is_some() || !norm.training.is_enabled() || slope.dims() != norm.gamma.dims() {
        return None;
    }
    let (w, parameters) = (conv.weight.val(), parameters(norm, slope));
    let result = ops::conv_norm_act(x, w, conv.stride, conv.padding, &parameters, residual)?;
    Some(updated(norm, result))
}

fn parameters(norm: &BatchNorm, slope: Tensor<1>) -> Parameters {
    Parameters {
        gamma: norm.gamma.val(),
        beta: norm.beta.val(),
        slope,
        epsilon: norm.epsilon,
    }
}

/// Burn's [`BatchNorm`] with residual and slope. It follows burn's rule for the use of the batch's
/// statistics.
fn batch_act(
    norm: &BatchNorm,
    x: Tensor<5>,
    residual: Option<Tensor<5>>,
    slope: Tensor<1>,
) -> Tensor<5> {
    let device = x.device();
    let parameters = parameters(norm, slope);
    if !(device.is_autodiff() && norm.training.is_enabled()) {
        let running = [&norm.running_mean, &norm.running_var];
        let statistics = running.map(|state| state.value().to_device(&device));
        return norm_act(x, parameters, statistics, residual);
    }
    updated(norm, batch_norm_act(x, parameters, residual))
}

/// The output, after the running statistics have taken the batch's in.
fn updated(norm: &BatchNorm, result: BatchNormAct) -> Tensor<5> {
    let device = result.output.device();
    for (state, batch) in [
        (&norm.running_mean, result.mean),
        (&norm.running_var, result.variance),
    ] {
        let kept = state
            .value_sync()
            .to_device(&device)
            .mul_scalar(1.0 - norm.momentum);
        state.update((kept + batch.detach().mul_scalar(norm.momentum)).detach());
    }
    result.output
}
