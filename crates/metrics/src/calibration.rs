//! Calibration: whether probabilities say how often something is the case, and the temperature that mends them.

use crate::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// Number of bins of [`Reliability`].
pub const BINS: usize = 100;

/// Number of bins of a diagram and of the expected calibration error. It divides [`BINS`].
pub const SHOWN: usize = 10;

/// Ends of the range in which a temperature is looked for.
pub const TEMPERATURES: [f64; 2] = [0.05, 20.0];

/// Probabilities nearer to 0 or 1 than this have the logit of this one.
const NEAREST: f64 = 1e-6;

/// Predicted probabilities of an event beside how often it was the case, in bins of equal width.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// Number of predictions in each of the [`BINS`] bins. A probability on the border of two bins is in the upper one.
    pub n: Vec<u64>,
    /// Number of them whose event was the case.
    pub events: Vec<u64>,
    /// Sum of their probabilities.
    pub sums: Vec<f64>,
    /// Sum of the squared differences between probability and event (1 or 0).
    pub squares: f64,
}

/// One bin of a reliability diagram.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Number of predictions.
    pub n: u64,
    /// Mean probability.
    pub mean: f64,
    /// Share whose event was the case.
    pub share: f64,
}

impl Default for Reliability {
    fn default() -> Self {
        Self {
            n: vec![0; BINS],
            events: vec![0; BINS],
            sums: vec![0.0; BINS],
            squares: 0.0,
        }
    }
}

impl Reliability {
    /// Counts one prediction.
    ///
    /// # Errors
    /// `Invalid` if `probability` does not lie in `[0, 1]`.
    pub fn add(&mut self, probability: f64, event: bool) -> Result<()> {
        if !(0.0..=1.0).contains(&probability) {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("{probability} is not a probability"),
            ));
        }
        let bin = ((probability * BINS as f64) as usize).min(BINS - 1);
        self.n[bin] += 1;
        self.events[bin] += u64::from(event);
        self.sums[bin] += probability;
        self.squares += (probability - f64::from(u8::from(event))).powi(2);
        Ok(())
    }

    /// Adds the counts of another set of predictions.
    ///
    /// # Errors
    /// `Mismatch` if the other one has another number of bins.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        let lengths = [other.n.len(), other.events.len(), other.sums.len()];
        if lengths != [BINS; 3] || self.n.len() != BINS {
            return Err(Error::new(
                ErrorKind::Mismatch,
                format!("counts of {lengths:?} bins, not of {BINS}"),
            ));
        }
        for bin in 0..BINS {
            self.n[bin] += other.n[bin];
            self.events[bin] += other.events[bin];
            self.sums[bin] += other.sums[bin];
        }
        self.squares += other.squares;
        Ok(())
    }

    /// Number of predictions.
    pub fn total(&self) -> u64 {
        self.n.iter().sum()
    }

    /// Mean of the probabilities and share whose event was the case; `None` without predictions.
    pub fn means(&self) -> Option<[f64; 2]> {
        let n = self.total();
        let events: u64 = self.events.iter().sum();
        (n > 0).then(|| {
            [
                self.sums.iter().sum::<f64>() / n as f64,
                events as f64 / n as f64,
            ]
        })
    }

    /// The [`SHOWN`] bins of a diagram; `None` for a bin without predictions.
    pub fn bins(&self) -> Vec<Option<ReliabilityBin>> {
        let width = BINS / SHOWN;
        let bin = |first: usize| {
            let bins = first * width..(first + 1) * width;
            let n: u64 = self.n[bins.clone()].iter().sum();
            let events: u64 = self.events[bins.clone()].iter().sum();
            (n > 0).then(|| ReliabilityBin {
                n,
                mean: self.sums[bins].iter().sum::<f64>() / n as f64,
                share: events as f64 / n as f64,
            })
        };
        (0..SHOWN).map(bin).collect()
    }

    /// Expected calibration error: the mean over predictions of the difference between their bin's mean
    /// probability and share of events, in the [`SHOWN`] bins (Naeini et al., AAAI 2015). `None` without predictions.
    pub fn expected_error(&self) -> Option<f64> {
        let n = self.total();
        let bins = self.bins().into_iter().flatten();
        let sum: f64 = bins.map(|b| b.n as f64 * (b.mean - b.share).abs()).sum();
        (n > 0).then(|| sum / n as f64)
    }

    /// Brier score: the mean squared difference between probability and event. `None` without predictions.
    pub fn brier(&self) -> Option<f64> {
        let n = self.total();
        (n > 0).then(|| self.squares / n as f64)
    }

    /// The predictions without those below `least`, which is rounded to a border of bins. The Brier score of the
    /// rest is not known: `squares` is NaN.
    pub fn at_least(&self, least: f64) -> Self {
        let first = (least * BINS as f64).round() as usize;
        let mut rest = self.clone();
        for bin in 0..first.min(BINS) {
            rest.n[bin] = 0;
            rest.events[bin] = 0;
            rest.sums[bin] = 0.0;
        }
        rest.squares = f64::NAN;
        rest
    }

    /// The temperature that a binary prediction's logit is divided by, so that the log loss is smallest. Each bin
    /// counts with its mean probability. `None` if all or none of the events were the case.
    pub fn temperature(&self) -> Option<Temperature> {
        let [_, share] = self.means()?;
        if share == 0.0 || share == 1.0 {
            return None;
        }
        let bins: Vec<[f64; 3]> = (0..BINS)
            .filter(|&b| self.n[b] > 0)
            .map(|b| {
                let n = self.n[b] as f64;
                [logit(self.sums[b] / n), n, self.events[b] as f64]
            })
            .collect();
        let total = self.total() as f64;
        // The loss is convex in the logit's factor, the inverse of the temperature.
        let slope = |factor: f64| -> f64 {
            let of = |&[z, n, events]: &[f64; 3]| z * (n * sigmoid(factor * z) - events);
            bins.iter().map(of).sum()
        };
        let loss = |factor: f64| -> f64 {
            let of = |&[z, n, events]: &[f64; 3]| n * softplus(factor * z) - events * factor * z;
            bins.iter().map(of).sum::<f64>() / total
        };
        Some(Temperature::from_slope(slope, loss))
    }
}

