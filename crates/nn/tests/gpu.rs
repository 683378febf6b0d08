//! The net on the GPU against the net on the CPU: outputs, losses, gradients, running statistics
//! and a training step. A software adapter suffices. Without any adapter, each test reports that it
//! was skipped.
#![cfg(feature = "wgpu")]

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Gradients, Int, Tensor, TensorData};
use multirnet_nn::{
    DeviceChoice, LossConfig, MaskFeedback, MultiRNet, MultiRNetConfig, Norm, Output, Truth,
    weights,
};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Tolerance, relative to the largest value of each tensor.
const TOLERANCE: f32 = 1e-3;

fn gpu() -> Option<Device> {
    match DeviceChoice::Gpu.open() {
        Ok(device) => {
            eprintln!("on {}", DeviceChoice::Gpu.describe().unwrap());
            Some(device)
        }
        Err(reason) => {
            eprintln!("SKIPPED, nothing was tested: {reason}");
            None
        }
    }
}

/// Values in 0..1 that depend on the seed alone.
fn noise(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    (0..count).map(|_| next()).collect()
}

/// A batch of two windows with their truth.
struct Batch {
    image: Tensor<5>,
    lesion: Tensor<5>,
    classes: Tensor<1, Int>,
}

impl Batch {
    fn new(config: &MultiRNetConfig, [d, h, w]: [usize; 3], device: &Device) -> Self {
        let tensor = |seed, channels: usize, f: fn(f32) -> f32| {
            let shape = [2, channels, d, h, w];
            let values = noise(seed, shape.iter().product()).into_iter().map(f);
            Tensor::from_data(TensorData::new(values.collect::<Vec<f32>>(), shape), device)
        };
        let truth = |v| if v > 0.8 { 1.0 } else { 0.0 };
        Self {
            image: tensor(1, 1, |v| v),
            lesion: tensor(2, config.lesion_channels, truth),
            classes: Tensor::from_data([2i64, 0], device),
        }
    }
}

type Named = BTreeMap<String, Vec<f32>>;

fn values<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.to_data().iter::<f32>().collect()
}

fn outputs(mode: &str, output: &Output, into: &mut Named) {
    for (t, pass) in output.passes.iter().enumerate() {
        into.insert(format!("{mode}/lesion/{t}"), values(&pass.lesion));
        if let Some(logits) = &pass.class_logits {
            into.insert(format!("{mode}/logits/{t}"), values(logits));
        }
    }
}

/// Gradients by the position of their parameter.
struct Visitor<'a> {
    grads: &'a Gradients,
    found: Named,
}

impl ModuleVisitor for Visitor<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = param.val().grad(self.grads) {
            let name = format!("gradient/{:03}", self.found.len());
            self.found.insert(name, values(&grad));
        }
    }
}

/// Sets the slopes of all PReLUs to 1. With other slopes gradients jump where an activation is 0,
/// and different rounding may put it on the other side. `gpu_ops.rs` tests other slopes.
struct Slopes(bool);

impl ModuleMapper for Slopes {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.0 = name == "alpha";
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let slope = self.0;
        param.map(|t| if slope { t.ones_like() } else { t })
    }
}

