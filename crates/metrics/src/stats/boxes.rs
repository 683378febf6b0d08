//! Quartiles and whiskers of box plots.

use super::quantile::quantile;

/// Summary of a group's finite values, as a box plot shows them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoxSummary {
    /// Number of finite values.
    pub n: usize,
    /// First quartile, median and third quartile, interpolated linearly between order statistics
    /// (definition 7 of Hyndman and Fan, 1996; the default of R and NumPy).
    pub quartiles: [f64; 3],
    /// The least and the greatest value within 1.5 interquartile ranges of the box (Tukey).
    pub whiskers: [f64; 2],
}

impl BoxSummary {
    /// Summary of the finite values among `values`, `None` if there are none.
    pub fn from_values(values: &[f64]) -> Option<Self> {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| quantile(&sorted, share);
        let quartiles = [at(0.25)?, at(0.5)?, at(0.75)?];
        let reach = 1.5 * (quartiles[2] - quartiles[0]);
        let within = |v: &&f64| (quartiles[0] - reach..=quartiles[2] + reach).contains(&**v);
        // Interpolated quartiles can lie beyond all values within reach. The limits keep a whisker
        // from ending inside the box.
        let least = sorted.iter().find(within).copied();
        let most = sorted.iter().rfind(within).copied();
        Some(Self {
            n: sorted.len(),
            quartiles,
            whiskers: [
                least.unwrap_or(quartiles[0]).min(quartiles[0]),
                most.unwrap_or(quartiles[2]).max(quartiles[2]),
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_are_those_of_numpy_and_whiskers_end_at_values() {
        let values = [9.0, 1.0, 2.0, f64::NAN, 3.0, 4.0, 100.0, f64::INFINITY];
        let found = BoxSummary::from_values(&values).unwrap();
        // numpy.quantile([1, 2, 3, 4, 9, 100], [0.25, 0.5, 0.75]) is [2.25, 3.5, 7.75].
        assert_eq!(found.quartiles, [2.25, 3.5, 7.75]);
        assert_eq!((found.n, found.whiskers), (6, [1.0, 9.0]));
        assert_eq!(BoxSummary::from_values(&[f64::NAN]), None);
    }
}
