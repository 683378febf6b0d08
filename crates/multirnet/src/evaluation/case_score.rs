//! The scores of one scan. `compare` and `evaluate` share this scorer.

use super::HeatScore;
use super::lesion_reliability::lesion_reliability;
use crate::{Error, ErrorKind, Result};
use multirnet_cohort::Case;
use multirnet_finding::{LesionKind, NativeMap, Probabilities};
use multirnet_metrics::{CaseMetrics, Overlap, Reliability, SurfaceConfig};
use multirnet_volume::{Diagnosis, Orientation, Volume};
use serde::{Deserialize, Serialize};

/// The scores of one scan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseScore {
    /// Position of the scan in the cohort.
    pub case: usize,
    /// Its name.
    #[serde(rename = "name", alias = "scan")]
    pub scan: String,
    /// Its patient.
    pub patient: String,
    /// Name of its data set; may be empty.
    #[serde(default)]
    pub source: String,
    /// Its true class; `None` if it is unknown.
    #[serde(rename = "truth", alias = "class")]
    pub class: Option<Diagnosis>,
    /// Scores of the lesion mask on the scan's own grid; `None` from a system that only classifies,
    /// and if the true lesions are unknown.
    pub segmentation: Option<CaseMetrics>,
    /// Overlap of each kind of lesion in the order of [`LesionKind::ALL`]; `None` unless truth and
    /// system tell them apart.
    #[serde(default)]
    pub kinds: Option<[Overlap; 2]>,
    /// Largest area of falsely predicted lesion in one axial slice, mm²; `None` as `segmentation`.
    #[serde(default)]
    pub false_area_mm2: Option<f64>,
    /// Volume of the predicted lesions, ml; `None` from a system that only classifies.
    #[serde(default)]
    pub lesion_ml: Option<f64>,
    /// Share of the lungs' voxels that are predicted lesion; `None` as `lesion_ml`, and without
    /// lungs.
    #[serde(default)]
    pub lesion_share: Option<f64>,
    /// Volume of the true lesions as a share of that of the lungs; `None` as `segmentation`, and without lungs.
    /// Lesions beyond the lung mask count too, so this may exceed 1.
    #[serde(default)]
    pub true_share: Option<f64>,
    /// The lesion probability of the lungs' voxels beside the truth; `None` as `segmentation`, and if only labels are
    /// known. An evaluation keeps it for its sources alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reliability: Option<Reliability>,
    /// Class probabilities; `None` from a system that only segments.
    pub probabilities: Option<Probabilities>,
    /// Where the heat of the most probable class lies; `None` if no heat map was asked for or none can be made. Its
    /// lesions are the true ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heat: Option<HeatScore>,
}

/// The outputs of a system for a scan.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    /// Lesion labels on the scan's own grid, if it segments.
    pub lesions: Option<&'a Volume<u8>>,
    /// Number of lesion labels that it tells apart.
    pub lesion_channels: usize,
    /// Lesion probability on the same grid, if it is kept.
    pub probability: Option<&'a NativeMap>,
    /// Class probabilities, if it classifies.
    pub probabilities: Option<Probabilities>,
}

impl CaseScore {
    /// Scores the outputs `said` for scan number `index`. `truth` holds its true lesions (`None`:
    /// unknown) and `lungs` its lungs, both on the grid of the predicted lesions.
    ///
    /// # Errors
    /// `Scoring` if the grids differ or `surface` is out of range.
    pub fn from_output(
        index: usize,
        case: &Case,
        truth: Option<&Volume<u8>>,
        lungs: &Volume<u8>,
        said: &Said<'_>,
        surface: &SurfaceConfig,
    ) -> Result<Self> {
        let fail = |e: &dyn std::fmt::Display| {
            Error::new(ErrorKind::Scoring, e.to_string()).at(&case.scan)
        };
        let mut score = Self {
            case: index,
            scan: case.name(),
            patient: case.patient.clone(),
            source: case.source.clone(),
            class: case.class,
            segmentation: None,
            kinds: None,
            false_area_mm2: None,
            lesion_ml: None,
            lesion_share: None,
            true_share: None,
            reliability: None,
            probabilities: said.probabilities,
            heat: None,
        };
        let Some(lesions) = said.lesions else {
            return Ok(score);
        };
        lesions.check_same_grid(lungs).map_err(|e| fail(&e))?;
        let marked = lesions.data().iter().filter(|l| **l != 0).count();
        let lung = lungs.data().iter().filter(|l| **l != 0).count();
        score.lesion_ml = Some(marked as f64 * lesions.geometry().voxel_mm3() / 1000.0);
        score.lesion_share = (lung > 0).then(|| marked as f64 / lung as f64);
        let Some(truth) = truth else {
            return Ok(score);
        };
        score.segmentation =
            Some(CaseMetrics::from_masks(truth, lesions, surface).map_err(|e| fail(&e))?);
        score.false_area_mm2 = Some(false_area_mm2(truth, lesions));
        let true_voxels = truth.data().iter().filter(|l| **l != 0).count();
        score.true_share = (lung > 0).then(|| true_voxels as f64 / lung as f64);
        score.reliability = said
            .probability
            .map(|map| lesion_reliability(map, truth, lungs))
            .transpose()?;
        let told_apart = case.mask_values.len() > 1 || truth.data().contains(&2);
        if told_apart && said.lesion_channels > 1 {
            let overlap = |kind: LesionKind| {
                Overlap::of_label(truth, lesions, kind.value()).map_err(|e| fail(&e))
            };
            let [first, second] = LesionKind::ALL;
            score.kinds = Some([overlap(first)?, overlap(second)?]);
        }
        Ok(score)
    }

