//! Res2Net, Inf-Net and JCS: against independent implementations in PyTorch
//! (`golden/make_nets2d.py`), their sizes, and their other properties.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Distribution, Gradients, Tensor, TensorData};
use multirnet_nn::nets::{InfNetConfig, JcsConfig, Res2NetConfig};
use multirnet_nn::systems::{ModelOutput, NetConfig, System, SystemConfig};
use multirnet_nn::{ErrorKind, weights};
use safetensors::{SafeTensors, tensor::TensorView};
use std::collections::BTreeMap;

const GOLDEN: &[u8] = include_bytes!("golden/nets2d.safetensors");
const STEP: usize = 13;

/// `n` numbers in [0, 1): splitmix64 from the FNV-1a hash of `name`.
fn formula(name: &str, n: usize) -> Vec<f64> {
    let seed = name.bytes().fold(0xCBF2_9CE4_8422_2325u64, |seed, byte| {
        (seed ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
    });
    let number = |i: u64| {
        let mut z = seed.wrapping_add((i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f64 / f64::from(1 << 24)
    };
    (0..n as u64).map(number).collect()
}

/// The net with the formula's weights, read from a weights file.
fn filled(config: &SystemConfig, device: &Device) -> System {
    let start = weights::to_bytes(&config.init(device), weights::Dtype::F32).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&start).unwrap();
    let file = SafeTensors::deserialize(&start).unwrap();
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = file
        .iter()
        .map(|(name, view)| {
            let shape = view.shape().to_vec();
            let fan_in = match name.ends_with("linear.weight") {
                true => shape[0],
                false => shape[1..].iter().product(),
            };
            let value = |u: f64| match shape.len() {
                1 if name.ends_with("gamma") || name.ends_with("running_var") => 0.5 + u,
                1 => 0.2 * (u - 0.5),
                _ => (2.0 * u - 1.0) * (4.0 / fan_in as f64).sqrt(),
            };
            let values = formula(name, shape.iter().product()).into_iter();
            let bytes = values
                .flat_map(|u| (value(u) as f32).to_le_bytes())
                .collect();
            (name.to_owned(), shape, bytes)
        })
        .collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes);
        (name.as_str(), view.unwrap())
    });
    let bytes = safetensors::serialize(views, metadata.metadata().clone()).unwrap();
    weights::from_bytes("formula", &bytes, device).unwrap()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// Asserts that `got` is within 1e-4 of the golden values, relative to their span.
fn check(file: &SafeTensors<'_>, name: &str, got: &[f32]) {
    let view = file.tensor(name).unwrap();
    let chunks = view.data().as_chunks::<4>().0;
    let want: Vec<f32> = chunks.iter().map(|b| f32::from_le_bytes(*b)).collect();
    assert_eq!(got.len(), want.len(), "{name}");
    let span =
        want.iter().fold(f32::MIN, |m, v| m.max(*v)) - want.iter().fold(f32::MAX, |m, v| m.min(*v));
    let off = got.iter().zip(&want).map(|(a, b)| (a - b).abs());
    let worst = off.fold(0f32, f32::max);
    assert!(
        worst <= 1e-4 * span,
        "{name}: off by {worst:.2e}, span {span:.2e}"
    );
}

fn golden(system: &str) {
    let file = SafeTensors::deserialize(GOLDEN).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(GOLDEN).unwrap();
    let configs = &metadata.metadata().as_ref().unwrap()["configs"];
    let configs: BTreeMap<String, SystemConfig> = serde_json::from_str(configs).unwrap();
    let config = &configs[system];
    assert_eq!(config.name(), system);
    let x: Vec<f32> = formula("x", 2 * 2 * 64 * 64)
        .iter()
        .map(|v| *v as f32)
        .collect();
    for (mode, device) in [
        ("train", Device::flex().autodiff()),
        ("eval", Device::flex()),
    ] {
        let x = Tensor::from_data(TensorData::new(x.clone(), [2, 1, 2, 64, 64]), &device);
        let ModelOutput {
            lesion,
            class_logits,
            edges,
            ..
        } = filled(config, &device).answer(x);
        let mut compared = 0;
        for (kind, maps) in [("lesion", lesion), ("edges", edges)] {
            for (i, map) in maps.into_iter().enumerate() {
                let got: Vec<f32> = values(map).into_iter().step_by(STEP).collect();
                check(&file, &format!("{system}/{mode}/{kind}/{i}"), &got);
                compared += 1;
            }
        }
        for logits in class_logits {
            check(&file, &format!("{system}/{mode}/logits"), &values(logits));
            compared += 1;
        }
        let prefix = format!("{system}/{mode}/");
        let names = file.names();
        let wanted = names.iter().filter(|name| name.starts_with(&prefix));
        assert_eq!(compared, wanted.count(), "{prefix}");
    }
}