/// A fitted temperature.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Temperature {
    /// The temperature: above 1 for predictions that are too sure, below 1 for those that are not sure enough.
    pub value: f64,
    /// Mean log loss before (at temperature 1).
    pub loss_before: f64,
    /// Mean log loss with the temperature.
    pub loss_after: f64,
}

impl Temperature {
    /// The temperature for predictions of one class of several: logits are the logarithms of `probabilities`.
    /// The log loss over all predictions is smallest (Guo et al., On Calibration of Modern Neural Networks,
    /// ICML 2017). `None` without predictions. A temperature outside 0.05 to 20 is the nearer end.
    ///
    /// # Errors
    /// `Mismatch` if the lists differ in length, `Invalid` if a value is not a probability.
    pub fn of_classes<const N: usize>(
        probabilities: &[[f64; N]],
        truth: &[usize],
    ) -> Result<Option<Self>> {
        if probabilities.len() != truth.len() {
            return Err(Error::new(
                ErrorKind::Mismatch,
                format!(
                    "{} predictions but {} classes",
                    probabilities.len(),
                    truth.len()
                ),
            ));
        }
        let all = || probabilities.iter().flatten();
        if let Some(bad) = all().find(|p| !(0.0..=1.0).contains(*p)) {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("{bad} is not a probability"),
            ));
        }
        if let Some(bad) = truth.iter().find(|t| **t >= N) {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("{bad} is not the number of one of {N} classes"),
            ));
        }
        let logits: Vec<[f64; N]> = probabilities
            .iter()
            .map(|p| p.map(|p| p.max(NEAREST).ln()))
            .collect();
        let cases = || logits.iter().zip(truth);
        let n = truth.len() as f64;
        let slope = |factor: f64| -> f64 {
            let of = |(z, &class): (&[f64; N], &usize)| {
                let p = softmax(z, factor);
                z.iter().zip(p).map(|(z, p)| z * p).sum::<f64>() - z[class]
            };
            cases().map(of).sum()
        };
        let loss = |factor: f64| -> f64 {
            let of = |(z, &class): (&[f64; N], &usize)| -softmax(z, factor)[class].ln();
            cases().map(of).sum::<f64>() / n
        };
        Ok((!truth.is_empty()).then(|| Self::from_slope(slope, loss)))
    }

    /// The minimum of a convex `loss` of the logits' factor with the derivative `slope`.
    fn from_slope(slope: impl Fn(f64) -> f64, loss: impl Fn(f64) -> f64) -> Self {
        let [low, high] = TEMPERATURES;
        // Halving an interval of logarithms 60 times leaves less than rounding does.
        let (mut low, mut high) = ((1.0 / high).ln(), (1.0 / low).ln());
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if slope(middle.exp()) > 0.0 {
                high = middle;
            } else {
                low = middle;
            }
        }
        let factor = f64::midpoint(low, high).exp();
        Self {
            value: 1.0 / factor,
            loss_before: loss(1.0),
            loss_after: loss(factor),
        }
    }
}

