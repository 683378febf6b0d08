//! Lesion scores by hand.

use super::*;
use crate::evaluation::{Said, Scores, SystemScores};
use multirnet_cohort::Case;
use multirnet_metrics::stats::BootstrapConfig;
use multirnet_volume::{Diagnosis, Geometry, Volume};

fn config() -> ScoreConfig {
    ScoreConfig {
        bootstrap: BootstrapConfig {
            replicates: 200,
            ..BootstrapConfig::default()
        },
        ..ScoreConfig::default()
    }
}

/// A scan of one slice of 2 × 3 voxels of 10 × 20 mm, 5 mm thick (1 ml a voxel).
fn score(
    patient: &str,
    class: Option<Diagnosis>,
    truth: Option<[u8; 6]>,
    predicted: [u8; 6],
    p: [f64; 3],
) -> CaseScore {
    let grid = Geometry::axial([1, 2, 3], [5.0, 10.0, 20.0]).unwrap();
    let volume = |v: [u8; 6]| Volume::new(v.to_vec(), grid).unwrap();
    let case = Case::new(format!("{patient}.nii"), None, class, patient);
    let (truth, predicted) = (truth.map(volume), volume(predicted));
    let said = Said {
        lesions: Some(&predicted),
        lesion_channels: 2,
        probability: None,
        probabilities: Some(multirnet_finding::Probabilities::from_array(p)),
    };
    let lungs = Volume::filled(1u8, grid);
    CaseScore::from_output(0, &case, truth.as_ref(), &lungs, &said, &config().surface).unwrap()
}

const SURE: [f64; 3] = [0.1, 0.1, 0.8];

#[test]
fn a_sets_scores_by_hand() {
    let covid = Some(Diagnosis::Covid19);
    let scores = [
        // Dice 1; Dice 1/2 with recall 1/2 and precision 1/2; nothing found.
        score(
            "a",
            covid,
            Some([1, 1, 0, 0, 0, 0]),
            [1, 1, 0, 0, 0, 0],
            SURE,
        ),
        score(
            "a",
            covid,
            Some([1, 1, 0, 0, 0, 0]),
            [1, 0, 0, 1, 0, 0],
            SURE,
        ),
        score(
            "b",
            covid,
            Some([0, 0, 0, 0, 0, 1]),
            [0; 6],
            [0.9, 0.1, 0.0],
        ),
        // Two scans without lesions: one clear, one with a false lesion of one voxel, 2 cm² and 1 ml.
        score("c", Some(Diagnosis::Normal), Some([0; 6]), [0; 6], SURE),
        score(
            "d",
            Some(Diagnosis::Normal),
            Some([0; 6]),
            [0, 0, 1, 0, 0, 0],
            [1.0, 0.0, 0.0],
        ),
        // A scan of which neither lesions nor class are known.
        score("e", None, None, [1; 6], SURE),
    ];
    let all: Vec<&CaseScore> = scores.iter().collect();
    let found = Scores::from_cases(&all, &config()).unwrap();
    assert_eq!((found.scans, found.patients), (6, 5));
    let lesions = found.segmentation.unwrap();
    let of = |metric| lesions.intervals(metric).unwrap();
    let dice = of(Metric::Dice);
    assert_eq!(lesions.metrics.score(Metric::Dice).unwrap().n, 3);
    assert_eq!((dice.mean.value, dice.median.value), (Some(0.5), Some(0.5)));
    // Patients a (three quarters) and b (nothing) are drawn.
    assert_eq!(
        (dice.mean.patients, dice.mean.low, dice.mean.high),
        (2, Some(0.0), Some(0.75))
    );
    assert_eq!(of(Metric::Recall).mean.value, Some(0.5));
    let precision = lesions.metrics.score(Metric::Precision).unwrap();
    assert_eq!((precision.n_undefined, precision.mean), (1, Some(0.5)));
    // The distance is undefined if there is only one surface. The scan's diagonal replaces it.
    let distance = lesions.metrics.score(Metric::Asd).unwrap();
    assert_eq!(distance.n_undefined + distance.n_infinite, 1);
    assert_eq!(of(Metric::Asd).mean.value, distance.mean);
    let free = lesions.false_lesions.unwrap();
    assert_eq!(
        (free.n, free.patients, free.n_any, free.n_large),
        (2, 2, 1, 1)
    );
    assert_eq!(
        (free.any.value, free.volume_ml.value),
        (Some(0.5), Some(0.5))
    );
    assert_eq!(free.area_mm2.value, Some(100.0));
    // The lesions' shares of the lungs are 1/3, 1/3, 0 with lesions and 0, 1/6 without. Of six pairs
    // four and a half are in order.
    assert_eq!(lesions.auc.unwrap().value, Some(0.75));
    let classes = found.classification.unwrap();
    assert_eq!((classes.scores.n, classes.scores.accuracy), (5, 0.6));
    assert_eq!(classes.accuracy_interval.value, Some(0.6));
    assert!(classes.has_several_classes());
    assert_eq!(found.lesions_unknown, [5]);
    assert!(lesions.kinds.is_empty());
    let single = lesions.metrics.lesions.unwrap();
    assert_eq!((single.truth, single.missed, single.invented), (3, 1, 1));
}

