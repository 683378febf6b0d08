//! Tables, marks and spreads of studies with known scores.

use multirnet::evaluation::{CaseScore, EvaluatedCase, Evaluation, Said};
use multirnet_cohort::{Case, Cohort};
use multirnet_finding::Probabilities;
use multirnet_metrics::{Metric, SurfaceConfig};
use multirnet_report::Table;
use multirnet_study::{
    Compared, Division, ErrorKind, Folder, Results, StudyCohort, StudyConfig, tables, tables_text,
};
use multirnet_volume::{Diagnosis, Geometry, Volume};
use std::path::{Path, PathBuf};

/// Voxels of a true lesion. The Dice of a prediction with as many voxels is a whole percentage.
const LESION: usize = 100;

/// The outputs of a system for the test scans.
struct System {
    id: &'static str,
    /// Further lines of its table in the configuration.
    more: &'static str,
    /// True voxels among the predicted ones, for each test scan with lesions; `None`: no prediction.
    hits: [Option<usize>; 3],
    /// False voxels in the scan without lesions.
    invented: usize,
    /// Whether the class of each test scan is right; `None` without classes.
    right: Option<[bool; 4]>,
}

impl System {
    fn new(id: &'static str, hits: [usize; 3]) -> Self {
        Self {
            id,
            more: "",
            hits: hits.map(Some),
            invented: 0,
            right: None,
        }
    }
}

/// Three scans with lesions and one without, each of its own patient.
const CLASSES: [Diagnosis; 4] = [
    Diagnosis::Covid19,
    Diagnosis::Covid19,
    Diagnosis::Cap,
    Diagnosis::Normal,
];

fn config(systems: &[System]) -> StudyConfig {
    let mut text = String::from(
        "title = \"Known scores\"\ncohort.manifest = \"cohort.csv\"\n\
         split = { test_fraction = 0.0, validation_fraction = 0.0 }\n\
         score.bootstrap.replicates = 4000\n",
    );
    for system in systems {
        let (id, more) = (system.id, system.more);
        text += &format!("[[system]]\nid = \"{id}\"\nname = \"{id}\"\n{more}\n");
    }
    StudyConfig::parse(&text).unwrap()
}

/// Two scans to train on and the four test scans.
fn cohort(source: &str) -> StudyCohort {
    let case = |(i, class): (usize, Diagnosis)| {
        let mut case = Case::new(format!("{i}.nii"), None, class, format!("patient {i}"));
        case.source = source.to_owned();
        case
    };
    let classes = [Diagnosis::Normal, Diagnosis::Cap]
        .into_iter()
        .chain(CLASSES);
    StudyCohort {
        cohort: Cohort {
            cases: classes.enumerate().map(case).collect(),
        },
        divided: 2,
        tested: 4,
    }
}

/// A mask of 40 × 10 × 2 voxels of 20 mm³ with the voxels `from..to`.
fn mask(from: usize, to: usize) -> Volume<u8> {
    let grid = Geometry::axial([2, 10, 40], [5.0, 2.0, 2.0]).unwrap();
    let values = (0..grid.len()).map(|i| u8::from((from..to).contains(&i)));
    Volume::new(values.collect(), grid).unwrap()
}

/// Writes the scores of all systems as a study leaves them.
fn write(root: &Path, systems: &[System], study: &StudyCohort) -> (StudyConfig, Folder) {
    let config = config(systems);
    let folder = Folder::open(root, &config).unwrap();
    for system in systems {
        for (n, class) in CLASSES.into_iter().enumerate() {
            let (truth, predicted) = match system.hits.get(n) {
                Some(Some(hits)) => (mask(0, LESION), mask(LESION - hits, 2 * LESION - hits)),
                Some(None) => (mask(0, LESION), mask(0, 0)),
                None => (mask(0, 0), mask(0, system.invented)),
            };
            let probabilities = system.right.map(|right| {
                let said = if right[n] {
                    class.index()
                } else {
                    (class.index() + 1) % 3
                };
                Probabilities::from_array([0, 1, 2].map(|c| if c == said { 0.8 } else { 0.1 }))
            });
            let index = study.divided + n;
            let score = CaseScore::from_output(
                index,
                &study.cohort.cases[index],
                Some(&truth),
                &mask(0, 800),
                &Said {
                    lesions: Some(&predicted),
                    lesion_channels: 1,
                    probability: None,
                    probabilities,
                },
                &SurfaceConfig::default(),
            );
            let path = folder.score(system.id, "split", index);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, serde_json::to_string(&score.unwrap()).unwrap()).unwrap();
        }
    }
    (config, folder)
}

