//! All scores of one scan, and of a set of scans.

use crate::surface::{SurfaceConfig, SurfaceScores};
use crate::{
    Aggregate, EmptyPolicy, Error, ErrorKind, FalsePositives, LesionConfig, LesionDetection,
    Overlap, Result,
};
use multirnet_volume::Volume;
use serde::{Deserialize, Serialize};

/// All scores of one predicted mask. In JSON, undefined and infinite values are words
/// ([`crate::number`]).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseMetrics {
    /// Counts of voxels and volumes.
    pub overlap: Overlap,
    /// Volume Dice, 0..=1; undefined if both masks are empty.
    #[serde(with = "crate::number")]
    pub dice: Option<f64>,
    /// Intersection over union, 0..=1; undefined if both masks are empty.
    #[serde(with = "crate::number")]
    pub iou: Option<f64>,
    /// Scores of the surfaces.
    pub surface: SurfaceScores,
    /// Single lesions found, missed and invented.
    pub lesions: LesionDetection,
    /// Length of the scan's diagonal, mm. No distance in the scan can be larger.
    pub diagonal_mm: f64,
}

impl CaseMetrics {
    /// Scores `predicted` against `truth`. Any label but 0 belongs to the mask;
    /// [`LesionConfig::default`] defines the lesions.
    ///
    /// # Errors
    /// `Mismatch` if the two do not lie on the same grid, `Invalid` for an unusable configuration
    /// or grid.
    pub fn from_masks(
        truth: &Volume<u8>,
        predicted: &Volume<u8>,
        surface: &SurfaceConfig,
    ) -> Result<Self> {
        Self::of_label(truth, predicted, None, surface, &LesionConfig::default())
    }

    /// Scores one `label` (`None`: any but 0).
    ///
    /// # Errors
    /// As [`Self::from_masks`].
    pub fn of_label(
        truth: &Volume<u8>,
        predicted: &Volume<u8>,
        label: Option<u8>,
        surface: &SurfaceConfig,
        lesions: &LesionConfig,
    ) -> Result<Self> {
        let overlap = match label {
            None => Overlap::from_masks(truth, predicted)?,
            Some(label) => Overlap::of_label(truth, predicted, label)?,
        };
        let (shape, spacing) = (truth.shape(), truth.geometry().spacing_mm());
        let sides = shape.iter().zip(spacing).map(|(&n, d)| n as f64 * d);
        Ok(Self {
            overlap,
            dice: overlap.dice(),
            iou: overlap.iou(),
            surface: SurfaceScores::from_masks(truth, predicted, label, surface)?,
            lesions: LesionDetection::from_masks(truth, predicted, label, lesions)?,
            diagonal_mm: sides.map(|s| s * s).sum::<f64>().sqrt(),
        })
    }
}

/// One metric of [`CaseMetrics`], with its name, unit and worst value for tables and tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Average surface distance, mean of the two directions.
    Asd,
    /// Volume Dice.
    Dice,
    /// Surface overlap at the tolerance, mean of the two directions.
    SurfaceOverlap,
    /// Surface Dice at the tolerance.
    SurfaceDice,
    /// Intersection over union.
    Iou,
    /// Average surface distance from the true surface to the predicted one.
    AsdTruthToPredicted,
    /// Average surface distance from the predicted surface to the true one.
    AsdPredictedToTruth,
    /// Average surface distance over both surfaces together.
    AsdPooled,
    /// 95th percentile of the Hausdorff distance.
    Hausdorff95,
    /// Hausdorff distance.
    Hausdorff,
    /// Share of the true lesions that were found.
    LesionSensitivity,
    /// Share of the predicted lesions that are not invented.
    LesionPrecision,
    /// F1 of single lesions.
    LesionF1,
    /// Share of the true lesion voxels that were predicted.
    Recall,
    /// Share of the predicted lesion voxels that are true.
    Precision,
}

impl Metric {
    /// All metrics, those of the paper's table 2 first.
    pub const ALL: [Self; 15] = [
        Self::Asd,
        Self::Dice,
        Self::SurfaceOverlap,
        Self::SurfaceDice,
        Self::Iou,
        Self::AsdTruthToPredicted,
        Self::AsdPredictedToTruth,
        Self::AsdPooled,
        Self::Hausdorff95,
        Self::Hausdorff,
        Self::LesionSensitivity,
        Self::LesionPrecision,
        Self::LesionF1,
        Self::Recall,
        Self::Precision,
    ];

    /// The four metrics of the paper's table 2, in its order.
    pub const PAPER: [Self; 4] = [
        Self::Asd,
        Self::Dice,
        Self::SurfaceOverlap,
        Self::SurfaceDice,
    ];