/// Everything that a training step and a forward pass give.
fn everything(bytes: &[u8], shape: [usize; 3], device: &Device) -> Named {
    let training = device.clone().autodiff();
    let net = weights::from_bytes::<MultiRNet>("net", bytes, &training).unwrap();
    let config = net.config().clone();
    let mut all = Named::new();

    let batch = Batch::new(&config, shape, &training);
    let output = net.forward(batch.image);
    outputs("training", &output, &mut all);
    let truth = Truth::known(batch.lesion, batch.classes);
    let losses = LossConfig::default().forward(&output, &truth);
    for (name, loss) in [
        ("total", &losses.total),
        ("segmentation", &losses.segmentation),
        ("classification", &losses.classification),
    ] {
        all.insert(format!("loss/{name}"), values(loss));
    }
    let grads = losses.total.backward();
    let mut visitor = Visitor {
        grads: &grads,
        found: Named::new(),
    };
    net.visit(&mut visitor);
    assert!(visitor.found.len() > 50);
    all.extend(visitor.found);

    // This is the step itself. With a large ε Adam's update is nearly proportional to the gradient.
    // With a small one it would follow the gradient's sign, which has no useful tolerance.
    let mut adam = AdamConfig::new().with_epsilon(1.0).init();
    let grads = GradientsParams::from_grads(grads, &net);
    let net: MultiRNet = adam.step(0.1, net, grads);
    for tensor in weights::tensors(&net) {
        all.insert(format!("stepped/{}", tensor.name), tensor.values);
    }
    let net = net.valid();
    let image = Batch::new(&config, shape, device).image;
    outputs("evaluation", &net.forward(image), &mut all);
    all
}

fn compare(config: MultiRNetConfig, shape: [usize; 3]) {
    let Some(gpu) = gpu() else { return };
    let cpu = DeviceChoice::Cpu.open().unwrap();
    let config = MultiRNetConfig {
        channels: config.channels.map(|c| c / 4),
        class_channels: config.class_channels.map(|c| c / 4),
        iterations: 1,
        // The random numbers of dropout depend on the device.
        dropout: 0.0,
        ..config
    };
    let net = {
        // The process has one random state, and the tests run in parallel.
        static TURN: Mutex<()> = Mutex::new(());
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        cpu.seed(7);
        // Weights are drawn when they are first read.
        config.init(&cpu).map(&mut Slopes(false))
    };
    let bytes = weights::to_bytes(&net, weights::Dtype::F32).unwrap();
    let want = everything(&bytes, shape, &cpu);
    let got = everything(&bytes, shape, &gpu);
    assert_eq!(
        want.keys().collect::<Vec<_>>(),
        got.keys().collect::<Vec<_>>()
    );
    let mut failures = Vec::new();
    let mut worst = (0f32, String::new());
    for (name, want) in &want {
        let got = &got[name];
        assert_eq!(want.len(), got.len(), "{name}");
        // Sums that (nearly) cancel to zero contain the rounding errors of their terms.
        let scale = want.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
        let off = want.iter().zip(got).map(|(a, b)| (a - b).abs() / scale);
        let off = off.fold(
            0f32,
            |m, v| {
                if v.is_nan() { f32::INFINITY } else { m.max(v) }
            },
        );
        if off > worst.0 {
            worst = (off, name.clone());
        }
        if off > TOLERANCE {
            failures.push(format!("{name}: off by {off:.2e} of {scale:.2e}"));
        }
    }
    eprintln!("furthest off: {:.2e} of its scale, {}", worst.0, worst.1);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// A window with one voxel along two axes at the bottom level.
const THIN: [usize; 3] = [16, 32, 16];

#[test]
fn base_with_batch_norm() {
    compare(MultiRNetConfig::base(), THIN);
}

#[test]
fn small_with_instance_norm_and_two_lesions() {
    let config = MultiRNetConfig {
        norm: Norm::Instance,
        lesion_channels: 2,
        mask_feedback: MaskFeedback::Add,
        detach_feedback: false,
        ..MultiRNetConfig::small()
    };
    // The variance of the two voxels that the thin window leaves would magnify every rounding.
    compare(config, [32; 3]);
}

#[test]
fn vnet5_with_group_norm() {
    let config = MultiRNetConfig {
        norm: Norm::Group,
        reverse_attention: false,
        ..MultiRNetConfig::vnet5()
    };
    compare(config, THIN);
}

#[test]
fn segmentation_alone() {
    let config = MultiRNetConfig {
        // With these widths no vector of channels is full.
        channels: [12, 20, 28, 12, 20],
        classification: false,
        ..MultiRNetConfig::base()
    };
    compare(config, THIN);
}
