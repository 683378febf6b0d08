//! Properties of the comparison's 3D nets besides their numbers.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Distribution, Gradients, Tensor};
use multirnet_nn::nets::{DenseNet3dConfig, UNet3dConfig, UNetPp3dConfig, ZhouConfig};
use multirnet_nn::systems::{Net, NetConfig, System, SystemConfig};
use multirnet_nn::{ErrorKind, MultiRNetConfig, Norm};
use serde_json::json;

const SYSTEMS: [&str; 4] = ["unet3d", "unetpp3d", "zhou", "densenet"];

fn config(system: &str, preset: &str, fields: serde_json::Value) -> SystemConfig {
    let serde_json::Value::Object(fields) = fields else {
        panic!("fields are a table");
    };
    SystemConfig::read(system, Some(preset), fields).unwrap()
}

/// Configurations that are small enough for quick tests.
fn tiny(system: &str) -> SystemConfig {
    let fields = match system {
        "unet3d" => json!({"channels": [2, 4, 4, 6]}),
        "unetpp3d" => json!({"channels": [2, 2, 3, 3, 4], "conv_bias": true}),
        "zhou" => json!({"channels": [2, 2, 3, 3, 4], "class_channels": 3, "iterations": 1}),
        _ => json!({"stem_channels": 4, "growth": 2, "blocks": [1, 2, 1, 1]}),
    };
    config(system, "small", fields)
}

