//! The engine against the same net on burn.

use burn::module::Module;
use burn::tensor::{Device, Distribution, Tensor};
use multirnet_infer::{Block, BurnNetwork, Engine, ErrorKind, Network, Precision, WindowBatch};
use multirnet_nn::{ClassFrom, MaskFeedback, MultiRNet, MultiRNetConfig, Norm, SystemConfig};

fn tiny() -> MultiRNetConfig {
    MultiRNetConfig {
        channels: [3, 4, 6, 8, 10],
        class_channels: [3, 4, 4, 6, 8, 8],
        iterations: 1,
        ..MultiRNetConfig::small()
    }
}

/// A net whose running statistics are those of some windows. With the initial statistics folding
/// would change almost nothing.
fn net(config: &MultiRNetConfig) -> (MultiRNet, Device) {
    let device = Device::flex();
    device.seed(5);
    let training = device.clone().autodiff();
    let net = config.init(&training);
    for _ in 0..3 {
        let x = Tensor::<5>::random(
            [2, 1, 16, 32, 32],
            Distribution::Uniform(0.0, 1.0),
            &training,
        );
        drop(net.forward(x));
    }
    (net.valid(), device)
}

fn windows(n: usize) -> Vec<f32> {
    (0..n)
        .map(|i| ((i * 7919) % 1009) as f32 / 1009.0 * if i % 3 == 0 { 1.0 } else { 0.4 })
        .collect()
}

fn far(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).fold(0f32, |m, (a, b)| m.max((a - b).abs()))
}

/// Largest difference of probabilities that rounding may cause.
const BOUND: f32 = 2e-5;

fn compare(what: &str, config: &MultiRNetConfig) {
    let (net, device) = net(config);
    let engine = Engine::new(&net.clone().into()).unwrap();
    let burn = BurnNetwork::new(net, device);
    // Shapes and batch sizes differ, because the engine keeps its buffers between the runs.
    for (shape, batch) in [([16, 32, 48], 2), ([32, 32, 32], 1), ([16, 16, 16], 1)] {
        let size: usize = shape.iter().product();
        let x = windows(batch * size);
        let ours = WindowBatch::new(&x, shape)
            .and_then(|b| engine.run(&b, true))
            .unwrap();
        let theirs = WindowBatch::new(&x, shape)
            .and_then(|b| burn.run(&b, true))
            .unwrap();
        assert_eq!(ours.len(), batch);
        for (a, b) in ours.iter().zip(&theirs) {
            let lesion = far(&a.lesion, &b.lesion);
            assert!(lesion <= BOUND, "{what}: lesion map off by {lesion}");
            for (p, q) in a
                .probabilities
                .to_array()
                .iter()
                .zip(b.probabilities.to_array())
            {
                assert!((p - q).abs() <= f64::from(BOUND), "{what}: class {p} {q}");
            }
            let (a, b) = (a.cams.as_ref().unwrap(), b.cams.as_ref().unwrap());
            assert_eq!(a.shape, b.shape);
            for (a, b) in a.maps.iter().zip(&b.maps) {
                let top = b.iter().fold(1e-3f32, |m, v| m.max(*v));
                assert!(far(a, b) <= 1e-4 * top, "{what}: Grad-CAM");
            }
        }
        assert!(engine.peak_memory_bytes(shape, batch) > 4 * (batch * size) as u64);
    }
}

#[test]
fn agrees_with_burn_in_every_configuration() {
    compare("default", &tiny());
    type Change = fn(&mut MultiRNetConfig);
    let cases: [(&str, Change); 8] = [
        ("one pass", |c| c.iterations = 0),
        ("mean of passes", |c| c.class_from = ClassFrom::Mean),
        ("first pass", |c| c.class_from = ClassFrom::First),
        ("two lesions", |c| c.lesion_channels = 2),
        ("sum feedback", |c| c.mask_feedback = MaskFeedback::Add),
        ("no feedback", |c| c.mask_feedback = MaskFeedback::None),
        ("plain skips", |c| c.reverse_attention = false),
        ("5³ kernels", |c| c.kernel_size = 5),
    ];
    for (what, change) in cases {
        let mut config = tiny();
        change(&mut config);
        compare(what, &config);
    }
}

