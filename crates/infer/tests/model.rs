//! Packaged models: cards, digests, damaged files.

use burn::tensor::Device;
use multirnet_anatomy::PrepareConfig;
use multirnet_base::digest::sha256;
use multirnet_finding::ScoredOn;
use multirnet_infer::{CardScore, DeviceChoice, ErrorKind, Model, ModelCard, ModelInput};
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
    let predictor = Model::load(&file, DeviceChoice::Cpu).unwrap();
    assert_eq!(*predictor.card(), card());
    assert_eq!(predictor.model_digest(), sha256(&packaged));
    assert_eq!(predictor.options().prepare.spacing_mm, [3.0, 2.0, 2.0]);
    assert_eq!(predictor.config()["iterations"], 1);

    let again = ModelCard {
        name: "other".to_owned(),
        ..card()
    };
    let twice = again.package("tiny", &packaged).unwrap();
    for _ in 0..8 {
        assert!(
            twice == again.package("tiny", &packaged).unwrap(),
            "the order varies"
        );
    }
    assert_eq!(ModelCard::read("", &twice).unwrap().unwrap().name, "other");

    let bare = Model::from_bytes("dir/best.safetensors", &bare, DeviceChoice::Cpu).unwrap();
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
        let error = Model::from_bytes("some.file", &bytes, DeviceChoice::Cpu).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Model, "{what}: {error}");
        let text = error.to_string();
        assert!(
            text.starts_with("some.file: ") && text.contains('('),
            "{what}: {text}"
        );
    }
    let error = Model::load("does/not/exist.safetensors".as_ref(), DeviceChoice::Cpu).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("exist.safetensors"));
    let folder = tempfile::tempdir().unwrap();
    let error = Model::load(folder.path(), DeviceChoice::Cpu).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
}

#[test]
fn cards_of_older_versions_are_read_and_stay_as_they_are() {
    let old = r#"{"name":"tiny","trained_on":"Nothing at all.","version":"0.1.0"}"#;
    let read: ModelCard = serde_json::from_str(old).unwrap();
    let want = ModelCard {
        trained_on: "Nothing at all.".to_owned(),
        version: "0.1.0".to_owned(),
        ..ModelCard::unknown("tiny")
    };
    assert_eq!(read, want);
    assert_eq!(serde_json::to_string(&read).unwrap(), old);
}

#[test]
fn a_full_card_travels_and_its_threshold_is_used() {
    let bare = bytes(&tiny());
    let full = ModelCard {
        threshold: Some(0.25),
        validation: Some("Two scans.".to_owned()),
        licence: Some("CC-BY-NC-4.0".to_owned()),
        attribution: vec!["Scans by somebody, CC BY 4.0.".to_owned()],
        scores: vec![CardScore {
            on: "Five scans of five patients".to_owned(),
            cases: 5,
            kind: ScoredOn::ImplantedLesions,
            seen: "Nothing of them.".to_owned(),
            metric: "mean volume Dice, %".to_owned(),
            value: 70.5,
            interval: Some([60.0, 80.0]),
        }],
        ..card()
    };
    let packaged = full.package("tiny", &bare).unwrap();
    let predictor = Model::from_bytes("tiny", &packaged, DeviceChoice::Cpu).unwrap();
    assert_eq!(*predictor.card(), full);
    assert_eq!(predictor.options().threshold, 0.25);
    let kind = serde_json::to_value(ScoredOn::ImplantedLesions).unwrap();
    assert_eq!(kind, ScoredOn::ImplantedLesions.label());

    // Cards with a field out of range are neither written nor read.
    for threshold in [0.0, 1.0, f32::NAN] {
        let bad = ModelCard {
            threshold: Some(threshold),
            ..card()
        };
        let error = bad.package("tiny", &bare).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Model);
        assert!(error.to_string().contains("threshold"), "{error}");
    }
    let mut outside = full.clone();
    outside.scores[0].interval = Some([71.0, 80.0]);
    let error = outside.package("tiny", &bare).unwrap_err();
    assert!(error.to_string().contains("mean volume Dice"), "{error}");
    let (from, to) = (&b"0.25"[..], &b"1.25"[..]);
    let at = packaged.windows(4).position(|w| w == from).unwrap();
    let mut damaged = packaged;
    damaged[at..at + 4].copy_from_slice(to);
    let error = ModelCard::read("some.file", &damaged).unwrap_err();
    assert!(error.to_string().starts_with("some.file: "), "{error}");
}
