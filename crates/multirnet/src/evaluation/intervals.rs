//! Means and medians over scans with bootstrap intervals by patient.

use super::case_score::CaseScore;
use crate::{Error, ErrorKind, Result};
use multirnet_metrics::stats::{BootstrapConfig, Interval, bootstrap};
use multirnet_metrics::{CaseMetrics, EmptyPolicy, Metric};

/// Positions of each patient's scans among `scores`, in the order in which patients appear.
pub fn patients<'a>(scores: impl Iterator<Item = &'a CaseScore>) -> Vec<Vec<usize>> {
    let mut places = std::collections::HashMap::new();
    let mut scans: Vec<Vec<usize>> = Vec::new();
    for (i, score) in scores.enumerate() {
        let place = *places.entry(score.patient.as_str()).or_insert(scans.len());
        if place == scans.len() {
            scans.push(Vec::new());
        }
        scans[place].push(i);
    }
    scans
}

/// The value of `metric` that counts for a case. An undefined or infinite value counts as the worst
/// under [`EmptyPolicy::Worst`] and is `None` under the other policies.
pub fn value_under_policy(metric: Metric, case: &CaseMetrics, policy: EmptyPolicy) -> Option<f64> {
    let value = metric.value(case).filter(|v| v.is_finite());
    match policy {
        EmptyPolicy::Worst => Some(value.unwrap_or(metric.worst(case))),
        _ => value,
    }
}

/// The statistic that is computed over scans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistic {
    /// The mean.
    Mean,
    /// The median.
    Median,
}

impl Statistic {
    fn value(self, values: &mut [f64]) -> f64 {
        let n = values.len();
        match self {
            Self::Mean => values.iter().sum::<f64>() / n as f64,
            Self::Median => {
                if values.iter().any(|v| v.is_nan()) {
                    return f64::NAN;
                }
                values.sort_by(f64::total_cmp);
                (values[(n - 1) / 2] + values[n / 2]) / 2.0
            }
        }
    }
}

/// The statistic of `values`, one for each scan, with its interval by patient. `None` is an undefined
/// value. [`EmptyPolicy::Skip`] leaves it out; under other policies it makes the result undefined.
///
/// # Errors
/// `Scoring` without patients or for unusable draws.
pub fn interval(
    statistic: Statistic,
    values: &[Option<f64>],
    by_patient: &[Vec<usize>],
    policy: EmptyPolicy,
    draws: &BootstrapConfig,
) -> Result<Interval> {
    let value = |drawn: &[usize]| {
        let scans = drawn.iter().flat_map(|&p| &by_patient[p]);
        let values = scans.map(|&i| values[i].unwrap_or(f64::NAN));
        let mut kept: Vec<f64> = match policy {
            EmptyPolicy::Skip => values.filter(|v| !v.is_nan()).collect(),
            _ => values.collect(),
        };
        (!kept.is_empty()).then(|| statistic.value(&mut kept))
    };
    bootstrap(by_patient.len(), draws, value).map_err(scoring)
}

/// Converts an error of the metrics into this crate's error.
pub fn scoring(e: multirnet_metrics::Error) -> Error {
    Error::caused(ErrorKind::Scoring, e)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_and_medians_of_drawn_patients() {
        let by_patient = [vec![0, 1], vec![2]];
        let values = [Some(1.0), Some(2.0), Some(6.0)];
        let draws = BootstrapConfig {
            replicates: 500,
            ..BootstrapConfig::default()
        };
        let of = |statistic, values: &[Option<f64>], policy| {
            interval(statistic, values, &by_patient, policy, &draws).unwrap()
        };
        let mean = of(Statistic::Mean, &values, EmptyPolicy::Worst);
        assert_eq!((mean.value, mean.patients), (Some(3.0), 2));
        // The ends are draws of the first patient alone and of the second alone.
        assert_eq!((mean.low, mean.high), (Some(1.5), Some(6.0)));
        let median = of(Statistic::Median, &values, EmptyPolicy::Worst);
        assert_eq!(median.value, Some(2.0));
        let holes = [Some(1.0), None, Some(6.0)];
        assert_eq!(
            of(Statistic::Mean, &holes, EmptyPolicy::Skip).value,
            Some(3.5)
        );
        assert_eq!(
            of(Statistic::Median, &holes, EmptyPolicy::Propagate).value,
            None
        );
    }
}
