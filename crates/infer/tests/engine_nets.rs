//! The engine against burn on the comparisons' 3D nets.

use burn::module::Module;
use burn::tensor::{Device, Distribution, Tensor};
use multirnet_infer::{Block, BurnNetwork, Engine, Network, WindowBatch};
use multirnet_nn::{System, SystemConfig};
use serde_json::json;

/// Largest difference of probabilities that rounding may cause.
const BOUND: f64 = 2e-5;

/// A net whose running statistics are those of some windows.
fn trained(config: &SystemConfig) -> System {
    let device = Device::flex();
    device.seed(5);
    let training = device.autodiff();
    let system = config.init(&training);
    for _ in 0..3 {
        let range = Distribution::Uniform(0.0, 1.0);
        drop(system.answer(Tensor::<5>::random([2, 1, 32, 32, 32], range, &training)));
    }
    system.valid()
}

fn config(name: &str, fields: serde_json::Value) -> SystemConfig {
    let fields = fields.as_object().cloned().unwrap_or_default();
    SystemConfig::read(name, Some("small"), fields).unwrap()
}

fn configs() -> Vec<SystemConfig> {
    vec![
        config("unet3d", json!({ "channels": [4, 6, 8, 10] })),
        config(
            "unet3d",
            json!({ "channels": [4, 6, 8, 10], "lesion_channels": 2 }),
        ),
        config(
            "unetpp3d",
            json!({ "channels": [2, 3, 4, 5, 6], "conv_bias": true }),
        ),
        config(
            "unetpp3d",
            json!({ "channels": [2, 3, 4, 5, 6], "upsampling": "transposed", "deep_supervision": false }),
        ),
        config(
            "zhou",
            json!({ "channels": [3, 4, 5, 6, 7], "class_channels": 5 }),
        ),
        config(
            "zhou",
            json!({ "channels": [3, 4, 5, 6, 7], "lesion_channels": 2, "iterations": 1 }),
        ),
        config(
            "densenet",
            json!({ "stem_channels": 6, "growth": 4, "blocks": [2, 3, 2, 1] }),
        ),
    ]
}

fn windows(n: usize) -> Vec<f32> {
    (0..n)
        .map(|i| ((i * 7919) % 1009) as f32 / 1009.0 * if i % 3 == 0 { 1.0 } else { 0.4 })
        .collect()
}

fn far(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .fold(0.0, |m, (a, b)| f64::max(m, f64::from(a - b).abs()))
}

#[test]
fn agrees_with_burn_on_every_net() {
    for config in configs() {
        let system = trained(&config);
        let what = format!("{config:?}");
        let engine = Engine::new(&system).unwrap();
        let burn = BurnNetwork::new(system, Device::flex());
        assert_eq!(engine.segments(), burn.segments(), "{what}");
        assert_eq!(engine.classifies(), burn.classifies(), "{what}");
        assert_eq!(engine.config_json(), burn.config_json(), "{what}");
        let mut shapes = vec![([32, 48, 32], 2), ([32, 32, 64], 1)];
        if config.name() == "densenet" {
            // Its stem rounds odd sides up, and its transitions round them down.
            shapes.push(([33, 38, 47], 2));
        }
        for (shape, batch) in shapes {
            let x = windows(batch * shape.iter().product::<usize>());
            let both = [&engine as &dyn Network, &burn].map(|network| {
                let windows = WindowBatch::new(&x, shape);
                windows.and_then(|b| network.run(&b, true)).unwrap()
            });
            for (a, b) in both[0].iter().zip(&both[1]) {
                let off = far(&a.lesion, &b.lesion);
                assert!(off <= BOUND, "{what}: lesion map off by {off}");
                let (p, q) = (a.probabilities.to_array(), b.probabilities.to_array());
                let near = p.iter().zip(q).all(|(p, q)| (p - q).abs() <= BOUND);
                assert!(near, "{what}: classes {p:?} {q:?}");
                assert_eq!(a.cams.is_some(), b.cams.is_some(), "{what}");
                if let (Some(a), Some(b)) = (&a.cams, &b.cams) {
                    assert_eq!(a.shape, b.shape, "{what}");
                    for (a, b) in a.maps.iter().zip(&b.maps) {
                        let top = b.iter().fold(1e-3f32, |m, v| m.max(*v));
                        assert!(far(a, b) <= 1e-4 * f64::from(top), "{what}: Grad-CAM");
                    }
                }
            }
        }
    }
}

#[test]
fn every_block_of_a_tile_has_the_classes_of_the_tile() {
    let system = trained(&config(
        "zhou",
        json!({ "channels": [2, 2, 2, 2, 2], "class_channels": 4 }),
    ));
    let engine = Engine::new(&system).unwrap();
    let shape = [16, 32, 32];
    let x = windows(shape.iter().product());
    let block = |x: usize| Block {
        start: [0, 0, x],
        shape: [16, 32, 16],
    };
    let tile = WindowBatch::new(&x, shape)
        .and_then(|b| engine.run_tile(&b, &[block(0), block(16)]))
        .unwrap();
    let window = WindowBatch::new(&x, shape)
        .and_then(|b| engine.run(&b, false))
        .unwrap()
        .remove(0);
    assert_eq!(tile.lesion, window.lesion);
    assert_eq!(tile.classes, [window.probabilities; 2]);
}