    /// The most probable class. A tie goes to the first class.
    pub fn predicted(&self) -> Option<Diagnosis> {
        let p = self.probabilities?;
        Some(p.top())
    }

    /// Whether its lesions are known and it has none.
    pub fn is_lesion_free(&self) -> bool {
        let known = self.segmentation.as_ref();
        known.is_some_and(|s| s.overlap.truth_is_empty())
    }

    /// Whether its lesions are known and it has some.
    pub fn has_lesions(&self) -> bool {
        let known = self.segmentation.as_ref();
        known.is_some_and(|s| !s.overlap.truth_is_empty())
    }
}

/// Largest area of `predicted` outside `truth` in one axial slice, mm². Both lie on one grid.
fn false_area_mm2(truth: &Volume<u8>, predicted: &Volume<u8>) -> f64 {
    let geometry = truth.geometry();
    if geometry.orientation() != Orientation::CANONICAL {
        return false_area_mm2(&truth.to_canonical(), &predicted.to_canonical());
    }
    let [_, row_mm, column_mm] = geometry.spacing_mm();
    let most = (0..truth.shape()[0])
        .map(|z| {
            let pairs = truth.plane(z).iter().zip(predicted.plane(z));
            pairs.filter(|(t, p)| **t == 0 && **p != 0).count()
        })
        .max();
    most.unwrap_or(0) as f64 * row_mm * column_mm
}

#[cfg(test)]
mod tests {
    use super::*;
    use multirnet_volume::Geometry;

    fn grid() -> Geometry {
        Geometry::axial([2, 2, 3], [5.0, 2.0, 10.0]).unwrap()
    }

    fn mask(values: [u8; 12]) -> Volume<u8> {
        Volume::new(values.to_vec(), grid()).unwrap()
    }

    fn said(lesions: &Volume<u8>, lesion_channels: usize) -> Said<'_> {
        Said {
            lesions: Some(lesions),
            lesion_channels,
            probability: None,
            probabilities: Some(Probabilities::from_array([0.2, 0.2, 0.6])),
        }
    }

    fn score(truth: Option<&Volume<u8>>, said: &Said<'_>) -> CaseScore {
        let mut case = Case::new("a.nii", None, Diagnosis::Covid19, "p");
        case.source = "s".into();
        let lungs = Volume::filled(1u8, grid());
        CaseScore::from_output(3, &case, truth, &lungs, said, &SurfaceConfig::default()).unwrap()
    }

    #[test]
    fn volume_share_and_largest_false_area_by_hand() {
        let truth = mask([1, 1, 0, 0, 0, 0, /* */ 1, 0, 0, 0, 0, 0]);
        let predicted = mask([1, 0, 1, 0, 0, 0, /* */ 0, 0, 0, 1, 1, 1]);
        let score = score(Some(&truth), &said(&predicted, 1));
        // Five voxels of 100 mm³; three false ones of 20 mm² in the second slice.
        assert_eq!(score.lesion_ml, Some(0.5));
        assert_eq!(score.lesion_share, Some(5.0 / 12.0));
        assert_eq!(score.true_share, Some(3.0 / 12.0));
        assert_eq!(score.false_area_mm2, Some(60.0));
        assert!(score.has_lesions() && !score.is_lesion_free());
        assert_eq!(score.kinds, None);
        assert_eq!(score.predicted(), Some(Diagnosis::Covid19));
        let json = serde_json::to_value(&score).unwrap();
        assert_eq!(
            (&json["name"], &json["truth"]),
            (&"a.nii".into(), &"covid19".into())
        );
        let read: CaseScore = serde_json::from_value(json).unwrap();
        assert_eq!((read.class, read.case), (score.class, 3));
    }

    #[test]
    fn an_axial_slice_is_one_however_the_array_lies() {
        let truth = mask([0; 12]);
        let predicted = mask([1, 0, 1, 0, 0, 0, /* */ 0, 0, 0, 1, 1, 1]);
        let turned = Orientation::all()[11];
        assert_ne!(turned, Orientation::CANONICAL);
        let area = false_area_mm2(&truth.reorient(turned), &predicted.reorient(turned));
        assert_eq!(area, 60.0);
    }

    #[test]
    fn kinds_need_a_truth_and_a_system_that_tell_them_apart() {
        let truth = mask([1, 1, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0]);
        let predicted = mask([1, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let kinds = score(Some(&truth), &said(&predicted, 2)).kinds.unwrap();
        let dice = kinds.map(|k| k.dice().unwrap());
        assert!((dice[0] - 2.0 / 3.0).abs() < 1e-12 && dice[1] == 0.5);
        assert_eq!(score(Some(&truth), &said(&predicted, 1)).kinds, None);
        let one = truth.map(|l| u8::from(l != 0));
        assert_eq!(score(Some(&one), &said(&predicted, 2)).kinds, None);
    }

    #[test]
    fn unknown_lesions_are_not_scored() {
        let predicted = mask([1; 12]);
        let score = score(None, &said(&predicted, 1));
        assert_eq!(
            (score.segmentation.clone(), score.false_area_mm2),
            (None, None)
        );
        assert_eq!(
            (score.lesion_ml, score.lesion_share),
            (Some(1.2), Some(1.0))
        );
        assert_eq!((score.true_share, score.reliability.clone()), (None, None));
        assert!(!score.has_lesions() && !score.is_lesion_free());
    }
}
