//! Each operation on the GPU against the same on the CPU; see `gpu.rs`.
#![cfg(feature = "wgpu")]

use burn::tensor::{Device, Tensor, TensorData};
use multirnet_nn::DeviceChoice;
use multirnet_nn::layers::nearest_up2;
use multirnet_nn::ops::conv::{conv3d, up2};
use multirnet_nn::ops::norm_act::{Parameters, batch_norm_act, norm_act};

/// Tolerance, relative to the largest value of each tensor.
const TOLERANCE: f32 = 1e-4;

fn gpu() -> Option<Device> {
    DeviceChoice::Gpu
        .open()
        .inspect_err(|reason| eprintln!("SKIPPED, nothing was tested: {reason}"))
        .ok()
}

/// Values in -1..1 that depend on the seed alone.
fn noise<const D: usize>(seed: u64, shape: [usize; D], device: &Device) -> Tensor<D> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| next()).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// Output and gradients of `op` on tensors of the given shapes and on a `[channels]` vector.
fn run(
    device: &Device,
    shapes: [[usize; 5]; 2],
    channels: usize,
    op: &dyn Fn([Tensor<5>; 2], Tensor<1>) -> Tensor<5>,
) -> Vec<(&'static str, Vec<f32>)> {
    let device = device.clone().autodiff();
    let [a, b] = [0, 1].map(|i| noise(i as u64 + 1, shapes[i], &device).require_grad());
    let c = noise(3, [channels], &device).require_grad();
    let y = op([a.clone(), b.clone()], c.clone());
    let g = noise(4, y.dims(), &device);
    let grads = (y.clone() * g).sum().backward();
    let mut all = vec![("output", values(y))];
    all.extend(a.grad(&grads).map(|g| ("gradient of the first", values(g))));
    all.extend(
        b.grad(&grads)
            .map(|g| ("gradient of the second", values(g))),
    );
    all.extend(
        c.grad(&grads)
            .map(|g| ("gradient of the vector", values(g))),
    );
    all
}

#[track_caller]
fn compare(
    what: &str,
    shapes: [[usize; 5]; 2],
    channels: usize,
    op: impl Fn([Tensor<5>; 2], Tensor<1>) -> Tensor<5>,
) -> Vec<String> {
    let Some(gpu) = gpu() else { return vec![] };
    let cpu = DeviceChoice::Cpu.open().unwrap();
    let want = run(&cpu, shapes, channels, &op);
    let got = run(&gpu, shapes, channels, &op);
    assert_eq!(want.len(), got.len());
    let mut failures = vec![];
    for ((name, want), (_, got)) in want.iter().zip(&got) {
        assert_eq!(want.len(), got.len(), "{what} {name}");
        let scale = want.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
        let worse = |(a, b): (&f32, &f32)| {
            let off = (a - b).abs();
            off.is_nan() || off > TOLERANCE * scale
        };
        let wrong = want.iter().zip(got).filter(|p| worse(*p)).count();
        if wrong > 0 {
            failures.push(format!("{what}, {name}: {wrong} of {} differ", want.len()));
        }
    }
    failures
}

#[test]
fn convolutions() {
    let mut failures = vec![];
    for batch in [1, 2, 4] {
        for ([i, o], [d, h, w], k, stride, padding) in [
            ([2, 8], [3, 6, 9], 3, 1, 1),
            ([3, 5], [4, 6, 7], 3, 1, 1),
            ([4, 4], [4, 8, 4], 3, 1, 1),
            ([16, 24], [2, 4, 6], 3, 1, 1),
            ([5, 6], [4, 6, 7], 3, 2, 1),
            ([8, 16], [4, 6, 8], 2, 2, 0),
            ([8, 1], [3, 4, 5], 1, 1, 0),
            ([3, 4], [4, 6, 8], 1, 2, 0),
            ([2, 3], [5, 6, 7], 5, 1, 2),
            ([4, 8], [1, 2, 1], 5, 1, 2),
        ] {
            failures.extend(compare(
                &format!("conv {batch} x {i} to {o}, {d} x {h} x {w}, k {k}, stride {stride}"),
                [[batch, i, d, h, w], [o, i, k, k, k]],
                o,
                |[x, w], b| conv3d(x, w, Some(b), stride, padding),
            ));
        }
        for [i, o] in [[6, 3], [8, 4], [32, 16], [5, 2]] {
            failures.extend(compare(
                &format!("up {batch} x {i} to {o}"),
                [[batch, i, 2, 3, 5], [i, o, 2, 2, 2]],
                o,
                |[x, w], b| up2(x, w, Some(b)),
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn norms_and_activations() {
    let mut failures = vec![];
    for channels in [1, 3, 4, 8] {
        for residual in [1, channels] {
            let shapes = [[2, channels, 4, 5, 6], [2, residual, 4, 5, 6]];
            let parameters = |slope: Tensor<1>| Parameters {
                gamma: slope.clone() + 1.0,
                beta: slope.clone() * 2.0,
                slope,
                epsilon: 1e-5,
            };
            let what = format!("norm of {channels} channels, {residual} of the residual");
            failures.extend(compare(&what, shapes, channels, |[x, r], c| {
                batch_norm_act(x, parameters(c), Some(r)).output
            }));
            let what = format!("given {what}");
            failures.extend(compare(&what, shapes, channels, |[x, r], c| {
                let statistics = [c.clone(), c.clone().abs() + 0.5].map(Tensor::detach);
                norm_act(x, parameters(c), statistics, Some(r))
            }));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn nearest_upsampling() {
    let mut failures = vec![];
    for channels in [1, 4] {
        failures.extend(compare(
            &format!("nearest of {channels}"),
            [[2, channels, 2, 4, 3], [2, channels, 4, 8, 6]],
            1,
            |[x, y], c| nearest_up2(x) * y * c.reshape([1, 1, 1, 1, 1]),
        ));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
