//! Intervals for the share of the lungs involved, from how much trainings with different seeds disagree.

use crate::system_result::SystemResult;
use multirnet_metrics::stats::student_quantile;
use serde::Serialize;

/// Share of the scans whose true value an interval is meant to hold.
pub const CONFIDENCE: f64 = 0.9;

/// How well intervals from the disagreement of trainings hold the true share, on the scans of one source.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShareIntervals {
    /// The source.
    pub source: String,
    /// Number of scans with known and predicted lesions.
    pub scans: usize,
    /// Scans whose true share lies within Student's prediction interval of the trainings' shares.
    pub student_holds: usize,
    /// Mean width of these intervals, a share of the lungs.
    pub student_width: f64,
    /// The smallest number of standard deviations around the mean of the trainings that holds the true share of
    /// [`CONFIDENCE`] of the scans, as conformal prediction counts them; `None` if there are too few scans, or if the
    /// trainings of too many agree to the last digit.
    pub factor: Option<f64>,
    /// Scans that intervals with the factor of the first source hold; `None` for the first source itself, since the
    /// factor was chosen on it.
    pub first_factor_holds: Option<usize>,
    /// Mean width of those, a share of the lungs.
    pub first_factor_width: Option<f64>,
}

/// Mean and standard deviation of the trainings' shares of a scan, and the true share.
struct Scan {
    mean: f64,
    sd: f64,
    truth: f64,
}

impl Scan {
    fn is_within(&self, reach: f64) -> bool {
        (self.truth - self.mean).abs() <= reach
    }
}

/// The intervals of a group of trainings, source by source in the order of their first scans. Empty for fewer than two
/// trainings.
pub(crate) fn share_intervals(members: &[&SystemResult]) -> Vec<ShareIntervals> {
    let k = members.len() as f64;
    if members.len() < 2 {
        return Vec::new();
    }
    let mut sources: Vec<(&str, Vec<Scan>)> = Vec::new();
    for (i, first) in members[0].cases.iter().enumerate() {
        let shares: Option<Vec<f64>> = members
            .iter()
            .map(|m| m.cases.get(i).and_then(|c| c.lesion_share))
            .collect();
        let Some((shares, truth)) = shares.zip(first.true_share) else {
            continue;
        };
        let mean = shares.iter().sum::<f64>() / k;
        let squares: f64 = shares.iter().map(|s| (s - mean).powi(2)).sum();
        let scan = Scan {
            mean,
            sd: (squares / (k - 1.0)).sqrt(),
            truth,
        };
        match sources.iter_mut().find(|s| s.0 == first.source) {
            Some(source) => source.1.push(scan),
            None => sources.push((&first.source, vec![scan])),
        }
    }
    // A further value of the same distribution lies within this many standard deviations of the mean.
    let student = student_quantile(k - 1.0, CONFIDENCE) * (1.0 + 1.0 / k).sqrt();
    let holds = |scans: &[Scan], factor: f64| {
        let within = scans.iter().filter(|s| s.is_within(factor * s.sd));
        within.count()
    };
    let width = |scans: &[Scan], factor: f64| {
        scans.iter().map(|s| 2.0 * factor * s.sd).sum::<f64>() / scans.len() as f64
    };
    let first_factor = sources.first().and_then(|s| conformal_factor(&s.1));
    let of = |(at, (source, scans)): (usize, &(&str, Vec<Scan>))| {
        let carried = first_factor.filter(|_| at > 0);
        ShareIntervals {
            source: (*source).to_owned(),
            scans: scans.len(),
            student_holds: holds(scans, student),
            student_width: width(scans, student),
            factor: conformal_factor(scans),
            first_factor_holds: carried.map(|f| holds(scans, f)),
            first_factor_width: carried.map(|f| width(scans, f)),
        }
    };
    sources.iter().enumerate().map(of).collect()
}

/// The factor of split conformal prediction (Lei et al., Journal of the American Statistical Association 113, 2018): of
/// the n distances in standard deviations, the one number ⌈(n + 1) · [`CONFIDENCE`]⌉ in order.
fn conformal_factor(scans: &[Scan]) -> Option<f64> {
    let mut distances: Vec<f64> = scans
        .iter()
        .map(|s| match s.is_within(0.0) {
            true => 0.0,
            false => (s.truth - s.mean).abs() / s.sd,
        })
        .collect();
    distances.sort_by(f64::total_cmp);
    let number = ((scans.len() as f64 + 1.0) * CONFIDENCE).ceil() as usize;
    distances
        .get(number.checked_sub(1)?)
        .copied()
        .filter(|f| f.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(mean: f64, sd: f64, truth: f64) -> Scan {
        Scan { mean, sd, truth }
    }

    #[test]
    fn the_factor_holds_nine_of_ten() {
        // Ten scans at 0.5, 1.5, … 9.5 standard deviations: number ⌈11 · 0.9⌉ = 10 is the largest.
        let scans: Vec<Scan> = (0..10)
            .map(|i| scan(0.5, 0.01, 0.5 + 0.01 * (f64::from(i) + 0.5)))
            .collect();
        let factor = conformal_factor(&scans).unwrap();
        assert!((factor - 9.5).abs() < 1e-9);
        // Of eight scans there would have to be a ninth.
        assert_eq!(conformal_factor(&scans[..8]), None);
        // One of 11 may not be without a distance, one of 20 may.
        let mut agreed = scans;
        agreed.push(scan(0.5, 0.0, 0.6));
        assert_eq!(conformal_factor(&agreed), None);
        agreed.extend((0..9).map(|_| scan(0.5, 0.0, 0.5)));
        assert!((conformal_factor(&agreed).unwrap() - 9.5).abs() < 1e-9);
    }
}
