//! MedT and TransU-Net against independent implementations in PyTorch
//! (`golden/make_transformers.py` made the files), and their other properties.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Distribution, Gradients, Tensor, TensorData};
use multirnet_nn::{ErrorKind, System, SystemConfig, weights};
use safetensors::{SafeTensors, tensor::TensorView};
use std::collections::HashMap;

const SYSTEMS: [&str; 2] = ["medt", "trans-unet"];

fn preset(system: &str, name: &str) -> SystemConfig {
    SystemConfig::read(system, Some(name), serde_json::Map::new()).unwrap()
}

fn read(system: &str, preset: &str, json: &str) -> multirnet_nn::Result<SystemConfig> {
    SystemConfig::read(system, Some(preset), serde_json::from_str(json).unwrap())
}

/// Numbers in [-1, 1): splitmix64 from the FNV-1a hash of the name, as in `golden/formula.py`.
fn uniform(name: &str) -> impl Iterator<Item = f64> {
    let state = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |h, byte| {
        (h ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
    });
    (1u64..).map(move |i| {
        let mut z = state.wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        (z >> 40) as f64 / f64::from(1 << 23) - 1.0
    })
}

/// The tensor of this name and shape, as in `golden/formula.py`.
fn formula(name: &str, shape: &[usize]) -> Vec<u8> {
    let (offset, scale) = match (name.rsplit('.').next().unwrap(), shape) {
        ("gamma" | "running_var", _) => (1.0, 0.4),
        ("gates", _) => (0.6, 0.3),
        (_, [_]) => (0.0, 0.2),
        (_, [_, _, _]) => (0.0, 0.5),
        (_, [fan_in, _]) => (0.0, (3.0 / *fan_in as f64).sqrt()),
        (_, [_, rest @ ..]) => (0.0, (3.0 / rest.iter().product::<usize>() as f64).sqrt()),
        (_, []) => unreachable!("{name} is a scalar"),
    };
    uniform(name)
        .take(shape.iter().product())
        .flat_map(|u| ((offset + scale * u) as f32).to_le_bytes())
        .collect()
}

/// The system with the formula's weights, read from a weights file.
fn filled(config: &SystemConfig, device: &Device) -> System {
    let names = weights::names(&config.init(device));
    let tensors: Vec<_> = names
        .into_iter()
        .map(|(name, _, shape)| (formula(&name, &shape), name, shape))
        .collect();
    let views = tensors.iter().map(|(bytes, name, shape)| {
        let view = TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).unwrap();
        (name.as_str(), view)
    });
    let header = serde_json::json!({"format": 1, "config": config}).to_string();
    let metadata = HashMap::from([("multirnet".to_owned(), header)]);
    let bytes = safetensors::serialize(views, Some(metadata)).unwrap();
    weights::from_bytes("formula", &bytes, device).unwrap()
}

