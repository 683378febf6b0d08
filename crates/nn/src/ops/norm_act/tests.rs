//! The fused operation against burn's own operations.

use super::*;
use burn::tensor::{Device, Distribution};

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), device).require_grad()
}

fn close<const D: usize>(what: &str, a: Tensor<D>, b: Tensor<D>) {
    assert_eq!(a.dims(), b.dims(), "{what}");
    let diff: f32 = (a - b.clone()).abs().max().into_scalar();
    let scale: f32 = b.abs().max().into_scalar();
    assert!(diff <= 1e-4 * scale.max(1.0), "{what}: {diff} of {scale}");
}

#[test]
fn agrees_with_burns_composition() {
    let device = Device::flex().autodiff();
    for residual_channels in [0, 1, 3] {
        let what = format!("{residual_channels} residual channels");
        let x = random([2, 3, 4, 5, 6], &device);
        let [gamma, beta, slope] = [0; 3].map(|_| random([3], &device));
        let residual =
            (residual_channels > 0).then(|| random([2, residual_channels, 4, 5, 6], &device));
        let parameters = Parameters {
            gamma: gamma.clone(),
            beta: beta.clone(),
            slope: slope.clone(),
            epsilon: 1e-5,
        };
        let ours = batch_norm_act(x.clone(), parameters.clone(), residual.clone());
        let norm = module::batch_norm_train(x.clone(), gamma.clone(), beta.clone(), 1e-5);
        let theirs = prelu(add(norm.output, residual.clone()), slope.clone());
        close(&what, ours.output.clone(), theirs.clone());
        close(&what, ours.mean.clone(), norm.mean);
        close(&what, ours.variance.clone(), norm.variance);
        let g = random([2, 3, 4, 5, 6], &device).detach();
        let a = (ours.output * g.clone()).sum().backward();
        let b = (theirs * g).sum().backward();
        close(&what, x.grad(&a).unwrap(), x.grad(&b).unwrap());
        for p in [&gamma, &beta, &slope] {
            close(&what, p.grad(&a).unwrap(), p.grad(&b).unwrap());
        }
        if let Some(r) = &residual {
            close(&what, r.grad(&a).unwrap(), r.grad(&b).unwrap());
        }

        let statistics = [random([3], &device), random([3], &device).abs()];
        let tracked = norm_act(
            x.clone(),
            parameters.clone(),
            statistics.clone(),
            residual.clone(),
        );
        let plain = norm_act(
            x.inner(),
            Parameters {
                gamma: gamma.inner(),
                beta: beta.inner(),
                slope: slope.inner(),
                epsilon: 1e-5,
            },
            statistics.map(Tensor::inner),
            residual.map(Tensor::inner),
        );
        close(&what, plain, tracked.inner());
    }
}