fn x(shape: [usize; 3], device: &Device) -> Tensor<5> {
    let [d, h, w] = shape;
    Tensor::random([2, 1, d, h, w], Distribution::Uniform(0.0, 1.0), device)
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

fn count(system: &str, preset: &str, fields: serde_json::Value) -> usize {
    config(system, preset, fields)
        .init(&Device::flex())
        .trained_parameters()
}

/// A number of parameters in hundredths of a million, as the papers print it.
fn rounded(parameters: usize) -> usize {
    (parameters + 5_000) / 10_000
}

#[test]
fn base_nets_have_the_published_counts() {
    let none = || json!({});
    let unet = count("unet3d", "base", none());
    assert_eq!((unet, rounded(unet)), (19_070_433, 1907));
    // The paper counts three input channels, three labels and the biases before the norms, but not
    // the scales and shifts of norms. Each convolution has one bias, and its norm has two numbers.
    let outputs = 1440 + 896;
    assert_eq!(
        unet + 2 * 32 * 27 + 2 * (64 + 1) + outputs - 2 * outputs,
        19_069_955
    );
    let nested = count("unetpp3d", "base", none());
    assert_eq!((nested, rounded(nested)), (27_466_404, 2747));
    let narrow = count("unetpp3d", "narrow", none());
    assert_eq!((narrow, rounded(narrow)), (6_552_372, 655));
    let dense = count("densenet", "base", none());
    assert_eq!((dense, rounded(dense)), (11_245_699, 1125));
    // No count is published. The PyTorch implementation has the same number.
    assert_eq!(count("zhou", "base", none()), 10_812_100);
}

#[test]
fn without_classification_multirnet_is_its_segmentation_subnet() {
    let both = MultiRNetConfig::base().init(&Device::flex());
    let only = count("multirnet", "base", json!({"classification": false}));
    assert_eq!(only, 10_626_337);
    let subnet = multirnet_nn::weights::trained_parameters(&both.segmentation);
    assert_eq!(only, subnet);
    let small = count("multirnet", "small", json!({"classification": false}));
    assert_eq!(small, 2_659_705);
}

#[test]
fn small_presets_take_the_window() {
    let device = Device::flex();
    for system in SYSTEMS {
        let config = config(system, "small", json!({}));
        config.check_window([32, 96, 96]).unwrap();
        let net = config.init(&device);
        let answer = net.answer(x([32, 96, 96], &device).narrow(0, 0, 1));
        assert_eq!(answer.lesion().is_some(), config.segments(), "{system}");
        assert_eq!(answer.logits().is_some(), config.classifies(), "{system}");
        for lesion in answer.lesion {
            assert_eq!(lesion.dims(), [1, 1, 32, 96, 96], "{system}");
            let inside = |p: &f32| (0.0..=1.0).contains(p);
            assert!(values(lesion).iter().all(inside), "{system}");
        }
        for logits in answer.class_logits {
            assert_eq!(logits.dims(), [1, 3], "{system}");
        }
        assert!(answer.edges.is_empty() && answer.chosen_logits.is_none());
    }
}

#[test]
fn outputs_are_as_many_as_passes_or_columns() {
    let device = Device::flex();
    for (system, fields, lesions, logits, k) in [
        ("unet3d", json!({"lesion_channels": 2}), 1, 0, 2),
        ("unetpp3d", json!({"lesion_channels": 2}), 4, 0, 2),
        ("unetpp3d", json!({"deep_supervision": false}), 1, 0, 1),
        ("zhou", json!({"iterations": 0}), 1, 1, 1),
        (
            "zhou",
            json!({"iterations": 3, "lesion_channels": 2}),
            4,
            4,
            2,
        ),
        ("densenet", json!({}), 0, 1, 1),
    ] {
        let config = config(system, "small", fields);
        assert_eq!(config.lesion_channels(), k, "{system}");
        let answer = config.init(&device).answer(x([32, 32, 32], &device));
        let counts = (answer.lesion.len(), answer.class_logits.len());
        assert_eq!(counts, (lesions, logits), "{system}");
        for lesion in answer.lesion {
            assert_eq!(lesion.dims(), [2, k, 32, 32, 32], "{system}");
        }
    }
}

#[test]
fn later_passes_of_zhous_net_see_the_map_before() {
    let device = Device::flex();
    let net = tiny("zhou").init(&device);
    let answer = net.answer(x([16, 16, 16], &device));
    let [first, second] = [0, 1].map(|i| values(answer.lesion[i].clone()));
    assert_ne!(first, second);
}

#[test]
fn class_logits_are_the_linear_layer_on_the_mean_of_the_features() {
    let device = Device::flex();
    for system in ["zhou", "densenet"] {
        let net = tiny(system).init(&device);
        let answer = net.answer(x([48, 32, 64], &device));
        let logits = answer.logits().unwrap();
        let features = answer.class_features.unwrap();
        let [b, c, d, h, w] = features.dims();
        let weights = net.class_weights().unwrap();
        assert_eq!(weights.dims(), [c, 3], "{system}");
        let means = features.reshape([b, c, d * h * w]).mean_dim(2);
        let products = values(means.reshape([b, c]).matmul(weights));
        // The rest is the bias, which is the same in each window.
        let rest: Vec<f32> = values(logits)
            .iter()
            .zip(products)
            .map(|(a, b)| a - b)
            .collect();
        for i in 0..3 {
            assert!((rest[i] - rest[i + 3]).abs() < 1e-5, "{system}: {rest:?}");
        }
    }
    assert!(tiny("unet3d").init(&device).class_weights().is_none());
}

struct Untouched<'a> {
    grads: &'a Gradients,
    path: Vec<String>,
    found: Vec<String>,
    seen: usize,
}

impl ModuleVisitor for Untouched<'_> {
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
        self.seen += 1;
        let grad = param.val().grad(self.grads).map(values);
        let name = self.path.join(".");
        // Biases before a batch norm have no effect, because the norm cancels them.
        let idle = name.ends_with("conv.bias");
        if !grad.is_some_and(|g| idle || g.iter().any(|v| *v != 0.0)) {
            self.found.push(name);
        }
    }
}

#[test]
fn a_gradient_reaches_every_parameter() {
    let device = Device::flex().autodiff();
    for system in SYSTEMS {
        let net: System = tiny(system).init(&device);
        let answer = net.answer(x([64, 64, 64], &device));
        let mut loss = Tensor::<1>::zeros([1], &device);
        for lesion in answer.lesion {
            let weights = Tensor::random(lesion.dims(), Distribution::Default, &device);
            loss = loss + (lesion * weights).sum();
        }
        for logits in answer.class_logits {
            let weights = Tensor::random(logits.dims(), Distribution::Default, &device);
            loss = loss + (logits * weights).sum();
        }
        let grads = loss.backward();
        let mut visitor = Untouched {
            grads: &grads,
            path: Vec::new(),
            found: Vec::new(),
            seen: 0,
        };
        net.visit(&mut visitor);
        assert!(visitor.seen > 10, "{system}");
        assert_eq!(visitor.found, Vec::<String>::new(), "{system}");
    }
}