#[test]
fn res2net_agrees_with_its_twin() {
    golden("res2net");
}

#[test]
fn inf_net_agrees_with_its_twin() {
    golden("inf-net");
}

#[test]
fn jcs_agrees_with_its_twin() {
    golden("jcs");
}

fn all(preset: &str) -> [SystemConfig; 3] {
    [
        Res2NetConfig::preset(preset).unwrap().into(),
        InfNetConfig::preset(preset).unwrap().into(),
        JcsConfig::preset(preset).unwrap().into(),
    ]
}

/// The counts are those of the PyTorch implementation. Res2Net has the published 23.68 M. Inf-Net
/// has the published 33.12 M together with the backbone's linear layer for 1000 classes, which the
/// published net has and never uses.
#[test]
fn base_has_the_published_size() {
    let device = Device::flex();
    let counts = all("base").map(|config| config.init(&device).trained_parameters());
    assert_eq!(counts, [23_675_499, 31_072_721, 66_185_370]);
    let hundredths = |count: usize| (count + 5_000) / 10_000;
    assert_eq!(hundredths(counts[0]), 2368);
    assert_eq!(hundredths(counts[1] + 2049 * 1000), 3312);
    // With one input channel Res2Net would have 23.67 M.
    let gray = Res2NetConfig {
        input_channels: 1,
        ..Res2NetConfig::base()
    };
    let gray = SystemConfig::from(gray).init(&device).trained_parameters();
    assert_eq!(hundredths(gray), 2367);
}

#[test]
fn small_answers_for_training_windows() {
    let device = Device::flex();
    for config in all("small") {
        let name = config.name();
        config.check_window([32, 96, 96]).unwrap();
        let x = Tensor::random([2, 1, 32, 96, 96], Distribution::Uniform(0.0, 1.0), &device);
        let answer = config.init(&device).answer(x);
        assert_eq!(answer.lesion().is_some(), config.segments(), "{name}");
        assert_eq!(answer.logits().is_some(), config.classifies(), "{name}");
        assert_eq!(answer.class_features.is_some(), config.classifies());
        for map in answer.lesion.iter().chain(&answer.edges) {
            assert_eq!(map.dims(), [2, 1, 32, 96, 96], "{name}");
            assert!(values(map.clone()).iter().all(|p| (0.0..=1.0).contains(p)));
        }
        for logits in answer.class_logits {
            assert_eq!(logits.dims(), [2, 3], "{name}");
        }
    }
}

fn tiny() -> Res2NetConfig {
    Res2NetConfig {
        channels: 4,
        blocks: [1, 2, 1, 1],
        ..Res2NetConfig::base()
    }
}

fn tinies() -> [SystemConfig; 3] {
    let jcs = JcsConfig {
        channels: [2, 4, 4, 6, 4],
        classifier: tiny(),
        ..JcsConfig::base()
    };
    let inf_net = InfNetConfig {
        backbone: tiny(),
        reduced_channels: 2,
        edge_channels: 3,
        deepest_channels: 4,
    };
    [tiny().into(), inf_net.into(), jcs.into()]
}

fn random(device: &Device) -> Tensor<5> {
    Tensor::random([2, 1, 3, 64, 32], Distribution::Uniform(0.0, 1.0), device)
}

/// Collects names of parameters with and without a gradient.
struct Reached<'a> {
    grads: &'a Gradients,
    path: Vec<String>,
    reached: Vec<String>,
    missed: Vec<String>,
}

impl ModuleVisitor for Reached<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_require_grad() {
            let name = self.path.join(".");
            match param.val().grad(self.grads) {
                Some(_) => self.reached.push(name),
                None => self.missed.push(name),
            }
        }
    }
}

fn reached(net: &System, output: Tensor<1>) -> (Vec<String>, Vec<String>) {
    let grads = output.backward();
    let mut visitor = Reached {
        grads: &grads,
        path: Vec::new(),
        reached: Vec::new(),
        missed: Vec::new(),
    };
    net.visit(&mut visitor);
    (visitor.reached, visitor.missed)
}

#[test]
fn a_gradient_reaches_every_parameter() {
    let device = Device::flex().autodiff();
    for config in tinies() {
        let net = config.init(&device);
        let answer = net.answer(random(&device));
        let maps = answer.lesion.into_iter().chain(answer.edges);
        let maps = maps.map(|map| map.powi_scalar(2).sum());
        let logits = answer.class_logits.into_iter();
        let all = maps.chain(logits.map(|l| l.powi_scalar(2).sum()));
        let (reached, missed) = reached(&net, all.reduce(|a, b| a + b).unwrap());
        assert!(!reached.is_empty());
        assert!(missed.is_empty(), "{}: {missed:?}", config.name());
    }
}

