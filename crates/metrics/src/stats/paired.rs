//! Tests of two systems on the same cases.

use super::{differences, mean_sd};
use crate::Result;
use serde::{Deserialize, Serialize};
use special::{Beta, Error as _};

/// Student's t test of paired values, two-sided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairedT {
    /// Number of pairs.
    pub n: usize,
    /// Mean of first minus second.
    #[serde(with = "crate::number")]
    pub mean_difference: Option<f64>,
    /// Sample standard deviation of the differences.
    #[serde(with = "crate::number")]
    pub sd: Option<f64>,
    /// The statistic. Undefined below two pairs or if all differences are 0; infinite if all
    /// differences are equal but not 0.
    #[serde(with = "crate::number")]
    pub t: Option<f64>,
    /// Degrees of freedom, n − 1.
    pub degrees_of_freedom: usize,
    /// Two-sided p value; undefined where `t` is.
    #[serde(with = "crate::number")]
    pub p: Option<f64>,
}

/// Student's t test of whether `a` and `b` differ in the mean (SciPy's `ttest_rel`).
///
/// # Errors
/// `Mismatch` if the two lists differ in length, `Invalid` if a value is not finite.
pub fn paired_t(a: &[f64], b: &[f64]) -> Result<PairedT> {
    let d = differences(a, b)?;
    let spread = mean_sd(&d);
    let degrees_of_freedom = d.len().saturating_sub(1);
    let t = spread
        .map(|(mean, sd)| mean / (sd / (d.len() as f64).sqrt()))
        .filter(|t| !t.is_nan());
    let f = degrees_of_freedom as f64;
    Ok(PairedT {
        n: d.len(),
        mean_difference: (!d.is_empty()).then(|| d.iter().sum::<f64>() / d.len() as f64),
        sd: spread.map(|s| s.1),
        t,
        degrees_of_freedom,
        p: t.map(|t| {
            if t.is_infinite() {
                0.0
            } else {
                // Both tails of Student's distribution follow from the beta distribution.
                let (a, b) = (f / 2.0, 0.5);
                (f / (f + t * t)).inc_beta(a, b, a.ln_beta(b))
            }
        }),
    })
}

/// How the p value of a signed-rank test was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WilcoxonMethod {
    /// From the exact distribution of the statistic over all signs.
    Exact,
    /// From the normal distribution, with the correction for ties and without one for continuity.
    Normal,
}

/// Wilcoxon's signed-rank test, two-sided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wilcoxon {
    /// Number of pairs.
    pub n: usize,
    /// Pairs without difference, which are left out (Wilcoxon's method).
    pub n_zero: usize,
    /// Sum of the ranks of the pairs in which the first value is larger.
    pub rank_sum_positive: f64,
    /// Sum of the ranks of the pairs in which the second value is larger.
    pub rank_sum_negative: f64,
    /// The smaller of the two sums.
    pub statistic: f64,
    /// How `p` was found.
    pub method: WilcoxonMethod,
    /// Two-sided p value; 1 if no pair differs.
    pub p: f64,
}

/// Pairs up to which the exact distribution is used if no two differences tie.
const EXACT: usize = 50;

/// The same limit if differences tie or are 0.
const EXACT_TIED: usize = 13;

