//! The program end to end: phantoms, predictions, a training, its model.

mod common;

use common::{both, expect, names, phantom, run, save};
use multirnet_volume::{Axis, Diagnosis, Orientation, io};
use serde_json::Value;
use std::fs;
use std::path::Path;

const RESULTS: [&str; 7] = [
    "finding.json",
    "heatmap.nii.gz",
    "lesions.nii.gz",
    "lungs.nii.gz",
    "overview.png",
    "probability.nii.gz",
    "report.html",
];

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn help_shows_an_example_of_every_command() {
    let top = both(&run(["--help"]));
    assert!(top.contains("Exit codes") && top.contains("Not a medical device"));
    for command in [
        "demo", "phantom", "inspect", "prepare", "train", "package", "evaluate", "predict",
        "explain", "info",
    ] {
        assert!(top.contains(command), "{command} is not in the help");
        let output = run([command, "--help"]);
        expect(&output, 0);
        let said = both(&output);
        assert!(
            said.contains("Example") && said.contains(&format!("multirnet {command}")),
            "{said}"
        );
        assert!(said.contains("--json"));
    }
}

#[test]
fn a_prediction_lies_on_the_scans_own_grid_whatever_its_axes() {
    let dir = tempfile::tempdir().unwrap();
    let made = phantom(Diagnosis::Covid19, 11);
    let turned = Orientation::new([Axis::Left, Axis::Inferior, Axis::Anterior]).unwrap();
    let mut lungs = vec![];
    for (name, ct) in [
        ("plain", made.ct.clone()),
        ("turned", made.ct.reorient(turned)),
    ] {
        let scan = save(dir.path(), &format!("{name}.nii.gz"), &ct);
        let out = dir.path().join(name);
        let output = run([
            Path::new("predict"),
            &scan,
            Path::new("-o"),
            &out,
            Path::new("--json"),
        ]);
        expect(&output, 0);
        assert_eq!(names(&out), RESULTS);
        let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
        let finding = json(&out.join("finding.json"));
        assert_eq!(printed[0]["finding"], finding);
        assert!(
            finding["notice"]
                .as_str()
                .unwrap()
                .contains("research use only")
        );
        assert!(
            finding["provenance"]["trained_on"]
                .as_str()
                .unwrap()
                .contains("phantom")
        );
        let p = &finding["probabilities"];
        let sum: f64 = ["normal", "cap", "covid19"]
            .iter()
            .map(|k| p[k].as_f64().unwrap())
            .sum();
        assert!((sum - 1.0).abs() < 1e-4);

        // The threshold is the model's own, which was chosen on its validation scans.
        let threshold = finding["provenance"]["config"]["threshold"].as_f64();
        let threshold = threshold.unwrap() as f32;
        let probability = io::read(&out.join("probability.nii.gz")).unwrap();
        let lesions = io::read_labels(&out.join("lesions.nii.gz")).unwrap();
        let lung = io::read_labels(&out.join("lungs.nii.gz")).unwrap();
        let heat = io::read(&out.join("heatmap.nii.gz")).unwrap();
        for grid in [probability.geometry(), lesions.geometry(), lung.geometry()] {
            assert!(
                grid.matches(ct.geometry(), 1e-2),
                "{grid:?} is not {:?}",
                ct.geometry()
            );
        }
        for (&p, &l) in probability.data().iter().zip(lesions.data()) {
            assert!((0.0..=1.0).contains(&p));
            assert_eq!(l != 0, p >= threshold);
        }
        // The heat map has the grid of the view of the whole chest, which covers the lungs.
        let most = heat.data().iter().copied().fold(0.0, f32::max);
        assert!(heat.data().iter().all(|h| (0.0..=1.0).contains(h)) && most > 0.99);
        assert_eq!(heat.to_canonical().shape(), [32, 96, 96]);
        let covered = heat.map(|_| 1.0f32).resample_linear(lung.geometry(), 0.0);
        let outside = lung.data().iter().zip(covered.data());
        assert_eq!(outside.filter(|(l, c)| **l != 0 && **c == 0.0).count(), 0);
        lungs.push(lung.to_canonical());
    }
    let pairs = || lungs[0].data().iter().zip(lungs[1].data());
    let swapped = pairs()
        .filter(|(a, b)| matches!((a, b), (1, 2) | (2, 1)))
        .count();
    let differing = pairs().filter(|(a, b)| a != b).count();
    let lung = lungs[0].data().iter().filter(|v| **v != 0).count();
    assert!(
        swapped * 1000 < lung,
        "{swapped} of {lung} voxels changed sides"
    );
    assert!(
        differing * 100 < lung,
        "{differing} of {lung} voxels differ"
    );
}

