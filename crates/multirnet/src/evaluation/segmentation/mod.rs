//! Lesion scores of a set of scans, with intervals by patient.

use super::ScoreConfig;
use super::case_score::CaseScore;
use super::intervals::{Statistic, interval, patients, scoring, value_under_policy};
use crate::Result;
use multirnet_finding::LesionKind;
use multirnet_metrics::stats::{Interval, bootstrap};
use multirnet_metrics::{CaseMetrics, CohortMetrics, EmptyPolicy, Metric, roc};
use serde::Serialize;

/// The metrics that have intervals: those of the paper's table 2 and those of single voxels and lesions.
pub const METRICS: [Metric; 7] = [
    Metric::Dice,
    Metric::SurfaceDice,
    Metric::SurfaceOverlap,
    Metric::Asd,
    Metric::Recall,
    Metric::Precision,
    Metric::LesionF1,
];

/// A false lesion of more than this in one slice counts as large, mm².
pub const LARGE_MM2: f64 = 100.0;

/// Lesion scores of a set of scans.
#[derive(Debug, Clone, Serialize)]
pub struct Segmentation {
    /// Every metric over the scans that truly have lesions, with the numbers of undefined and infinite
    /// values; the scans without lesions; single lesions.
    #[serde(flatten)]
    pub metrics: CohortMetrics,
    /// Each of [`METRICS`] over the scans that truly have lesions; empty without any.
    pub intervals: Vec<MetricIntervals>,
    /// Each kind of lesion over the scans that truly have it; empty unless they are told apart.
    pub kinds: Vec<KindScores>,
    /// False lesions in the scans that are known to have no lesion; `None` without such scans.
    pub false_lesions: Option<FalseLesions>,
    /// Area under the ROC curve of the predicted lesions' share of the lungs, for telling scans with
    /// true lesions from scans without; `None` unless there are scans of both kinds.
    pub auc: Option<Interval>,
}

/// Mean and median of one metric with their intervals, in mm or as a share in 0..=1.
#[derive(Debug, Clone, Serialize)]
pub struct MetricIntervals {
    /// The metric.
    pub metric: Metric,
    /// Mean.
    pub mean: Interval,
    /// Median.
    pub median: Interval,
}

/// Dice of one kind of lesion.
#[derive(Debug, Clone, Serialize)]
pub struct KindScores {
    /// The kind.
    pub kind: LesionKind,
    /// Scans that truly have it.
    pub n: usize,
    /// Mean Dice.
    pub mean: Interval,
    /// Median Dice.
    pub median: Interval,
}

/// Lesions that were predicted in scans without lesions.
#[derive(Debug, Clone, Serialize)]
pub struct FalseLesions {
    /// Number of scans without lesions.
    pub n: usize,
    /// Number of their patients.
    pub patients: usize,
    /// Number of scans with any false lesion.
    pub n_any: usize,
    /// Share of scans with any false lesion.
    pub any: Interval,
    /// Number of scans with a slice in which false lesions take more than [`LARGE_MM2`].
    pub n_large: usize,
    /// Share of these scans.
    pub large: Interval,
    /// Mean false volume, ml.
    pub volume_ml: Interval,
    /// Mean of the largest false area in one slice, mm².
    pub area_mm2: Interval,
}

impl Segmentation {
    /// The lesion scores of `scores`; `None` if no scan's lesions are known and predicted.
    ///
    /// # Errors
    /// `Scoring` if scans were scored differently, or for unusable draws.
    pub fn from_cases(scores: &[&CaseScore], config: &ScoreConfig) -> Result<Option<Self>> {
        let known = scores.iter().filter_map(|s| s.segmentation.clone());
        let known: Vec<CaseMetrics> = known.collect();
        if known.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self {
            metrics: CohortMetrics::from_cases(&known, config.empty).map_err(scoring)?,
            intervals: intervals(scores, config)?,
            kinds: kinds(scores, config)?,
            false_lesions: false_lesions(scores, config)?,
            auc: auc(scores, config)?,
        }))
    }

    /// Mean and median of one of [`METRICS`]; `None` if no scan truly has lesions.
    pub fn intervals(&self, metric: Metric) -> Option<&MetricIntervals> {
        self.intervals.iter().find(|m| m.metric == metric)
    }
}