/// Wilcoxon's signed-rank test of whether `a - b` is symmetric about 0, as SciPy's `wilcoxon` with
/// its defaults. Pairs without difference are left out. The p value is exact up to 50 pairs, or up
/// to 13 if differences tie or are 0. Otherwise it is the normal approximation with correction for
/// ties. If no pair differs, p is 1 (SciPy gives NaN beyond 13 pairs).
///
/// # Errors
/// `Mismatch` if the two lists differ in length, `Invalid` if a value is not finite.
pub fn wilcoxon(a: &[f64], b: &[f64]) -> Result<Wilcoxon> {
    let all = differences(a, b)?;
    let mut d: Vec<f64> = all.iter().copied().filter(|&d| d != 0.0).collect();
    d.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    // Twice the ranks. They are whole numbers although ties share their mean rank.
    let mut twice_ranks: Vec<usize> = Vec::with_capacity(d.len());
    let mut ties = 0.0;
    for tied in d.chunk_by(|a, b| a.abs() == b.abs()) {
        let (first, n) = (twice_ranks.len() + 1, tied.len());
        twice_ranks.extend(std::iter::repeat_n(2 * first + n - 1, n));
        ties += (n as f64).powi(3) - n as f64;
    }
    let pairs = d.iter().zip(&twice_ranks);
    let twice_positive: usize = pairs.filter(|(d, _)| **d > 0.0).map(|(_, r)| r).sum();
    let twice_all: usize = twice_ranks.iter().sum();
    let positive = twice_positive as f64 / 2.0;
    let negative = (twice_all - twice_positive) as f64 / 2.0;
    let plain = ties == 0.0 && d.len() == all.len();
    let exact = all.len() <= if plain { EXACT } else { EXACT_TIED };
    let p = if d.is_empty() {
        1.0
    } else if exact {
        exact_p(&twice_ranks, twice_positive)
    } else {
        let n = d.len() as f64;
        let mean = n * (n + 1.0) / 4.0;
        let variance = (n * (n + 1.0) * (2.0 * n + 1.0) - ties / 2.0) / 24.0;
        ((positive - mean).abs() / (2.0 * variance).sqrt()).compl_error()
    };
    Ok(Wilcoxon {
        n: all.len(),
        n_zero: all.len() - d.len(),
        rank_sum_positive: positive,
        rank_sum_negative: negative,
        statistic: positive.min(negative),
        method: if exact {
            WilcoxonMethod::Exact
        } else {
            WilcoxonMethod::Normal
        },
        p,
    })
}

/// Twice the smaller tail of the sum of ranks over all signs.
fn exact_p(twice_ranks: &[usize], observed: usize) -> f64 {
    let largest: usize = twice_ranks.iter().sum();
    // Number of ways to reach each sum. It is at most 2^50, which a double holds exactly.
    let mut ways = vec![0.0f64; largest + 1];
    ways[0] = 1.0;
    for &rank in twice_ranks {
        for sum in (rank..=largest).rev() {
            ways[sum] += ways[sum - rank];
        }
    }
    let below: f64 = ways[..=observed].iter().sum();
    let above: f64 = ways[observed..].iter().sum();
    (2.0 * below.min(above) / 2f64.powi(twice_ranks.len() as i32)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn t_of_degenerate_differences() {
        let test = |a: &[f64]| paired_t(a, &vec![1.0; a.len()]).unwrap();
        assert_eq!((test(&[]).p, test(&[2.0]).p), (None, None));
        assert_eq!(test(&[1.0, 1.0]).p, None);
        let all_equal = test(&[2.0, 2.0, 2.0]);
        assert_eq!((all_equal.t, all_equal.p), (Some(f64::INFINITY), Some(0.0)));
        let json = serde_json::to_string(&all_equal).unwrap();
        assert!(json.contains("\"infinite\""), "{json}");
        assert_eq!(serde_json::from_str::<PairedT>(&json).unwrap(), all_equal);
    }

    #[test]
    fn signed_ranks_by_hand() {
        // Differences 1, 2, 3, all positive: one of 8 ways on each side.
        let w = wilcoxon(&[2.0, 4.0, 6.0], &[1.0, 2.0, 3.0]).unwrap();
        assert_eq!((w.statistic, w.p), (0.0, 0.25));
        // Two ties and a zero: ranks 1.5, 1.5; both positive.
        let w = wilcoxon(&[1.0, 1.0, 0.0], &[0.0; 3]).unwrap();
        assert_eq!((w.n_zero, w.rank_sum_positive, w.p), (1, 3.0, 0.5));
        let same = wilcoxon(&[1.0; 20], &[1.0; 20]).unwrap();
        assert_eq!((same.n_zero, same.p), (20, 1.0));
    }

    #[test]
    fn what_cannot_be_paired_is_refused() {
        assert_eq!(
            paired_t(&[1.0], &[]).unwrap_err().kind(),
            ErrorKind::Mismatch
        );
        let e = wilcoxon(&[1.0, f64::INFINITY], &[1.0, 2.0]).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Invalid);
        assert!(e.to_string().contains("value 2 of 2"), "{e}");
    }
}
