//! Studies from the network through the queue: the listener hands them in and gets their results.

use crate::database::study_key;
use crate::job::{Job, JobState, Replaced};
use crate::queue::{Queue, StoredScan, link};
use crate::{Error, ErrorKind};
use multirnet::dicom::{DICOM_FOLDER, refuse_study};
use multirnet_base::{StopToken, files};
use multirnet_pacs::store::ReceivedStudy;
use multirnet_pacs::{Analyse, AnalysisError};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a study waits when the queue or the disk is full.
const PAUSE: Duration = Duration::from_secs(5);

/// Analyses received studies as jobs of a queue. A study that was handed in before, also before a
/// kill, is the same job.
pub struct StudyQueue(pub Queue);

impl Analyse for StudyQueue {
    /// A scan that cannot be analysed gets objects that say so. A job that someone cancels or deletes
    /// gets none.
    fn analyse(
        &self,
        study: &ReceivedStudy,
        out: &Path,
        stop: &StopToken,
    ) -> Result<Vec<PathBuf>, AnalysisError> {
        let queue = &self.0;
        let mut job = self.submit(study, stop)?;
        // An earlier attempt met a fault that was not the scan's.
        if job
            .error
            .as_ref()
            .is_some_and(|e| ["disk", "internal"].contains(&e.kind.as_str()))
        {
            job = queue.retry(&job.id)?;
        }
        let job = match queue.wait_for(&job.id, stop) {
            Ok(Some(job)) => job,
            Ok(None) => return Err(Box::new(Error::new(ErrorKind::Stopped, "stopped"))),
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(Box::new(e)),
        };
        let made = queue.data.results(&job.id).join(DICOM_FOLDER);
        match (job.state, job.error) {
            (JobState::Cancelled, _) => Ok(Vec::new()),
            (JobState::Failed, Some(error)) if !made.is_dir() => match error.kind.as_str() {
                "scan" | "memory" => self.refuse(study, out, &error.reason),
                _ => Err(Box::new(Error::new(ErrorKind::Scan, error.reason))),
            },
            _ if made.is_dir() => Ok(copy(&made, out)?),
            _ => Ok(Vec::new()),
        }
    }

    fn refuse(
        &self,
        study: &ReceivedStudy,
        out: &Path,
        reason: &str,
    ) -> Result<Vec<PathBuf>, AnalysisError> {
        let error = multirnet::Error::new(multirnet::ErrorKind::Scan, reason);
        let options = self.0.analyser.dicom(&replaced(study))?;
        Ok(refuse_study(&study.folder, out, &error, &options)?)
    }
}

impl StudyQueue {
    /// Hands a study in. What was received is acknowledged, so a full queue or disk only makes it wait.
    fn submit(&self, study: &ReceivedStudy, stop: &StopToken) -> crate::Result<Job> {
        loop {
            let submitted = self.0.submit_study(StoredScan {
                key: study_key(&study.job.to_string()),
                name: study.job.study_uid.clone(),
                folder: &study.folder,
                replaces: replaced(study),
            });
            match submitted {
                Err(e) if matches!(e.kind(), ErrorKind::Full | ErrorKind::Write) => {
                    tracing::warn!("{}: waits: {e}", study.job);
                }
                other => return other,
            }
            self.0.pause(PAUSE);
            if stop.is_raised() || self.0.stop.is_raised() {
                return Err(Error::new(ErrorKind::Stopped, "stopped"));
            }
        }
    }
}

/// Results of the study before objects were added to it.
fn replaced(study: &ReceivedStudy) -> Vec<Replaced> {
    let results = study.previous.iter().flat_map(|p| &p.results);
    let replaced = results.map(|r| Replaced {
        series_uid: r.series_uid.clone(),
        sop_class_uid: r.sop_class_uid.clone(),
        instance_uid: r.sop_instance_uid.clone(),
    });
    replaced.collect()
}

/// The objects of the folder `from`, in the order of their names, as files of `out`.
fn copy(from: &Path, out: &Path) -> crate::Result<Vec<PathBuf>> {
    let io = |e| Error::io(from, "read the folder", e);
    let mut names = Vec::new();
    for entry in fs::read_dir(from).map_err(io)? {
        names.push(entry.map_err(io)?.file_name());
    }
    names.sort();
    files::make_dir(out)?;
    let copied = names.iter().map(|name| {
        let (source, target) = (from.join(name), out.join(name));
        link(&source, &target)?;
        Ok(target)
    });
    copied.collect()
}
