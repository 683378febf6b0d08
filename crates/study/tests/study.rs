//! A whole study on tiny phantoms is run, stopped, continued and reported.

use multirnet_base::StopToken;
use multirnet_cohort::{Case, Cohort, Side};
use multirnet_infer::Catalogue;
use multirnet_infer::DeviceChoice;
use multirnet_study::{
    AblationConfig, Division, ErrorKind, Event, Folder, Options, Results, StudyCohort, StudyConfig,
    figures, write_tables,
};
use multirnet_volume::{Diagnosis, Volume};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

fn read(path: &Path) -> multirnet_cohort::Result<Volume<f32>> {
    multirnet_cohort::read_volume(path)
}

const STUDY: &str = r#"
title = "A test on phantoms"
reference = "net"

[cohort.phantoms]
normal = 3
cap = 3
covid19 = 4
seed = 5
matrix = 96

[[cohort.test]]
phantoms = { normal = 0, cap = 1, covid19 = 0, seed = 7, matrix = 96 }

[[cohort.training]]
phantoms = { normal = 1, cap = 1, covid19 = 0, seed = 6, matrix = 96 }

[split]
test_fraction = 0.4
validation_fraction = 0.2

[train.prepare]
spacing_mm = [10.0, 6.0, 6.0]
global_shape = [16, 32, 32]

[train.sampling]
patch_size = [16, 32, 32]
batch = 2
steps_per_epoch = 2

[train.validation]
local_windows = 1
max_windows = 2

[train.run]
epochs = 2

[predict]
window_shape = [16, 32, 32]

[score.bootstrap]
replicates = 200

[[system]]
id = "net"
paper = "multirnet"
group = "net"
set.model = { channels = [2, 2, 2, 2, 2], class_channels = [2, 2, 2, 2, 2, 2], iterations = 0 }

[[system]]
id = "lesions-only"
name = "without classes"
set.model = { channels = [2, 2, 2, 2, 2], classification = false, iterations = 0 }

[[system]]
id = "net-s2"
group = "net"
set.model = { channels = [2, 2, 2, 2, 2], class_channels = [2, 2, 2, 2, 2, 2], iterations = 0 }
set.run.seed = 2
"#;

/// Runs the study; `stop` may raise the flag at an event.
fn run(
    config: &StudyConfig,
    root: &Path,
    mut stop: impl FnMut(&Event<'_>) -> bool + Send,
) -> multirnet_study::Result<Results> {
    let token = StopToken::new();
    let mut options = Options {
        read: &read,
        device: DeviceChoice::Cpu,
        models: &Catalogue::default(),
        progress: &mut |event| {
            if stop(&event) {
                token.raise();
            }
        },
    };
    multirnet_study::run(config, root, &mut options, &token)
}

fn tables(root: &Path, results: &Results) -> BTreeMap<String, String> {
    let (folder, _) = Folder::existing(root).unwrap();
    write_tables(&folder, results).unwrap();
    let entries = std::fs::read_dir(folder.tables()).unwrap();
    entries
        .map(|e| {
            let e = e.unwrap();
            let name = e.file_name().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(e.path()).unwrap())
        })
        .collect()
}

#[test]
fn a_stopped_study_ends_with_the_same_tables_and_a_report() {
    let config = StudyConfig::parse(STUDY).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    let expected = tables(&whole, &run(&config, &whole, |_| false).unwrap());

    // It is stopped while phantoms are made, in the first training, in the second, and while scoring.
    let mut interruptions = 0;
    for stage in 0..4 {
        let mut trainings = 0;
        let result = run(&config, &parts, |event| match event {
            Event::Phantoms { done, .. } => stage == 0 && *done == 4,
            Event::Training { .. } => {
                trainings += 1;
                false
            }
            Event::Train(multirnet_train::Event::Step { record, .. }) => {
                (stage == 1 || stage == 2) && record.step == 1 + stage && trainings == 1
            }
            Event::Scoring { done, .. } => stage == 3 && *done == 1,
            _ => false,
        });
        if let Err(error) = result {
            assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
            interruptions += 1;
        }
    }
    assert_eq!(interruptions, 4);
    let results = run(&config, &parts, |_| false).unwrap();
    let got = tables(&parts, &results);
    assert_eq!(
        got.keys().collect::<Vec<_>>(),
        expected.keys().collect::<Vec<_>>()
    );
    for (name, text) in &expected {
        assert_eq!(&got[name], text, "{name}");
    }
    assert!(
        expected["table-2-segmentation.md"].contains("69.95"),
        "the paper's Dice"
    );
    assert!(expected["table-3-classification.md"].contains("92.647"));
    assert_eq!(expected["cases.csv"].lines().count(), 1 + 3 * 5);
    for name in ["calibration", "involvement", "intervals"] {
        assert!(expected.contains_key(&format!("{name}.csv")), "{name}");
    }
    // Four metrics and the accuracy over two seeds.
    assert_eq!(expected["seeds.csv"].lines().count(), 1 + 5);
    // Scans that are not divided are on their own side.
    let split = parts.join("runs/net/split/split.csv");
    let split = std::fs::read_to_string(split).unwrap();
    assert_eq!(
        split.lines().filter(|l| l.contains("training-0")).count(),
        2
    );
    let tested: Vec<&str> = split.lines().filter(|l| l.ends_with(",test")).collect();
    assert_eq!(tested.len(), 5);
    assert_eq!(tested.iter().filter(|l| l.contains("test-0")).count(), 1);

    a_stopped_report_is_interrupted(&parts, &results);
    let page = report_of_known_results(&parts, results);
    let html = std::fs::read_to_string(page).unwrap();
    assert!(html.contains("For research use only") && html.contains("synthetic"));
    for name in [
        "training-loss",
        "box-volume-dice",
        "bland-altman-net",
        "confusion",
        "roc-net",
        "overlays",
        "surfaces",
        "grad-cam-net",
    ] {
        for ending in ["svg", "png"] {
            let file = parts.join(format!("figures/{name}.{ending}"));
            assert!(file.exists(), "{}", file.display());
        }
    }

    // The folder belongs to this study.
    let mut other = config.clone();
    other.train["run"]["epochs"] = toml::Value::Integer(3);
    let error = run(&other, &parts, |_| false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Folder);
    assert!(error.to_string().contains("epochs"), "{error}");
}

