//! Class scores of scans.

use super::intervals::scoring;
use super::{CaseScore, ScoreConfig};
use crate::Result;
use multirnet_metrics::{ClassificationScores, ConfusionMatrix};

/// Class scores of the scans whose class is known and was predicted; `None` without any.
pub(crate) fn classification(
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
    let matrix = ConfusionMatrix::from_labels(&truth, &predicted).map_err(scoring)?;
    Ok(Some(matrix.scores(config.empty).map_err(scoring)?))
}