fn results(systems: &[System]) -> Results {
    let root = tempfile::tempdir().unwrap();
    let study = cohort("a hospital");
    let (config, folder) = write(root.path(), systems, &study);
    Results::read(&config, &folder, &study).unwrap()
}

fn table(results: &Results, name: &str) -> Table {
    let mut all = tables(results).into_iter();
    all.find(|(n, _)| *n == name).expect("the table").1
}

/// The cell of the row that begins with `row` in the first column whose name begins with `column`.
fn cell(table: &Table, row: &[&str], column: &str) -> String {
    let mut names = table.columns.iter();
    let at = names
        .position(|c| c.name.starts_with(column))
        .expect(column);
    let mut rows = table.rows.iter();
    let found = rows.find(|r| r.iter().zip(row).all(|(a, b)| a == b));
    found.unwrap_or_else(|| panic!("no row {row:?}"))[at].clone()
}

/// Differences to `ours` have the standard deviation 10 and the means 50, 20 and 28.
fn four() -> [System; 4] {
    [
        System {
            more: "paper = \"multirnet\"",
            right: Some([true; 4]),
            ..System::new("ours", [90, 80, 70])
        },
        System {
            invented: 30,
            right: Some([true, true, true, false]),
            ..System::new("a", [50, 30, 10])
        },
        System::new("b", [80, 60, 40]),
        System::new("c", [72, 52, 32]),
    ]
}

#[test]
fn cells_hold_means_with_intervals_over_patients() {
    let results = results(&four());
    assert_eq!(results.scans, [[2, 2, 2], [1, 1, 2]]);
    let two = table(&results, "table-2-segmentation");
    let dice = |system: &str| cell(&two, &[system], "volume Dice");
    // With three patients, more than 2.5 % of all draws hold only the worst patient.
    assert_eq!(dice("ours"), "80.00 (70.00–90.00)");
    assert_eq!(dice("a"), "30.00 (10.00–50.00)*");
    assert_eq!(dice("b"), "60.00 (40.00–80.00)");
    // The paper's row stands beside a system with a key.
    let column = two
        .columns
        .iter()
        .position(|c| c.name.contains("Dice"))
        .unwrap();
    let beside = |row: usize| two.rows[row][column + 1].as_str();
    assert_eq!((beside(0), beside(1)), ("69.95", ""));
    assert!(
        two.caption
            .contains("1 normal, 1 CAP and 2 COVID-19 test scans of patients")
    );

    let three = table(&results, "table-3-classification");
    assert_eq!(three.rows.len(), 2, "two systems classify");
    assert_eq!(
        cell(&three, &["ours"], "accuracy"),
        "100.00 (100.00–100.00)"
    );
    // One of four patients is wrong; three or four wrong draws are 5.1 % of all.
    assert_eq!(cell(&three, &["a"], "accuracy"), "75.00 (25.00–100.00)");

    let detection = table(&results, "detection");
    let found = |system: &str, column: &str| cell(&detection, &[system], column);
    assert_eq!(found("a", "scans without lesion"), "1");
    assert_eq!(found("a", "of them with a false one"), "1");
    // 30 voxels of 20 mm³.
    assert_eq!(found("a", "mean false volume"), "0.60");
    assert_eq!(found("ours", "of them with a false one"), "0");
    assert_eq!(
        (found("ours", "true lesions"), found("ours", "missed")),
        ("3".into(), "0".into())
    );
}