#[test]
fn jcs_trains_its_nets_apart() {
    let device = Device::flex().autodiff();
    let [_, _, config] = tinies();
    let net = config.init(&device);
    let answer = net.answer(random(&device));
    let maps = answer.lesion.into_iter().map(|map| map.sum());
    let (by_lesion, _) = reached(&net, maps.reduce(|a, b| a + b).unwrap());
    let answer = net.answer(random(&device));
    let (by_class, _) = reached(&net, answer.logits().unwrap().powi_scalar(2).sum());
    assert!(by_lesion.iter().all(|name| name.contains("segmentation.")));
    assert!(by_class.iter().all(|name| name.contains("classification.")));
    assert!(!by_lesion.is_empty() && !by_class.is_empty());
}

/// In evaluation a window's maps equal those of its slices one at a time.
#[test]
fn slices_do_not_see_each_other() {
    let device = Device::flex();
    for config in &tinies()[1..] {
        let net = config.init(&device);
        let x = random(&device);
        let whole = net.answer(x.clone());
        for slice in 0..3 {
            let alone = net.answer(x.clone().narrow(2, slice, 1));
            let part = values(whole.lesion().unwrap().narrow(2, slice, 1));
            let alone = values(alone.lesion().unwrap());
            for (a, b) in part.iter().zip(&alone) {
                assert!((a - b).abs() < 1e-5, "{}: {a} {b}", config.name());
            }
        }
    }
}

/// The logits are the output of the linear layer on the features' global average. Grad-CAM relies
/// on this.
#[test]
fn logits_follow_from_the_class_features() {
    let device = Device::flex();
    for config in [&tinies()[0], &tinies()[2]] {
        let net = config.init(&device);
        let centred = |answer: ModelOutput| {
            let [b, c, d, h, w] = answer.class_features.clone().unwrap().dims();
            let features = answer.class_features.clone().unwrap();
            let pooled = features.reshape([b, c, d * h * w]).mean_dim(2);
            let by_hand = pooled.reshape([b, c]).matmul(net.class_weights().unwrap());
            // The rest is the bias, which is the same for every window.
            values(answer.logits().unwrap() - by_hand)
        };
        let left = centred(net.answer(random(&device)));
        for class in 0..3 {
            assert!((left[class] - left[3 + class]).abs() < 1e-4, "{left:?}");
        }
    }
}

#[test]
fn configurations_survive_files_and_bad_ones_are_refused() {
    for config in all("base").into_iter().chain(all("small")).chain(tinies()) {
        config.validate().unwrap();
        let text = serde_json::to_string(&config).unwrap();
        let back: SystemConfig = serde_json::from_str(&text).unwrap();
        assert_eq!(back, config);
        for shape in [[0, 96, 96], [32, 96, 80], [32, 0, 96]] {
            let error = config.check_window(shape).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Mismatch);
            assert!(error.to_string().contains("multiples of 32"));
        }
    }
    for (text, field) in [
        (r#"{"system": "res2net", "channels": 5}"#, "`channels`"),
        (
            r#"{"system": "res2net", "blocks": [1, 1, 0, 1]}"#,
            "`blocks`",
        ),
        (r#"{"system": "res2net", "width": 0}"#, "`width`"),
        (r#"{"system": "res2net", "scale": 1}"#, "`scale`"),
        (
            r#"{"system": "res2net", "input_channels": 0}"#,
            "`input_channels`",
        ),
        (
            r#"{"system": "inf-net", "edge_channels": 0}"#,
            "`edge_channels`",
        ),
        (
            r#"{"system": "inf-net", "backbone": {"scale": 99}}"#,
            "`scale`",
        ),
        (
            r#"{"system": "jcs", "channels": [2, 4, 4, 5, 4]}"#,
            "`channels`",
        ),
        (r#"{"system": "jcs", "reduction": 3}"#, "`reduction`"),
        (
            r#"{"system": "jcs", "classifier": {"width": 0}}"#,
            "`width`",
        ),
    ] {
        let config: SystemConfig = serde_json::from_str(text).unwrap();
        let error = config.validate().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(field), "{error}");
    }
    for unknown in [
        r#"{"system": "res2net", "chanels": 4}"#,
        r#"{"system": "inf-net", "backbone": {"depth": 1}}"#,
        r#"{"system": "jcs", "preset": "huge"}"#,
    ] {
        assert!(serde_json::from_str::<SystemConfig>(unknown).is_err());
    }
}