/// Draws the report of the study in `root`.
fn report(
    root: &Path,
    results: Option<Results>,
    stop: &StopToken,
    mut progress: impl FnMut(&str),
) -> multirnet_study::Result<std::path::PathBuf> {
    let device = DeviceChoice::Cpu;
    figures::report(root, &read, device, results, &mut progress, stop)
}

/// Stops the report of the study in `root` before each of its sections. It must end with an error and
/// must not write the page.
fn a_stopped_report_is_interrupted(root: &Path, results: &Results) {
    for at in ["tables", "box plots", "overlays"] {
        let stop = StopToken::new();
        let mut told = Vec::new();
        let result = report(root, Some(results.clone()), &stop, |what| {
            told.push(what.to_owned());
            if what == at {
                stop.raise();
            }
        });
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted, "{at}: {error}");
        assert!(error.to_string().contains("is kept"), "{error}");
        assert_eq!(told.last().map(String::as_str), Some(at));
        assert!(!root.join("index.html").exists());
    }
}

/// Draws the report of the study in `root` while its scores are hidden: results that are given are not
/// computed again.
fn report_of_known_results(root: &Path, results: Results) -> std::path::PathBuf {
    let scores = root.join("scores/net/split");
    let entries = std::fs::read_dir(&scores).unwrap();
    let paths = entries.map(|e| e.unwrap().path());
    let scores: Vec<_> = paths
        .filter(|p| p.extension().is_some_and(|e| e == "json"))
        .collect();
    assert_eq!(scores.len(), 5);
    for file in &scores {
        std::fs::rename(file, file.with_extension("hidden")).unwrap();
    }
    let error = report(root, None, &StopToken::new(), |_| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Scoring, "{error}");
    let page = report(root, Some(results), &StopToken::new(), |_| {}).unwrap();
    for file in &scores {
        std::fs::rename(file.with_extension("hidden"), file).unwrap();
    }
    page
}

/// Scans of the patients `names` in turn. Their files do not exist.
fn scans(folder: &str, names: &[&str]) -> Vec<Case> {
    let case = |(i, name): (usize, &&str)| {
        let file = format!("{folder}/{i}.nii");
        Case::new(file, None, Diagnosis::Covid19, *name)
    };
    names.iter().enumerate().map(case).collect()
}

#[test]
fn no_patient_that_is_held_out_is_trained_on() {
    let text = STUDY
        .replacen("title", "folds = [0, 1, 2]\ntitle", 1)
        .replacen("[[cohort.test]]", "[[cohort.training]]", 1)
        .replace("[split]", "[split]\nfolds = 3");
    let config = StudyConfig::parse(&text).unwrap();
    let mut cases = scans("main", &["a", "b", "c", "a", "b", "c"]);
    cases.extend(scans("extra", &["z", "b", "b", "y", "a"]));
    let study = StudyCohort {
        cohort: Cohort { cases },
        divided: 6,
        tested: 0,
    };
    let divisions = Division::all(&config, &study).unwrap();
    assert_eq!(divisions.len(), 3);
    let mut tested = Vec::new();
    for division in &divisions {
        let patients = |side: Side| -> BTreeSet<&str> {
            let on = division.split.on(side).into_iter();
            on.map(|i| division.cohort.cases[i].patient.as_str())
                .collect()
        };
        let held_out: BTreeSet<&str> = patients(Side::Test)
            .union(&patients(Side::Validation))
            .copied()
            .collect();
        let trained = patients(Side::Train);
        assert!(trained.is_disjoint(&held_out), "{division:?}");
        // The division names the patients it leaves out, with their numbers of scans, and has the
        // others.
        let extra = [("z", 1), ("b", 2), ("y", 1), ("a", 1)];
        let out: BTreeSet<(&str, usize)> = extra
            .into_iter()
            .filter(|(name, _)| held_out.contains(name))
            .collect();
        let told = division.left_out.iter();
        let told: BTreeSet<_> = told.map(|(name, n)| (name.as_str(), *n)).collect();
        assert_eq!(told, out);
        let kept = 5 - out.iter().map(|(_, n)| n).sum::<usize>();
        assert_eq!(division.cohort.cases.len(), 6 + kept);
        assert!(trained.contains("z") && trained.contains("y"));
        // The divided scans keep their positions, which are the names of score files.
        assert_eq!(division.cohort.cases[..6], study.cohort.cases[..6]);
        assert!(division.test().iter().all(|&i| i < 6));
        tested.extend(division.test());
    }
    tested.sort_unstable();
    assert_eq!(tested, [0, 1, 2, 3, 4, 5]);
    assert!(divisions.iter().any(|d| !d.left_out.is_empty()));
}