#[test]
fn marks_are_those_of_holm_over_all_systems() {
    let results = results(&four());
    let tests = table(&results, "tests");
    let of = |system: &str, column: &str| cell(&tests, &["volume Dice", system], column);
    // With two degrees of freedom p = 1 − t / √(t² + 2), where t = √3 · mean / sd.
    for (system, difference, p, corrected, mark) in [
        ("a", "50.000", "0.0131", "0.0392", "*"),
        ("b", "20.000", "0.0742", "0.0800", ""),
        // The p value is below 0.05 by itself, but not after the correction for three comparisons.
        ("c", "28.000", "0.0400", "0.0800", ""),
    ] {
        assert_eq!(of(system, "pairs"), "3");
        assert_eq!(of(system, "mean difference"), difference);
        assert_eq!(of(system, "p (t)"), p, "{system}");
        assert_eq!(of(system, "Holm"), corrected, "{system}");
        assert_eq!(of(system, "mark"), mark, "{system}");
        // All three signs alike: 2 of 8 ways.
        assert_eq!(of(system, "p (Wilcoxon)"), "0.2500");
    }
    let classes: Vec<_> = results
        .comparisons
        .iter()
        .filter(|c| c.compared == Compared::CorrectClass)
        .map(|c| c.system.as_str())
        .collect();
    assert_eq!(classes, ["a"], "the others have no classes");
    assert!(results.comparisons.iter().all(|c| c.system != "ours"));
}

#[test]
fn a_scan_without_prediction_counts_as_the_worst() {
    let mut system = System::new("net", [100, 100, 100]);
    system.hits[1] = None;
    let results = results(&[system]);
    let two = table(&results, "table-2-segmentation");
    let mean = |column: &str| {
        let text = cell(&two, &["net"], column);
        text.split(' ').next().unwrap().to_owned()
    };
    assert_eq!(mean("volume Dice"), "66.67");
    // One of three scans counts with its diagonal: √(10² + 20² + 80²) / 3 mm.
    assert_eq!(mean("average surface distance"), "27.69");
    // The distance is undefined if there is only one surface.
    assert_eq!(cell(&two, &["net"], "undefined / infinite"), "1 / 0");
}

#[test]
fn seeds_of_one_system_are_a_spread_and_not_rivals() {
    let group = |id, seed, hits| System {
        more: seed,
        ..System::new(id, hits)
    };
    let results = results(&[
        group("s1", "group = \"net\"", [90, 80, 70]),
        group("s2", "group = \"net\"\nset.run.seed = 2", [80, 70, 60]),
        System::new("other", [60, 50, 30]),
    ]);
    assert_eq!(results.seeds.len(), 1);
    let seeds = &results.seeds[0];
    assert_eq!(seeds.systems, ["s1", "s2"]);
    assert_eq!(seeds.label, "net", "their names have nothing in common");
    let wanted = Compared::Segmentation(Metric::Dice);
    let table = table(&results, "seeds");
    let of = |column: &str| cell(&table, &["net", "volume Dice, %"], column);
    assert_eq!(
        (of("mean"), of("standard deviation")),
        ("75.00".into(), "7.07".into())
    );
    assert_eq!(
        (of("smallest"), of("largest")),
        ("70.00".into(), "80.00".into())
    );
    assert_eq!(of("each"), "80.00, 70.00");
    // Both mark as much as is true, at other places, so that their intervals have no width and hold the truth.
    let intervals = &results.seeds[0].intervals;
    assert_eq!((intervals.len(), intervals[0].scans), (1, 4));
    assert_eq!(
        (intervals[0].student_holds, intervals[0].student_width),
        (4, 0.0)
    );
    assert_eq!(self::table(&results, "intervals").rows[0][2], "4 of 4");
    assert_eq!(self::table(&results, "involvement").rows.len(), 3);
    // The reference's second training is not tested against its first.
    assert!(results.comparison(wanted, "s2").is_none());
    assert!(results.comparison(wanted, "other").is_some());
    let alone = self::results(&[System::new("net", [90, 80, 70])]);
    assert!(alone.seeds.is_empty() && !tables(&alone).iter().any(|(n, _)| *n == "seeds"));
}

#[test]
fn pages_say_what_the_scans_are() {
    let say = |source: &str| {
        let root = tempfile::tempdir().unwrap();
        let study = cohort(source);
        let (config, folder) = write(root.path(), &four(), &study);
        let results = Results::read(&config, &folder, &study).unwrap();
        tables_text(&results)
    };
    for (source, word) in [
        ("phantoms", "Synthetic phantoms"),
        ("implanted", "implanted"),
        ("a hospital", "test scans of patients"),
    ] {
        let text = say(source);
        assert!(text.contains(word), "{word}: {text}");
        assert!(text.contains("Not a medical device"));
        assert_eq!(
            text.contains("say nothing about patients"),
            source == "phantoms"
        );
    }
}

