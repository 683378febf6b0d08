//! Statistics against SciPy, statsmodels and scikit-learn (`tests/golden/make_statistics.py`).

use multirnet_metrics::roc::OneVsRest;
use multirnet_metrics::stats::{
    BlandAltman, BootstrapConfig, bootstrap_mean, holm, paired_t, wilcoxon,
};
use multirnet_metrics::{EmptyPolicy, number};
use multirnet_volume::Diagnosis;
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    pairs: Vec<Pair>,
    families: Vec<Family>,
    curves: Vec<Curves>,
    bootstrap: Bootstrap,
}

#[derive(Deserialize)]
struct Pair {
    name: String,
    a: Vec<f64>,
    b: Vec<f64>,
    t: f64,
    t_p: f64,
    w: f64,
    w_p: f64,
    sd: f64,
    limits: [[f64; 3]; 3],
}

#[derive(Deserialize)]
struct Family {
    p: Vec<f64>,
    holm: Vec<f64>,
}

#[derive(Deserialize)]
struct Curves {
    truth: Vec<usize>,
    probabilities: Vec<[f64; 3]>,
    classes: Vec<Curve>,
    #[serde(rename = "macro")]
    mean: f64,
}

#[derive(Deserialize)]
struct Curve {
    fpr: Vec<f64>,
    tpr: Vec<f64>,
    thresholds: Vec<Threshold>,
    auc: f64,
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Threshold(#[serde(with = "number")] Option<f64>);

#[derive(Deserialize)]
struct Bootstrap {
    values: Vec<f64>,
    low: f64,
    high: f64,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/statistics.json")).unwrap()
}

/// Compares relative to `theirs`, because p values can be small.
#[track_caller]
fn assert_close(what: &str, ours: Option<f64>, theirs: f64) {
    let ours = ours.unwrap_or(f64::NAN);
    let apart = (ours - theirs).abs();
    assert!(
        apart <= 1e-9 * theirs.abs(),
        "{what}: {ours} is not {theirs}"
    );
}

#[test]
fn paired_tests_agree_with_scipy() {
    let pairs = golden().pairs;
    assert_eq!(pairs.len(), 14);
    for pair in pairs {
        let t = paired_t(&pair.a, &pair.b).unwrap();
        assert_close(&pair.name, t.t, pair.t);
        assert_close(&pair.name, t.p, pair.t_p);
        let w = wilcoxon(&pair.a, &pair.b).unwrap();
        assert_close(&pair.name, Some(w.statistic), pair.w);
        assert_close(&pair.name, Some(w.p), pair.w_p);
    }
}

#[test]
fn agreement_agrees_with_scipy() {
    for pair in golden().pairs {
        let a = BlandAltman::from_pairs(&pair.a, &pair.b).unwrap();
        assert_close(&pair.name, Some(a.sd), pair.sd);
        for (ours, theirs) in [a.bias, a.lower, a.upper].iter().zip(pair.limits) {
            for (ours, theirs) in [ours.value, ours.low, ours.high].iter().zip(theirs) {
                let apart = (ours - theirs).abs();
                assert!(apart < 1e-9, "{}: {ours} is not {theirs}", pair.name);
            }
        }
    }
}

#[test]
fn holm_agrees_with_statsmodels() {
    for family in golden().families {
        let p: Vec<_> = family.p.iter().copied().map(Some).collect();
        for (ours, theirs) in holm(&p).unwrap().into_iter().zip(family.holm) {
            assert_close("holm", ours, theirs);
        }
    }
}

#[test]
fn curves_agree_with_scikit_learn() {
    for set in golden().curves {
        let truth: Vec<_> = set
            .truth
            .iter()
            .map(|&k| Diagnosis::from_index(k).unwrap())
            .collect();
        let ours =
            OneVsRest::from_probabilities(&truth, &set.probabilities, EmptyPolicy::Propagate)
                .unwrap();
        assert_close("macro", ours.auc.mean, set.mean);
        for (ours, theirs) in ours.classes.iter().zip(&set.classes) {
            let curve = ours.curve.as_ref().unwrap();
            assert_close("auc", Some(curve.auc), theirs.auc);
            assert_eq!(curve.points.len(), theirs.fpr.len());
            for (i, point) in curve.points.iter().enumerate() {
                assert_eq!(Some(point.threshold), theirs.thresholds[i].0);
                assert!((point.false_positive_rate - theirs.fpr[i]).abs() < 1e-12);
                assert!((point.true_positive_rate - theirs.tpr[i]).abs() < 1e-12);
            }
        }
    }
}

#[test]
fn the_bootstrap_interval_is_scipys_but_for_its_noise() {
    let Bootstrap { values, low, high } = golden().bootstrap;
    let patients: Vec<[f64; 1]> = values.iter().map(|&v| [v]).collect();
    let config = BootstrapConfig {
        replicates: 200_000,
        ..BootstrapConfig::default()
    };
    let ours = bootstrap_mean(&patients, &config).unwrap();
    // An end's own standard deviation over draws is about 1 % of the interval's half width.
    let bound = 0.02 * (high - low) / 2.0;
    assert!((ours.low.unwrap() - low).abs() < bound, "{ours:?} {low}");
    assert!((ours.high.unwrap() - high).abs() < bound, "{ours:?} {high}");
}