fn floats(view: &TensorView<'_>) -> Vec<f32> {
    let chunks = view.data().as_chunks::<4>().0;
    chunks.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

fn compare(bytes: &[u8]) {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(bytes).unwrap();
    let config = &metadata.metadata().as_ref().unwrap()["config"];
    let config: SystemConfig = serde_json::from_str(config).unwrap();
    for (mode, device) in [
        ("eval", Device::flex()),
        ("train", Device::flex().autodiff()),
    ] {
        let view = file.tensor("x").unwrap();
        let x = TensorData::new(floats(&view), view.shape().to_vec());
        let system = filled(&config, &device);
        let answer = system.answer(Tensor::from_data(x, &device));
        assert!(answer.logits().is_none());
        let lesion = answer.lesion().unwrap();
        let want = file.tensor(mode).unwrap();
        assert_eq!(lesion.dims().to_vec(), want.shape(), "{mode}");
        let (got, want) = (values(lesion), floats(&want));
        let largest = want.iter().fold(0f32, |m, v| m.max(v.abs()));
        let worst = got
            .iter()
            .zip(&want)
            .fold(0f32, |m, (a, b)| m.max((a - b).abs()));
        assert!(worst <= 1e-4 * largest, "{mode}: off by {worst:.2e}");
    }
}

#[test]
fn medt_is_pytorchs() {
    compare(include_bytes!("golden/transformers_medt.safetensors"));
}

#[test]
fn trans_unet_is_pytorchs() {
    compare(include_bytes!("golden/transformers_trans_unet.safetensors"));
}

/// The counts are those of the PyTorch implementations in `golden/`.
#[test]
fn parameters_are_the_published_ones() {
    let count = |system: &str, name: &str| {
        preset(system, name)
            .init(&Device::flex())
            .trained_parameters()
    };
    assert_eq!(count("trans-unet", "base"), 105_275_921);
    assert_eq!(count("trans-unet", "small"), 181_201);
    let two = read("trans-unet", "base", r#"{"lesion_channels": 2}"#).unwrap();
    // The published count is 105.28 M.
    assert_eq!(two.init(&Device::flex()).trained_parameters(), 105_276_066);
    assert_eq!(count("medt", "base"), 1_517_497);
    assert_eq!(count("medt", "small"), 26_515);
}

/// The published count of MedT, 1.56 M, consists of these parts.
#[test]
fn medts_published_parameters_include_unused_ones() {
    let ours = preset("medt", "base")
        .init(&Device::flex())
        .trained_parameters();
    // Each block of the local branch has a 1² convolution with bias that no forward pass uses.
    let unused: usize = [(1, 16), (2, 32), (4, 64), (1, 128)]
        .into_iter()
        .map(|(blocks, width)| blocks * (width * width + width))
        .sum();
    // These are two further input channels of both stems, the second class of the head, and the
    // local branch's own head for two classes, which is never used.
    let rgb = 2 * 49 * (8 + 64);
    let (class, head) = (16 + 1, 2 * (16 + 1));
    assert_eq!(unused + head, 35_570);
    let published = ours + unused + head + rgb + class;
    assert_eq!(published, 1_560_140);
    assert_eq!((published as f64 / 1e4).round() / 100.0, 1.56);
}

#[test]
fn small_nets_take_the_usual_window() {
    let device = Device::flex();
    for system in SYSTEMS {
        let config = preset(system, "small");
        assert!(config.segments() && !config.classifies());
        config.check_window([32, 96, 96]).unwrap();
        let x = Tensor::random([1, 1, 32, 96, 96], Distribution::Uniform(0.0, 1.0), &device);
        let lesion = config.init(&device).answer(x).lesion().unwrap();
        assert_eq!(lesion.dims(), [1, 1, 32, 96, 96], "{system}");
        assert!(values(lesion).iter().all(|p| (0.0..=1.0).contains(p)));
    }
}

/// Outside training the output for a slice depends on that slice alone.
#[test]
fn slices_do_not_see_each_other() {
    let device = Device::flex();
    for system in SYSTEMS {
        let net = preset(system, "small").init(&device);
        let x = Tensor::<5>::random([2, 1, 3, 48, 48], Distribution::Uniform(0.0, 1.0), &device);
        let all = net.answer(x.clone()).lesion().unwrap();
        let one = net.answer(x.narrow(0, 1, 1).narrow(2, 2, 1));
        let same = all.narrow(0, 1, 1).narrow(2, 2, 1);
        let difference = (one.lesion().unwrap() - same).abs().max();
        assert!(difference.into_scalar::<f32>() < 1e-5, "{system}");
    }
}

struct Reached<'a> {
    grads: &'a Gradients,
    path: Vec<String>,
    trained: usize,
}

impl ModuleVisitor for Reached<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() {
            return;
        }
        let name = self.path.join(".");
        let grad = param.val().grad(self.grads);
        let grad = values(grad.unwrap_or_else(|| panic!("no gradient reached {name}")));
        assert!(grad.iter().all(|g| g.is_finite()), "{name}");
        assert!(grad.iter().any(|g| *g != 0.0), "{name}: only zeros");
        self.trained += grad.len();
    }
}

#[test]
fn a_gradient_reaches_every_parameter() {
    let device = Device::flex().autodiff();
    for system in SYSTEMS {
        let net = preset(system, "small").init(&device);
        let x = Tensor::random([1, 1, 4, 96, 96], Distribution::Uniform(0.0, 1.0), &device);
        let weight = Tensor::random([1, 1, 4, 96, 96], Distribution::Default, &device);
        let lesion = net.answer(x).lesion().unwrap();
        let grads = (lesion * weight).sum().backward();
        let mut reached = Reached {
            grads: &grads,
            path: Vec::new(),
            trained: 0,
        };
        net.visit(&mut reached);
        assert_eq!(reached.trained, net.trained_parameters(), "{system}");
    }
}

#[test]
fn configurations_survive_json() {
    for system in SYSTEMS {
        for name in ["base", "small"] {
            let config = preset(system, name);
            config.validate().unwrap();
            let json = serde_json::to_string(&config).unwrap();
            assert_eq!(serde_json::from_str::<SystemConfig>(&json).unwrap(), config);
        }
    }
}

#[test]
fn bad_configurations_are_refused_by_name() {
    for (system, field, value) in [
        ("medt", "image_size", "96"),
        ("medt", "image_size", "0"),
        ("medt", "patches", "0"),
        ("medt", "width", "12"),
        ("medt", "stem_width", "0"),
        ("medt", "heads", "0"),
        ("medt", "blocks", "[1]"),
        ("medt", "blocks", "[1, 0, 1]"),
        ("medt", "lesion_channels", "3"),
        ("trans-unet", "image_size", "100"),
        ("trans-unet", "width", "65"),
        ("trans-unet", "units", "[1, 0, 1]"),
        ("trans-unet", "groups", "0"),
        ("trans-unet", "hidden", "769"),
        ("trans-unet", "layers", "0"),
        ("trans-unet", "heads", "0"),
        ("trans-unet", "mlp", "0"),
        ("trans-unet", "dropout", "1.0"),
        ("trans-unet", "bridge", "0"),
        ("trans-unet", "decoder", "[1, 1, 1, 0]"),
        ("trans-unet", "lesion_channels", "0"),
    ] {
        let config = read(system, "base", &format!(r#"{{"{field}": {value}}}"#)).unwrap();
        let error = config.validate().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(&format!("`{field}`")), "{error}");
    }
    assert!(read("medt", "base", r#"{"depth": 3}"#).is_err());
    for system in SYSTEMS {
        let error = preset(system, "small").check_window([0, 96, 96]);
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Mismatch);
    }
}
