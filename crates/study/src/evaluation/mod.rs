//! One model scored on the scans of manifests, source by source.

mod csv_form;
mod pictures;
mod source;
mod tables;

pub use csv_form::{cases_csv, sources_csv};
pub use pictures::case_picture;
pub use source::{FalseLesions, KindScores, LARGE_MM2, METRICS, MetricIntervals, SourceScores};
pub use tables::{describe, tables};

use crate::case_score::CaseScore;
use crate::intervals::scoring;
use crate::parts::CasePrediction;
use crate::{Result, Said, ScoreConfig};
use multirnet_infer::ScoredOn;
use multirnet_metrics::segmentation::CaseOverlap;
use multirnet_metrics::{
    ClassificationScores, CohortMetrics, ConfusionMatrix, Overlap, SegmentationScores,
};
use multirnet_train::Case;
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
    /// Scores one prediction, as [`CaseScore::of`].
    ///
    /// # Errors
    /// As [`CaseScore::of`].
    pub fn of(
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
        let score = CaseScore::of(index, case, truth, lungs, &said, &config.surface)?;
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
    pub fn of(
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
            .then(|| CohortMetrics::of(&metrics, policy))
            .transpose()
            .map_err(scoring)?;
        let scores: Vec<&CaseScore> = cases.iter().map(|c| &c.score).collect();
        Ok(Self {
            segmentation: (!overlaps.is_empty()).then(|| SegmentationScores::of(&overlaps, policy)),
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
pub(crate) fn sources<'a>(
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
    all.map(|(name, own)| SourceScores::of(name, own, config))
        .collect()
}

/// Class scores of the scans whose class is known and was predicted; `None` without any.
fn classification(
    scores: &[&CaseScore],
    config: &ScoreConfig,
) -> Result<Option<ClassificationScores>> {
    let pairs = scores
        .iter()
        .filter_map(|s| Some((s.class?, s.predicted()?)));
    let (truth, predicted): (Vec<_>, Vec<_>) = pairs.unzip();
    if truth.is_empty() {
        return Ok(None);
    }
    let matrix = ConfusionMatrix::of(&truth, &predicted).map_err(scoring)?;
    Ok(Some(matrix.scores(config.empty).map_err(scoring)?))
}

/// What the scans of a source show, told by its name: names of phantoms begin with `phantom`, names
/// of scans with implanted lesions with `implant`, all others are patients. `None` without a name.
pub fn kind_of(source: &str) -> Option<ScoredOn> {
    if source.is_empty() {
        None
    } else if source.starts_with("phantom") {
        Some(ScoredOn::Phantoms)
    } else if source.starts_with("implant") {
        Some(ScoredOn::ImplantedLesions)
    } else {
        Some(ScoredOn::Patients)
    }
}

/// The kind of all sources together; `None` if they differ or one is not known.
pub(crate) fn common_kind<'a>(sources: impl IntoIterator<Item = &'a str>) -> Option<ScoredOn> {
    let mut kinds = sources.into_iter().map(kind_of);
    let first = kinds.next()??;
    kinds.all(|k| k == Some(first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_follow_the_sources_names() {
        assert_eq!(kind_of("phantoms"), Some(ScoredOn::Phantoms));
        assert_eq!(kind_of("implanted"), Some(ScoredOn::ImplantedLesions));
        assert_eq!(kind_of("coronacases-hu"), Some(ScoredOn::Patients));
        assert_eq!(kind_of(""), None);
        assert_eq!(common_kind(["a", "b"]), Some(ScoredOn::Patients));
        assert_eq!(common_kind(["a", "phantoms"]), None);
        assert_eq!(common_kind([]), None);
    }
}
