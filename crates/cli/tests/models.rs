//! Models are found by name, described, and packaged.

mod common;

use common::{both, expect, multirnet, names, phantom, run, save};
use multirnet_anatomy::PrepareConfig;
use multirnet_infer::{DeviceChoice, ModelCard, ModelInput};
use multirnet_nn::{MultiRNetConfig, weights};
use multirnet_volume::{Diagnosis, io};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// Writes a small untrained model whose card says `trained_on`.
fn put(path: &Path, trained_on: &str, lesion_channels: usize) {
    let device = DeviceChoice::Cpu.open().unwrap();
    device.seed(2);
    let config = MultiRNetConfig {
        channels: [2, 2, 4, 4, 4],
        class_channels: [2, 2, 4, 4, 4, 4],
        iterations: 0,
        lesion_channels,
        ..MultiRNetConfig::small()
    };
    let prepare = PrepareConfig {
        spacing_mm: [8.0, 6.0, 6.0],
        global_shape: [16, 48, 48],
        ..PrepareConfig::default()
    };
    let card = ModelCard {
        trained_on: trained_on.to_owned(),
        input: Some(ModelInput::from(&prepare)),
        ..ModelCard::unknown("tiny")
    };
    let bytes = weights::to_bytes(&config.init(&device), weights::Dtype::F32).unwrap();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, card.package("tiny", &bytes).unwrap()).unwrap();
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn names_are_found_in_the_documented_places_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    // The program is copied to a folder of its own, which can then hold models beside it.
    let program = at("bin").join(format!("multirnet{}", std::env::consts::EXE_SUFFIX));
    fs::create_dir_all(at("bin")).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_multirnet"), &program).unwrap();
    let (listed, working, beside) = (at("listed"), at("work/models"), at("bin/models"));
    let own = json(&run(["info", "--json"]).stdout)["models"][0]["name"].clone();
    let own = own.as_str().unwrap().to_owned();
    for (folder, what, models) in [
        (&listed, "listed", &["a", own.as_str()][..]),
        (&working, "working", &["a", "b"]),
        (&beside, "beside", &["a", "b", "c"]),
    ] {
        for name in models {
            put(&folder.join(name).join("model.safetensors"), what, 1);
        }
    }
    let info = |arguments: &[&str]| {
        let variable = std::env::join_paths([at("none"), listed.clone()]).unwrap();
        std::process::Command::new(&program)
            .args(["info", "--json"])
            .args(arguments)
            .env("MULTIRNET_MODELS", variable)
            .current_dir(at("work"))
            .output()
            .unwrap()
    };
    for (name, place) in [
        ("a", "listed"),
        ("b", "working"),
        ("c", "beside"),
        ("models/b", "working"),
        ("../bin/models/a/model.safetensors", "beside"),
    ] {
        let output = info(&["--model", name]);
        expect(&output, 0);
        assert_eq!(json(&output.stdout)["model"]["trained_on"], place, "{name}");
    }
    // A folder with the default model's name does not replace it, and `info` says so.
    let output = info(&["--model", &own]);
    expect(&output, 0);
    let facts = json(&output.stdout);
    assert_ne!(facts["model"]["trained_on"], "listed");
    let models: Vec<(&str, &str, bool)> = facts["models"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| {
            let place = m["trained_on"].as_str().unwrap();
            (
                m["name"].as_str().unwrap(),
                place,
                m["hidden"].as_bool().unwrap(),
            )
        })
        .collect();
    assert_eq!((models[0].0, models[0].2), (own.as_str(), false));
    let mut want = vec![("a", "listed", false), (own.as_str(), "listed", true)];
    want.sort();
    want.extend([
        ("a", "working", true),
        ("b", "working", false),
        ("a", "beside", true),
        ("b", "beside", true),
        ("c", "beside", false),
    ]);
    assert_eq!(models[1..], want);
    assert_eq!(facts["models"][0]["default"], true);

    let output = info(&["--model", "nobody"]);
    expect(&output, 3);
    let said = both(&output);
    for part in ["\"nobody\"", &own, "listed", "beside"] {
        let part = if part == "beside" { "bin" } else { part };
        assert!(said.contains(part), "{part} is not in {said}");
    }
}

#[test]
fn the_default_model_tells_of_the_other_one_once() {
    let dir = tempfile::tempdir().unwrap();
    let mine = dir.path().join("mine.safetensors");
    put(&mine, "Nothing.", 1);
    let said = |model: Option<&Path>| {
        let mut command = multirnet();
        command.args(["predict", "no-scan.nii", "no-other.nii", "--json", "-o"]);
        command.arg(dir.path().join("out"));
        if let Some(model) = model {
            command.arg("--model").arg(model);
        }
        let output = command.output().unwrap();
        expect(&output, 3);
        assert_eq!(json(&output.stdout).as_array().unwrap().len(), 2);
        String::from_utf8(output.stderr).unwrap()
    };
    let text = said(None);
    assert_eq!(
        text.matches("the model patients-small").count(),
        1,
        "{text}"
    );
    assert!(text.contains("non-commercial"), "{text}");
    assert!(!said(Some(&mine)).contains("patients-small"));
}