fn round_trip<C: NetConfig>() {
    for preset in C::PRESETS {
        let config = C::preset(preset).unwrap();
        config.validate().unwrap();
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<C>(&text).unwrap(), config);
    }
    assert!(C::preset("large").is_none());
    assert!(serde_json::from_str::<C>(r#"{"width": 3}"#).is_err());
    // A configuration without fields has the published size.
    assert_eq!(serde_json::from_str::<C>("{}").ok(), C::preset("base"));
    for text in [C::CARD.name, C::CARD.source, C::CARD.differs] {
        assert!(!text.is_empty() && !text.contains("  "), "{text}");
    }
}

#[test]
fn configurations_survive_a_file() {
    round_trip::<UNet3dConfig>();
    round_trip::<UNetPp3dConfig>();
    round_trip::<ZhouConfig>();
    round_trip::<DenseNet3dConfig>();
}

#[test]
fn bad_configurations_are_refused_by_field() {
    for (system, field, value) in [
        ("unet3d", "channels", json!([7, 8, 16, 32])),
        ("unet3d", "channels", json!([0, 8, 16, 32])),
        ("unet3d", "lesion_channels", json!(3)),
        ("unetpp3d", "channels", json!([4, 8, 16, 32, 4096])),
        ("unetpp3d", "lesion_channels", json!(0)),
        ("zhou", "channels", json!([0, 1, 1, 1, 1])),
        ("zhou", "class_channels", json!(0)),
        ("zhou", "kernel_size", json!(4)),
        ("zhou", "lesion_channels", json!(3)),
        ("zhou", "dropout", json!(1.0)),
        ("zhou", "iterations", json!(17)),
        ("densenet", "stem_channels", json!(1)),
        ("densenet", "growth", json!(0)),
        ("densenet", "blocks", json!([])),
        ("densenet", "blocks", json!([1, 0])),
        ("densenet", "blocks", json!([1, 1, 1, 1, 1, 1])),
        ("densenet", "bottleneck", json!(0)),
    ] {
        let error = config(system, "small", json!({ field: value }))
            .validate()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{system} {field}");
        assert!(error.to_string().contains(&format!("`{field}`")), "{error}");
    }
}

#[test]
fn windows_that_do_not_fit_are_refused() {
    for (system, good, bad) in [
        ("unet3d", [8, 16, 24], [[8, 12, 16], [0, 8, 8]]),
        ("unetpp3d", [16, 32, 48], [[8, 16, 16], [0, 16, 16]]),
        ("zhou", [16, 32, 48], [[16, 16, 40], [16, 0, 16]]),
        ("densenet", [32, 33, 97], [[31, 96, 96], [32, 96, 8]]),
    ] {
        let config = tiny(system);
        config.check_window(good).unwrap();
        config
            .init(&Device::flex())
            .answer(x(good, &Device::flex()));
        for shape in bad {
            let error = config.check_window(shape).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Mismatch, "{system}");
        }
    }
}

#[test]
#[should_panic(expected = "a positive multiple of 8")]
fn a_window_that_does_not_fit_panics_with_the_rule() {
    let device = Device::flex();
    tiny("unet3d").init(&device).answer(x([8, 8, 9], &device));
}

#[test]
fn other_norms_work_too() {
    let device = Device::flex().autodiff();
    for norm in [Norm::Instance, Norm::Group] {
        let config = UNet3dConfig {
            channels: [2, 4, 4, 8],
            norm,
            ..UNet3dConfig::default()
        };
        let net = config.init(&device);
        let answer = net.answer(x([8, 8, 16], &device));
        assert_eq!(answer.lesion[0].dims(), [2, 1, 8, 8, 16]);
    }
}
