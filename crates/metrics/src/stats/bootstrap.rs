//! Bootstrap intervals by patient.

use super::check_finite;
use super::quantile::quantile;
use crate::{Error, ErrorKind, Result};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Number of bootstrap draws, and level of the interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BootstrapConfig {
    /// Number of draws. Each draws as many patients as there are, with replacement.
    pub replicates: usize,
    /// Share of the draws that the interval contains.
    pub level: f64,
    /// Seed of the draws. The same seed gives the same interval.
    pub seed: u64,
}

impl Default for BootstrapConfig {
    fn default() -> Self {
        Self {
            replicates: 10_000,
            level: 0.95,
            seed: 0,
        }
    }
}

/// A value with its bootstrap percentile interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The value over all patients.
    #[serde(with = "crate::number")]
    pub value: Option<f64>,
    /// Lower end; undefined if the value was undefined in all draws.
    #[serde(with = "crate::number")]
    pub low: Option<f64>,
    /// Upper end.
    #[serde(with = "crate::number")]
    pub high: Option<f64>,
    /// Number of patients.
    pub patients: usize,
    /// Draws in which the value was undefined; the interval leaves them out.
    pub n_undefined: usize,
    /// The draws and the level.
    #[serde(flatten)]
    pub config: BootstrapConfig,
}

/// Percentile interval of any value of a set of patients. `value` receives the indices
/// (`0..patients`) of the drawn patients, some of them several times. One call receives each index
/// once.
///
/// # Errors
/// `Empty` without patients, `Invalid` without draws or for a level that is not between 0 and 1.
pub fn bootstrap(
    patients: usize,
    config: &BootstrapConfig,
    value: impl Fn(&[usize]) -> Option<f64> + Sync,
) -> Result<Interval> {
    if patients == 0 {
        return Err(Error::new(ErrorKind::Empty, "there is no patient to draw"));
    }
    if config.replicates == 0 || !(config.level > 0.0 && config.level < 1.0) {
        return Err(Error::new(
            ErrorKind::Invalid,
            format!(
                "an interval cannot have level {} and {} draws",
                config.level, config.replicates
            ),
        )
        .hint("give at least one draw and a level between 0 and 1, such as 0.95"));
    }
    let all: Vec<usize> = (0..patients).collect();
    let draws: Vec<Option<f64>> = (0..config.replicates as u64)
        .into_par_iter()
        .map_init(
            || vec![0; patients],
            |drawn, replicate| {
                // The seed depends only on the draw's number, so threads do not change the result.
                let seed = config.seed ^ replicate.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let mut rng = Pcg64Mcg::seed_from_u64(seed);
                drawn.fill_with(|| rng.random_range(0..patients));
                value(drawn).filter(|v| !v.is_nan())
            },
        )
        .collect();
    let mut sorted: Vec<f64> = draws.iter().copied().flatten().collect();
    sorted.sort_by(f64::total_cmp);
    let tail = (1.0 - config.level) / 2.0;
    Ok(Interval {
        value: value(&all).filter(|v| !v.is_nan()),
        low: quantile(&sorted, tail),
        high: quantile(&sorted, 1.0 - tail),
        patients,
        n_undefined: draws.len() - sorted.len(),
        config: *config,
    })
}

/// Percentile interval of the mean over scans. `patients` holds the values of each patient's scans,
/// which are drawn together.
///
/// # Errors
/// As [`bootstrap`], and `Invalid` if a value is not finite.
pub fn bootstrap_mean<P: AsRef<[f64]> + Sync>(
    patients: &[P],
    config: &BootstrapConfig,
) -> Result<Interval> {
    for scans in patients {
        check_finite(scans.as_ref())?;
    }
    let sums: Vec<(f64, usize)> = patients
        .iter()
        .map(|p| (p.as_ref().iter().sum(), p.as_ref().len()))
        .collect();
    bootstrap(patients.len(), config, |drawn| {
        let parts = drawn.iter().map(|&i| sums[i]);
        let (sum, n) = parts.fold((0.0, 0), |(s, n), (a, b)| (s + a, n + b));
        (n > 0).then(|| sum / n as f64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(replicates: usize) -> BootstrapConfig {
        BootstrapConfig {
            replicates,
            seed: 7,
            ..BootstrapConfig::default()
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_interval_on_any_number_of_threads() {
        let values: Vec<[f64; 1]> = (0..30).map(|i| [f64::from(i * i % 17)]).collect();
        let one = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .unwrap();
        let alone = one.install(|| bootstrap_mean(&values, &config(500)).unwrap());
        assert_eq!(bootstrap_mean(&values, &config(500)).unwrap(), alone);
        let other = BootstrapConfig {
            seed: 8,
            ..config(500)
        };
        assert_ne!(bootstrap_mean(&values, &other).unwrap().low, alone.low);
    }

    #[test]
    fn two_patients_have_four_draws() {
        // Means 0, 1/2 (twice) and 1, a quarter each: the interval holds them all.
        let interval = bootstrap_mean(&[[0.0], [1.0]], &config(2000)).unwrap();
        assert_eq!((interval.low, interval.high), (Some(0.0), Some(1.0)));
        let middle = bootstrap(2, &config(20_000), |d| Some((d[0] + d[1]) as f64)).unwrap();
        assert_eq!(middle.value, Some(1.0));
        let ones = bootstrap(2, &config(20_000), |d| (d[0] != d[1]).then_some(1.0)).unwrap();
        let share = ones.n_undefined as f64 / 20_000.0;
        assert!((share - 0.5).abs() < 0.02, "{share}");
    }

    #[test]
    fn scans_of_a_patient_are_drawn_together() {
        let interval = bootstrap_mean(&[vec![1.0, 1.0, 1.0], vec![5.0]], &config(3000)).unwrap();
        assert_eq!(interval.value, Some(2.0));
        // Only 1, 2 and 5 can be drawn.
        let draws = |d: &[usize]| Some(d.iter().sum::<usize>() as f64);
        assert!(bootstrap(2, &config(10), draws).is_ok());
        assert_eq!((interval.low, interval.high), (Some(1.0), Some(5.0)));
    }

    #[test]
    fn nothing_to_draw_is_an_error() {
        let none: [[f64; 1]; 0] = [];
        let kind = |r: Result<Interval>| r.unwrap_err().kind();
        assert_eq!(kind(bootstrap_mean(&none, &config(10))), ErrorKind::Empty);
        assert_eq!(
            kind(bootstrap_mean(&[[1.0]], &config(0))),
            ErrorKind::Invalid
        );
        assert_eq!(
            kind(bootstrap_mean(&[[f64::NAN]], &config(9))),
            ErrorKind::Invalid
        );
    }
}
