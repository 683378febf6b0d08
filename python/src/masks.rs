//! Scores of masks.

use crate::array;
use crate::error::Outcome;
use crate::grid::{self, Placed};
use crate::request::parse;
use crate::work::{OnInterrupt, run};
use multirnet::to_json;
use multirnet_metrics::{
    CaseMetrics, CohortMetrics, EmptyPolicy, LesionConfig, LesionDetection, Overlap, SurfaceConfig,
    SurfaceScores,
};
use multirnet_volume::Volume;
use numpy::PyReadonlyArray3;
use pyo3::prelude::*;
use serde::Serialize;

type Mask<'py> = PyReadonlyArray3<'py, u8>;

/// Runs `score` on two masks of one grid, and returns its result as JSON.
fn scored<T: Serialize>(
    py: Python<'_>,
    [truth, predicted]: [Mask<'_>; 2],
    placed: &Placed,
    score: impl FnOnce(&Volume<u8>, &Volume<u8>) -> Outcome<T> + Send + 'static,
) -> PyResult<String> {
    let geometry = grid::geometry(array::shape(&truth), placed)?;
    let masks = [
        array::to_volume(&truth, geometry)?,
        array::to_volume(&predicted, geometry)?,
    ];
    run(py, None, OnInterrupt::Leave, move |_, _| {
        Ok(to_json(&score(&masks[0], &masks[1])?)?)
    })
}

/// [`Overlap`], with the shares that follow from it.
#[derive(Serialize)]
struct OverlapScores {
    #[serde(flatten)]
    counts: Overlap,
    dice: Option<f64>,
    iou: Option<f64>,
    recall: Option<f64>,
    precision: Option<f64>,
    truth_ml: f64,
    predicted_ml: f64,
    false_positive_ml: f64,
}

/// Overlap of two masks.
#[pyfunction]
pub fn score_overlap(
    py: Python<'_>,
    truth: Mask<'_>,
    predicted: Mask<'_>,
    placed: Placed,
    label: Option<u8>,
) -> PyResult<String> {
    scored(py, [truth, predicted], &placed, move |t, p| {
        let counts = match label {
            None => Overlap::from_masks(t, p)?,
            Some(label) => Overlap::of_label(t, p, label)?,
        };
        Ok(OverlapScores {
            counts,
            dice: counts.dice(),
            iou: counts.iou(),
            recall: counts.recall(),
            precision: counts.precision(),
            truth_ml: counts.truth_ml(),
            predicted_ml: counts.predicted_ml(),
            false_positive_ml: counts.false_positive_ml(),
        })
    })
}

/// Distances between two surfaces.
#[pyfunction]
pub fn score_surface(
    py: Python<'_>,
    truth: Mask<'_>,
    predicted: Mask<'_>,
    placed: Placed,
    label: Option<u8>,
    config_json: &str,
) -> PyResult<String> {
    let config: SurfaceConfig = parse(config_json)?;
    scored(py, [truth, predicted], &placed, move |t, p| {
        Ok(SurfaceScores::from_masks(t, p, label, &config)?)
    })
}

/// [`LesionDetection`], with the shares that follow from it.
#[derive(Serialize)]
struct LesionScores {
    #[serde(flatten)]
    counts: LesionDetection,
    sensitivity: Option<f64>,
    precision: Option<f64>,
    f1: Option<f64>,
}

/// Single lesions that were found, missed and invented.
#[pyfunction]
pub fn score_lesions(
    py: Python<'_>,
    truth: Mask<'_>,
    predicted: Mask<'_>,
    placed: Placed,
    label: Option<u8>,
    config_json: &str,
) -> PyResult<String> {
    let config: LesionConfig = parse(config_json)?;
    scored(py, [truth, predicted], &placed, move |t, p| {
        let counts = LesionDetection::from_masks(t, p, label, &config)?;
        Ok(LesionScores {
            counts,
            sensitivity: counts.sensitivity(),
            precision: counts.precision(),
            f1: counts.f1(),
        })
    })
}

/// All scores of one scan.
#[pyfunction]
pub fn score_case(
    py: Python<'_>,
    truth: Mask<'_>,
    predicted: Mask<'_>,
    placed: Placed,
    label: Option<u8>,
    surface_json: &str,
    lesions_json: &str,
) -> PyResult<String> {
    let (surface, lesions): (SurfaceConfig, LesionConfig) =
        (parse(surface_json)?, parse(lesions_json)?);
    scored(py, [truth, predicted], &placed, move |t, p| {
        Ok(CaseMetrics::of_label(t, p, label, &surface, &lesions)?)
    })
}

/// Scores of a set of scans, each of which is what [`score_case`] gave.
#[pyfunction]
pub fn score_cohort(py: Python<'_>, cases_json: &str, policy_json: &str) -> PyResult<String> {
    let (cases, policy): (Vec<CaseMetrics>, EmptyPolicy) =
        (parse(cases_json)?, parse(policy_json)?);
    run(py, None, OnInterrupt::Leave, move |_, _| {
        Ok(to_json(&CohortMetrics::from_cases(&cases, policy)?)?)
    })
}
