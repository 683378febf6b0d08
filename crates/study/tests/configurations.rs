//! Configurations of studies and ablations.

use multirnet_study::{AblationConfig, ErrorKind, Folder, PhantomCohort, StudyConfig, paper};
use std::path::Path;
use std::sync::atomic::AtomicBool;

const HEAD: &str = "title = \"A study\"\n\
    cohort.phantoms = { normal = 1, cap = 1, covid19 = 1, seed = 1, matrix = 96 }\n";

fn study(text: &str) -> StudyConfig {
    StudyConfig::parse(&format!("{HEAD}{text}")).unwrap()
}

fn ablation(text: &str) -> multirnet_study::Result<AblationConfig> {
    AblationConfig::parse(&format!("{HEAD}train = {{}}\n{text}"))
}

#[test]
fn what_one_system_sets_is_its_own() {
    let study = study(
        "train.optimiser.learning_rate = 0.01\n\
         [[system]]\nid = \"a\"\nset.run.seed = 7\n\
         [[system]]\nid = \"b\"\nset.optimiser.learning_rate = 0.002\nset.model.system = \"unet3d\"\n\
         [[system]]\nid = \"c\"\n",
    );
    let [a, b, c] = [0, 1, 2].map(|i| study.train_config(&study.systems[i]).unwrap());
    assert_eq!((a.run.seed, b.run.seed), (7, c.run.seed));
    assert_eq!(b.model.name(), "unet3d");
    assert_eq!(a.model, c.model);
    let rates = [&a, &b, &c].map(|t| t.optimiser.learning_rate);
    assert_eq!(rates, [0.01, 0.002, 0.01]);
    // The first system is the reference. A system without a name takes the name of its card.
    assert_eq!(study.reference().id, "a");
    assert_eq!(study.systems[1].label(&b), b.model.card().name);
}

