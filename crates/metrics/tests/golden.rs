//! Scores against scikit-learn (`tests/golden/make_scores.py`).

use multirnet_metrics::{ConfusionMatrix, EmptyPolicy, Overlap};
use multirnet_volume::{Diagnosis, Geometry, Volume};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    classification: Vec<Case>,
    masks: Vec<Masks>,
}

#[derive(Deserialize)]
struct Case {
    truth: Vec<usize>,
    predicted: Vec<usize>,
    confusion: [[u64; 3]; 3],
    accuracy: f64,
    precision: [f64; 3],
    recall: [f64; 3],
    f1: [f64; 3],
    support: [u64; 3],
    macro_precision: f64,
    macro_recall: f64,
    macro_f1: f64,
}

#[derive(Deserialize)]
struct Masks {
    truth: Vec<u8>,
    predicted: Vec<u8>,
    dice: f64,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/scores.json")).unwrap()
}

fn close(a: Option<f64>, b: f64) -> bool {
    (a.unwrap_or(0.0) - b).abs() < 1e-12
}

#[test]
fn classification_agrees_with_scikit_learn() {
    let cases = golden().classification;
    assert_eq!(cases.len(), 5);
    for case in cases {
        let classes = |v: &[usize]| -> Vec<Diagnosis> {
            v.iter()
                .map(|&k| Diagnosis::from_index(k).unwrap())
                .collect()
        };
        let matrix =
            ConfusionMatrix::from_labels(&classes(&case.truth), &classes(&case.predicted)).unwrap();
        assert_eq!(matrix.counts, case.confusion);
        let scores = matrix.scores(EmptyPolicy::Worst).unwrap();
        assert!(close(Some(scores.accuracy), case.accuracy));
        for (k, class) in scores.classes.iter().enumerate() {
            assert_eq!(class.support, case.support[k]);
            assert!(close(class.recall, case.recall[k]));
            assert!(close(class.precision, case.precision[k]));
            assert!(close(class.f1, case.f1[k]));
        }
        assert!(close(scores.macro_recall, case.macro_recall));
        assert!(close(scores.macro_precision, case.macro_precision));
        assert!(close(scores.macro_f1, case.macro_f1));
    }
}

#[test]
fn dice_is_the_f1_of_voxels() {
    for masks in golden().masks {
        let grid = Geometry::axial([3, 4, 5], [1.0; 3]).unwrap();
        let volume = |v: Vec<u8>| Volume::new(v, grid).unwrap();
        let overlap = Overlap::from_masks(&volume(masks.truth), &volume(masks.predicted)).unwrap();
        assert!(close(overlap.dice(), masks.dice));
    }
}