#[test]
fn committed_studies_are_sound() {
    for text in [
        include_str!("../../../configs/compare/phantom.toml"),
        include_str!("../../../configs/compare/covid-ctseg.toml"),
        include_str!("../../../configs/compare/coronacases-loo.toml"),
        include_str!("../../../configs/compare/implanted.toml"),
    ] {
        let study = StudyConfig::parse(text).unwrap();
        assert_eq!(
            StudyConfig::parse(&study.to_toml().unwrap()).unwrap(),
            study
        );
    }
    for text in [
        include_str!("../../../configs/compare/phantom.toml"),
        include_str!("../../../configs/compare/implanted.toml"),
    ] {
        let study = StudyConfig::parse(text).unwrap();
        let papers = study.systems.iter().filter_map(|s| s.paper.as_deref());
        let keys: BTreeSet<_> = papers.collect();
        let all: BTreeSet<_> = multirnet_study::paper::keys().into_iter().collect();
        assert_eq!(keys, all, "every row of the paper's tables has its system");
        // All trainings have an equal budget: they differ only in the net and the seed.
        let mut trainings = study.systems.iter().map(|s| {
            let mut train = study.train_config(s).unwrap();
            train.model = multirnet_nn::SystemConfig::default();
            train.run.seed = 0;
            train
        });
        let first = trainings.next().unwrap();
        assert!(trainings.all(|t| t == first));
    }
}

#[test]
fn variants_that_come_to_the_same_are_one_system() {
    let implanted = include_str!("../../../configs/ablate/implanted.toml");
    let systems = AblationConfig::parse(implanted).unwrap().study().unwrap();
    assert_eq!(systems.systems.len(), 16);
    let text = include_str!("../../../configs/ablate/phantom.toml");
    let mut ablation = AblationConfig::parse(text).unwrap();
    let study = ablation.study().unwrap();
    // The systems: as configured, no reverse attention, two losses, two iterations, no classification.
    assert_eq!(study.systems.len(), 7);
    let first: Vec<&str> = ablation
        .axes
        .iter()
        .map(|a| a.variants[0].system.as_str())
        .collect();
    assert_eq!(first, ["as-configured"; 4]);
    let off = &ablation.axes[0].variants[1].system;
    let entry = study.systems.iter().find(|s| &s.id == off).unwrap();
    let multirnet_nn::SystemConfig::MultiRNet(model) = study.train_config(entry).unwrap().model
    else {
        panic!("another net")
    };
    assert!(!model.reverse_attention && model.classification);
}

#[test]
fn bad_studies_are_refused_with_the_key() {
    let change = |from: &str, to: &str| {
        let text = STUDY.replacen(from, to, 1);
        assert_ne!(text, STUDY, "{from}");
        StudyConfig::parse(&text).unwrap_err()
    };
    for (from, to, word) in [
        ("id = \"lesions-only\"", "id = \"net\"", "two systems"),
        ("id = \"net\"", "id = \"a/b\"", "short name"),
        ("reference = \"net\"", "reference = \"nets\"", "nets"),
        (
            "paper = \"multirnet\"",
            "paper = \"unet\"",
            "multirnet-segmentation",
        ),
        ("batch = 2", "batches = 2", "batches"),
        ("iterations = 0 }", "depth = 3 }", "depth"),
        ("iterations = 0 }", "system = \"unet4d\" }", "unet3d"),
        ("[predict]", "[predict]\nexplain = true", "explain"),
        (
            "window_shape = [16, 32, 32]",
            "window_shape = [16, 32, 30]",
            "multiples of 16",
        ),
        ("[split]", "[splits]", "splits"),
        (
            "matrix = 96\n",
            "matrix = 96\n[cohort]\nmanifest = \"a.csv\"\n",
            "either a manifest or phantoms",
        ),
        ("set.run.seed = 2", "set.run.epochs = 3", "run.seed"),
        ("reference", "folds = [0, 1]\nreference", "several folds"),
        ("replicates = 200", "replicate = 200", "replicate"),
    ] {
        let error = change(from, to);
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
    let error = StudyConfig::read(Path::new("no/such/study.toml")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
}