    /// Name for people, without unit.
    pub fn label(self) -> &'static str {
        match self {
            Self::Asd => "average surface distance",
            Self::Dice => "volume Dice",
            Self::SurfaceOverlap => "surface overlap",
            Self::SurfaceDice => "surface Dice",
            Self::Iou => "intersection over union",
            Self::AsdTruthToPredicted => "surface distance, truth to prediction",
            Self::AsdPredictedToTruth => "surface distance, prediction to truth",
            Self::AsdPooled => "surface distance, pooled",
            Self::Hausdorff95 => "Hausdorff distance, 95th percentile",
            Self::Hausdorff => "Hausdorff distance",
            Self::LesionSensitivity => "lesion sensitivity",
            Self::LesionPrecision => "lesion precision",
            Self::LesionF1 => "lesion F1",
            Self::Recall => "voxel recall",
            Self::Precision => "voxel precision",
        }
    }

    /// Whether the metric is a distance in mm, where less is better. All others are shares in
    /// 0..=1, where more is better; tables show them in percent.
    pub fn is_distance(self) -> bool {
        matches!(
            self,
            Self::Asd
                | Self::AsdTruthToPredicted
                | Self::AsdPredictedToTruth
                | Self::AsdPooled
                | Self::Hausdorff95
                | Self::Hausdorff
        )
    }

    /// Unit in tables: `mm` or `%`.
    pub fn unit(self) -> &'static str {
        if self.is_distance() { "mm" } else { "%" }
    }

    /// Factor from a value to its number in tables: 1 or, for percent, 100.
    pub fn table_scale(self) -> f64 {
        if self.is_distance() { 1.0 } else { 100.0 }
    }

    /// The metric's value in one case; `None` is undefined.
    pub fn value(self, case: &CaseMetrics) -> Option<f64> {
        let surface = &case.surface;
        match self {
            Self::Asd => surface.asd_mm,
            Self::Dice => case.dice,
            Self::SurfaceOverlap => surface.overlap,
            Self::SurfaceDice => surface.surface_dice,
            Self::Iou => case.iou,
            Self::AsdTruthToPredicted => surface.asd_truth_to_predicted_mm,
            Self::AsdPredictedToTruth => surface.asd_predicted_to_truth_mm,
            Self::AsdPooled => surface.asd_pooled_mm,
            Self::Hausdorff95 => surface.hausdorff_95_mm,
            Self::Hausdorff => surface.hausdorff_mm,
            Self::LesionSensitivity => case.lesions.sensitivity(),
            Self::LesionPrecision => case.lesions.precision(),
            Self::LesionF1 => case.lesions.f1(),
            Self::Recall => case.overlap.recall(),
            Self::Precision => case.overlap.precision(),
        }
    }

    /// The worst value that the metric can have in one case: the scan's diagonal for a distance, 0
    /// for a share. It replaces an undefined or infinite value under [`EmptyPolicy::Worst`].
    pub fn worst(self, case: &CaseMetrics) -> f64 {
        if self.is_distance() {
            case.diagonal_mm
        } else {
            0.0
        }
    }
}

/// One metric over scans.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricScores {
    /// The metric.
    pub metric: Metric,
    /// Its mean and spread, in mm or as a share in 0..=1.
    #[serde(flatten)]
    pub aggregate: Aggregate,
}

/// The scores of a set of scans.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CohortMetrics {
    /// Convention and tolerance of the surface scores.
    pub surface: SurfaceConfig,
    /// Scans, lesion-free ones included.
    pub n_scans: usize,
    /// Every metric over the scans that truly have lesions, in the order of [`Metric::ALL`].
    pub scores: Vec<MetricScores>,
    /// The scans that truly have none.
    pub false_positives: FalsePositives,
    /// Single lesions of all scans together, lesion-free ones included; `None` if the scans'
    /// [`LesionConfig`]s differ.
    pub lesions: Option<LesionDetection>,
}

impl CohortMetrics {
    /// Scores `cases`. The metrics cover the scans with true lesions, and [`Self::false_positives`]
    /// covers the others. Every scan is in exactly one of the two. Under [`EmptyPolicy::Worst`] an
    /// undefined or infinite distance counts as its own scan's diagonal.
    ///
    /// # Errors
    /// `Empty` without cases, `Mismatch` if their conventions or tolerances differ.
    pub fn from_cases(cases: &[CaseMetrics], policy: EmptyPolicy) -> Result<Self> {
        let first = cases
            .first()
            .ok_or_else(|| Error::new(ErrorKind::Empty, "there is no scan to score"))?;
        let surface = first.surface.config;
        if let Some(other) = cases.iter().find(|c| c.surface.config != surface) {
            let other = other.surface.config;
            return Err(Error::new(
                ErrorKind::Mismatch,
                format!(
                    "scans were scored by convention {} at {} mm and by {} at {} mm",
                    surface.convention, surface.tolerance_mm, other.convention, other.tolerance_mm
                ),
            )
            .hint("score all with one configuration"));
        }
        let (free, bearing): (Vec<&CaseMetrics>, Vec<_>) =
            cases.iter().partition(|c| c.overlap.truth_is_empty());
        let scores = Metric::ALL.map(|metric| {
            let values: Vec<_> = bearing.iter().map(|c| metric.value(c)).collect();
            let worst: Vec<_> = bearing.iter().map(|c| metric.worst(c)).collect();
            MetricScores {
                metric,
                aggregate: Aggregate::of_each(&values, policy, &worst),
            }
        });
        let lesions: Vec<_> = cases.iter().map(|c| c.lesions).collect();
        Ok(Self {
            surface,
            n_scans: cases.len(),
            scores: scores.to_vec(),
            false_positives: FalsePositives::of(free.iter().map(|c| &c.overlap)),
            lesions: LesionDetection::pool(&lesions),
        })
    }

    /// One metric's mean and spread.
    pub fn score(&self, metric: Metric) -> Option<&Aggregate> {
        let found = self.scores.iter().find(|s| s.metric == metric);
        found.map(|s| &s.aggregate)
    }
}
