//! Models are exported as ONNX files and as MONAI bundles.

mod common;

use common::{both, expect, names, run};
use multirnet_base::digest::sha256;
use multirnet_infer::DeviceChoice;
use multirnet_nn::{SystemConfig, weights};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// Writes an untrained net without a card.
fn put(folder: &Path, system: &str) -> PathBuf {
    let config = SystemConfig::read(system, Some("small"), Default::default()).unwrap();
    let net = config.init(&DeviceChoice::Cpu.open().unwrap());
    let path = folder.join(format!("{system}.safetensors"));
    weights::save(&path, &net).unwrap();
    path
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

#[test]
fn a_file_names_its_outputs_and_the_model_that_it_comes_from() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let export = |name: &str, options: &[&str]| {
        let out = at(name);
        let path = out.to_str().unwrap();
        let output = run(["export", "lungs-small", "--json", "-o", path]
            .iter()
            .chain(options));
        expect(&output, 0);
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        let bytes = fs::read(&out).unwrap();
        assert_eq!(answer["bytes"], bytes.len());
        assert_eq!(answer["sha256"], sha256(&bytes));
        let model = answer["model_sha256"].as_str().unwrap().to_owned();
        assert!(
            contains(&bytes, &model),
            "the digest of the model is missing"
        );
        bytes
    };
    let whole = export("whole.onnx", &[]);
    for text in [
        "multirnet.card",
        "multirnet.preprocessing",
        "class_logits",
        "lesion",
        "depth",
    ] {
        assert!(contains(&whole, text), "{text}");
    }
    assert_eq!(
        whole,
        export("again.onnx", &[]),
        "equal models give equal bytes"
    );
    let half = export("half.onnx", &["--half"]);
    assert!(half.len() < whole.len() * 6 / 10);
    let lesion = export("lesion.onnx", &["--what", "lesion"]);
    assert!(lesion.len() < whole.len() && !contains(&lesion, "class_logits"));
    let class = export("class.onnx", &["--what", "class"]);
    assert!(contains(&class, "class_logits") && !contains(&class, "lesion probabilities"));
}

#[test]
fn a_bundle_is_a_folder_that_appears_whole() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("bundle");
    let path = out.to_str().unwrap();
    expect(&run(["export", "lungs-small", "--bundle", "-o", path]), 0);
    assert_eq!(names(&out), ["LICENSE", "configs", "docs", "models"]);
    let read = |name: &str| -> Value {
        serde_json::from_slice(&fs::read(out.join(name)).unwrap()).unwrap()
    };
    let description = read("configs/metadata.json");
    assert_eq!(description["name"], "lungs-small");
    let formats = &description["network_data_format"];
    assert_eq!(formats["inputs"]["ct"]["spatial_shape"][0], "16*n");
    assert_eq!(
        formats["outputs"]["class_logits"]["channel_def"]["2"],
        "COVID-19"
    );
    assert_eq!(read("configs/inference.json")["output_names"][0], "lesion");
    assert!(fs::metadata(out.join("models/model.onnx")).unwrap().len() > 100_000);
}

#[test]
fn what_cannot_be_exported_is_refused_with_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    let [flat, unet] = ["res2net", "unet3d"].map(|system| put(dir.path(), system));
    let [flat, unet] = [&flat, &unet].map(|path| path.to_str().unwrap());
    let out = dir.path().join("out");
    let out = out.to_str().unwrap();
    for (arguments, code, reason) in [
        (vec!["export", flat, "-o", out], 3, "works on slices"),
        (
            vec!["export", unet, "--what", "class", "-o", out],
            3,
            "does not classify",
        ),
        (
            vec!["export", unet, "--bundle", "-o", out],
            3,
            "has no card",
        ),
        (vec!["export", "nobody", "-o", out], 3, "nobody"),
        (
            vec!["export", unet, "--what", "all", "-o", out],
            2,
            "unknown output",
        ),
        (
            vec!["export", unet, "-o", dir.path().to_str().unwrap()],
            5,
            "this is a directory",
        ),
    ] {
        let output = run(&arguments);
        expect(&output, code);
        assert!(
            both(&output).contains(reason),
            "{arguments:?}: {}",
            both(&output)
        );
        assert!(!Path::new(out).exists());
    }
}
