//! The convolutions against burn's own, and in bf16 against `f32`.

use super::*;
use crate::ops::{Precision, with_precision};
use burn::tensor::{Device, Distribution, module};

fn close(what: &str, a: &Tensor<5>, b: &Tensor<5>) {
    assert_eq!(a.dims(), b.dims(), "{what}");
    let diff: f32 = (a.clone() - b.clone()).abs().max().into_scalar();
    let scale: f32 = b.clone().abs().max().into_scalar();
    assert!(diff <= 1e-4 * scale.max(1.0), "{what}: {diff} of {scale}");
}

fn random(shape: [usize; 5], device: &Device) -> Tensor<5> {
    Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), device).require_grad()
}

/// Compares output and gradients of `ours` and `burns`, with random gradients of the output.
fn compare(
    what: &str,
    shapes: [[usize; 5]; 2],
    ours: impl Fn(Tensor<5>, Tensor<5>) -> Tensor<5>,
    burns: impl Fn(Tensor<5>, Tensor<5>) -> Tensor<5>,
) {
    let device = Device::flex().autodiff();
    let [x, w] = shapes.map(|s| random(s, &device));
    let y = ours(x.clone(), w.clone());
    let z = burns(x.clone(), w.clone());
    close(what, &y, &z);
    let g = random(z.dims(), &device).detach();
    let a = (y * g.clone()).sum().backward();
    let b = (z * g).sum().backward();
    for t in [&x, &w] {
        close(what, &t.grad(&a).unwrap(), &t.grad(&b).unwrap());
    }
}

#[test]
fn agrees_with_burn() {
    for (channels, size, kernel, stride, padding) in [
        ([2, 8], [3, 6, 9], 3, 1, 1),
        ([16, 24], [2, 4, 6], 3, 1, 1),
        ([5, 6], [4, 6, 7], 3, 2, 1),
        ([8, 16], [4, 6, 8], 2, 2, 0),
        ([8, 1], [3, 4, 5], 1, 1, 0),
        ([3, 4], [4, 6, 8], 1, 2, 0),
        ([2, 3], [5, 6, 7], 5, 1, 2),
    ] {
        let ([i, o], [d, h, w], k) = (channels, size, kernel);
        compare(
            &format!("{channels:?} {size:?} {kernel} {stride}"),
            [[2, i, d, h, w], [o, i, k, k, k]],
            |x, w| conv3d(x, w, None, stride, padding),
            |x, w| {
                let options = options(&w.shape(), stride, padding);
                module::conv3d(x, w, None, options)
            },
        );
    }
    compare(
        "flat",
        [[2, 5, 3, 6, 9], [7, 5, 1, 3, 3]],
        |x, w| conv3d(x, w, None, 1, 1),
        |x, w| {
            let options = ConvOptions::new([1; 3], [0, 1, 1], [1; 3], 1);
            module::conv3d(x, w, None, options)
        },
    );
    compare(
        "up",
        [[2, 6, 2, 3, 5], [6, 3, 2, 2, 2]],
        |x, w| up2(x, w, None),
        |x, w| module::conv_transpose3d(x, w, None, up_options()),
    );
}

#[test]
fn strided_views_and_biases_work() {
    let device = Device::flex().autodiff();
    let x = random([2, 4, 5, 3, 6], &device).permute([0, 2, 1, 4, 3]);
    let w = random([3, 3, 5, 3, 3], &device).swap_dims(1, 2);
    let b = Tensor::<1>::from_floats([1.0, -2.0, 3.0], &device);
    let plain = options(&w.shape(), 1, 1);
    let y = conv3d(x.clone(), w.clone(), Some(b.clone()), 1, 1);
    close("bias", &y, &module::conv3d(x, w, Some(b), plain));
}

#[test]
fn gradients_of_passes_in_bf16_are_near_those_in_f32() {
    let device = Device::flex().autodiff();
    // A flat kernel, a stride, a transposed kernel, and one that the kernels do not support.
    let x = random([2, 5, 4, 8, 20], &device);
    let weights = [
        random([6, 5, 3, 3, 3], &device),
        random([7, 6, 1, 3, 3], &device),
        random([8, 7, 2, 2, 2], &device),
        random([8, 4, 2, 2, 2], &device),
        random([3, 4, 1, 3, 5], &device),
    ];
    let run = |precision| {
        let y = with_precision(precision, || {
            let w = |i: usize| weights[i].clone();
            let y = conv3d(x.clone(), w(0), None, 1, 1);
            let y = conv3d(y, w(1), None, 1, 1);
            let y = conv3d(y, w(2), None, 2, 0);
            conv3d(up2(y, w(3), None), w(4), None, 1, 0)
        });
        let grads = y.clone().powi_scalar(2).mean().backward();
        let mut all = vec![y.detach(), x.grad(&grads).unwrap()];
        all.extend(weights.iter().map(|w| w.grad(&grads).unwrap()));
        all
    };
    for (i, (a, b)) in run(Precision::F32)
        .iter()
        .zip(run(Precision::Bf16))
        .enumerate()
    {
        assert_eq!(b.dtype(), DType::F32);
        let far: f32 = (a.clone() - b).powi_scalar(2).mean().sqrt().into_scalar();
        let scale: f32 = a.clone().powi_scalar(2).mean().sqrt().into_scalar();
        // Five layers, whose products in bf16 are up to 0.008 apart each where they are Winograd's.
        assert!(far > 0.0 && far < 0.04 * scale, "{i}: {far} of {scale}");
    }
}
