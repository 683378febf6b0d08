//! The end of an analysis: its results, or its failure.

use super::job::{Delivery, JobId, JobState, ResultObject};
use super::{DISK_RETRY_MS, PreviousJob, Store, remove_folder};
use crate::{Error, ErrorKind, Event, Result, Step};
use multirnet_base::files;
use multirnet_dicom::FileIdentity;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

impl Store {
    /// Takes over the results of a job: `paths` are DICOM objects in its folder of results. When this
    /// returns, they are on the disk and will be delivered. `refused` is the reason if the results say
    /// that nothing was analysed.
    ///
    /// # Errors
    /// `Protocol` for a path outside the folder, a file that is not a DICOM object, or two objects
    /// with one SOP Instance UID: the job can then be failed. `Write` if the disk refuses, which is not
    /// the analysis's failure: the job runs again later.
    pub fn finish_job(
        &self,
        id: &JobId,
        paths: &[PathBuf],
        seconds: f64,
        refused: Option<&str>,
    ) -> Result<()> {
        let taken = self.take_results(id, paths, seconds, refused);
        if taken.as_ref().is_err_and(|e| e.kind() == ErrorKind::Write) {
            self.defer_job(id);
        }
        taken
    }

    fn take_results(
        &self,
        id: &JobId,
        paths: &[PathBuf],
        seconds: f64,
        refused: Option<&str>,
    ) -> Result<()> {
        let out = self.job_folder(id).join("results");
        let mut results = Vec::new();
        let mut seen = BTreeSet::new();
        for path in paths {
            let result = read_result(&out, path)?;
            if !seen.insert(result.sop_instance_uid.clone()) {
                return Err(not_usable(
                    path,
                    "another result has the same SOP Instance UID",
                ));
            }
            results.push(result);
        }
        self.ask(Step::SyncResults, &out)?;
        for path in paths {
            sync_file(path)?;
            let within = path.ancestors().skip(1).take_while(|f| f.starts_with(&out));
            within.into_iter().try_for_each(files::sync_dir)?;
        }
        files::sync_dir(&self.job_folder(id))?;

        let mut state = self.state();
        let Some(mut job) = state.jobs.get(id).cloned() else {
            return Err(Error::new(
                ErrorKind::Protocol,
                format!("the job {id} is not open"),
            ));
        };
        if let Some(study) = state.studies.get(&id.study_uid) {
            for result in &mut results {
                for name in &self.0.settings.delivery.to {
                    let key = (name.clone(), result.sop_instance_uid.clone());
                    let is_done = study.delivered.contains(&key);
                    let delivery = if is_done {
                        Delivery::done()
                    } else {
                        Delivery::pending()
                    };
                    result.deliveries.insert(name.clone(), delivery);
                }
            }
        }
        job.state = JobState::Analysed;
        job.analysed_ms = Some(self.now_ms());
        job.reason = refused.map(str::to_owned);
        job.results = results;
        let previous = PreviousJob::new(&job);
        self.save(&mut state, job)?;
        state.running.remove(id);
        if let Some(study) = state.studies.get_mut(&id.study_uid) {
            let uids = previous.results.iter().map(|r| r.sop_instance_uid.clone());
            study.results.extend(uids);
            study.last_analysed = Some(previous);
        }
        drop(state);
        self.tell(&Event::JobAnalysed {
            study: id.study_uid.clone(),
            job: id.number,
            results: paths.len(),
            seconds,
        });
        Ok(())
    }

    /// Whether another failure of the job would be its last.
    pub fn is_last_attempt(&self, id: &JobId) -> bool {
        let failures = self.state().jobs.get(id).map_or(0, |job| job.failures);
        failures + 1 >= self.0.settings.analysis.attempts
    }

    /// Empties the folder of a job's results.
    ///
    /// # Errors
    /// `Write` if the disk refuses; the job runs again later.
    pub fn discard_results(&self, id: &JobId) -> Result<()> {
        let out = self.job_folder(id).join("results");
        remove_folder(&out);
        let made = files::make_dir(&out);
        if made.is_err() {
            self.defer_job(id);
        }
        Ok(made?)
    }

    /// Notes that the analysis of a job failed; it is tried again unless that was the last attempt.
    ///
    /// # Errors
    /// `Write` if the disk refuses. The job is then tried again.
    pub fn fail_job(&self, id: &JobId, reason: &str) -> Result<()> {
        let analysis = &self.0.settings.analysis;
        let mut state = self.state();
        state.running.remove(id);
        let Some(mut job) = state.jobs.get(id).cloned() else {
            return Ok(());
        };
        job.failures += 1;
        job.reason = Some(reason.to_owned());
        let will_retry = job.failures < analysis.attempts;
        if will_retry {
            job.next_ms = self.now_ms() + doubled(analysis.retry_seconds, job.failures, u64::MAX);
        } else {
            job.state = JobState::Failed;
        }
        // In memory the wait holds even if the disk refuses the record.
        if let Some(open) = state.jobs.get_mut(id) {
            *open = job.clone();
            open.state = JobState::Queued;
        }
        self.save(&mut state, job)?;
        drop(state);
        self.tell(&Event::JobFailed {
            study: id.study_uid.clone(),
            job: id.number,
            will_retry,
        });
        Ok(())
    }

    /// Gives a job back whose results the disk refused. It runs again later, and that does not count as
    /// a failure.
    pub fn defer_job(&self, id: &JobId) {
        let next_ms = self.now_ms() + DISK_RETRY_MS;
        let mut state = self.state();
        state.running.remove(id);
        if let Some(job) = state.jobs.get_mut(id) {
            job.next_ms = next_ms;
        }
    }

    /// Gives a job back whose analysis was asked to end. It runs again after a restart.
    pub fn interrupt_job(&self, id: &JobId) {
        self.state().running.remove(id);
    }
}

/// Milliseconds to wait after `failures` failures: `seconds`, doubled for each further failure, at
/// most `longest` seconds.
pub(super) fn doubled(seconds: u64, failures: u32, longest: u64) -> u64 {
    let factor = 1_u64 << failures.saturating_sub(1).min(20);
    seconds
        .saturating_mul(factor)
        .min(longest)
        .saturating_mul(1000)
}

fn read_result(out: &Path, path: &Path) -> Result<ResultObject> {
    let inside = path.strip_prefix(out).ok().and_then(Path::to_str);
    let is_plain = |p: &&str| !p.split(['/', '\\']).any(|part| part == "..");
    let Some(file) = inside.filter(is_plain) else {
        return Err(not_usable(
            path,
            "the result does not lie in the job's folder of results",
        ));
    };
    let identity = FileIdentity::read(path)?.object;
    Ok(ResultObject {
        file: file.to_owned(),
        sop_class_uid: identity.sop_class_uid,
        sop_instance_uid: identity.sop_instance_uid,
        series_uid: identity.series_uid,
        deliveries: Default::default(),
    })
}

fn sync_file(path: &Path) -> Result<()> {
    let synced = File::options()
        .write(true)
        .open(path)
        .and_then(|file| file.sync_all());
    synced.map_err(|e| Error::write(path, "write the file", e))
}

fn not_usable(path: &Path, reason: &str) -> Error {
    Error::new(ErrorKind::Protocol, reason).at(path)
}