#[test]
fn missing_and_damaged_scores_are_named() {
    let root = tempfile::tempdir().unwrap();
    let study = cohort("a hospital");
    let (config, folder) = write(root.path(), &four(), &study);
    let read = || Results::read(&config, &folder, &study).map(|_| ());
    read().unwrap();
    let path: PathBuf = folder.score("b", "split", 4);
    let whole = std::fs::read_to_string(&path).unwrap();
    for (text, kind) in [
        (Some(&whole[..whole.len() / 2]), ErrorKind::Malformed),
        (Some("{}"), ErrorKind::Malformed),
        (None, ErrorKind::Scoring),
    ] {
        match text {
            Some(text) => std::fs::write(&path, text).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let error = read().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        let place = format!("b{0}split{0}0004.json", std::path::MAIN_SEPARATOR);
        assert!(error.to_string().contains(&place), "{error}");
    }
    std::fs::write(&path, whole).unwrap();
    read().unwrap();
    // The record of a training is read as strictly.
    let summary = folder.run("a", "split").join("summary.json");
    std::fs::create_dir_all(summary.parent().unwrap()).unwrap();
    std::fs::write(&summary, "{\"parameters\": \"many\"}").unwrap();
    let error = read().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(error.to_string().contains("summary.json"), "{error}");
}

#[test]
fn a_tested_patient_may_not_be_trained_on() {
    let config = config(&[System::new("net", [1, 1, 1])]);
    let mut study = cohort("a hospital");
    let divisions = Division::all(&config, &study).unwrap();
    assert_eq!(
        (divisions.len(), divisions[0].test()),
        (1, vec![2, 3, 4, 5])
    );
    study.cohort.cases[3].patient = study.cohort.cases[1].patient.clone();
    let error = Division::all(&config, &study).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cohort);
    assert!(error.to_string().contains("patient 1"), "{error}");
    // The same holds under another name, if the study UID is the same.
    let mut study = cohort("a hospital");
    for i in [1, 3] {
        study.cohort.cases[i].study_uid = Some("1.2.3".into());
    }
    assert!(Division::all(&config, &study).is_err());
}

#[test]
fn a_study_that_tests_nothing_is_refused() {
    let config = config(&[System::new("net", [1, 1, 1])]);
    let mut study = cohort("a hospital");
    Division::all(&config, &study).unwrap();
    study.cohort.cases.truncate(study.divided);
    study.tested = 0;
    let error = Division::all(&config, &study).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    for part in [
        "\"split\" is empty",
        "split.test_fraction = 0.0",
        "raise split.test_fraction",
    ] {
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
}

#[test]
fn a_systems_results_are_written_as_an_evaluation_writes_them() {
    let results = results(&four());
    let ours = serde_json::to_value(&results.systems[0]).unwrap();
    let config = config(&four());
    let evaluation = Evaluation::from_cases(
        "cohort".into(),
        "ours".into(),
        evaluated(&results.systems[0].cases),
        vec![],
        &config.score,
    );
    let evaluation = serde_json::to_value(evaluation.unwrap()).unwrap();
    let shared = [
        "scans",
        "patients",
        "segmentation",
        "classification",
        "lesions_unknown",
        "sources",
    ];
    for key in shared {
        assert!(!ours[key].is_null(), "{key}");
        assert_eq!(ours[key], evaluation[key], "{key}");
    }
    // There is one entry per source, with the same fields and values as all scans together.
    let source = &evaluation["sources"][0];
    assert_eq!(source["source"], "a hospital");
    for key in shared.iter().filter(|k| **k != "sources") {
        assert_eq!(source[key], ours[key], "{key}");
    }
}

/// Scores as those of an evaluation.
fn evaluated(cases: &[CaseScore]) -> Vec<EvaluatedCase> {
    let evaluated = |score: &CaseScore| EvaluatedCase {
        predicted: score.predicted(),
        overlap: score.segmentation.as_ref().map(|s| s.overlap),
        dice: score.segmentation.as_ref().and_then(|s| s.dice),
        windows: 1,
        voxels: 1,
        seconds: 1.0,
        network_seconds: 1.0,
        warnings: vec![],
        score: score.clone(),
    };
    cases.iter().map(evaluated).collect()
}