#[test]
fn one_failing_scan_does_not_stop_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let good = save(
        dir.path(),
        "good.nii.gz",
        &phantom(Diagnosis::Normal, 12).ct,
    );
    let bad = dir.path().join("bad.nii.gz");
    fs::write(&bad, b"nothing").unwrap();
    let out = dir.path().join("out");
    let output = run([
        Path::new("predict"),
        &bad,
        &good,
        &good,
        Path::new("-o"),
        &out,
        Path::new("--jobs"),
        Path::new("2"),
        Path::new("--no-heatmap"),
        Path::new("--pipeline"),
        Path::new("global"),
    ]);
    expect(&output, 4);
    assert_eq!(names(&out), ["good", "good-2"]);
    assert_eq!(names(&out.join("good")).len(), RESULTS.len() - 1);
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        table.contains("bad") && table.contains("failed") && table.contains("good-2"),
        "{table}"
    );
    // The same scan gives the same masks and numbers.
    let bytes = |n: &str| fs::read(out.join(n).join("probability.nii.gz")).unwrap();
    assert_eq!(bytes("good"), bytes("good-2"));
}

#[test]
fn inspect_says_what_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let scan = save(
        dir.path(),
        "scan.nii.gz",
        &phantom(Diagnosis::Normal, 13).ct,
    );
    let output = run([Path::new("inspect"), &scan, Path::new("--json")]);
    expect(&output, 0);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report[0]["accepted"], true);
    let output = run([Path::new("inspect"), &scan, Path::new("/no/such/scan")]);
    expect(&output, 4);
    assert!(both(&output).contains("refused"));
}

#[test]
fn explain_writes_the_heat_of_the_chosen_class() {
    let dir = tempfile::tempdir().unwrap();
    let scan = save(dir.path(), "scan.nii.gz", &phantom(Diagnosis::Cap, 14).ct);
    let mut maps = vec![];
    for (class, grid) in [("cap", "own"), ("normal", "own"), ("cap", "scan")] {
        let out = dir.path().join(format!("{class}-{grid}"));
        let output = run([
            Path::new("explain"),
            &scan,
            Path::new("--class"),
            Path::new(class),
            Path::new("--heatmap-grid"),
            Path::new(grid),
            Path::new("-o"),
            &out,
            Path::new("--json"),
        ]);
        expect(&output, 0);
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(said["explained"], class);
        maps.push(io::read(&out.join("heatmap.nii.gz")).unwrap());
    }
    assert_ne!(maps[0].data(), maps[1].data());
    // On the scan's grid it is the same map, interpolated, up to the steps of both files.
    let wide = &maps[2];
    assert!(
        wide.geometry()
            .matches(io::read(&scan).unwrap().geometry(), 1e-2)
    );
    let from_own = maps[0].resample_linear(wide.geometry(), 0.0);
    for (a, b) in wide.data().iter().zip(from_own.data()) {
        assert!((a - b).abs() < 1.5 / 255.0, "{a} {b}");
    }
}

const TINY: &str = r#"
[model]
channels = [4, 4, 6, 6, 8]
class_channels = [4, 4, 4, 6, 6, 8]
iterations = 1
[prepare]
global_shape = [16, 32, 32]
spacing_mm = [10.0, 8.0, 8.0]
[split]
test_fraction = 0.0
validation_fraction = 0.34
[sampling]
patch_size = [16, 32, 32]
batch = 2
steps_per_epoch = 3
[validation]
local_windows = 1
[run]
epochs = 2
"#;

/// Three quick phantoms per class and their manifest.
fn make_cohort(cohort: &Path) {
    let output = run([
        Path::new("phantom"),
        Path::new("cohort"),
        Path::new("--per-class"),
        Path::new("3"),
        Path::new("--matrix"),
        Path::new("96"),
        Path::new("-o"),
        cohort,
    ]);
    expect(&output, 0);
}

