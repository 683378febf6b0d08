//! Packaged models: cards, digests, damaged files.

use burn::tensor::Device;
use multirnet_anatomy::PrepareConfig;
use multirnet_infer::{DeviceChoice, ErrorKind, ModelCard, ModelInput, Predictor, sha256};
use multirnet_nn::{MultiRNetConfig, weights};

fn tiny() -> MultiRNetConfig {
    MultiRNetConfig {
        channels: [2, 2, 4, 4, 4],
        class_channels: [2, 2, 4, 4, 4, 4],
        iterations: 1,
        ..MultiRNetConfig::small()
    }
}

fn bytes(config: &MultiRNetConfig) -> Vec<u8> {
    let device = Device::flex();
    device.seed(1);
    weights::to_bytes(&config.init(&device), weights::Dtype::F32).unwrap()
}

fn card() -> ModelCard {
    let prepare = PrepareConfig {
        spacing_mm: [3.0, 2.0, 2.0],
        ..PrepareConfig::default()
    };
    ModelCard {
        name: "tiny".to_owned(),
        trained_on: "Nothing at all.".to_owned(),
        version: "0.1.0".to_owned(),
        input: Some(ModelInput::from(&prepare)),
        ..ModelCard::unknown("tiny")
    }
}

#[test]
fn a_card_travels_with_the_weights() {
    let bare = bytes(&tiny());
    let packaged = card().package("tiny", &bare).unwrap();
    let path = tempfile::tempdir().unwrap();
    let file = path.path().join("m.safetensors");
    std::fs::write(&file, &packaged).unwrap();
    let predictor = Predictor::load(&file, DeviceChoice::Cpu).unwrap();
    assert_eq!(*predictor.card(), card());
    assert_eq!(predictor.model_digest(), sha256(&packaged));
    assert_eq!(predictor.options().prepare.spacing_mm, [3.0, 2.0, 2.0]);
    assert_eq!(predictor.config()["iterations"], 1);

    let again = ModelCard {
        name: "other".to_owned(),
        ..card()
    };
    let twice = again.package("tiny", &packaged).unwrap();
    assert_eq!(ModelCard::read("", &twice).unwrap().unwrap().name, "other");

    let bare = Predictor::from_bytes("dir/best.safetensors", &bare, DeviceChoice::Cpu).unwrap();
    assert_eq!(bare.card().name, "best");
    assert!(bare.card().trained_on.contains("Not recorded"));
}

#[test]
fn damaged_and_foreign_files_are_refused_with_their_name() {
    let good = card().package("tiny", &bytes(&tiny())).unwrap();
    let mut flipped = good.clone();
    flipped[20] ^= 0xff;
    let headless = MultiRNetConfig {
        classification: false,
        ..tiny()
    };
    let cases: [(&str, Vec<u8>); 6] = [
        ("empty", Vec::new()),
        ("text", b"no model at all, just some words".to_vec()),
        ("half", good[..good.len() / 2].to_vec()),
        ("header only", good[..100].to_vec()),
        ("flipped", flipped),
        ("no classes", bytes(&headless)),
    ];
    for (what, bytes) in cases {
        let error = Predictor::from_bytes("some.file", &bytes, DeviceChoice::Cpu).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Model, "{what}: {error}");
        let text = error.to_string();
        assert!(
            text.starts_with("some.file: ") && text.contains('('),
            "{what}: {text}"
        );
    }
    let error =
        Predictor::load("does/not/exist.safetensors".as_ref(), DeviceChoice::Cpu).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("exist.safetensors"));
    let folder = tempfile::tempdir().unwrap();
    let error = Predictor::load(folder.path(), DeviceChoice::Cpu).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
}