fn intervals(scores: &[&CaseScore], config: &ScoreConfig) -> Result<Vec<MetricIntervals>> {
    let bearing: Vec<&CaseScore> = scores.iter().copied().filter(|s| s.has_lesions()).collect();
    if bearing.is_empty() {
        return Ok(Vec::new());
    }
    let by_patient = patients(bearing.iter().copied());
    let of = |metric: Metric| {
        let cases = bearing.iter().filter_map(|s| s.segmentation.as_ref());
        let values: Vec<_> = cases
            .map(|c| value_under_policy(metric, c, config.empty))
            .collect();
        let over = |s| interval(s, &values, &by_patient, config.empty, &config.bootstrap);
        Ok(MetricIntervals {
            metric,
            mean: over(Statistic::Mean)?,
            median: over(Statistic::Median)?,
        })
    };
    METRICS.into_iter().map(of).collect()
}

fn kinds(scores: &[&CaseScore], config: &ScoreConfig) -> Result<Vec<KindScores>> {
    let mut all = Vec::new();
    for (k, kind) in LesionKind::ALL.into_iter().enumerate() {
        let bearing: Vec<&CaseScore> = scores
            .iter()
            .copied()
            .filter(|s| s.kinds.is_some_and(|kinds| !kinds[k].truth_is_empty()))
            .collect();
        if bearing.is_empty() {
            continue;
        }
        let by_patient = patients(bearing.iter().copied());
        // Dice is defined, because the truth has the kind.
        let values: Vec<_> = bearing
            .iter()
            .map(|s| s.kinds.and_then(|kinds| kinds[k].dice()))
            .collect();
        let over = |s| interval(s, &values, &by_patient, config.empty, &config.bootstrap);
        all.push(KindScores {
            kind,
            n: values.len(),
            mean: over(Statistic::Mean)?,
            median: over(Statistic::Median)?,
        });
    }
    Ok(all)
}

fn false_lesions(scores: &[&CaseScore], config: &ScoreConfig) -> Result<Option<FalseLesions>> {
    let free: Vec<&CaseScore> = scores
        .iter()
        .copied()
        .filter(|s| s.is_lesion_free())
        .collect();
    if free.is_empty() {
        return Ok(None);
    }
    let by_patient = patients(free.iter().copied());
    let area = |s: &&CaseScore| s.false_area_mm2.unwrap_or(0.0);
    let volume = |s: &&CaseScore| s.lesion_ml.unwrap_or(0.0);
    let mean = |value: &dyn Fn(&&CaseScore) -> f64| {
        let values: Vec<_> = free.iter().map(|s| Some(value(s))).collect();
        interval(
            Statistic::Mean,
            &values,
            &by_patient,
            EmptyPolicy::Propagate,
            &config.bootstrap,
        )
    };
    let any = |s: &&CaseScore| area(s) > 0.0;
    let large = |s: &&CaseScore| area(s) > LARGE_MM2;
    Ok(Some(FalseLesions {
        n: free.len(),
        patients: by_patient.len(),
        n_any: free.iter().filter(|s| any(s)).count(),
        any: mean(&|s| f64::from(u8::from(any(s))))?,
        n_large: free.iter().filter(|s| large(s)).count(),
        large: mean(&|s| f64::from(u8::from(large(s))))?,
        volume_ml: mean(&volume)?,
        area_mm2: mean(&area)?,
    }))
}

fn auc(scores: &[&CaseScore], config: &ScoreConfig) -> Result<Option<Interval>> {
    let known: Vec<(&CaseScore, bool, f64)> = scores
        .iter()
        .filter(|s| s.segmentation.is_some())
        .filter_map(|s| Some((*s, s.has_lesions(), s.lesion_share?)))
        .collect();
    let positives = known.iter().filter(|k| k.1).count();
    if positives == 0 || positives == known.len() {
        return Ok(None);
    }
    let by_patient = patients(known.iter().map(|k| k.0));
    let area = |drawn: &[usize]| {
        let scans = drawn.iter().flat_map(|&p| &by_patient[p]);
        let (positive, shares): (Vec<_>, Vec<_>) = scans.map(|&i| (known[i].1, known[i].2)).unzip();
        roc::auc(&positive, &shares).ok().flatten()
    };
    let found = bootstrap(by_patient.len(), &config.bootstrap, area).map_err(scoring)?;
    Ok(Some(found))
}

#[cfg(test)]
mod tests;
