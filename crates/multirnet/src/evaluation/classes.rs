//! Class scores of scans.

use super::intervals::{patients, scoring};
use super::{CaseScore, ScoreConfig};
use crate::Result;
use multirnet_metrics::roc::OneVsRest;
use multirnet_metrics::stats::{Interval, bootstrap};
use multirnet_metrics::{ClassificationScores, ConfusionMatrix};
use multirnet_volume::Diagnosis;
use serde::Serialize;

/// Class scores of the scans whose class is known and was predicted.
#[derive(Debug, Clone, Serialize)]
pub struct Classification {
    /// Confusion matrix, accuracy, recall, precision, F1.
    #[serde(flatten)]
    pub scores: ClassificationScores,
    /// The accuracy with its interval by patient.
    pub accuracy_interval: Interval,
    /// Curves and areas, each class against the rest.
    pub roc: OneVsRest,
}

impl Classification {
    /// The class scores of `scores`; `None` if no class is known and predicted.
    ///
    /// # Errors
    /// `Scoring` for unusable draws or a probability that is not a number.
    pub fn from_cases(scores: &[&CaseScore], config: &ScoreConfig) -> Result<Option<Self>> {
        let mut known: Vec<&CaseScore> = Vec::new();
        let (mut truth, mut predicted) = (Vec::new(), Vec::new());
        let mut probabilities: Vec<[f64; 3]> = Vec::new();
        for score in scores {
            if let (Some(class), Some(p)) = (score.class, score.probabilities) {
                known.push(score);
                truth.push(class);
                predicted.push(p.top());
                probabilities.push(p.to_array());
            }
        }
        if known.is_empty() {
            return Ok(None);
        }
        let by_patient = patients(known.iter().copied());
        let accuracy = |drawn: &[usize]| {
            let scans = drawn.iter().flat_map(|&p| &by_patient[p]);
            let (hits, n) = scans.fold((0usize, 0usize), |(hits, n), &i| {
                (hits + usize::from(truth[i] == predicted[i]), n + 1)
            });
            Some(hits as f64 / n as f64)
        };
        let matrix = ConfusionMatrix::from_labels(&truth, &predicted).map_err(scoring)?;
        Ok(Some(Self {
            scores: matrix.scores(config.empty).map_err(scoring)?,
            accuracy_interval: bootstrap(by_patient.len(), &config.bootstrap, accuracy)
                .map_err(scoring)?,
            roc: OneVsRest::from_probabilities(&truth, &probabilities, config.empty)
                .map_err(scoring)?,
        }))
    }

    /// Whether the scans have several classes. A single class does not test whether the system tells
    /// classes apart.
    pub fn has_several_classes(&self) -> bool {
        let scans = |class: Diagnosis| self.scores.classes[class.index()].support;
        Diagnosis::ALL.into_iter().filter(|c| scans(*c) > 0).count() > 1
    }
}