#[test]
fn a_cohort_becomes_a_model_that_predicts() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (cohort, manifest, run_dir, config) = (
        at("cohort"),
        at("cohort/cohort.csv"),
        at("run"),
        at("tiny.toml"),
    );
    fs::write(&config, TINY).unwrap();
    make_cohort(&cohort);
    let args = [
        Path::new("train"),
        &manifest,
        Path::new("--config"),
        &config,
        Path::new("-o"),
        &run_dir,
    ];
    expect(&run(args), 0);
    for file in [
        "config.toml",
        "split.csv",
        "log.csv",
        "curves.png",
        "model.safetensors",
    ] {
        assert!(
            run_dir.join(file).is_file(),
            "{file} is missing in {:?}",
            names(&run_dir)
        );
    }
    // A run is not overwritten, but it can be continued.
    expect(&run(args), 3);
    let again: Vec<&Path> = args.into_iter().chain([Path::new("--resume")]).collect();
    expect(&run(again), 0);

    let scores = at("scores");
    let output = run([
        Path::new("evaluate"),
        &manifest,
        Path::new("--model"),
        &run_dir.join("model.safetensors"),
        Path::new("-o"),
        &scores,
        Path::new("--pipeline"),
        Path::new("global"),
        Path::new("--explain"),
        Path::new("--fit"),
        &at("fitted.toml"),
    ]);
    expect(&output, 0);
    assert_eq!(
        names(&scores),
        ["cases.csv", "scores.json", "sources.csv", "summary.txt"]
    );
    let summary = fs::read_to_string(scores.join("summary.txt")).unwrap();
    for table in [
        "calibration of probabilities",
        "share of the lungs involved",
    ] {
        assert!(summary.contains(table), "{summary}");
    }
    let scores = json(&scores.join("scores.json"));
    assert_eq!(scores["classification"]["n"], 9);
    assert_eq!(scores["calibration"]["classes"]["scans"], 9);
    // A net that has hardly been trained may have no heat, but its map is measured.
    let cases = scores["cases"].as_array().unwrap();
    assert!(
        cases.iter().all(|c| c["heat"]["class"].is_string()),
        "{cases:?}"
    );
    assert!(cases.iter().all(|c| c.get("reliability").is_none()));
    let fitted = fs::read_to_string(at("fitted.toml")).unwrap();
    let fitted: toml::Table = fitted.parse().unwrap();
    let temperature = fitted["class_temperature"].as_float().unwrap();
    assert!((0.05..=20.0).contains(&temperature));
    let counts: u64 = scores["classification"]["confusion"]["counts"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|row| row.as_array().unwrap().iter().map(|v| v.as_u64().unwrap()))
        .sum();
    assert_eq!(counts, 9);
    let metrics = scores["segmentation"]["scores"].as_array().unwrap();
    assert_eq!(metrics.len(), 15, "every metric");
    assert!(metrics.iter().all(|m| m["n"] == 6), "{metrics:?}");
    assert_eq!(scores["segmentation"]["false_positives"]["n"], 3);
    assert_eq!(scores["sources"][0]["segmentation"], scores["segmentation"]);
}

#[test]
fn info_describes_the_packaged_model() {
    let output = run(["info", "--json"]);
    expect(&output, 0);
    let facts: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        facts["model"]["trained_on"]
            .as_str()
            .unwrap()
            .contains("phantom")
    );
}

#[test]
fn an_interrupted_training_saves_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let config = at("tiny.toml");
    fs::write(&config, TINY.replace("epochs = 2", "epochs = 3000")).unwrap();
    let (cohort, manifest, run_dir) = (at("cohort"), at("cohort/cohort.csv"), at("run"));
    make_cohort(&cohort);
    let child = common::multirnet()
        .args([
            Path::new("train"),
            &manifest,
            Path::new("--config"),
            &config,
            Path::new("-o"),
            &run_dir,
        ])
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // The line of an epoch shows that the loop runs.
    let lines = || fs::read_to_string(run_dir.join("log.csv")).map_or(0, |t| t.lines().count());
    for _ in 0..600 {
        if lines() >= 2 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert!(lines() >= 2, "no epoch within a minute");
    let killed = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    expect(&output, 130);
    assert!(both(&output).contains("--resume"));
    assert!(run_dir.join("checkpoints/last.state").is_file());
    assert!(run_dir.join("model.safetensors").is_file());
    let done = lines();
    let output = run([
        Path::new("train"),
        &manifest,
        Path::new("--resume"),
        Path::new("--max-minutes"),
        Path::new("0.0001"),
        Path::new("-o"),
        &run_dir,
    ]);
    expect(&output, 0);
    assert!(lines() >= done, "the log lost lines");
}

#[test]
fn a_stop_while_scans_are_prepared_is_a_stop() {
    let dir = tempfile::tempdir().unwrap();
    let cohort = dir.path().join("cohort");
    make_cohort(&cohort);
    let manifest = cohort.join("cohort.csv");
    // The same scans occur many times, each with a cache key of its own. The preparation is long.
    let text = fs::read_to_string(&manifest).unwrap();
    let mut lines = text.lines();
    let mut many = format!("{},slope,intercept\n", lines.next().unwrap());
    for line in lines {
        let (scan, rest) = line.split_once(',').unwrap();
        for i in 0..60 {
            fs::hard_link(cohort.join(scan), cohort.join(format!("{i}-{scan}"))).unwrap();
            many += &format!("{i}-{scan},{rest},1,{}\n", f64::from(i) / 1000.0);
        }
    }
    fs::write(&manifest, many).unwrap();
    let (cache, out) = (dir.path().join("cache"), dir.path().join("run"));
    let entries = || {
        names(&cache)
            .iter()
            .filter(|n| n.ends_with(".case"))
            .count()
    };
    for command in ["prepare", "train"] {
        let before = entries();
        let mut program = common::multirnet();
        program
            .arg(command)
            .arg(&manifest)
            .arg("--cache")
            .arg(&cache);
        if command == "train" {
            program.arg("-o").arg(&out);
        }
        let child = program
            .stderr(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        for _ in 0..600 {
            if entries() > before + 1 {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        assert!(entries() > before, "{command} prepared nothing");
        let stopped = std::process::Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .unwrap();
        assert!(stopped.success());
        let output = child.wait_with_output().unwrap();
        expect(&output, 130);
        assert!(both(&output).contains("stopped"), "{}", both(&output));
        assert!(!both(&output).contains("mend"), "{}", both(&output));
    }
}
