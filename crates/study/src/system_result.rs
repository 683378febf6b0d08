//! The results of one system.

use multirnet::evaluation::intervals::value_under_policy;
use multirnet::evaluation::{CaseScore, SourceScores};
use multirnet_metrics::roc::OneVsRest;
use multirnet_metrics::stats::Interval;
use multirnet_metrics::{CaseMetrics, ClassificationScores, CohortMetrics, EmptyPolicy, Metric};
use multirnet_nn::SystemCard;
use serde::Serialize;
/// What one system came to.
#[derive(Debug, Clone, Serialize)]
pub struct SystemResult {
    /// Its id.
    pub id: String,
    /// Its name in tables.
    pub label: String,
    /// What is known of it.
    pub card: SystemCard,
    /// Key of the paper's row beside it.
    pub paper: Option<String>,
    /// Name of the group of trainings that differ in their seed only.
    pub group: Option<String>,
    /// Numbers that were trained.
    pub parameters: usize,
    /// Lesion segmentation, if the system segments.
    pub segmentation: Option<Segmentation>,
    /// The scores of each source of test scans by itself, in the order in which sources appear.
    pub sources: Vec<SourceScores>,
    /// Classification, if the system classifies and there is more than one class.
    pub classification: Option<Classification>,
    /// Its scores, scan by scan.
    #[serde(skip)]
    pub scores: Vec<CaseScore>,
}

/// Lesion segmentation over the test scans.
#[derive(Debug, Clone, Serialize)]
pub struct Segmentation {
    /// Means and counts.
    pub scores: CohortMetrics,
    /// Intervals of the paper's four means by patient, in the order of [`Metric::PAPER`].
    pub intervals: Vec<Interval>,
}

/// Classification over the test scans.
#[derive(Debug, Clone, Serialize)]
pub struct Classification {
    /// Accuracy, recall, precision, F1.
    pub scores: ClassificationScores,
    /// Interval of the accuracy by patient.
    pub accuracy: Interval,
    /// Curves and areas, each class against the rest.
    pub roc: OneVsRest,
}

/// What is compared between two systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Compared {
    /// A segmentation metric.
    Segmentation(Metric),
    /// Whether a scan's class is right (1) or wrong (0).
    CorrectClass,
}

impl Compared {
    /// Name for people.
    pub fn label(self) -> &'static str {
        match self {
            Self::Segmentation(metric) => metric.label(),
            Self::CorrectClass => "correct class",
        }
    }
}

impl SystemResult {
    /// One metric in every test scan that truly has lesions, `None` where undefined; nothing from a
    /// system that does not segment.
    pub fn values(&self, metric: Metric) -> Vec<Option<f64>> {
        self.cases_with_lesions().map(|c| metric.value(c)).collect()
    }

    /// The segmentation scores of the test scans that truly have lesions.
    pub fn cases_with_lesions(&self) -> impl Iterator<Item = &CaseMetrics> {
        let all = self.scores.iter().filter_map(|s| s.segmentation.as_ref());
        all.filter(|c| !c.overlap.truth_is_empty())
    }

    pub(crate) fn compared(&self, what: Compared, policy: EmptyPolicy) -> Vec<Option<f64>> {
        match what {
            Compared::Segmentation(metric) => self
                .cases_with_lesions()
                .map(|c| value_under_policy(metric, c, policy))
                .collect(),
            Compared::CorrectClass => self
                .scores
                .iter()
                .filter_map(|s| Some(f64::from(u8::from(s.predicted()? == s.class?))))
                .map(Some)
                .collect(),
        }
    }
}
