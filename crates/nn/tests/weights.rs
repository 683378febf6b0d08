//! Weights files: a written net comes back, and a broken file is refused by name.

use burn::module::Module;
use burn::tensor::{Device, Distribution, Tensor};
use multirnet_nn::weights::{self, Dtype};
use multirnet_nn::{ErrorKind, MultiRNet, MultiRNetConfig, Norm};
use safetensors::{SafeTensors, tensor::TensorView};
use std::collections::HashMap;

fn tiny() -> MultiRNetConfig {
    MultiRNetConfig {
        channels: [2, 3, 4, 4, 6],
        class_channels: [2, 3, 3, 4, 4, 6],
        iterations: 1,
        ..MultiRNetConfig::base()
    }
}

fn x(device: &Device) -> Tensor<5> {
    Tensor::random([1, 1, 16, 16, 16], Distribution::Uniform(0.0, 1.0), device)
}

fn values(tensor: Tensor<5>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// A net whose running statistics have moved.
fn trained() -> MultiRNet {
    let device = Device::flex().autodiff();
    let net = tiny().init(&device);
    net.forward(x(&device));
    net
}

#[test]
fn f32_round_trip_is_exact_and_includes_running_statistics() {
    let device = Device::flex();
    let net = trained();
    let bytes = weights::to_bytes(&net, Dtype::F32).unwrap();
    assert_eq!(bytes, weights::to_bytes(&net, Dtype::F32).unwrap());
    let back = weights::from_bytes::<MultiRNet>("memory", &bytes, &device).unwrap();
    assert_eq!(back.config(), net.config());
    assert_eq!(weights::config_of("memory", &bytes).unwrap(), tiny().into());
    let (a, b) = (weights::tensors(&net), weights::tensors(&back));
    assert_eq!(a.len(), b.len());
    let mut moved = 0;
    for (a, b) in a.iter().zip(&b) {
        assert_eq!((&a.name, &a.shape), (&b.name, &b.shape));
        assert_eq!(a.values, b.values, "{}", a.name);
        let still = a.values.iter().all(|v| *v == 0.0);
        moved += usize::from(a.name.ends_with("running_mean") && !still);
    }
    assert!(moved > 30, "running statistics should have moved");
    let x = x(&device);
    let (a, b) = (net.valid().forward(x.clone()), back.forward(x));
    assert_eq!(values(a.lesion()), values(b.lesion()));
}

#[test]
fn half_precision_is_half_the_size_and_close() {
    let net = trained();
    let full = weights::to_bytes(&net, Dtype::F32).unwrap();
    for (dtype, precision) in [(Dtype::F16, 6e-4), (Dtype::Bf16, 5e-3)] {
        let bytes = weights::to_bytes(&net, dtype).unwrap();
        assert!(bytes.len() < full.len());
        let back = weights::from_bytes::<MultiRNet>("memory", &bytes, &Device::flex()).unwrap();
        for (a, b) in weights::tensors(&net).iter().zip(weights::tensors(&back)) {
            for (a, b) in a.values.iter().zip(b.values) {
                assert!((a - b).abs() <= precision * a.abs() + 1e-7, "{a} {b}");
            }
        }
    }
}

#[test]
fn a_net_loaded_on_an_autodiff_device_trains() {
    let bytes = weights::to_bytes(&trained(), Dtype::F32).unwrap();
    let device = Device::flex().autodiff();
    let net = weights::from_bytes::<MultiRNet>("memory", &bytes, &device).unwrap();
    let grads = net.forward(x(&device)).lesion().sum().backward();
    let first = net.segmentation.encoders[0].units[0].conv.weight.val();
    assert!(first.grad(&grads).is_some());
}

#[test]
fn files_are_written_whole_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let net = trained();
    std::fs::write(&path, "old").unwrap();
    weights::save(&path, &net).unwrap();
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "no temporary file stays behind");
    let back = weights::load::<MultiRNet>(&path, &Device::flex()).unwrap();
    assert_eq!(back.config(), net.config());

    let gone = folder.path().join("gone.safetensors");
    let error = weights::load::<MultiRNet>(&gone, &Device::flex()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert_eq!(error.path(), Some(gone.as_path()));
    let in_a_file = path.join("model.safetensors");
    let error = weights::save(&in_a_file, &net).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Write);
}

