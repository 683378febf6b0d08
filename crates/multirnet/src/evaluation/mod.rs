//! The evaluation of one model on the scans of manifests, source by source.

pub mod calibration;
mod case_score;
mod classes;
mod config;
mod csv_form;
mod heat_score;
pub mod intervals;
mod lesion_reliability;
pub mod parts;
mod pictures;
pub mod published;
pub mod score_columns;
mod scores;
mod segmentation;
pub mod slices;
mod source_kind;
mod summary;
mod tables;

pub use calibration::Calibration;
pub use case_score::{CaseScore, Said};
pub use classes::Classification;
pub use config::ScoreConfig;
pub use csv_form::{cases_csv, csv, sources_csv};
pub use heat_score::{HeatScore, RANDOM_SEED};
pub use parts::{CasePrediction, predict_case};
pub use pictures::case_picture;
pub use scores::{Scores, SourceScores, SystemScores};
pub use segmentation::{
    FalseLesions, KindScores, LARGE_MM2, METRICS, MetricIntervals, Segmentation,
};
pub use source_kind::{common_kind, kind_of};
pub use summary::describe;
pub use tables::tables;

use crate::Result;
use multirnet_cohort::Case;
use multirnet_metrics::Overlap;
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
    /// Number of windows or tiles that the network computed.
    pub windows: usize,
    /// Total number of voxels of these windows.
    pub voxels: usize,
    /// Wall-clock seconds of the analysis, without reading and the lung segmentation.
    pub seconds: f64,
    /// The network's part of `seconds`.
    pub network_seconds: f64,
    /// Warnings about the input or the result.
    pub warnings: Vec<String>,
}

impl EvaluatedCase {
    /// Scores one prediction, like [`CaseScore::from_output`].
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
            probability: Some(&prediction.probability),
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

/// A model's scores. Its JSON holds the same fields as a study's `results.json` for each system, and
/// also the scans.
#[derive(Debug, Clone, Serialize)]
pub struct Evaluation {
    /// Description of the scored scans.
    pub cohort: String,
    /// Model name and digest.
    pub model: String,
    /// The scores of all scans together and of each source by itself.
    #[serde(flatten)]
    pub scores: SystemScores,
    /// Scans that could not be analysed, with the reason.
    pub failed: Vec<(String, String)>,
    /// The scores of each scan.
    pub cases: Vec<EvaluatedCase>,
}

impl Evaluation {
    /// The scores of `cases`.
    ///
    /// # Errors
    /// As [`SystemScores::from_cases`].
    pub fn from_cases(
        cohort: String,
        model: String,
        mut cases: Vec<EvaluatedCase>,
        failed: Vec<(String, String)>,
        config: &ScoreConfig,
    ) -> Result<Self> {
        let scores: Vec<&CaseScore> = cases.iter().map(|c| &c.score).collect();
        let scores = SystemScores::from_cases(&scores, config)?;
        for case in &mut cases {
            case.score.reliability = None;
        }
        Ok(Self {
            scores,
            cohort,
            model,
            failed,
            cases,
        })
    }
}
