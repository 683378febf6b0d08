//! Statistics between systems and against the truth.
//!
//! - [`paired_t`] and [`wilcoxon`]: two systems on the same cases.
//! - [`holm`], [`significance`]: correction for multiple comparisons, and the paper's stars.
//! - [`bootstrap`], [`bootstrap_mean`]: intervals by patient.
//! - [`BlandAltman`]: agreement of two measurements.
//! - [`BoxSummary`], [`quantile`]: quartiles and whiskers.
//!
//! Values must be finite. The caller decides once how an undefined or infinite score counts:
//! [`defined_pairs`] leaves it out, [`crate::Metric::worst`] gives a value to replace it.

mod agreement;
mod bootstrap;
mod boxes;
mod correction;
mod paired;
mod quantile;

pub use agreement::{BlandAltman, Limit, student_quantile};
pub use bootstrap::{BootstrapConfig, Interval, bootstrap, bootstrap_mean};
pub use boxes::BoxSummary;
pub use correction::{Correction, STARS, Significance, holm, significance, stars, stars_note};
pub use paired::{PairedT, Wilcoxon, WilcoxonMethod, paired_t, wilcoxon};
pub use quantile::quantile;

use crate::{Error, ErrorKind, Result};

/// The cases in which both values are defined and finite, and the number of those left out.
pub fn defined_pairs(a: &[Option<f64>], b: &[Option<f64>]) -> (Vec<f64>, Vec<f64>, usize) {
    let finite = |v: &Option<f64>| v.filter(|v| v.is_finite());
    let pairs = a.iter().zip(b);
    let (a, b): (Vec<f64>, Vec<f64>) = pairs
        .clone()
        .filter_map(|(a, b)| Some((finite(a)?, finite(b)?)))
        .unzip();
    let left_out = pairs.len() - a.len();
    (a, b, left_out)
}

/// The differences of two lists of finite numbers.
fn differences(a: &[f64], b: &[f64]) -> Result<Vec<f64>> {
    if a.len() != b.len() {
        return Err(Error::new(
            ErrorKind::Mismatch,
            format!("{} values cannot be paired with {}", a.len(), b.len()),
        )
        .hint("give the same cases in the same order"));
    }
    check_finite(a)?;
    check_finite(b)?;
    Ok(a.iter().zip(b).map(|(a, b)| a - b).collect())
}

fn check_finite(values: &[f64]) -> Result<()> {
    match values.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(i) => Err(Error::new(
            ErrorKind::Invalid,
            format!("value {} of {} is {}", i + 1, values.len(), values[i]),
        )
        .hint("leave undefined and infinite scores out of both lists, or replace them, first")),
    }
}

/// Mean and sample standard deviation (n − 1) of at least two values.
fn mean_sd(values: &[f64]) -> Option<(f64, f64)> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    (values.len() > 1).then(|| (mean, (squares / (n - 1.0)).sqrt()))
}