#[test]
fn truncated_and_corrupt_files_are_refused() {
    let bytes = weights::to_bytes(&trained(), Dtype::F32).unwrap();
    let read = |bytes: &[u8]| weights::from_bytes::<MultiRNet>("broken", bytes, &Device::flex());
    for length in [0, 1, 7, 8, 9, 100, bytes.len() / 2, bytes.len() - 1] {
        let error = read(&bytes[..length]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{length}: {error}");
        assert!(error.to_string().starts_with("broken: "), "{error}");
    }
    let longer = [bytes.as_slice(), b"x"].concat();
    assert_eq!(read(&longer).unwrap_err().kind(), ErrorKind::Malformed);
    let mut huge = bytes.clone();
    huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert_eq!(read(&huge).unwrap_err().kind(), ErrorKind::Malformed);
    // A wrong byte in the header gives an error, or a net if the byte carries no information.
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    for at in (0..header + 8).step_by(101) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x15;
        let _ = read(&flipped);
    }
}

type Tensors = Vec<(String, safetensors::Dtype, Vec<usize>, Vec<u8>)>;

/// The net's file with its tensors altered by `change`, and with `header` in its metadata.
fn altered(change: impl Fn(&mut Tensors), header: Option<&str>) -> Vec<u8> {
    let bytes = weights::to_bytes(&trained(), Dtype::F32).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors: Tensors = file
        .iter()
        .map(|(n, v)| {
            (
                n.to_owned(),
                v.dtype(),
                v.shape().to_vec(),
                v.data().to_vec(),
            )
        })
        .collect();
    change(&mut tensors);
    let views = tensors.iter().map(|(name, dtype, shape, data)| {
        (name, TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    let own = serde_json::json!({"format": 1, "config": tiny()}).to_string();
    let metadata = match header {
        Some("") => None,
        other => Some(HashMap::from([(
            "multirnet".to_owned(),
            other.unwrap_or(&own).to_owned(),
        )])),
    };
    safetensors::serialize(views, metadata).unwrap()
}

#[track_caller]
fn refused(bytes: &[u8], kind: ErrorKind, says: &str) {
    let error = weights::from_bytes::<MultiRNet>("altered", bytes, &Device::flex()).unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(says), "{error}");
}

const NAME: &str = "classification.linear.bias";

fn named(tensors: &mut Tensors) -> &mut (String, safetensors::Dtype, Vec<usize>, Vec<u8>) {
    tensors.iter_mut().find(|t| t.0 == NAME).unwrap()
}

#[test]
fn tensors_that_do_not_belong_are_named() {
    let kind = ErrorKind::Mismatch;
    let missing = altered(|t| t.retain(|t| t.0 != NAME), None);
    refused(&missing, kind, &format!("missing: `{NAME}`"));
    let unknown = altered(
        |t| t.push(("stray".into(), safetensors::Dtype::U8, vec![1], vec![0])),
        None,
    );
    refused(&unknown, kind, "unknown: `stray`");
    let reshaped = altered(|t| named(t).2 = vec![1, 3], None);
    refused(&reshaped, kind, &format!("`{NAME}` has shape [1, 3]"));
    let none = altered(Vec::clear, None);
    refused(&none, kind, "more");
}

#[test]
fn values_that_are_not_finite_or_of_another_type_are_refused() {
    for value in [f32::NAN, f32::INFINITY] {
        let bytes = altered(
            |t| named(t).3[..4].copy_from_slice(&value.to_le_bytes()),
            None,
        );
        refused(&bytes, ErrorKind::Malformed, NAME);
    }
    let integers = altered(|t| named(t).1 = safetensors::Dtype::I32, None);
    refused(&integers, ErrorKind::Unsupported, "I32");
}

#[test]
fn headers_of_other_programs_and_versions_are_refused() {
    let header = |config: serde_json::Value, format: u32| {
        let header = serde_json::json!({"format": format, "config": config}).to_string();
        altered(|_| (), Some(&header))
    };
    let kind = ErrorKind::Unsupported;
    refused(
        &altered(|_| (), Some("")),
        kind,
        "no configuration of a net",
    );
    refused(&altered(|_| (), Some("{")), kind, "unreadable");
    refused(&header(serde_json::json!(tiny()), 2), kind, "format 2");
    refused(&header(serde_json::json!({"colour": 1}), 1), kind, "colour");
    let mut config = tiny();
    config.channels[2] = usize::MAX;
    refused(
        &header(serde_json::json!(config), 1),
        ErrorKind::Config,
        "`channels`",
    );
    // The net is far larger than the file and must be refused before it is allocated.
    let vast = MultiRNetConfig {
        channels: [2048; 5],
        ..tiny()
    };
    refused(
        &header(serde_json::json!(vast), 1),
        ErrorKind::Mismatch,
        "shape",
    );
    let other = MultiRNetConfig {
        norm: Norm::Group,
        ..tiny()
    };
    refused(
        &header(serde_json::json!(other), 1),
        ErrorKind::Mismatch,
        "running_mean",
    );
}
