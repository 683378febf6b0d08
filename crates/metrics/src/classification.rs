//! Confusion matrix and the scores that follow from it.

use crate::{Aggregate, EmptyPolicy, Error, ErrorKind, Result};
use multirnet_volume::Diagnosis;
use serde::{Deserialize, Serialize};

/// Counts of true against predicted classes: `counts[truth][predicted]`, in logit order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfusionMatrix {
    /// Rows are the truth, columns the prediction; order of [`Diagnosis::ALL`].
    pub counts: [[u64; 3]; 3],
}

impl ConfusionMatrix {
    /// Counts pairs.
    ///
    /// # Errors
    /// `Mismatch` if the two lists differ in length.
    pub fn from_labels(truth: &[Diagnosis], predicted: &[Diagnosis]) -> Result<Self> {
        if truth.len() != predicted.len() {
            return Err(Error::new(
                ErrorKind::Mismatch,
                format!(
                    "{} true classes but {} predicted ones",
                    truth.len(),
                    predicted.len()
                ),
            ));
        }
        let mut matrix = Self::default();
        for (&t, &p) in truth.iter().zip(predicted) {
            matrix.add(t, p);
        }
        Ok(matrix)
    }

    /// Counts one more case.
    pub fn add(&mut self, truth: Diagnosis, predicted: Diagnosis) {
        self.counts[truth.index()][predicted.index()] += 1;
    }

    /// Number of cases.
    pub fn n(&self) -> u64 {
        self.counts.iter().flatten().sum()
    }

    /// Share of cases on the diagonal; `None` without cases.
    pub fn accuracy(&self) -> Option<f64> {
        ratio((0..3).map(|k| self.counts[k][k]).sum(), self.n())
    }

    /// All scores. An undefined recall (class absent from the truth) or precision (class never
    /// predicted) is `None` in its class's line and follows `policy` in the macro means.
    /// [`EmptyPolicy::Worst`] counts it as 0, as scikit-learn does with `zero_division=0`.
    ///
    /// # Errors
    /// `Empty` without any case.
    pub fn scores(&self, policy: EmptyPolicy) -> Result<ClassificationScores> {
        let n = self.n();
        let accuracy = self
            .accuracy()
            .ok_or_else(|| Error::new(ErrorKind::Empty, "there is no classified case to score"))?;
        let classes: Vec<ClassScores> = Diagnosis::ALL
            .into_iter()
            .map(|class| {
                let k = class.index();
                let hit = self.counts[k][k];
                let support = self.counts[k].iter().sum();
                let predicted = (0..3).map(|t| self.counts[t][k]).sum();
                ClassScores {
                    class,
                    support,
                    predicted,
                    recall: ratio(hit, support),
                    precision: ratio(hit, predicted),
                    f1: ratio(2 * hit, support + predicted),
                }
            })
            .collect();
        let aggregate = |value: fn(&ClassScores) -> Option<f64>| {
            Aggregate::from_values(&classes.iter().map(value).collect::<Vec<_>>(), policy, 0.0)
        };
        let recall = aggregate(|c| c.recall);
        let precision = aggregate(|c| c.precision);
        let f1 = aggregate(|c| c.f1);
        let harmonic = match (recall.mean, precision.mean) {
            (Some(r), Some(p)) if r + p > 0.0 => Some(2.0 * r * p / (r + p)),
            (Some(_), Some(_)) => Some(0.0),
            _ => None,
        };
        Ok(ClassificationScores {
            n,
            confusion: self.clone(),
            accuracy,
            macro_recall: recall.mean,
            macro_precision: precision.mean,
            macro_f1: f1.mean,
            macro_f1_harmonic: harmonic,
            n_undefined: recall.n_undefined + precision.n_undefined + f1.n_undefined,
            policy,
            classes,
        })
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// One class against the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassScores {
    /// The class.
    pub class: Diagnosis,
    /// Cases truly of the class.
    pub support: u64,
    /// Cases predicted to be of the class.
    pub predicted: u64,
    /// Share of the true cases that were found; `None` without true cases.
    pub recall: Option<f64>,
    /// Share of the predicted cases that are right; `None` if never predicted.
    pub precision: Option<f64>,
    /// 2·TP / (2·TP + FP + FN); `None` if neither true nor predicted.
    pub f1: Option<f64>,
}

/// Classification scores of a set of scans. All fractions lie in 0..=1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassificationScores {
    /// Number of cases.
    pub n: u64,
    /// Truth against prediction.
    pub confusion: ConfusionMatrix,
    /// Share of right cases.
    pub accuracy: f64,
    /// Per class, in logit order.
    pub classes: Vec<ClassScores>,
    /// Mean recall of the classes.
    pub macro_recall: Option<f64>,
    /// Mean precision of the classes.
    pub macro_precision: Option<f64>,
    /// Mean of the classes' F1.
    pub macro_f1: Option<f64>,
    /// Harmonic mean of macro precision and macro recall, the convention of the paper's tables.
    pub macro_f1_harmonic: Option<f64>,
    /// Undefined values among the per-class recalls, precisions and F1.
    pub n_undefined: usize,
    /// How the macro means treat undefined values.
    pub policy: EmptyPolicy,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_those_of_a_hand_calculation() {
        let m = ConfusionMatrix {
            counts: [[8, 2, 0], [1, 6, 3], [0, 0, 10]],
        };
        let s = m.scores(EmptyPolicy::Propagate).unwrap();
        assert_eq!(s.n, 30);
        assert_eq!(s.accuracy, 24.0 / 30.0);
        assert_eq!(s.classes[1].recall, Some(0.6));
        assert_eq!(s.classes[1].precision, Some(0.75));
        assert!((s.classes[1].f1.unwrap() - 2.0 * 0.6 * 0.75 / 1.35).abs() < 1e-12);
        assert!((s.macro_recall.unwrap() - 0.8).abs() < 1e-12);
        // The two conventions of a macro F1 differ.
        assert!((s.macro_f1.unwrap() - s.macro_f1_harmonic.unwrap()).abs() > 1e-4);
    }

    #[test]
    fn a_class_never_predicted_is_undefined_and_follows_the_policy() {
        let m = ConfusionMatrix {
            counts: [[5, 0, 0], [5, 0, 0], [0, 0, 5]],
        };
        let s = m.scores(EmptyPolicy::Propagate).unwrap();
        assert_eq!(s.classes[1].precision, None);
        assert_eq!((s.macro_precision, s.macro_f1_harmonic), (None, None));
        assert_eq!(s.n_undefined, 1);
        let worst = m.scores(EmptyPolicy::Worst).unwrap();
        assert_eq!(worst.macro_precision, Some(0.5));
        let skip = m.scores(EmptyPolicy::Skip).unwrap();
        assert_eq!(skip.macro_precision, Some(0.75));
    }

    #[test]
    fn bad_input_is_an_error() {
        let e = ConfusionMatrix::from_labels(&[Diagnosis::Cap], &[]).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Mismatch);
        let e = ConfusionMatrix::default()
            .scores(EmptyPolicy::Worst)
            .unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Empty);
    }
}
