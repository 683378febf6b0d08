//! What is known of one scan of a list after its analysis, in few figures.

use crate::{Error, ErrorKind, Result};
use multirnet_base::host;
use multirnet_cohort::ListedScan;
use multirnet_finding::{Finding, LesionKind};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The state of a scan of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScanState {
    /// It has its results.
    Done,
    /// It could not be analysed.
    Failed,
    /// Nothing is known of it yet.
    Missing,
}

impl ScanState {
    /// Name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Missing => "missing",
        }
    }
}

/// The record of one scan: a row of the merged table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The path as the manifest writes it.
    pub scan: String,
    /// Name of the scan's results ([`super::scan_name`]).
    pub name: String,
    /// The scan's state.
    pub state: ScanState,
    /// The figures of the finding, if the scan is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figures: Option<Figures>,
    /// The reason, if the scan has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureReason>,
    /// Wall-clock seconds from reading to writing.
    pub seconds: f64,
    /// Name of the machine that worked on it.
    pub host: String,
}

/// The main figures of a finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// The most probable class: `normal`, `cap` or `covid19`.
    pub class: String,
    /// Probabilities of the classes in logit order.
    pub probabilities: [f64; 3],
    /// Volume of both lungs in ml.
    pub lungs_ml: f64,
    /// Volume of all lesions in ml.
    pub lesion_ml: f64,
    /// Share of the lungs that is lesion, 0 to 1.
    pub involved: f64,
    /// Severity score, 0 to 24.
    pub severity_score: u8,
    /// Volume of ground glass in ml, if the model tells kinds apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ground_glass_ml: Option<f64>,
    /// Volume of consolidation in ml, if the model tells kinds apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consolidation_ml: Option<f64>,
    /// Doubts about the input or the result.
    pub warnings: Vec<String>,
    /// SHA-256 of the scan's values and geometry.
    pub content_sha256: String,
    /// The model's name.
    pub model: String,
}

/// Why a scan failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureReason {
    /// The error's kind ([`ErrorKind::name`]), or `ended` if the process was ended several times.
    pub kind: String,
    /// What is wrong.
    pub reason: String,
    /// The remedy, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl From<&Error> for FailureReason {
    fn from(error: &Error) -> Self {
        let mut reason = error.reason().to_owned();
        if !error.offending().is_empty() {
            let files = multirnet_base::error::name_some(error.offending());
            reason = format!("{reason}: {files}");
        }
        Self {
            kind: error.kind().name().to_owned(),
            reason,
            hint: error.advice().map(str::to_owned),
        }
    }
}

impl From<&Finding> for Figures {
    fn from(finding: &Finding) -> Self {
        let both = &finding.involvement.both;
        let kind = |kind: LesionKind| {
            let mut kinds = finding.lesion_kinds.iter();
            kinds.find(|k| k.kind == kind).map(|k| k.lesion_ml)
        };
        Self {
            class: finding.diagnosis.name().to_owned(),
            probabilities: finding.probabilities.to_array(),
            lungs_ml: both.lung_ml,
            lesion_ml: both.lesion_ml,
            involved: both.fraction,
            severity_score: finding.involvement.severity_score,
            ground_glass_ml: kind(LesionKind::GroundGlass),
            consolidation_ml: kind(LesionKind::Consolidation),
            warnings: finding.warnings.clone(),
            content_sha256: finding.source.content_sha256.clone(),
            model: finding.provenance.model.clone(),
        }
    }
}

impl Record {
    /// The record of a scan of which nothing is known.
    pub fn missing(scan: &ListedScan, name: String) -> Self {
        Self {
            scan: scan.written.clone(),
            name,
            state: ScanState::Missing,
            figures: None,
            failure: None,
            seconds: 0.0,
            host: String::new(),
        }
    }

    pub(super) fn done(scan: &ListedScan, name: String, figures: Figures, seconds: f64) -> Self {
        Self {
            state: ScanState::Done,
            figures: Some(figures),
            seconds,
            host: host::name().to_owned(),
            ..Self::missing(scan, name)
        }
    }

    pub(super) fn failed(
        scan: &ListedScan,
        name: String,
        failure: FailureReason,
        seconds: f64,
    ) -> Self {
        Self {
            state: ScanState::Failed,
            failure: Some(failure),
            seconds,
            host: host::name().to_owned(),
            ..Self::missing(scan, name)
        }
    }

    /// Reads a record; `None` if there is none at `path`.
    pub(super) fn read(path: &Path) -> Result<Option<Self>> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io(path, "read the record", e)),
        };
        serde_json::from_str(&text).map(Some).map_err(|e| {
            Error::new(ErrorKind::Io, format!("the record is damaged: {e}"))
                .at(path)
                .hint("delete the file and its folder: the scan is then analysed again")
        })
    }
}
