//! Learning rate and gradient norm.

use crate::config::{OptimiserConfig, Schedule};
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

/// Learning rate of the step that follows the first `step` steps of a stage. `progress` (0..=1) is
/// the part of the stage that is over.
pub(crate) fn learning_rate(config: &OptimiserConfig, step: u64, progress: f64) -> f64 {
    let rate = match config.schedule {
        Schedule::Constant => config.learning_rate,
        Schedule::Cosine | Schedule::CosineTime => {
            let (high, low) = (config.learning_rate, config.final_learning_rate);
            let turn = std::f64::consts::PI * progress.clamp(0.0, 1.0);
            low + (high - low) * (1.0 + turn.cos()) / 2.0
        }
    };
    let warm = config.warmup_steps as f64;
    rate * ((step as f64 + 1.0) / warm.max(1.0)).min(1.0)
}

/// Scales all gradients down if their joint norm exceeds `limit`.
pub(crate) fn clip(net: &impl Module, grads: GradientsParams, limit: f64) -> GradientsParams {
    let mut norm = Norm {
        grads: &grads,
        squares: None,
    };
    net.visit(&mut norm);
    let Some(squares) = norm.squares else {
        return grads;
    };
    let norm = f64::from(squares.sqrt().into_scalar::<f32>());
    // A norm that is not finite shows as a loss that is not finite in the next step.
    if norm <= limit || !norm.is_finite() {
        return grads;
    }
    let mut scale = Scale {
        grads,
        factor: limit / norm,
    };
    net.visit(&mut scale);
    scale.grads
}

struct Norm<'a> {
    grads: &'a GradientsParams,
    squares: Option<Tensor<1>>,
}

impl ModuleVisitor for Norm<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.get::<D>(param.id) {
            let square = grad.square().sum();
            self.squares = Some(match self.squares.take() {
                Some(sum) => sum + square,
                None => square,
            });
        }
    }
}

struct Scale {
    grads: GradientsParams,
    factor: f64,
}

impl ModuleVisitor for Scale {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.remove::<D>(param.id) {
            self.grads.register(param.id, grad.mul_scalar(self.factor));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_by_hand() {
        let mut config = OptimiserConfig {
            learning_rate: 1.0,
            final_learning_rate: 0.0,
            schedule: Schedule::Constant,
            warmup_steps: 0,
            ..OptimiserConfig::default()
        };
        assert_eq!(learning_rate(&config, 900, 0.9), 1.0);
        config.schedule = Schedule::Cosine;
        for (progress, rate) in [(0.0, 1.0), (0.5, 0.5), (1.0, 0.0), (2.0, 0.0)] {
            assert!((learning_rate(&config, 0, progress) - rate).abs() < 1e-12);
        }
        config.warmup_steps = 4;
        assert_eq!(learning_rate(&config, 0, 0.0), 0.25);
        assert_eq!(learning_rate(&config, 3, 0.0), 1.0);
    }

    #[test]
    fn gradients_are_scaled_to_the_limit_and_no_further() {
        let device = burn::tensor::Device::flex().autodiff();
        let net = multirnet_nn::MultiRNetConfig {
            channels: [2; 5],
            class_channels: [2; 6],
            iterations: 0,
            ..multirnet_nn::MultiRNetConfig::small()
        }
        .init(&device);
        let grads = || {
            let x = Tensor::<5>::ones([1, 1, 16, 16, 16], &device);
            let loss = net.forward(x).lesion().sum();
            GradientsParams::from_grads(loss.backward(), &net)
        };
        let norm = |grads: &GradientsParams| {
            let mut n = Norm {
                grads,
                squares: None,
            };
            net.visit(&mut n);
            f64::from(n.squares.unwrap().sqrt().into_scalar::<f32>())
        };
        let before = norm(&grads());
        let clipped = norm(&clip(&net, grads(), before / 4.0));
        assert!((clipped / (before / 4.0) - 1.0).abs() < 1e-3, "{clipped}");
        let kept = norm(&clip(&net, grads(), before * 4.0));
        assert!((kept / before - 1.0).abs() < 1e-3);
    }
}
