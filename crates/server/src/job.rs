//! A job: one scan, and what became of it.

use multirnet::dicom::EarlierResult;
use multirnet::{Diagnosis, Finding, Probabilities};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use utoipa::ToSchema;

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// It waits.
    Queued,
    /// It is analysed.
    Running,
    /// It has results.
    Done,
    /// It could not be analysed; `error` says why.
    Failed,
    /// Someone cancelled it.
    Cancelled,
}

impl JobState {
    /// All states.
    pub const ALL: [Self; 5] = [
        Self::Queued,
        Self::Running,
        Self::Done,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Name in the interface and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }

    /// Whether nothing of the job is left to do.
    pub fn is_finished(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// How a scan came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobSource {
    /// As an upload.
    Upload,
    /// By a path on the server.
    Path,
    /// By C-STORE or STOW-RS.
    Network,
}

impl JobSource {
    /// Name in the interface and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Path => "path",
            Self::Network => "network",
        }
    }

    /// The source of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Upload, Self::Path, Self::Network]
            .into_iter()
            .find(|s| s.name() == name)
    }
}

/// Why a job failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobError {
    /// `scan`, `memory`, `disk` or `internal`.
    pub kind: String,
    /// The reason.
    pub reason: String,
    /// What to do.
    pub hint: Option<String>,
}

/// A class in a request.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
#[allow(dead_code, reason = "only its description is used")]
pub(crate) enum ClassName {
    /// No pneumonia.
    Normal,
    /// Community-acquired pneumonia.
    Cap,
    /// COVID-19.
    Covid19,
}

/// What readers did with a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The model's result is confirmed.
    Confirmed,
    /// The result was corrected.
    Corrected,
}

impl Verdict {
    /// Name in the interface and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Corrected => "corrected",
        }
    }

    /// The verdict of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Confirmed, Self::Corrected]
            .into_iter()
            .find(|v| v.name() == name)
    }
}

/// Probability of each class, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ClassProbabilities {
    /// Normal lungs.
    pub normal: f64,
    /// Community-acquired pneumonia.
    pub cap: f64,
    /// COVID-19.
    pub covid19: f64,
}

impl From<&Probabilities> for ClassProbabilities {
    fn from(p: &Probabilities) -> Self {
        let of = |d: Diagnosis| p.to_array()[d.index()];
        Self {
            normal: of(Diagnosis::Normal),
            cap: of(Diagnosis::Cap),
            covid19: of(Diagnosis::Covid19),
        }
    }
}

/// A job as the interface shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// Its name in the interface.
    pub id: String,
    /// The scan's name for people.
    pub name: String,
    /// How far it is.
    pub state: JobState,
    /// Share of the analysis that is done, 0 to 1.
    pub progress: f64,
    /// What is done just now.
    pub stage: Option<String>,
    /// Jobs of a higher priority come first.
    pub priority: i32,
    /// When it was taken in, milliseconds since 1970.
    pub created_ms: i64,
    /// When its analysis began.
    pub started_ms: Option<i64>,
    /// When it ended.
    pub finished_ms: Option<i64>,
    /// Seconds from the beginning to the end of its analysis.
    pub seconds: Option<f64>,
    /// How the scan came.
    pub source: JobSource,
    /// `dicom`, `nifti`, `nrrd` or `metaimage`, once the scan is read.
    pub format: Option<String>,
    /// The patient, as the scan or the uploader names it.
    pub patient: Option<String>,
    /// Study date, YYYYMMDD.
    pub study_date: Option<String>,
    /// Series description.
    pub description: Option<String>,
    /// The model that analysed the scan.
    pub model: Option<String>,
    /// The most probable class.
    #[schema(value_type = Option<String>)]
    pub diagnosis: Option<Diagnosis>,
    /// Probability of each class.
    pub probabilities: Option<ClassProbabilities>,
    /// Lesion volume as a share of the lungs, 0 to 1.
    pub share_involved: Option<f64>,
    /// Lesion volume in millilitres.
    pub lesion_ml: Option<f64>,
    /// Severity score, 0 to 24.
    pub severity_score: Option<u8>,
    /// Doubts about the scan or the result.
    pub warnings: Vec<String>,
    /// Why the job failed.
    pub error: Option<JobError>,
    /// Number of corrections and confirmations.
    pub corrections: u32,
    /// The latest verdict of a reader.
    pub reviewed: Option<Verdict>,
    /// Whether there is a small picture.
    pub has_thumbnail: bool,
}

/// Where a job's scan lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ScanPlace {
    /// In the job's folder `scan`, under this name; empty for the folder itself.
    Stored(String),
    /// Anywhere below an allowed root.
    Path(PathBuf),
}

/// What is needed to analyse a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct JobInput {
    /// Where the scan lies.
    pub place: ScanPlace,
    /// Results that those of this job replace.
    #[serde(default)]
    pub replaces: Vec<Replaced>,
}

/// An [`EarlierResult`] in the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Replaced {
    pub series_uid: String,
    pub sop_class_uid: String,
    pub instance_uid: String,
}

impl From<&Replaced> for EarlierResult {
    fn from(r: &Replaced) -> Self {
        Self {
            series_uid: r.series_uid.clone(),
            sop_class_uid: r.sop_class_uid.clone(),
            instance_uid: r.instance_uid.clone(),
        }
    }
}

/// A job that is to be taken in.
#[derive(Debug, Clone)]
pub(crate) struct NewJob {
    pub id: String,
    /// The same key gives the same job.
    pub key: Option<String>,
    pub name: String,
    pub priority: i32,
    pub source: JobSource,
    pub input: JobInput,
    pub patient: Option<String>,
}

/// What an analysis says of a scan besides its finding.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ScanFacts {
    pub format: String,
    pub patient: Option<String>,
    pub study_date: Option<String>,
    pub description: Option<String>,
}

/// The result of a job as the database keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct JobSummary {
    pub facts: ScanFacts,
    /// How people know the scan.
    pub shown: String,
    pub model: String,
    pub diagnosis: Diagnosis,
    pub probabilities: ClassProbabilities,
    pub share_involved: f64,
    pub lesion_ml: f64,
    pub severity_score: u8,
    pub warnings: Vec<String>,
}

impl JobSummary {
    pub fn new(facts: ScanFacts, shown: String, finding: &Finding) -> Self {
        let both = &finding.involvement.both;
        let warnings = finding.warnings.iter().chain(&finding.source.warnings);
        let mut seen: Vec<String> = Vec::new();
        for warning in warnings {
            if !seen.contains(warning) {
                seen.push(warning.clone());
            }
        }
        Self {
            facts,
            shown,
            model: finding.provenance.model.clone(),
            diagnosis: finding.diagnosis,
            probabilities: (&finding.probabilities).into(),
            share_involved: both.fraction,
            lesion_ml: both.lesion_ml,
            severity_score: finding.involvement.severity_score,
            warnings: seen,
        }
    }
}