/// A binary probability whose logit is divided by `temperature`.
pub fn tempered(probability: f64, temperature: f64) -> f64 {
    sigmoid(logit(probability) / temperature)
}

/// Class probabilities whose logits are divided by `temperature`. They sum to 1.
pub fn tempered_classes<const N: usize>(probabilities: [f64; N], temperature: f64) -> [f64; N] {
    softmax(
        &probabilities.map(|p| p.max(NEAREST).ln()),
        1.0 / temperature,
    )
}

fn logit(p: f64) -> f64 {
    let p = p.clamp(NEAREST, 1.0 - NEAREST);
    (p / (1.0 - p)).ln()
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

/// ln(1 + e^z) without overflow.
fn softplus(z: f64) -> f64 {
    z.max(0.0) + (-z.abs()).exp().ln_1p()
}

fn softmax<const N: usize>(z: &[f64; N], factor: f64) -> [f64; N] {
    let most = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let e = z.map(|z| (factor * (z - most)).exp());
    let sum: f64 = e.iter().sum();
    e.map(|e| e / sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(cases: &[(f64, bool)]) -> Reliability {
        let mut all = Reliability::default();
        for &(p, event) in cases {
            all.add(p, event).unwrap();
        }
        all
    }

    #[test]
    fn bins_and_errors_by_hand() {
        let mut all = of(&[(0.02, false), (0.06, true), (0.93, true)]);
        all.merge(&of(&[(0.97, true), (1.0, false)])).unwrap();
        let bins = all.bins();
        let first = bins[0].unwrap();
        assert_eq!((first.n, first.share), (2, 0.5));
        assert!((first.mean - 0.04).abs() < 1e-12);
        let last = bins[9].unwrap();
        assert!((last.mean - 2.9 / 3.0).abs() < 1e-12 && (last.share - 2.0 / 3.0).abs() < 1e-12);
        assert!(bins[1..9].iter().all(Option::is_none));
        let error = (2.0 * 0.46 + 3.0 * 0.3) / 5.0;
        assert!((all.expected_error().unwrap() - error).abs() < 1e-12);
        let above = all.at_least(0.05);
        assert_eq!((above.total(), above.means().unwrap()[1]), (4, 0.75));
        assert!(above.brier().unwrap().is_nan());
        assert_eq!(Reliability::default().expected_error(), None);
        assert!(all.add(1.01, true).is_err() && all.add(f64::NAN, true).is_err());
    }

    /// Predictions whose logits are twice what they should be need the temperature 2.
    #[test]
    fn the_temperature_of_predictions_that_are_too_sure() {
        let mut cases = Vec::new();
        for percent in [5, 25, 45, 65, 85, 95] {
            let p = tempered(f64::from(percent) / 100.0, 0.5);
            cases.extend((0..100).map(|i| (p, i < percent)));
        }
        let fitted = of(&cases).temperature().unwrap();
        assert!((fitted.value - 2.0).abs() < 1e-6, "{fitted:?}");
        assert!(fitted.loss_after < fitted.loss_before);
        assert_eq!(of(&[(0.5, true)]).temperature(), None);
    }

    #[test]
    fn the_temperature_of_classes() {
        let honest: [[f64; 3]; 2] = [[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]];
        let (mut said, mut truth) = (Vec::new(), Vec::new());
        for p in honest {
            for (class, share) in p.iter().enumerate() {
                let n = (share * 10.0).round() as usize;
                said.extend(std::iter::repeat_n(tempered_classes(p, 0.25), n));
                truth.extend(std::iter::repeat_n(class, n));
            }
        }
        let fitted = Temperature::of_classes(&said, &truth).unwrap().unwrap();
        assert!((fitted.value - 4.0).abs() < 1e-6, "{fitted:?}");
        let back = tempered_classes(said[0], fitted.value);
        assert!(
            back.iter()
                .zip(honest[0])
                .all(|(a, b)| (a - b).abs() < 1e-6)
        );
        // Always right: the nearest end of the range.
        let sure = Temperature::of_classes(&[[0.9, 0.1]], &[0])
            .unwrap()
            .unwrap();
        assert!((sure.value - 0.05).abs() < 1e-9);
        assert_eq!(Temperature::of_classes::<3>(&[], &[]).unwrap(), None);
        assert!(Temperature::of_classes(&[[0.9, 0.1]], &[2]).is_err());
    }
}