#[test]
fn a_study_compares_on_the_same_scans_prepared_alike() {
    for (text, word) in [
        ("[[system]]\nid = \"a\"\nset.split.seed = 1", "split"),
        (
            "[[system]]\nid = \"a\"\n[[system]]\nid = \"b\"\nset.prepare.margin_mm = 1.0",
            "another way",
        ),
        ("system = []", "no system"),
        (
            "cohort.manifest = \"a.csv\"\n[[system]]\nid = \"a\"",
            "either a manifest or phantoms",
        ),
    ] {
        let error = StudyConfig::parse(&format!("{HEAD}{text}")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
}

#[test]
fn variants_that_coincide_are_trained_once() {
    let mut ablation = ablation(
        "[[axis]]\nname = \"Attention\"\n\
         [[axis.variant]]\nname = \"with\"\n\
         [[axis.variant]]\nname = \"none\"\nset.model.reverse_attention = false\n\
         [[axis]]\nname = \"Passes\"\n\
         [[axis.variant]]\nname = \"as usual\"\nset.model.iterations = 2\n\
         [[axis.variant]]\nname = \"1 & done\"\nset.model.iterations = 0\n\
         [[axis]]\nname = \"Both\"\n\
         [[axis.variant]]\nname = \"x\"\nset.model = { iterations = 2, reverse_attention = false }\n\
         [[axis.variant]]\nname = \"y\"\nset.model = { iterations = 0, reverse_attention = true }\n",
    )
    .unwrap();
    let study = ablation.study().unwrap();
    let ids: Vec<&str> = study.systems.iter().map(|s| s.id.as_str()).collect();
    assert_eq!(ids, ["as-configured", "attention-none", "passes-1-done"]);
    // The base net has two iterations and reverse attention, so two pairs and a triple coincide.
    let chosen: Vec<&str> = ablation
        .axes
        .iter()
        .flat_map(|a| &a.variants)
        .map(|v| v.system.as_str())
        .collect();
    assert_eq!(
        chosen,
        [
            "as-configured",
            "attention-none",
            "as-configured",
            "passes-1-done",
            "attention-none",
            "passes-1-done"
        ]
    );
    let trainings: Vec<_> = study
        .systems
        .iter()
        .map(|s| study.train_config(s).unwrap())
        .collect();
    for (i, training) in trainings.iter().enumerate() {
        assert!(!trainings[..i].contains(training));
    }
}

#[test]
fn an_axis_asks_a_question() {
    for (text, word) in [
        ("axis = []", "no axis"),
        (
            "[[axis]]\nname = \"Alone\"\n[[axis.variant]]\nname = \"one\"",
            "\"Alone\" has fewer than two variants",
        ),
        (
            "[[axis]]\nname = \"A\"\n[[axis.variant]]\nname = \"one\"\n\
             [[axis.variant]]\nname = \"two\"\nset.model.iterations = 99",
            "a-two",
        ),
    ] {
        let error = ablation(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
}

#[test]
fn paths_are_relative_to_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study.toml");
    std::fs::write(
        &path,
        "title = \"t\"\ncohort.manifest = \"lists/a.csv\"\n\
         cohort.training = [{ manifest = \"b.csv\", data = \"/data\" }]\n\
         [[system]]\nid = \"a\"\nset.run.init = \"start.safetensors\"\n\
         [[system]]\nid = \"b\"\nset.run.init = \"lungs-small\"\n",
    )
    .unwrap();
    let mut study = StudyConfig::read(&path).unwrap();
    let at = |name: &str| Some(folder.path().join(name));
    assert_eq!(study.cohort.manifest, at("lists/a.csv"));
    assert_eq!(study.cohort.training[0].manifest, at("b.csv"));
    let init =
        |study: &StudyConfig, i: usize| study.train_config(&study.systems[i]).unwrap().run.init;
    assert_eq!(init(&study, 0), at("start.safetensors"));
    assert_eq!(
        init(&study, 1).as_deref(),
        Some(Path::new("lungs-small")),
        "a model's name"
    );
    // `set_data` applies to manifests that do not name a folder of data.
    study.cohort.set_data(folder.path());
    assert_eq!(study.cohort.data.as_deref(), Some(folder.path()));
    assert_eq!(
        study.cohort.training[0].data.as_deref(),
        Some(Path::new("/data"))
    );
    study.cohort.set_manifest(&folder.path().join("c.csv"));
    assert_eq!(
        (study.cohort.manifest, study.cohort.data),
        (at("c.csv"), None)
    );
    assert!(StudyConfig::parse(HEAD).is_err(), "a study has systems");
}

#[test]
fn a_folder_keeps_to_its_study() {
    let root = tempfile::tempdir().unwrap();
    let first = study("[[system]]\nid = \"a\"\n");
    Folder::open(root.path(), &first).unwrap();
    Folder::open(root.path(), &first).unwrap();
    let (_, found) = Folder::existing(root.path()).unwrap();
    assert_eq!(found, first);
    let other = study("train.run.epochs = 3\n[[system]]\nid = \"a\"\n");
    let error = Folder::open(root.path(), &other).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Folder);
    let (_, found) = Folder::existing(root.path()).unwrap();
    assert_eq!(found, first, "the refusal changes nothing");
    let nothing = tempfile::tempdir().unwrap();
    assert_eq!(
        Folder::existing(nothing.path()).unwrap_err().kind(),
        ErrorKind::Io
    );
}

#[test]
fn unusable_phantom_cohorts_are_refused_before_anything_is_written() {
    let cohort = PhantomCohort {
        normal: 1,
        cap: 0,
        covid19: 2,
        seed: 1,
        matrix: 96,
    };
    assert_eq!(cohort.counts(), [1, 0, 2]);
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("cohort");
    for broken in [
        PhantomCohort {
            matrix: 95,
            ..cohort.clone()
        },
        PhantomCohort {
            normal: 0,
            covid19: 0,
            ..cohort.clone()
        },
    ] {
        let made = broken.make(&folder, &mut |_, _| {}, &AtomicBool::new(false));
        assert_eq!(made.unwrap_err().kind(), ErrorKind::Config);
    }
    assert!(!folder.exists());
    let stopped = cohort.make(&folder, &mut |_, _| {}, &AtomicBool::new(true));
    assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Interrupted);
    assert!(!folder.join("cohort.csv").exists());
}

#[test]
fn the_papers_f1_is_the_harmonic_mean_of_its_recall_and_precision() {
    for row in paper::CLASSIFICATION {
        let f1 = 2.0 * row.recall * row.precision / (row.recall + row.precision);
        assert!((row.f1 - f1).abs() < 0.002, "{}: {f1}", row.name);
    }
    let keys = paper::keys();
    assert!(keys.windows(2).all(|k| k[0] < k[1]), "{keys:?}");
    for key in keys {
        let known = (
            paper::segmentation(Some(key)).is_some(),
            paper::classification(Some(key)).is_some(),
        );
        assert_ne!(known, (false, false));
    }
    assert!(paper::segmentation(Some("unet4d")).is_none() && paper::classification(None).is_none());
}
