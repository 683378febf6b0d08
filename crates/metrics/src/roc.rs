//! Receiver operating characteristic: each class against the rest.

use crate::{Aggregate, EmptyPolicy, Error, ErrorKind, Result};
use multirnet_volume::Diagnosis;
use serde::{Deserialize, Serialize};

/// One point of a curve: the rates at a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RocPoint {
    /// Cases with at least this score are called positive. Infinite at the first point, where no
    /// case is.
    #[serde(with = "threshold")]
    pub threshold: f64,
    /// Share of the negative cases called positive (1 − specificity).
    pub false_positive_rate: f64,
    /// Share of the positive cases called positive (sensitivity).
    pub true_positive_rate: f64,
}

/// A curve with the area under it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RocCurve {
    /// Positive cases.
    pub positives: usize,
    /// Negative cases.
    pub negatives: usize,
    /// From (0, 0) to (1, 1), one point per distinct score (scikit-learn's `roc_curve` with
    /// `drop_intermediate=False`). Cases of equal score are called positive together.
    pub points: Vec<RocPoint>,
    /// Area under the curve by the trapezoidal rule, 0..=1. It is the probability that a positive
    /// case scores higher than a negative one; ties count half.
    pub auc: f64,
}

impl RocCurve {
    /// The curve of `scores`, where higher means positive. It is undefined (`None`) without
    /// positive or without negative cases.
    ///
    /// # Errors
    /// `Mismatch` if the two lists differ in length, `Invalid` if a score is not finite.
    pub fn from_scores(positive: &[bool], scores: &[f64]) -> Result<Option<Self>> {
        if positive.len() != scores.len() {
            return Err(Error::new(
                ErrorKind::Mismatch,
                format!("{} classes but {} scores", positive.len(), scores.len()),
            ));
        }
        if let Some(score) = scores.iter().find(|s| !s.is_finite()) {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("a case's score is {score}, which cannot be ranked"),
            ));
        }
        let mut cases: Vec<(f64, bool)> = scores
            .iter()
            .copied()
            .zip(positive.iter().copied())
            .collect();
        cases.sort_by(|a, b| b.0.total_cmp(&a.0));
        let positives = positive.iter().filter(|&&p| p).count();
        let negatives = positive.len() - positives;
        if positives == 0 || negatives == 0 {
            return Ok(None);
        }
        let mut points = vec![RocPoint {
            threshold: f64::INFINITY,
            false_positive_rate: 0.0,
            true_positive_rate: 0.0,
        }];
        // Twice the area in units of pairs is a whole number and therefore exact.
        let (mut hits, mut alarms, mut twice_area) = (0usize, 0usize, 0u128);
        for tied in cases.chunk_by(|a, b| a.0 == b.0) {
            let before = hits;
            let new_hits = tied.iter().filter(|c| c.1).count();
            let new_alarms = tied.len() - new_hits;
            hits += new_hits;
            alarms += new_alarms;
            twice_area += new_alarms as u128 * (before + hits) as u128;
            points.push(RocPoint {
                threshold: tied[0].0,
                false_positive_rate: alarms as f64 / negatives as f64,
                true_positive_rate: hits as f64 / positives as f64,
            });
        }
        Ok(Some(Self {
            positives,
            negatives,
            points,
            auc: twice_area as f64 / (2.0 * positives as f64 * negatives as f64),
        }))
    }
}

/// The area under the curve of `scores`; see [`RocCurve::from_scores`].
///
/// # Errors
/// As [`RocCurve::from_scores`].
pub fn auc(positive: &[bool], scores: &[f64]) -> Result<Option<f64>> {
    Ok(RocCurve::from_scores(positive, scores)?.map(|c| c.auc))
}

/// One class against the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassRoc {
    /// The class.
    pub class: Diagnosis,
    /// Its curve; `None` if no case or every case is of the class.
    pub curve: Option<RocCurve>,
}

/// The curves of all classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OneVsRest {
    /// Per class, in logit order.
    pub classes: Vec<ClassRoc>,
    /// The classes' areas: their mean is the macro AUC (scikit-learn's `roc_auc_score` with
    /// `multi_class="ovr"`, `average="macro"`).
    pub auc: Aggregate,
}

impl OneVsRest {
    /// The curves of `probabilities`, one per class in logit order for each case. A class without a
    /// curve follows `policy` in the macro AUC, with 0 as its worst value.
    ///
    /// # Errors
    /// `Mismatch` if the two lists differ in length, `Invalid` if a probability is not finite.
    pub fn from_probabilities(
        truth: &[Diagnosis],
        probabilities: &[[f64; 3]],
        policy: EmptyPolicy,
    ) -> Result<Self> {
        let classes: Vec<ClassRoc> = Diagnosis::ALL
            .into_iter()
            .map(|class| {
                let positive: Vec<bool> = truth.iter().map(|&t| t == class).collect();
                let scores: Vec<f64> = probabilities.iter().map(|p| p[class.index()]).collect();
                Ok(ClassRoc {
                    class,
                    curve: RocCurve::from_scores(&positive, &scores)?,
                })
            })
            .collect::<Result<_>>()?;
        let areas: Vec<_> = classes
            .iter()
            .map(|c| c.curve.as_ref().map(|c| c.auc))
            .collect();
        Ok(Self {
            auc: Aggregate::from_values(&areas, policy, 0.0),
            classes,
        })
    }
}

/// A threshold that may be infinite.
mod threshold {
    use serde::{Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        crate::number::serialize(&Some(*value), to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        crate::number::deserialize(from)?
            .ok_or_else(|| de::Error::custom("the threshold is missing"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_count_half_and_share_a_point() {
        let curve = RocCurve::from_scores(&[true, false, true, false], &[0.9, 0.5, 0.5, 0.1]);
        let curve = curve.unwrap().unwrap();
        assert_eq!(curve.auc, 0.875);
        let rates: Vec<_> = curve
            .points
            .iter()
            .map(|p| (p.false_positive_rate, p.true_positive_rate))
            .collect();
        assert_eq!(rates, [(0.0, 0.0), (0.0, 0.5), (0.5, 1.0), (1.0, 1.0)]);
        let json = serde_json::to_string(&curve).unwrap();
        assert_eq!(serde_json::from_str::<RocCurve>(&json).unwrap(), curve);
    }

    #[test]
    fn one_class_alone_has_no_curve_and_bad_scores_are_refused() {
        assert_eq!(auc(&[true, true], &[0.1, 0.2]).unwrap(), None);
        let kind = |p: &[bool], s: &[f64]| auc(p, s).unwrap_err().kind();
        assert_eq!(kind(&[true], &[]), ErrorKind::Mismatch);
        assert_eq!(kind(&[true], &[f64::NAN]), ErrorKind::Invalid);
        let truth = [Diagnosis::Cap, Diagnosis::Normal];
        let p = [[0.2, 0.8, 0.0], [0.7, 0.3, 0.0]];
        let skip = OneVsRest::from_probabilities(&truth, &p, EmptyPolicy::Skip).unwrap();
        assert_eq!((skip.auc.mean, skip.auc.n_undefined), (Some(1.0), 1));
        let all = OneVsRest::from_probabilities(&truth, &p, EmptyPolicy::Propagate).unwrap();
        assert_eq!(all.auc.mean, None);
    }
}
