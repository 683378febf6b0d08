//! Agreement of two measurements.

use super::{differences, mean_sd};
use crate::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use special::Beta;

/// A value with its confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// The value.
    pub value: f64,
    /// Lower end of its confidence interval.
    pub low: f64,
    /// Upper end of its confidence interval.
    pub high: f64,
}

/// Bland and Altman's bias and limits of agreement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BlandAltman {
    /// Number of pairs.
    pub n: usize,
    /// Mean difference.
    pub bias: Limit,
    /// Sample standard deviation of the differences.
    pub sd: f64,
    /// Bias − 1.96 standard deviations.
    pub lower: Limit,
    /// Bias + 1.96 standard deviations.
    pub upper: Limit,
    /// Level of the confidence intervals, 0.95.
    pub confidence: f64,
    /// Pairs whose difference lies outside the limits.
    pub n_outside: usize,
    /// Mean and difference of each pair, in the order given: the plot's points.
    pub points: Vec<[f64; 2]>,
}

/// Standard deviations from the bias to the limits.
const REACH: f64 = 1.96;

const CONFIDENCE: f64 = 0.95;

/// The value that Student's t with `freedom` degrees of freedom exceeds in neither direction with the probability
/// `confidence`, such as 4.303 for 2 and 0.95.
pub fn student_quantile(freedom: f64, confidence: f64) -> f64 {
    // It follows from the quantile of the beta distribution.
    let (a, b) = (freedom / 2.0, 0.5);
    let share = (1.0 - confidence).inv_inc_beta(a, b, a.ln_beta(b));
    (freedom * (1.0 - share) / share).sqrt()
}

impl BlandAltman {
    /// Agreement of `measured` with `reference`. Differences are measured − reference. The limits'
    /// standard error is sd · √(1/n + 1.96² / (2(n − 1))) (Bland and Altman, Statistical Methods in
    /// Medical Research 8, 1999). The intervals use Student's t distribution.
    ///
    /// # Errors
    /// `Mismatch` if the two lists differ in length, `Invalid` if a value is not finite, `Empty`
    /// below two pairs.
    pub fn from_pairs(measured: &[f64], reference: &[f64]) -> Result<Self> {
        let d = differences(measured, reference)?;
        let (mean, sd) = mean_sd(&d).ok_or_else(|| {
            Error::new(
                ErrorKind::Empty,
                format!("agreement needs at least two pairs, not {}", d.len()),
            )
        })?;
        let n = d.len() as f64;
        let quantile = student_quantile(n - 1.0, CONFIDENCE);
        let limit = |value: f64, error: f64| Limit {
            value,
            low: value - quantile * error,
            high: value + quantile * error,
        };
        let error = sd * (1.0 / n + REACH * REACH / (2.0 * (n - 1.0))).sqrt();
        let (low, high) = (mean - REACH * sd, mean + REACH * sd);
        let pairs = measured.iter().zip(reference);
        Ok(Self {
            n: d.len(),
            bias: limit(mean, sd / n.sqrt()),
            sd,
            lower: limit(low, error),
            upper: limit(high, error),
            confidence: CONFIDENCE,
            n_outside: d.iter().filter(|&&d| d < low || d > high).count(),
            points: pairs.map(|(m, r)| [(m + r) / 2.0, m - r]).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_those_of_a_hand_calculation() {
        let a = BlandAltman::from_pairs(&[2.0, 4.0, 9.0], &[1.0, 4.0, 7.0]).unwrap();
        assert_eq!((a.n, a.bias.value, a.sd, a.n_outside), (3, 1.0, 1.0, 0));
        assert!((a.upper.value - 2.96).abs() < 1e-12 && (a.lower.value + 0.96).abs() < 1e-12);
        // Student's quantile for two degrees of freedom is 4.3027.
        assert!((a.bias.high - 1.0 - 4.302_652_73 / 3f64.sqrt()).abs() < 1e-6);
        assert_eq!(a.points[2], [8.0, 2.0]);
    }

    #[test]
    fn one_pair_is_too_few() {
        let e = BlandAltman::from_pairs(&[1.0], &[2.0]).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Empty);
    }
}
