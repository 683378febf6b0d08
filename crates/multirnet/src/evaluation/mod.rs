//! One model scored on the scans of manifests, source by source.

mod case_score;
mod classes;
mod config;
mod csv_form;
pub mod intervals;
pub mod parts;
mod pictures;
pub mod published;
pub mod slices;
mod source;
mod source_kind;
mod tables;

pub use case_score::{CaseScore, Said};
pub use config::ScoreConfig;
pub use csv_form::{cases_csv, csv, sources_csv};
pub use parts::{CasePrediction, predict_case};
pub use pictures::case_picture;
pub use source::{FalseLesions, KindScores, LARGE_MM2, METRICS, MetricIntervals, SourceScores};
pub use source_kind::{common_kind, kind_of};
pub use tables::{describe, tables};

use crate::Result;
use classes::classification;
use intervals::scoring;
use multirnet_cohort::Case;
use multirnet_metrics::segmentation::CaseOverlap;
use multirnet_metrics::{ClassificationScores, CohortMetrics, Overlap, SegmentationScores};
use multirnet_volume::{Diagnosis, Volume};
use serde::Serialize;

/// The scores of one scan by the model.
#[derive(Debug, Clone, Serialize)]
pub struct EvaluatedCase {
    /// The scores.
    #[serde(flatten)]
    pub score: CaseScore,
    /// Its most probable class.
    pub predicted: Option<Diagnosis>,
    /// Lesion overlap; absent if the true lesions are unknown.
    pub overlap: Option<Overlap>,
    /// Volume Dice; absent if the true lesions are unknown or it is undefined.
    pub dice: Option<f64>,
    /// Windows or tiles that the network saw.
    pub windows: usize,
    /// Their voxels in all.
    pub voxels: usize,
    /// Wall-clock seconds of the analysis, without reading and the search for lungs.
    pub seconds: f64,
    /// Seconds of it that the network took.
    pub network_seconds: f64,
    /// Doubts about the input or the result.
    pub warnings: Vec<String>,
}

impl EvaluatedCase {
    /// Scores one prediction, as [`CaseScore::from_output`].
    ///
    /// # Errors
    /// As [`CaseScore::from_output`].
    pub fn from_prediction(
        index: usize,
        case: &Case,
        truth: Option<&Volume<u8>>,
        lungs: &Volume<u8>,
        prediction: &CasePrediction,
        lesion_channels: usize,
        config: &ScoreConfig,
    ) -> Result<Self> {
        let said = Said {
            lesions: Some(&prediction.lesions),
            lesion_channels,
            probabilities: Some(prediction.probabilities),
        };
        let score = CaseScore::from_output(index, case, truth, lungs, &said, &config.surface)?;
        let overlap = score.segmentation.as_ref().map(|s| s.overlap);
        Ok(Self {
            predicted: score.predicted(),
            dice: overlap.and_then(|o| o.dice()),
            overlap,
            windows: prediction.windows,
            voxels: prediction.voxels,
            seconds: prediction.seconds,
            network_seconds: prediction.network_seconds,
            warnings: prediction.warnings.clone(),
            score,
        })
    }
}

/// A model's scores.
#[derive(Debug, Clone, Serialize)]
pub struct Evaluation {
    /// What was scored.
    pub cohort: String,
    /// Model name and digest.
    pub model: String,
    /// Volume Dice and false lesions on the scans' own grids; absent if no scan's lesions are known.
    pub segmentation: Option<SegmentationScores>,
    /// All lesion scores; absent likewise.
    pub metrics: Option<CohortMetrics>,
    /// Class scores of the scans whose class is known; absent without any.
    pub classification: Option<ClassificationScores>,
    /// Each source by itself, in the order in which sources appear.
    pub sources: Vec<SourceScores>,
    /// Scans that could not be analysed, with the reason.
    pub failed: Vec<(String, String)>,
    /// Per scan.
    pub cases: Vec<EvaluatedCase>,
}

impl Evaluation {
    /// The scores of `cases`.
    ///
    /// # Errors
    /// `Scoring` if cases were scored differently or draws mean nothing.
    pub fn from_cases(
        cohort: String,
        model: String,
        cases: Vec<EvaluatedCase>,
        failed: Vec<(String, String)>,
        config: &ScoreConfig,
    ) -> Result<Self> {
        let policy = config.empty;
        let known = || cases.iter().filter_map(|c| c.score.segmentation.as_ref());
        let overlaps: Vec<_> = cases
            .iter()
            .filter_map(|c| {
                Some(CaseOverlap {
                    id: c.score.scan.clone(),
                    overlap: c.overlap?,
                })
            })
            .collect();
        let metrics: Vec<_> = known().cloned().collect();
        let metrics = (!metrics.is_empty())
            .then(|| CohortMetrics::from_cases(&metrics, policy))
            .transpose()
            .map_err(scoring)?;
        let scores: Vec<&CaseScore> = cases.iter().map(|c| &c.score).collect();
        Ok(Self {
            segmentation: (!overlaps.is_empty())
                .then(|| SegmentationScores::from_cases(&overlaps, policy)),
            metrics,
            classification: classification(&scores, config)?,
            sources: sources(scores.iter().copied(), config)?,
            cohort,
            model,
            failed,
            cases,
        })
    }
}

/// The scores of each source among `scores` by itself, in the order in which sources appear.
pub fn sources<'a>(
    scores: impl IntoIterator<Item = &'a CaseScore>,
    config: &ScoreConfig,
) -> Result<Vec<SourceScores>> {
    let mut sources: Vec<(&str, Vec<&CaseScore>)> = Vec::new();
    for score in scores {
        match sources.iter_mut().find(|s| s.0 == score.source) {
            Some(source) => source.1.push(score),
            None => sources.push((&score.source, vec![score])),
        }
    }
    let all = sources.iter();
    all.map(|(name, own)| SourceScores::from_scores(name, own, config))
        .collect()
}
