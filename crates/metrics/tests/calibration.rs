//! Reliability and temperatures against scikit-learn, torchmetrics and SciPy; `golden/make_calibration.py` made the values.

use multirnet_metrics::{Reliability, Temperature};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fitted {
    temperature: f64,
    before: f64,
    after: f64,
}

#[derive(Deserialize)]
struct Binary {
    probability: Vec<f64>,
    event: Vec<bool>,
    mean: Vec<f64>,
    share: Vec<f64>,
    error: f64,
    brier: f64,
    #[serde(flatten)]
    fitted: Fitted,
}

#[derive(Deserialize)]
struct Classes {
    probability: Vec<[f64; 3]>,
    truth: Vec<usize>,
    #[serde(flatten)]
    fitted: Fitted,
}

#[derive(Deserialize)]
struct Golden {
    binary: Vec<Binary>,
    classes: Vec<Classes>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/calibration.json")).unwrap()
}

/// SciPy's search ends where the loss is flat to rounding, so its temperature has about seven digits.
fn same(ours: &Temperature, theirs: &Fitted) -> bool {
    (ours.value / theirs.temperature - 1.0).abs() < 1e-6
        && (ours.loss_before - theirs.before).abs() < 1e-12
        && (ours.loss_after - theirs.after).abs() < 1e-12
}

#[test]
fn reliability_agrees_with_scikit_learn_and_torchmetrics() {
    let cases = golden().binary;
    assert_eq!(cases.len(), 3);
    for case in cases {
        let mut all = Reliability::default();
        for (p, event) in case.probability.iter().zip(&case.event) {
            all.add(*p, *event).unwrap();
        }
        let bins: Vec<_> = all.bins().into_iter().flatten().collect();
        assert_eq!(bins.len(), case.mean.len());
        for (bin, (mean, share)) in bins.iter().zip(case.mean.iter().zip(&case.share)) {
            assert!((bin.mean - mean).abs() < 1e-12 && (bin.share - share).abs() < 1e-12);
        }
        // torchmetrics computes in 32 bits.
        assert!((all.expected_error().unwrap() - case.error).abs() < 1e-6);
        assert!((all.brier().unwrap() - case.brier).abs() < 1e-12);
        let fitted = all.temperature().unwrap();
        assert!(same(&fitted, &case.fitted), "{fitted:?}");
    }
}

#[test]
fn temperatures_of_classes_agree_with_scipy() {
    let cases = golden().classes;
    assert_eq!(cases.len(), 2);
    for case in cases {
        let fitted = Temperature::of_classes(&case.probability, &case.truth)
            .unwrap()
            .unwrap();
        assert!(
            same(&fitted, &case.fitted),
            "{fitted:?} {}",
            case.fitted.temperature
        );
    }
}