#[test]
fn tiles_have_classes_per_block_and_a_map_per_lesion_channel() {
    for lesion_channels in [1, 2] {
        let config = MultiRNetConfig {
            lesion_channels,
            ..tiny()
        };
        tiles_agree(&config);
    }
}

fn tiles_agree(config: &MultiRNetConfig) {
    let (net, device) = net(config);
    let engine = Engine::new(&net.clone().into()).unwrap();
    let burn = BurnNetwork::new(net, device);
    let shape = [32, 32, 48];
    let x = windows(shape.iter().product());
    let blocks = [
        Block {
            start: [0, 0, 0],
            shape: [16, 32, 32],
        },
        Block {
            start: [16, 16, 16],
            shape: [16, 16, 32],
        },
    ];
    let a = WindowBatch::new(&x, shape)
        .and_then(|b| engine.run_tile(&b, &blocks))
        .unwrap();
    let b = WindowBatch::new(&x, shape)
        .and_then(|b| burn.run_tile(&b, &blocks))
        .unwrap();
    assert_eq!(a.lesion.len(), config.lesion_channels * x.len());
    assert!(far(&a.lesion, &b.lesion) <= BOUND);
    for (a, b) in a.classes.iter().zip(&b.classes) {
        for (p, q) in a.to_array().iter().zip(b.to_array()) {
            assert!((p - q).abs() <= f64::from(BOUND));
        }
    }
    assert_ne!(a.classes[0], a.classes[1]);
}

#[test]
fn windows_may_run_side_by_side() {
    let (net, _) = net(&tiny());
    let engine = Engine::new(&net.clone().into()).unwrap();
    let shape = [16, 32, 32];
    let x = windows(shape.iter().product());
    let alone = WindowBatch::new(&x, shape)
        .and_then(|b| engine.run(&b, false))
        .unwrap();
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    WindowBatch::new(&x, shape)
                        .and_then(|b| engine.run(&b, false))
                        .unwrap()
                })
            })
            .collect();
        for thread in all {
            assert_eq!(thread.join().unwrap(), alone);
        }
    });
}

#[test]
fn what_it_cannot_run_is_refused() {
    let grouped = MultiRNetConfig {
        norm: Norm::Group,
        ..tiny()
    };
    let flat = SystemConfig::read("res2net", Some("small"), Default::default()).unwrap();
    for (what, config) in [
        ("batch norms", SystemConfig::from(grouped)),
        ("two-dimensional", flat),
    ] {
        assert!(!Engine::supports(&config));
        let error = Engine::new(&config.init(&Device::flex())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Model);
        assert!(error.to_string().contains(what), "{error}");
    }
    let (net, _) = net(&tiny());
    let engine = Engine::new(&net.clone().into()).unwrap();
    for (n, shape) in [(16 * 16 * 15, [16, 16, 15]), (100, [16, 16, 16])] {
        let error = WindowBatch::new(&vec![0.0; n], shape)
            .and_then(|b| engine.run(&b, false))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Model);
    }
}

#[test]
fn bf16_stays_close_and_says_so() {
    let (net, _) = net(&tiny());
    let mut engine = Engine::new(&net.clone().into()).unwrap();
    let shape = [16, 32, 32];
    let x = windows(shape.iter().product());
    let exact = WindowBatch::new(&x, shape)
        .and_then(|b| engine.run(&b, false))
        .unwrap();
    assert!(engine.config_json().get("precision").is_none());
    if !multirnet_kernels::bf16_available() {
        let error = engine.set_precision(Precision::Bf16).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Model);
        return;
    }
    engine.set_precision(Precision::Bf16).unwrap();
    assert_eq!(engine.config_json()["precision"], "bf16");
    let rounded = WindowBatch::new(&x, shape)
        .and_then(|b| engine.run(&b, false))
        .unwrap();
    let off = far(&exact[0].lesion, &rounded[0].lesion);
    assert!(off > 0.0 && off < 0.05, "{off}");
    engine.set_precision(Precision::F32).unwrap();
    assert_eq!(
        WindowBatch::new(&x, shape)
            .and_then(|b| engine.run(&b, false))
            .unwrap(),
        exact
    );
}
