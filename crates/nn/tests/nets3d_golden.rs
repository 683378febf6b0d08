//! The comparison's 3D nets against PyTorch: `golden/make_nets3d.py` made the files.

use burn::tensor::{Device, Tensor, TensorData};
use multirnet_nn::systems::{ModelOutput, System, SystemConfig};
use multirnet_nn::weights;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::collections::HashMap;

const TOLERANCE: f32 = 1e-4;
/// The golden files store every `STRIDE`-th value of a map.
const STRIDE: usize = 17;

/// Numbers in [0, 1) that depend on the name alone: FNV-1a, then SplitMix64.
fn uniform(name: &str, count: usize) -> Vec<f64> {
    let seed = name.bytes().fold(0xCBF2_9CE4_8422_2325u64, |seed, byte| {
        (seed ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
    });
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        (z >> 40) as f64 / f64::from(1 << 24)
    };
    (0..count).map(|_| next()).collect()
}

/// The same values as those of the script's function `value`.
fn value(name: &str, shape: &[usize]) -> Vec<f32> {
    let count = shape.iter().product();
    let fan_in = if shape.len() == 2 {
        shape[0]
    } else {
        shape[1..].iter().product()
    };
    let of = |u: f64| match name.rsplit('.').next().unwrap() {
        "weight" => (2.0 * u - 1.0) * (6.0 / fan_in as f64).sqrt(),
        "gamma" | "running_var" => 0.75 + 0.5 * u,
        "alpha" => 0.1 + 0.3 * u,
        _ => 0.4 * u - 0.2,
    };
    let values = uniform(name, count).into_iter();
    values.map(|u| of(u) as f32).collect()
}

/// The system with the golden weights, read from a weights file.
fn system(config: &SystemConfig, device: &Device) -> System {
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = weights::names(&config.init(device))
        .into_iter()
        .map(|(name, _, shape)| {
            let values = value(&name, &shape).into_iter();
            let bytes = values.flat_map(f32::to_le_bytes).collect();
            (name, shape, bytes)
        })
        .collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap();
        (name.as_str(), view)
    });
    let header = serde_json::json!({"format": 1, "config": config}).to_string();
    let metadata = HashMap::from([("multirnet".to_owned(), header)]);
    let bytes = safetensors::serialize(views, Some(metadata)).unwrap();
    weights::from_bytes("golden", &bytes, device).unwrap()
}

struct Golden<'a> {
    file: SafeTensors<'a>,
    checked: usize,
}

impl Golden<'_> {
    fn check<const D: usize>(&mut self, name: &str, got: Tensor<D>, stride: usize) {
        let view = self.file.tensor(name).unwrap();
        let chunks = view.data().as_chunks::<4>().0;
        let want: Vec<f32> = chunks.iter().map(|b| f32::from_le_bytes(*b)).collect();
        let got: Vec<f32> = got.into_data().iter::<f32>().step_by(stride).collect();
        assert_eq!(got.len(), want.len(), "{name}");
        let scale = want.iter().fold(0f32, |m, v| m.max(v.abs()));
        let worst = got
            .iter()
            .zip(&want)
            .fold(0f32, |m, (a, b)| m.max((a - b).abs()));
        assert!(
            worst <= TOLERANCE * scale,
            "{name}: off by {worst:.2e}, largest value {scale:.2e}"
        );
        self.checked += 1;
    }

    fn check_answer(&mut self, mode: &str, answer: ModelOutput) {
        for (i, lesion) in answer.lesion.into_iter().enumerate() {
            self.check(&format!("{mode}/lesion/{i}"), lesion, STRIDE);
        }
        for (i, logits) in answer.class_logits.into_iter().enumerate() {
            self.check(&format!("{mode}/logits/{i}"), logits, 1);
        }
        let features = format!("{mode}/features/0");
        if self.file.tensor(&features).is_ok() {
            self.check(&features, answer.class_features.unwrap(), STRIDE);
        }
    }
}

fn compare(bytes: &[u8]) {
    let (_, metadata) = SafeTensors::read_metadata(bytes).unwrap();
    let metadata = metadata.metadata().as_ref().unwrap();
    let config: SystemConfig = serde_json::from_str(&metadata["config"]).unwrap();
    let shape: [usize; 5] = serde_json::from_str(&metadata["shape"]).unwrap();
    let mut golden = Golden {
        file: SafeTensors::deserialize(bytes).unwrap(),
        checked: 0,
    };
    let values = uniform("x", shape.iter().product());
    let x: Vec<f32> = values.into_iter().map(|u| u as f32).collect();
    let flex = Device::flex();
    for (mode, device) in [("eval", flex.clone()), ("train", flex.autodiff())] {
        let x = Tensor::from_data(TensorData::new(x.clone(), shape), &device);
        golden.check_answer(mode, system(&config, &device).answer(x));
    }
    assert_eq!(golden.checked, golden.file.len(), "not all was compared");
}

#[test]
fn unet3d() {
    compare(include_bytes!("golden/nets3d_unet3d.safetensors"));
}

#[test]
fn unetpp3d_trilinear() {
    compare(include_bytes!("golden/nets3d_unetpp3d.safetensors"));
}

#[test]
fn unetpp3d_transposed_without_deep_supervision() {
    compare(include_bytes!(
        "golden/nets3d_unetpp3d_transposed.safetensors"
    ));
}

#[test]
fn zhou_three_passes() {
    compare(include_bytes!("golden/nets3d_zhou.safetensors"));
}

#[test]
fn densenet_of_monai() {
    compare(include_bytes!("golden/nets3d_densenet.safetensors"));
}
