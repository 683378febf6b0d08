//! The record of a job: one analysis of one study, and where its results are.

use crate::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// Version of the records. A record with a higher one was written by a later program.
const VERSION: u32 = 1;

/// Names a job: its study, and its number within the study from 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobId {
    /// Study Instance UID.
    pub study_uid: String,
    /// Number within the study, from 1.
    pub number: u32,
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.study_uid, self.number)
    }
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// It waits for its analysis, or for the next attempt.
    Queued,
    /// It has results, which are delivered or on their way.
    Analysed,
    /// Its analysis failed as often as it may.
    Failed,
    /// An object was replaced before the analysis began. A later job has the new one.
    Superseded,
}

/// How far the delivery of one object to one destination is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It is to be sent.
    Pending,
    /// The destination has it.
    Delivered,
    /// The destination does not take it, or was given up.
    Refused,
}

/// The delivery of one object to one destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// How far it is.
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempts: u32,
    /// Attempts that the destination answered with a refusal.
    pub refusals: u32,
    /// Time of the next attempt, in milliseconds since 1970.
    pub next_ms: u64,
    /// Milliseconds for which it has been tried so far. Time in which the program did not run does not
    /// count, and neither does a clock that was set.
    #[serde(default)]
    pub tried_ms: u64,
    /// Why the last attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Delivery {
    /// A delivery that is to be tried at once.
    pub(crate) fn pending() -> Self {
        Self {
            state: DeliveryState::Pending,
            attempts: 0,
            refusals: 0,
            next_ms: 0,
            tried_ms: 0,
            reason: None,
        }
    }

    /// A delivery that an earlier job has done.
    pub(crate) fn done() -> Self {
        Self {
            state: DeliveryState::Delivered,
            ..Self::pending()
        }
    }
}

/// An object that an analysis made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultObject {
    /// Path within the job's folder of results.
    pub file: String,
    /// SOP Class UID.
    pub sop_class_uid: String,
    /// SOP Instance UID.
    pub sop_instance_uid: String,
    /// Series Instance UID.
    pub series_uid: String,
    /// Its deliveries by the destination's name.
    pub deliveries: BTreeMap<String, Delivery>,
}

/// One analysis of one study. The file `job.json` holds it; what changes in it changes by one rename.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    version: u32,
    /// Its name.
    #[serde(flatten)]
    pub id: JobId,
    /// The number of the job that analysed the study before objects were added.
    pub previous: Option<u32>,
    /// How far it is.
    pub state: JobState,
    /// When the study was complete, in milliseconds since 1970.
    pub created_ms: u64,
    /// When its analysis gave results.
    pub analysed_ms: Option<u64>,
    /// How often its analysis was begun.
    pub starts: u32,
    /// How often its analysis failed.
    pub failures: u32,
    /// Time of the next attempt.
    pub next_ms: u64,
    /// Why the last attempt failed. Results of a job with a reason say that nothing was analysed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the analysis gave.
    pub results: Vec<ResultObject>,
}

impl Job {
    pub(crate) fn new(id: JobId, previous: Option<u32>, now_ms: u64) -> Self {
        Self {
            version: VERSION,
            id,
            previous,
            state: JobState::Queued,
            created_ms: now_ms,
            analysed_ms: None,
            starts: 0,
            failures: 0,
            next_ms: 0,
            reason: None,
            results: Vec::new(),
        }
    }

    /// Whether nothing of it is left to do.
    pub fn is_finished(&self) -> bool {
        match self.state {
            JobState::Queued => false,
            JobState::Failed | JobState::Superseded => true,
            JobState::Analysed => self.deliveries().all(|d| d.state != DeliveryState::Pending),
        }
    }

    /// The deliveries of all results.
    pub fn deliveries(&self) -> impl Iterator<Item = &Delivery> {
        self.results.iter().flat_map(|r| r.deliveries.values())
    }

    pub(crate) fn read(path: &Path) -> Result<Self> {
        let job: Self = read_json(path, "record of the job")?;
        if job.version > VERSION {
            return Err(Error::new(
                ErrorKind::Read,
                "a later version of the program wrote this record",
            )
            .hint("use that version")
            .at(path));
        }
        Ok(job)
    }
}

/// An earlier job of the same study and what it made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviousJob {
    /// Its number.
    pub number: u32,
    /// What it made.
    pub results: Vec<ResultObject>,
}

impl PreviousJob {
    pub(crate) fn new(job: &Job) -> Self {
        Self {
            number: job.id.number,
            results: job.results.clone(),
        }
    }
}

/// An object of a study when its job was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Input {
    pub sop_instance_uid: String,
    pub sop_class_uid: String,
    pub series_uid: String,
    pub digest: String,
}

pub(crate) fn read_json<T: serde::de::DeserializeOwned>(path: &Path, what: &str) -> Result<T> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, &format!("read the {what}"), e))?;
    serde_json::from_slice(&bytes).map_err(|e| {
        Error::new(ErrorKind::Read, format!("the {what} is damaged: {e}"))
            .hint("move the study's folder away; its objects can be sent again")
            .at(path)
    })
}

pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec_pretty(value).map_err(|e| Error::caused(ErrorKind::Write, e))
}