const CARD: &str = r#"
licence = "CC-BY-NC-4.0"
attribution = ["Nobody's scans, CC BY 4.0."]
threshold = 0.625
[[scores]]
on = "Ten phantoms of seed 7"
cases = 10
kind = "phantoms"
seen = "None of them."
metric = "mean volume Dice, %"
value = 12.5
[[notes]]
heading = "Limits"
text = "It has learned nothing."
"#;

#[test]
fn a_packaged_model_has_a_full_card_and_a_page() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (mine, card, out) = (at("run.safetensors"), at("card.toml"), at("models/mine"));
    put(&mine, "A cohort.", 1);
    let package = |card: &Path, model: &Path| {
        let arguments: [&Path; 8] = [
            Path::new("package"),
            model,
            Path::new("--name"),
            Path::new("mine"),
            Path::new("--card"),
            card,
            Path::new("-o"),
            &out,
        ];
        run(arguments)
    };
    for (text, reason) in [
        (CARD.replace("0.625", "1.5"), "threshold = 1.5"),
        (CARD.replace("licence", "license"), "license"),
        (
            CARD.replace("value = 12.5", "value = nan"),
            "mean volume Dice",
        ),
    ] {
        fs::write(&card, text).unwrap();
        let output = package(&card, &mine);
        expect(&output, 3);
        let said = both(&output);
        assert!(
            said.contains("card.toml") && said.contains(reason),
            "{said}"
        );
        assert!(!out.exists());
    }
    fs::write(&card, CARD).unwrap();
    expect(&package(&card, &mine), 0);
    assert_eq!(names(&out), ["README.md", "model.safetensors"]);
    let page = fs::read_to_string(out.join("README.md")).unwrap();
    for part in [
        "# mine",
        "A cohort.",
        "CC-BY-NC-4.0",
        "Ten phantoms",
        "Nobody's scans",
        "Limits",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    let output = multirnet()
        .args(["info", "--json", "--model", "mine"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    expect(&output, 0);
    let facts = json(&output.stdout);
    assert_eq!(facts["model"]["name"], "mine");
    assert_eq!(facts["model"]["threshold"], 0.625);
    assert_eq!(facts["model"]["scores"][0]["kind"], "phantoms");
    let sha256 = facts["model"]["sha256"].as_str().unwrap();
    assert!(page.contains(sha256));

    // A packaged model can be packaged again, for a new page. The bytes stay the same.
    let before = fs::read(out.join("model.safetensors")).unwrap();
    expect(&package(&card, &out.join("model.safetensors")), 0);
    assert!(fs::read(out.join("model.safetensors")).unwrap() == before);

    // Weights that do not say how scans were prepared are refused.
    let bytes = fs::read(&mine).unwrap();
    let bare = ModelCard::unknown("bare").package("bare", &bytes).unwrap();
    fs::write(&mine, bare).unwrap();
    let output = package(&card, &mine);
    expect(&output, 3);
    assert!(both(&output).contains("how scans were prepared"));
}

#[test]
fn kinds_of_lesion_reach_every_result() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| -> PathBuf { dir.path().join(name) };
    let (model, out) = (at("two.safetensors"), at("out"));
    put(&model, "Nothing.", 2);
    let scan = save(dir.path(), "scan.nii.gz", &phantom(Diagnosis::Cap, 14).ct);
    let arguments: [&Path; 8] = [
        Path::new("predict"),
        &scan,
        Path::new("--model"),
        &model,
        Path::new("--threshold"),
        Path::new("0.05"),
        Path::new("-o"),
        &out,
    ];
    let output = run(arguments);
    expect(&output, 0);
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(
        table.contains("ground glass ml") && table.contains("consolidation ml"),
        "{table}"
    );
    let finding = json(&fs::read(out.join("finding.json")).unwrap());
    let kinds = finding["lesion_kinds"].as_array().unwrap();
    let lesions = io::read_labels(&out.join("lesions.nii.gz")).unwrap();
    let ml = lesions.geometry().voxel_mm3() / 1000.0;
    let mut sum = 0.0;
    for (kind, (name, label)) in kinds
        .iter()
        .zip([("ground_glass", 1), ("consolidation", 2)])
    {
        assert_eq!(kind["kind"], name);
        let voxels = lesions.data().iter().filter(|v| **v == label).count();
        let said = kind["lesion_ml"].as_f64().unwrap();
        assert!(
            (said - voxels as f64 * ml).abs() < 1e-6 * said.max(1.0),
            "{kind}"
        );
        sum += said;
    }
    let whole = finding["involvement"]["both"]["lesion_ml"]
        .as_f64()
        .unwrap();
    assert!(
        whole > 1.0 && (sum - whole).abs() < 1e-6 * whole,
        "{sum} {whole}"
    );
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("Kinds of lesion"));
}
