//! Models by name: places, their order, reserved names and unknown names.

use burn::tensor::Device;
use multirnet_base::digest::sha256;
use multirnet_infer::{
    Catalogue, DeviceChoice, EmbeddedModel, ErrorKind, MODEL_FILE, ModelCard, ModelSource,
};
use multirnet_nn::{MultiRNetConfig, weights};
use std::path::{Path, PathBuf};

/// A small model whose card says `trained_on`.
fn model(trained_on: &str) -> Vec<u8> {
    let config = MultiRNetConfig {
        channels: [2, 2, 4, 4, 4],
        class_channels: [2, 2, 4, 4, 4, 4],
        iterations: 0,
        ..MultiRNetConfig::small()
    };
    let bytes = weights::to_bytes(&config.init(&Device::flex()), weights::Dtype::F16).unwrap();
    let card = ModelCard {
        trained_on: trained_on.to_owned(),
        licence: Some(format!("Licence of {trained_on}")),
        ..ModelCard::unknown("tiny")
    };
    card.package("tiny", &bytes).unwrap()
}

fn put(path: PathBuf, trained_on: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, model(trained_on)).unwrap();
}

fn says(source: ModelSource) -> String {
    let predictor = source.load(DeviceChoice::Cpu).unwrap();
    predictor.card().trained_on.clone()
}

#[test]
fn the_first_place_that_has_a_name_gives_the_model() {
    let dir = tempfile::tempdir().unwrap();
    let [first, second] = ["first", "second"].map(|name| dir.path().join(name));
    put(first.join("a").join(MODEL_FILE), "first a");
    put(first.join("own").join(MODEL_FILE), "first own");
    put(second.join("a").join(MODEL_FILE), "second a");
    put(second.join("b.safetensors"), "second b");
    put(second.join("c").join(MODEL_FILE), "second c");
    put(second.join("c.safetensors"), "second c, the file");
    std::fs::write(second.join("notes.txt"), b"no model").unwrap();
    std::fs::create_dir(second.join("empty")).unwrap();
    std::fs::write(second.join("broken.safetensors"), b"nonsense").unwrap();
    let bytes: &'static [u8] = model("the program").leak();
    let embedded = EmbeddedModel { name: "own", bytes };
    // Missing folders and repeated ones do no harm.
    let folders = [
        first.clone(),
        dir.path().join("none"),
        second.clone(),
        first.clone(),
    ];
    let catalogue = Catalogue::new(&[embedded], folders);
    for (name, want) in [
        ("own", "the program"),
        ("a", "first a"),
        ("b", "second b"),
        ("c", "second c"),
    ] {
        assert_eq!(says(catalogue.find(name).unwrap()), want);
    }

    let list = catalogue.list();
    let names: Vec<(&str, bool)> = list.iter().map(|e| (e.name.as_str(), e.hidden)).collect();
    let want = [
        ("own", false),
        ("a", false),
        ("own", true),
        ("a", true),
        ("b", false),
        ("broken", false),
        ("c", false),
    ];
    assert_eq!(names, want);
    let facts = list[0].facts.as_ref().unwrap();
    assert_eq!(
        (facts.sha256.as_str(), facts.bytes),
        (sha256(bytes).as_str(), bytes.len())
    );
    assert_eq!(
        facts.card.licence.as_deref(),
        Some("Licence of the program")
    );
    let error = list[5].facts.as_ref().unwrap_err();
    assert!(error.to_string().contains("broken.safetensors"), "{error}");
}

#[test]
fn paths_are_no_names() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("mine");
    put(folder.join(MODEL_FILE), "by path");
    let embedded = EmbeddedModel {
        name: "x.safetensors",
        bytes: b"",
    };
    let catalogue = Catalogue::new(&[embedded], []);
    // A folder stands for the model in it, a file for itself.
    for path in [folder.clone(), folder.join(MODEL_FILE)] {
        assert_eq!(says(catalogue.find(&path).unwrap()), "by path");
    }
    for path in ["x.safetensors", "./x", "some/where", ".", ""] {
        match catalogue.find(path).unwrap() {
            ModelSource::File(file) => assert_eq!(file, Path::new(path)),
            other => panic!("{path:?} is {other}"),
        }
    }
    let missing = catalogue.find("no/such/file").unwrap();
    assert_eq!(
        missing.load(DeviceChoice::Cpu).unwrap_err().kind(),
        ErrorKind::Io
    );
}

#[test]
fn an_unknown_name_lists_what_there_is_and_where_it_was_looked_for() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path().join("near").join(MODEL_FILE), "near");
    let embedded = EmbeddedModel {
        name: "own",
        bytes: b"",
    };
    let catalogue = Catalogue::new(&[embedded], [dir.path().to_owned()]);
    let error = catalogue.find("far").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let text = error.to_string();
    for part in [
        "\"far\"",
        "own, near",
        &dir.path().display().to_string(),
        "MULTIRNET_MODELS",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}
