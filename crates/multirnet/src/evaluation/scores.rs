//! The scores of one system, as both `compare` and `evaluate` write them.

use super::Calibration;
use super::classes::Classification;
use super::intervals::{patients, scoring};
use super::segmentation::Segmentation;
use super::source_kind::kind_of;
use super::{CaseScore, ScoreConfig};
use crate::Result;
use multirnet_finding::ScoredOn;
use multirnet_metrics::stats::BlandAltman;
use serde::Serialize;

/// The scores of one system on a set of scans.
#[derive(Debug, Clone, Serialize)]
pub struct Scores {
    /// Number of scans.
    pub scans: usize,
    /// Number of patients.
    pub patients: usize,
    /// Lesion scores; `None` if no scan's lesions are known and predicted.
    pub segmentation: Option<Segmentation>,
    /// Class scores; `None` if no scan's class is known and predicted.
    pub classification: Option<Classification>,
    /// Whether the probabilities say how often something is the case.
    pub calibration: Calibration,
    /// Agreement of the predicted lesions' share of the lungs with that of the true ones, as shares in 0..=1; `None`
    /// below two scans with known and predicted lesions.
    pub involvement: Option<BlandAltman>,
    /// Positions in the set of the scans whose lesions are unknown or not predicted.
    pub lesions_unknown: Vec<usize>,
}

/// The scores of one system on the scans of one source.
#[derive(Debug, Clone, Serialize)]
pub struct SourceScores {
    /// The source's name; may be empty.
    pub source: String,
    /// Kind of its scans; `None` if it is unknown.
    pub kind: Option<ScoredOn>,
    /// The scores.
    #[serde(flatten)]
    pub scores: Scores,
}

/// The scores of one system on all test scans, and source by source. The part of a study's
/// `results.json` that describes a system and the `scores.json` of an evaluation both hold it.
#[derive(Debug, Clone, Serialize)]
pub struct SystemScores {
    /// All scans together.
    #[serde(flatten)]
    pub all: Scores,
    /// Each source by itself, in the order in which sources appear.
    pub sources: Vec<SourceScores>,
}

impl Scores {
    /// The scores of the scans `cases`.
    ///
    /// # Errors
    /// `Scoring` if scans were scored differently, or for unusable draws.
    pub fn from_cases(cases: &[&CaseScore], config: &ScoreConfig) -> Result<Self> {
        let is_unknown = |i: &usize| cases[*i].segmentation.is_none();
        Ok(Self {
            scans: cases.len(),
            patients: patients(cases.iter().copied()).len(),
            segmentation: Segmentation::from_cases(cases, config)?,
            classification: Classification::from_cases(cases, config)?,
            calibration: Calibration::from_cases(cases)?,
            involvement: involvement(cases)?,
            lesions_unknown: (0..cases.len()).filter(is_unknown).collect(),
        })
    }
}

fn involvement(cases: &[&CaseScore]) -> Result<Option<BlandAltman>> {
    let pairs = cases
        .iter()
        .filter_map(|c| c.lesion_share.zip(c.true_share));
    let (predicted, truth): (Vec<f64>, Vec<f64>) = pairs.unzip();
    let enough = predicted.len() > 1;
    enough
        .then(|| BlandAltman::from_pairs(&predicted, &truth).map_err(scoring))
        .transpose()
}

impl SystemScores {
    /// The scores of the scans `cases`, of any sources.
    ///
    /// # Errors
    /// As [`Scores::from_cases`].
    pub fn from_cases(cases: &[&CaseScore], config: &ScoreConfig) -> Result<Self> {
        let mut groups: Vec<(&str, Vec<&CaseScore>)> = Vec::new();
        for case in cases {
            match groups.iter_mut().find(|g| g.0 == case.source) {
                Some(group) => group.1.push(case),
                None => groups.push((&case.source, vec![case])),
            }
        }
        let all = Scores::from_cases(cases, config)?;
        let is_only = groups.len() == 1;
        let source = |(name, own): (&str, Vec<&CaseScore>)| {
            Ok(SourceScores {
                source: name.to_owned(),
                kind: kind_of(name),
                // The bootstrap takes most of the time. A source that holds all scans therefore
                // does not repeat it.
                scores: if is_only {
                    all.clone()
                } else {
                    Scores::from_cases(&own, config)?
                },
            })
        };
        let sources = groups.into_iter().map(source).collect::<Result<_>>()?;
        Ok(Self { all, sources })
    }
}