#[test]
fn an_area_of_one_square_centimetre_is_not_large() {
    let grid = Geometry::axial([2, 1, 2], [5.0, 10.0, 10.0]).unwrap();
    let of = |values: [u8; 4]| {
        let nothing = Volume::filled(0u8, grid);
        let predicted = Volume::new(values.to_vec(), grid).unwrap();
        let said = Said {
            lesions: Some(&predicted),
            lesion_channels: 1,
            probability: None,
            probabilities: None,
        };
        let case = Case::new("a.nii", None, Diagnosis::Normal, "a");
        let score =
            CaseScore::from_output(0, &case, Some(&nothing), &nothing, &said, &config().surface);
        let score = score.unwrap();
        false_lesions(&[&score], &config()).unwrap().unwrap()
    };
    // 1 cm² in each of two slices; 2 cm² in one.
    assert_eq!((of([1, 0, 1, 0]).n_any, of([1, 0, 1, 0]).n_large), (1, 0));
    assert_eq!(of([0, 0, 1, 1]).n_large, 1);
}

#[test]
fn kinds_are_scored_where_the_truth_has_them() {
    let covid = Some(Diagnosis::Covid19);
    let scores = [
        score(
            "a",
            covid,
            Some([1, 1, 2, 0, 0, 0]),
            [1, 1, 1, 0, 0, 0],
            SURE,
        ),
        score(
            "b",
            covid,
            Some([2, 2, 0, 0, 0, 0]),
            [2, 2, 0, 0, 0, 0],
            SURE,
        ),
    ];
    let all: Vec<&CaseScore> = scores.iter().collect();
    let lesions = Segmentation::from_cases(&all, &config()).unwrap().unwrap();
    let found: Vec<_> = lesions
        .kinds
        .iter()
        .map(|k| (k.kind.label(), k.n, k.mean.value))
        .collect();
    assert_eq!(
        found,
        [
            ("ground glass", 1, Some(0.8)),
            ("consolidation", 2, Some(0.5))
        ]
    );
    assert!(lesions.false_lesions.is_none() && lesions.auc.is_none());
}

#[test]
fn a_source_has_the_same_scores_as_all_scans_together() {
    let covid = Some(Diagnosis::Covid19);
    let found = [1, 1, 0, 0, 0, 0];
    let scores = [
        score("a", covid, Some(found), found, SURE),
        score("b", covid, Some(found), [0; 6], SURE),
    ];
    let mut scores = scores.map(|s| CaseScore {
        source: "one".into(),
        ..s
    });
    let json = |scores: &[CaseScore]| {
        let all: Vec<&CaseScore> = scores.iter().collect();
        serde_json::to_value(SystemScores::from_cases(&all, &config()).unwrap()).unwrap()
    };
    let mut one = json(&scores);
    let sources = one["sources"].take();
    let keys = |value: &serde_json::Value| -> Vec<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    for key in keys(&one).iter().filter(|k| *k != "sources") {
        assert_eq!(sources[0][key], one[key], "{key}");
    }
    // Every metric is there with its counts.
    let metrics = one["segmentation"]["scores"].as_array().unwrap();
    assert_eq!(metrics.len(), Metric::ALL.len());
    for metric in metrics {
        for count in ["n", "n_undefined", "n_infinite"] {
            assert!(metric[count].is_u64(), "{metric}");
        }
    }
    scores[1].source = "other".into();
    let two = json(&scores);
    let names: Vec<_> = (0..2).map(|i| &two["sources"][i]["source"]).collect();
    assert_eq!(names, ["one", "other"]);
    assert_eq!(two["sources"][1]["scans"], 1);
    assert_eq!(two["segmentation"], one["segmentation"]);
}
