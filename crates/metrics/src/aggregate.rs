//! Aggregates that count the values they left out.

use serde::{Deserialize, Serialize};

/// How an aggregate treats values that are undefined (NaN) or infinite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EmptyPolicy {
    /// One undefined value makes the aggregate undefined. An infinite one makes the mean infinite.
    Propagate,
    /// Undefined and infinite values count as the worst value of the metric.
    #[default]
    Worst,
    /// Undefined and infinite values are left out, and counted.
    Skip,
}

/// Mean and spread of one metric over cases, with the counts of values that are not finite. In
/// JSON, undefined and infinite values are words ([`crate::number`]).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Aggregate {
    /// Number of cases, undefined and infinite ones included.
    pub n: usize,
    /// Cases whose value is undefined.
    pub n_undefined: usize,
    /// Cases whose value is infinite.
    pub n_infinite: usize,
    /// How undefined and infinite values are treated.
    pub policy: EmptyPolicy,
    /// Arithmetic mean; `None` if undefined.
    #[serde(with = "crate::number")]
    pub mean: Option<f64>,
    /// Sample standard deviation (n − 1); `None` below two finite values.
    #[serde(with = "crate::number")]
    pub sd: Option<f64>,
    /// Median; `None` if undefined.
    #[serde(with = "crate::number")]
    pub median: Option<f64>,
    /// Smallest value; `None` if undefined.
    #[serde(with = "crate::number")]
    pub min: Option<f64>,
    /// Largest value; `None` if undefined.
    #[serde(with = "crate::number")]
    pub max: Option<f64>,
}

impl Aggregate {
    /// Aggregates `values`. `None` and NaN count as undefined. `worst` is the metric's worst value,
    /// used by [`EmptyPolicy::Worst`] (0 for Dice).
    pub fn from_values(values: &[Option<f64>], policy: EmptyPolicy, worst: f64) -> Self {
        Self::of_each(values, policy, &vec![worst; values.len()])
    }

    /// [`Self::from_values`] with a worst value for each case, for distances that a scan's size
    /// bounds. Cases beyond the end of `worst` have 0 as theirs.
    pub fn of_each(values: &[Option<f64>], policy: EmptyPolicy, worst: &[f64]) -> Self {
        let undefined = |v: &Option<f64>| v.is_none_or(f64::is_nan);
        let n_undefined = values.iter().filter(|v| undefined(v)).count();
        let n_infinite = values
            .iter()
            .filter(|v| v.is_some_and(f64::is_infinite))
            .count();
        let mut kept: Vec<f64> = match policy {
            EmptyPolicy::Propagate if n_undefined > 0 => Vec::new(),
            EmptyPolicy::Propagate => values.iter().flatten().copied().collect(),
            EmptyPolicy::Worst => values
                .iter()
                .zip(worst.iter().chain(std::iter::repeat(&0.0)))
                .map(|(v, &worst)| v.filter(|v| v.is_finite()).unwrap_or(worst))
                .collect(),
            EmptyPolicy::Skip => values
                .iter()
                .flatten()
                .copied()
                .filter(|v| v.is_finite())
                .collect(),
        };
        kept.sort_by(f64::total_cmp);
        let n = kept.len();
        let mean = (n > 0).then(|| kept.iter().sum::<f64>() / n as f64);
        let sd = mean
            .filter(|m| n > 1 && m.is_finite())
            .map(|m| (kept.iter().map(|v| (v - m).powi(2)).sum::<f64>() / (n - 1) as f64).sqrt());
        Self {
            n: values.len(),
            n_undefined,
            n_infinite,
            policy,
            mean,
            sd,
            median: (n > 0).then(|| (kept[(n - 1) / 2] + kept[n / 2]) / 2.0),
            min: kept.first().copied(),
            max: kept.last().copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: [Option<f64>; 4] = [Some(0.2), None, Some(0.8), Some(0.5)];

    #[test]
    fn each_policy_by_hand() {
        let cases = [
            (EmptyPolicy::Propagate, None),
            (EmptyPolicy::Worst, Some(1.5 / 4.0)),
            (EmptyPolicy::Skip, Some(0.5)),
        ];
        for (policy, mean) in cases {
            let a = Aggregate::from_values(&VALUES, policy, 0.0);
            assert_eq!((a.n, a.n_undefined, a.n_infinite), (4, 1, 0));
            assert_eq!(a.mean, mean, "{policy:?}");
        }
    }

    #[test]
    fn infinite_values_are_counted_and_follow_the_policy() {
        let values = [Some(1.0), Some(f64::INFINITY), Some(3.0)];
        let of = |policy| Aggregate::from_values(&values, policy, 10.0);
        assert_eq!(of(EmptyPolicy::Propagate).mean, Some(f64::INFINITY));
        assert_eq!(of(EmptyPolicy::Worst).mean, Some(14.0 / 3.0));
        assert_eq!(of(EmptyPolicy::Skip).mean, Some(2.0));
        assert_eq!(of(EmptyPolicy::Skip).n_infinite, 1);
    }

    #[test]
    fn spread_and_median() {
        let a = Aggregate::from_values(&VALUES, EmptyPolicy::Skip, 0.0);
        assert_eq!((a.median, a.min, a.max), (Some(0.5), Some(0.2), Some(0.8)));
        assert!((a.sd.unwrap() - 0.3).abs() < 1e-12);
        assert_eq!(
            Aggregate::from_values(&[], EmptyPolicy::Worst, 0.0).mean,
            None
        );
    }
}
