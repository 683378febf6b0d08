//! The nets that exports are tested with, and what burn computes for them.

use burn::tensor::{Device, Tensor, TensorData};
use multirnet_nn::weights::{self, Dtype};
use multirnet_nn::{Norm, System, SystemConfig};
use safetensors::SafeTensors;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;

/// A net to export.
pub struct Case {
    /// Name of the case.
    pub name: String,
    /// The net, with weights that no two channels share.
    pub system: System,
    /// The model's file, if the case is a packaged model.
    pub packaged: Option<Vec<u8>>,
}

/// Every preset of every net, each norm, one to three passes, and the packaged models.
pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, presets) in [
        ("multirnet", &["base", "small", "vnet5"][..]),
        ("unet3d", &["base", "small"]),
        ("unetpp3d", &["base", "small", "narrow"]),
        ("zhou", &["base", "small"]),
        ("densenet", &["base", "small"]),
    ] {
        cases.extend(presets.iter().map(|preset| case(name, preset, json!({}))));
        for norm in ["instance", "group"] {
            cases.push(case(name, "small", json!({ "norm": norm })));
        }
    }
    for fields in [
        json!({ "iterations": 0 }),
        json!({ "iterations": 1, "class_from": "mean" }),
        json!({ "iterations": 2, "class_from": "first" }),
        json!({ "lesion_channels": 2, "mask_feedback": "add" }),
        json!({ "reverse_attention": false, "mask_feedback": "none" }),
        json!({ "classification": false }),
    ] {
        cases.push(case("multirnet", "small", fields));
    }
    for (name, fields) in [
        ("unet3d", json!({ "lesion_channels": 2 })),
        (
            "unetpp3d",
            json!({ "deep_supervision": false, "conv_bias": true }),
        ),
        ("zhou", json!({ "lesion_channels": 2, "iterations": 1 })),
    ] {
        cases.push(case(name, "small", fields));
    }
    for name in ["lungs-small", "patients-small"] {
        cases.push(packaged(name));
    }
    cases
}

/// A net of a preset with some fields replaced.
pub fn case(name: &str, preset: &str, fields: Value) -> Case {
    let fields = fields.as_object().cloned().unwrap_or_default();
    let label = fields.iter().map(|(key, value)| {
        let value = value.to_string();
        format!(
            "-{key}-{}",
            value.replace(|c: char| !c.is_alphanumeric(), "")
        )
    });
    let label = label.collect::<String>();
    let config = SystemConfig::read(name, Some(preset), fields).unwrap();
    Case {
        name: format!("{name}-{preset}{label}"),
        system: lively(&config),
        packaged: None,
    }
}

/// A model of `models/`.
pub fn packaged(name: &str) -> Case {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    let bytes = std::fs::read(folder.join(name).join("model.safetensors")).unwrap();
    Case {
        name: name.to_owned(),
        system: weights::from_bytes(name, &bytes, &Device::flex()).unwrap(),
        packaged: Some(bytes),
    }
}

/// A net whose every tensor has values of its own, also those that start as 0 or 1.
fn lively(config: &SystemConfig) -> System {
    let device = Device::flex();
    let bytes = weights::to_bytes(&config.init(&device), Dtype::F32).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let metadata: Option<HashMap<String, String>> = metadata.metadata().clone();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut seed = 1u64;
    let mut tensors = Vec::new();
    // The file gives them in an order that differs from run to run.
    let mut views: Vec<_> = file.iter().collect();
    views.sort_by_key(|(name, _)| *name);
    for (name, view) in views {
        let shape = view.shape().to_vec();
        let count: usize = shape.iter().product();
        let values = (0..count).map(|_| value(name, &shape, uniform(&mut seed)));
        let bytes: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
        tensors.push((name.to_owned(), shape, bytes));
    }
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let view =
            safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes);
        (name.as_str(), view.unwrap())
    });
    let bytes = safetensors::serialize(views.collect::<Vec<_>>(), metadata).unwrap();
    weights::from_bytes("case", &bytes, &device).unwrap()
}

fn uniform(seed: &mut u64) -> f32 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    (*seed >> 40) as f32 / (1 << 24) as f32
}

/// The value of a tensor for `u` between 0 and 1.
fn value(name: &str, shape: &[usize], u: f32) -> f32 {
    let fan_in: usize = match shape.len() {
        2 => shape[0],
        _ => shape[1..].iter().product(),
    };
    match name.rsplit('.').next().unwrap_or_default() {
        "weight" => (2.0 * u - 1.0) * (6.0 / fan_in as f32).sqrt(),
        "gamma" | "running_var" => 0.75 + 0.5 * u,
        "alpha" => 0.1 + 0.3 * u,
        _ => 0.4 * u - 0.2,
    }
}

/// What burn computes for a batch.
pub struct Expected {
    /// The windows.
    pub input: Vec<f32>,
    /// Lesion probabilities, if the net segments.
    pub lesion: Option<Vec<f32>>,
    /// Class logits, if the net classifies.
    pub logits: Option<Vec<f32>>,
}

impl Case {
    /// Shapes `[batch, z, y, x]` of the batches, which differ in every axis.
    pub fn shapes(&self) -> [[usize; 4]; 2] {
        match self.system.config() {
            // In smaller windows the last maps have one voxel, and an instance norm of one voxel
            // magnifies rounding.
            SystemConfig::DenseNet3d(config) if config.norm == Norm::Instance => {
                [[2, 64, 64, 96], [1, 96, 128, 64]]
            }
            _ => [[2, 32, 32, 48], [1, 48, 64, 32]],
        }
    }

    /// What burn computes for windows of `shape`.
    pub fn expected(&self, shape: [usize; 4]) -> Expected {
        let [b, d, h, w] = shape;
        let mut seed = 7;
        let input: Vec<f32> = (0..b * d * h * w).map(|_| uniform(&mut seed)).collect();
        let data = TensorData::new(input.clone(), [b, 1, d, h, w]);
        let answer = self.system.answer(Tensor::from_data(data, &Device::flex()));
        Expected {
            input,
            lesion: answer.lesion().map(values),
            logits: answer.logits().map(values),
        }
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}
