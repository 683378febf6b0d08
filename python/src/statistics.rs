//! Scores and tests of lists of values.

use crate::error::{Failure, Outcome};
use crate::request::parse;
use crate::work::{OnInterrupt, run};
use multirnet::{Diagnosis, to_json};
use multirnet_metrics::roc::OneVsRest;
use multirnet_metrics::stats::{self, BlandAltman, BootstrapConfig, BoxSummary};
use multirnet_metrics::{Aggregate, ConfusionMatrix, EmptyPolicy, RocCurve, maps};
use numpy::PyReadonlyArray2;
use pyo3::prelude::*;
use serde::Serialize;

/// Runs `work` and returns its result as JSON.
fn json<T: Serialize>(
    py: Python<'_>,
    work: impl FnOnce() -> Outcome<T> + Send + 'static,
) -> PyResult<String> {
    run(py, None, OnInterrupt::Leave, move |_, _| {
        Ok(to_json(&work()?)?)
    })
}

/// Mean and spread of `values`, of which each may be undefined.
#[pyfunction]
pub fn aggregate(
    py: Python<'_>,
    values: Vec<Option<f64>>,
    policy_json: &str,
    worst: f64,
) -> PyResult<String> {
    let policy: EmptyPolicy = parse(policy_json)?;
    json(py, move || {
        Ok(Aggregate::from_values(&values, policy, worst))
    })
}

/// Confusion matrix and its scores.
#[pyfunction]
pub fn classification(
    py: Python<'_>,
    truth_json: &str,
    predicted_json: &str,
    policy_json: &str,
) -> PyResult<String> {
    let (truth, predicted): (Vec<Diagnosis>, Vec<Diagnosis>) =
        (parse(truth_json)?, parse(predicted_json)?);
    let policy: EmptyPolicy = parse(policy_json)?;
    json(py, move || {
        let matrix = ConfusionMatrix::from_labels(&truth, &predicted)?;
        Ok(matrix.scores(policy)?)
    })
}

/// The curve of `scores`, if there is one.
#[pyfunction]
pub fn roc(py: Python<'_>, positive: Vec<bool>, scores: Vec<f64>) -> PyResult<String> {
    json(py, move || Ok(RocCurve::from_scores(&positive, &scores)?))
}

/// The curves of each class against the rest.
#[pyfunction]
pub fn one_vs_rest(
    py: Python<'_>,
    truth_json: &str,
    probabilities: Vec<[f64; 3]>,
    policy_json: &str,
) -> PyResult<String> {
    let truth: Vec<Diagnosis> = parse(truth_json)?;
    let policy: EmptyPolicy = parse(policy_json)?;
    json(py, move || {
        Ok(OneVsRest::from_probabilities(
            &truth,
            &probabilities,
            policy,
        )?)
    })
}

/// Student's paired t test.
#[pyfunction]
pub fn paired_t(py: Python<'_>, first: Vec<f64>, second: Vec<f64>) -> PyResult<String> {
    json(py, move || Ok(stats::paired_t(&first, &second)?))
}

/// Wilcoxon's signed-rank test.
#[pyfunction]
pub fn wilcoxon(py: Python<'_>, first: Vec<f64>, second: Vec<f64>) -> PyResult<String> {
    json(py, move || Ok(stats::wilcoxon(&first, &second)?))
}

/// Bland and Altman's limits of agreement.
#[pyfunction]
pub fn bland_altman(py: Python<'_>, measured: Vec<f64>, reference: Vec<f64>) -> PyResult<String> {
    json(py, move || {
        Ok(BlandAltman::from_pairs(&measured, &reference)?)
    })
}

/// p values corrected by Holm's method.
#[pyfunction]
pub fn holm(p: Vec<Option<f64>>) -> PyResult<Vec<Option<f64>>> {
    Ok(stats::holm(&p).map_err(Failure::from)?)
}

/// p values before and after correction, with the paper's marks.
#[pyfunction]
pub fn significance(py: Python<'_>, p: Vec<Option<f64>>) -> PyResult<String> {
    json(py, move || Ok(stats::significance(&p)?))
}

/// Interval of the mean over patients.
#[pyfunction]
pub fn bootstrap_mean(
    py: Python<'_>,
    patients: Vec<Vec<f64>>,
    config_json: &str,
) -> PyResult<String> {
    let config: BootstrapConfig = parse(config_json)?;
    json(py, move || Ok(stats::bootstrap_mean(&patients, &config)?))
}

/// What a box plot shows: count, quartiles and whiskers.
#[pyfunction]
pub fn box_summary(values: Vec<f64>) -> Option<(usize, [f64; 3], [f64; 2])> {
    BoxSummary::from_values(&values).map(|b| (b.n, b.quartiles, b.whiskers))
}

/// The quantile of finite values.
#[pyfunction]
pub fn quantile(mut values: Vec<f64>, share: f64) -> PyResult<Option<f64>> {
    if values.iter().any(|v| !v.is_finite()) || !(0.0..=1.0).contains(&share) {
        let reason = format!("a value is not finite, or the share {share} is not in 0..=1");
        return Err(Failure::new("invalid", reason, None).into());
    }
    values.sort_by(f64::total_cmp);
    Ok(stats::quantile(&values, share))
}

/// Two maps of one shape, in C order.
fn maps_of(
    first: &PyReadonlyArray2<'_, f32>,
    second: &PyReadonlyArray2<'_, f32>,
) -> Outcome<([Vec<f32>; 2], [usize; 2])> {
    let (a, b) = (first.as_array(), second.as_array());
    if a.dim() != b.dim() {
        let reason = format!("the maps have the shapes {:?} and {:?}", a.dim(), b.dim());
        return Err(Failure::new("mismatch", reason, None));
    }
    let (rows, columns) = a.dim();
    Ok((
        [a, b].map(|map| map.iter().copied().collect()),
        [rows, columns],
    ))
}

/// Spearman's rank correlation of two maps.
#[pyfunction]
pub fn rank_correlation(
    py: Python<'_>,
    first: PyReadonlyArray2<'_, f32>,
    second: PyReadonlyArray2<'_, f32>,
) -> PyResult<f64> {
    let ([a, b], _) = maps_of(&first, &second)?;
    run(py, None, OnInterrupt::Leave, move |_, _| {
        Ok(maps::rank_correlation(&a, &b))
    })
}

/// Structural similarity of two maps.
#[pyfunction]
pub fn structural_similarity(
    py: Python<'_>,
    first: PyReadonlyArray2<'_, f32>,
    second: PyReadonlyArray2<'_, f32>,
) -> PyResult<f64> {
    let ([a, b], shape) = maps_of(&first, &second)?;
    run(py, None, OnInterrupt::Leave, move |_, _| {
        Ok(maps::structural_similarity(&a, &b, shape))
    })
}
