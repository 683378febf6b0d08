//! Lesion scores of a set of scans.

use crate::{Aggregate, EmptyPolicy, Overlap};
use serde::{Deserialize, Serialize};

/// One scan's overlap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseOverlap {
    /// Name of the scan.
    pub id: String,
    /// Overlap of predicted with true lesions.
    pub overlap: Overlap,
}

/// Scans that truly have no lesion: what was predicted there all the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FalsePositives {
    /// Scans without any true lesion.
    pub n: usize,
    /// Those in which a lesion was predicted.
    pub n_with_prediction: usize,
    /// Their share; undefined without such scans.
    #[serde(with = "crate::number")]
    pub rate: Option<f64>,
    /// Falsely predicted volume per scan, ml (all `n` scans, 0 where nothing was predicted).
    pub volume_ml: Aggregate,
}

impl FalsePositives {
    /// Counts what was predicted in scans without true lesion. All volumes are defined and finite,
    /// so that no policy changes anything.
    pub fn of<'a>(scans: impl IntoIterator<Item = &'a Overlap>) -> Self {
        let volumes: Vec<_> = scans
            .into_iter()
            .map(|o| Some(o.false_positive_ml()))
            .collect();
        let (n, n_with_prediction) = (
            volumes.len(),
            volumes
                .iter()
                .filter(|v| v.is_some_and(|v| v > 0.0))
                .count(),
        );
        Self {
            n,
            n_with_prediction,
            rate: (n > 0).then(|| n_with_prediction as f64 / n as f64),
            volume_ml: Aggregate::from_values(&volumes, EmptyPolicy::Propagate, f64::INFINITY),
        }
    }
}

/// Scores of a set of scans.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SegmentationScores {
    /// Volume Dice (0..=1) of the scans that truly have lesions.
    pub dice: Aggregate,
    /// The scans that truly have none.
    pub false_positives: FalsePositives,
}

impl SegmentationScores {
    /// Scores `cases`. Scans without true lesion are left out of the Dice and go into
    /// [`SegmentationScores::false_positives`]; every scan is in exactly one of the two.
    pub fn from_cases(cases: &[CaseOverlap], policy: EmptyPolicy) -> Self {
        let (free, bearing): (Vec<_>, Vec<_>) =
            cases.iter().partition(|c| c.overlap.truth_is_empty());
        let dice: Vec<_> = bearing.iter().map(|c| c.overlap.dice()).collect();
        Self {
            dice: Aggregate::from_values(&dice, policy, 0.0),
            false_positives: FalsePositives::of(free.iter().map(|c| &c.overlap)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(id: &str, tp: u64, fp: u64, fnn: u64) -> CaseOverlap {
        CaseOverlap {
            id: id.to_owned(),
            overlap: Overlap {
                true_positive: tp,
                false_positive: fp,
                false_negative: fnn,
                voxel_mm3: 500.0,
            },
        }
    }

    #[test]
    fn lesion_free_scans_have_their_own_line() {
        let cases = [
            case("a", 1, 0, 0),
            case("b", 1, 1, 1),
            case("c", 0, 0, 3),
            case("free", 0, 0, 0),
            case("false alarm", 0, 4, 0),
        ];
        let scores = SegmentationScores::from_cases(&cases, EmptyPolicy::Propagate);
        assert_eq!(scores.dice.n, 3);
        assert_eq!(scores.dice.mean, Some(0.5));
        let fp = &scores.false_positives;
        assert_eq!((fp.n, fp.n_with_prediction, fp.rate), (2, 1, Some(0.5)));
        assert_eq!(fp.volume_ml.mean, Some(1.0));
        assert_eq!(scores.dice.n + fp.n, cases.len());
    }

    #[test]
    fn no_scans_at_all() {
        let scores = SegmentationScores::from_cases(&[], EmptyPolicy::Skip);
        assert_eq!(
            (scores.dice.mean, scores.false_positives.rate),
            (None, None)
        );
    }
}
