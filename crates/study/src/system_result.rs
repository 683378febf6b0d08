//! The results of one system.

use multirnet::evaluation::intervals::value_under_policy;
use multirnet::evaluation::{CaseScore, Classification, Segmentation, SystemScores};
use multirnet_metrics::{CaseMetrics, EmptyPolicy, Metric};
use multirnet_nn::SystemCard;
use serde::Serialize;

/// The results of one system.
#[derive(Debug, Clone, Serialize)]
pub struct SystemResult {
    /// Its id.
    pub id: String,
    /// Its name in tables.
    pub label: String,
    /// Its card.
    pub card: SystemCard,
    /// Key of the paper's row that stands beside it.
    pub paper: Option<String>,
    /// Name of its group of trainings that differ only in their seed.
    pub group: Option<String>,
    /// Number of trained parameters.
    pub parameters: usize,
    /// Its scores over the test scans; an evaluation of one model writes the same.
    #[serde(flatten)]
    pub scores: SystemScores,
    /// Its scores, scan by scan.
    #[serde(skip)]
    pub cases: Vec<CaseScore>,
}

/// A score that is compared between two systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Compared {
    /// A segmentation metric.
    Segmentation(Metric),
    /// Whether a scan's class is right (1) or wrong (0).
    CorrectClass,
}

impl Compared {
    /// Name in tables and figures.
    pub fn label(self) -> &'static str {
        match self {
            Self::Segmentation(metric) => metric.label(),
            Self::CorrectClass => "correct class",
        }
    }
}

impl SystemResult {
    /// Lesion segmentation over the test scans, if the system segments.
    pub fn segmentation(&self) -> Option<&Segmentation> {
        self.scores.all.segmentation.as_ref()
    }

    /// Classification over the test scans, if the system classifies and the scans have several
    /// classes.
    pub fn classification(&self) -> Option<&Classification> {
        let found = self.scores.all.classification.as_ref();
        found.filter(|c| c.has_several_classes())
    }

    /// One metric in every test scan that truly has lesions; `None` where it is undefined. The list
    /// is empty for a system that does not segment.
    pub fn values(&self, metric: Metric) -> Vec<Option<f64>> {
        self.cases_with_lesions().map(|c| metric.value(c)).collect()
    }

    /// The segmentation scores of the test scans that truly have lesions.
    pub fn cases_with_lesions(&self) -> impl Iterator<Item = &CaseMetrics> {
        let all = self.cases.iter().filter_map(|s| s.segmentation.as_ref());
        all.filter(|c| !c.overlap.truth_is_empty())
    }

    pub(crate) fn compared(&self, what: Compared, policy: EmptyPolicy) -> Vec<Option<f64>> {
        match what {
            Compared::Segmentation(metric) => self
                .cases_with_lesions()
                .map(|c| value_under_policy(metric, c, policy))
                .collect(),
            Compared::CorrectClass => self
                .cases
                .iter()
                .filter_map(|s| Some(f64::from(u8::from(s.predicted()? == s.class?))))
                .map(Some)
                .collect(),
        }
    }
}
