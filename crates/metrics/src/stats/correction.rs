//! Correction for multiple comparisons, and significance stars.

use crate::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// Method by which p values are corrected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Correction {
    /// Holm's step-down method (Holm, Scandinavian Journal of Statistics 6, 1979).
    Holm,
}

impl Correction {
    /// Name for people.
    pub fn label(self) -> &'static str {
        match self {
            Self::Holm => "Holm",
        }
    }
}

/// Corrects the p values of one family of comparisons by Holm's method (statsmodels'
/// `multipletests(method="holm")`). Undefined ones stay undefined and do not count as comparisons.
///
/// # Errors
/// `Invalid` if a p value is not in 0..=1.
pub fn holm(p: &[Option<f64>]) -> Result<Vec<Option<f64>>> {
    if let Some(bad) = p.iter().flatten().find(|p| !(0.0..=1.0).contains(*p)) {
        return Err(Error::new(
            ErrorKind::Invalid,
            format!("{bad} is not a p value: it is not in 0..=1"),
        ));
    }
    let mut order: Vec<(usize, f64)> = (0..)
        .zip(p)
        .filter_map(|(i, p)| p.map(|p| (i, p)))
        .collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1));
    let n = order.len();
    let mut corrected = vec![None; p.len()];
    let mut largest = 0.0f64;
    for (rank, (i, p)) in order.into_iter().enumerate() {
        largest = largest.max((p * (n - rank) as f64).min(1.0));
        corrected[i] = Some(largest);
    }
    Ok(corrected)
}

/// The paper's marks, each with the level below which p must lie. The paper says of them
/// "Correction for comparisons is performed with the T test" and names no correction.
pub const STARS: [(&str, f64); 2] = [("**", 0.0001), ("*", 0.05)];

/// The paper's mark for a (corrected) p value: `**` below 0.0001, `*` below 0.05, otherwise empty.
pub fn stars(p: Option<f64>) -> &'static str {
    let found = STARS
        .iter()
        .find(|(_, level)| p.is_some_and(|p| p < *level));
    found.map_or("", |(mark, _)| mark)
}

/// The note below a table with stars; `test` is the test's name.
pub fn stars_note(test: &str, correction: Correction, comparisons: usize) -> String {
    let [(two, low), (one, high)] = STARS;
    format!(
        "{one} p < {high}, {two} p < {low}: {test}, {}-corrected over {comparisons} comparisons",
        correction.label()
    )
}

/// One comparison's p value before and after correction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Significance {
    /// The test's own p value.
    #[serde(with = "crate::number")]
    pub p: Option<f64>,
    /// The corrected p value.
    #[serde(with = "crate::number")]
    pub p_corrected: Option<f64>,
    /// How it was corrected.
    pub correction: Correction,
    /// Number of comparisons in the family.
    pub comparisons: usize,
    /// The paper's mark for the corrected p value: `**`, `*` or nothing.
    pub stars: String,
}

/// Corrects one family of comparisons by Holm's method and marks them.
///
/// # Errors
/// `Invalid` if a p value is not in 0..=1.
pub fn significance(p: &[Option<f64>]) -> Result<Vec<Significance>> {
    let comparisons = p.iter().flatten().count();
    let corrected = holm(p)?;
    Ok(p.iter()
        .zip(corrected)
        .map(|(&p, p_corrected)| Significance {
            p,
            p_corrected,
            correction: Correction::Holm,
            comparisons,
            stars: stars(p_corrected).to_owned(),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holm_by_hand() {
        let p = [Some(0.01), None, Some(0.04), Some(0.03), Some(0.6)];
        let expected = [Some(0.04), None, Some(0.09), Some(0.09), Some(0.6)];
        for (a, b) in holm(&p).unwrap().into_iter().zip(expected) {
            assert!(
                a == b || (a.unwrap() - b.unwrap()).abs() < 1e-12,
                "{a:?} {b:?}"
            );
        }
        assert!(holm(&[Some(1.5)]).is_err() && holm(&[Some(f64::NAN)]).is_err());
    }

    #[test]
    fn stars_are_those_of_the_paper() {
        let marks = [0.05, 0.049, 0.0001, 0.00009].map(|p| stars(Some(p)));
        assert_eq!(marks, ["", "*", "*", "**"]);
        assert_eq!(stars(None), "");
        let found = significance(&[Some(0.00006), Some(0.04), None]).unwrap();
        let marks: Vec<_> = found.iter().map(|s| s.stars.as_str()).collect();
        assert_eq!(marks, ["*", "*", ""], "0.00006 becomes 0.00012");
        assert_eq!(
            stars_note("paired t test", Correction::Holm, 8),
            "* p < 0.05, ** p < 0.0001: paired t test, Holm-corrected over 8 comparisons"
        );
    }
}
