//! The model with its options, and how an analysis speaks with its caller.

use crate::job::Replaced;
use crate::{Error, ErrorKind, Result};
use chrono::{Datelike, Local, Timelike};
use multirnet::dicom::{DicomOptions, Encoding, ReportForm};
use multirnet::{Model, PredictOptions, StopToken};
use multirnet_pacs::config::ResultsConfig;

/// The file of a folder of results that the database can be filled from.
pub(crate) const SUMMARY: &str = "summary.json";

/// The model with its options.
pub struct Analyser {
    /// The model.
    pub model: Model,
    /// Options of every analysis.
    pub options: PredictOptions,
    /// How results are written as DICOM.
    pub results: ResultsConfig,
    /// Called in each thread of the analysis that has nothing to do any more, so that an allocator can
    /// give memory back.
    pub idle: fn(),
}

/// How an analysis speaks with its caller.
pub(crate) struct Hooks<'a> {
    /// Raised to end it early.
    pub stop: &'a StopToken,
    /// Hears the share that is done, and the stage.
    pub told: &'a mut dyn FnMut(f64, &str),
}

/// Why an analysis has no results.
#[derive(Debug)]
pub(crate) enum AnalysisFailure {
    /// It was asked to end.
    Stopped,
    /// The plan is over the whole memory for analyses.
    Memory {
        /// Planned bytes.
        needed: u64,
        /// Bytes for analyses.
        budget: u64,
    },
    /// The scan cannot be analysed, or the disk refuses.
    Error(Error),
}

/// What an analysis gives.
pub(crate) type Analysed<T> = std::result::Result<T, AnalysisFailure>;

impl<E: Into<Error>> From<E> for AnalysisFailure {
    fn from(error: E) -> Self {
        let error = error.into();
        match error.kind() {
            ErrorKind::Stopped => Self::Stopped,
            _ => Self::Error(error),
        }
    }
}

impl Analyser {
    /// How results are written as DICOM now.
    pub(crate) fn dicom(&self, replaces: &[Replaced]) -> Result<DicomOptions> {
        let now = Local::now();
        let small = |n: u32| u16::try_from(n).unwrap_or_default();
        let year = u16::try_from(now.year()).unwrap_or_default();
        let time = [now.hour(), now.minute(), now.second()].map(small);
        let mut options = DicomOptions::new([year, small(now.month()), small(now.day())], time)?;
        let results = &self.results;
        options.station.clone_from(&results.station);
        options.all_frames = results.all_frames;
        if results.labelmap {
            options.encoding = Encoding::LabelMap;
        }
        if results.enhanced_sr {
            options.report = ReportForm::Enhanced;
        }
        options.replaces = replaces.iter().map(Into::into).collect();
        Ok(options)
    }
}
