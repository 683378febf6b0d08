//! From a quiet study to a job, and from a job to an analysis.

use super::job::{Input, Job, JobId, JobState, PreviousJob, to_json};
use super::{DISK_RETRY_MS, State, Store, Study, remove_folder};
use crate::{Error, Event, Result, Step, sop};
use multirnet_base::files;
use std::path::{Path, PathBuf};

/// A study as an analysis sees it.
#[derive(Debug, Clone)]
pub struct ReceivedStudy {
    /// The job that analyses it.
    pub job: JobId,
    /// A folder with the study's objects, in a folder for each series. It does not change while the
    /// analysis runs.
    pub folder: PathBuf,
    /// Its objects, by series and instance.
    pub objects: Vec<ReceivedObject>,
    /// The last job that analysed fewer or other objects of this study, if there is one.
    pub previous: Option<PreviousJob>,
}

/// An object of a study.
#[derive(Debug, Clone)]
pub struct ReceivedObject {
    /// SOP Class UID.
    pub sop_class_uid: String,
    /// SOP Instance UID.
    pub sop_instance_uid: String,
    /// Series Instance UID.
    pub series_uid: String,
    /// The file.
    pub path: PathBuf,
}

/// A job whose analysis may begin.
#[derive(Debug, Clone)]
pub struct RunningJob {
    /// What to analyse.
    pub study: ReceivedStudy,
    /// An empty folder for the results.
    pub out: PathBuf,
}

impl Store {
    /// Makes a job of each study that is quiet and has CT objects that no job has. Gives their number.
    ///
    /// # Errors
    /// The first study's for which the disk refuses; the others are done all the same.
    pub fn queue_ready(&self) -> Result<usize> {
        let now = self.now_ms();
        let quiet_ms = self.0.settings.quiet_seconds * 1000;
        let mut state = self.state();
        let waits: Vec<String> = state
            .jobs
            .values()
            .filter(|j| j.state == JobState::Queued)
            .map(|j| j.id.study_uid.clone())
            .collect();
        let is_ready = |uid: &String, s: &Study| {
            s.is_changed
                && s.arriving == 0
                && now >= s.last_object_ms.saturating_add(quiet_ms)
                && now >= s.not_before_ms
                && !waits.contains(uid)
        };
        let ready: Vec<String> = state
            .studies
            .iter()
            .filter(|(uid, study)| is_ready(uid, study))
            .map(|(uid, _)| uid.clone())
            .collect();
        let (mut made, mut first) = (0, None);
        for uid in ready {
            match self.make_job(&mut state, &uid) {
                Ok(()) => made += 1,
                Err(e) => {
                    if let Some(study) = state.studies.get_mut(&uid) {
                        study.not_before_ms = now + DISK_RETRY_MS;
                    }
                    first.get_or_insert(e);
                }
            }
        }
        first.map_or(Ok(made), Err)
    }

    fn make_job(&self, state: &mut State, study_uid: &str) -> Result<()> {
        let Some(study) = state.studies.get_mut(study_uid) else {
            return Ok(());
        };
        let mut inputs = Vec::new();
        for (uid, object) in &mut study.objects {
            let class = self
                .class_of(study_uid, uid, object)
                .unwrap_or_default()
                .to_owned();
            inputs.push(Input {
                sop_instance_uid: uid.clone(),
                sop_class_uid: class,
                series_uid: object.series_uid.clone(),
                digest: object.digest.clone(),
            });
        }
        inputs.sort_by(|a, b| {
            (&a.series_uid, &a.sop_instance_uid).cmp(&(&b.series_uid, &b.sop_instance_uid))
        });
        let id = JobId {
            study_uid: study_uid.to_owned(),
            number: study.last_job + 1,
        };
        let previous = study.last_analysed.as_ref().map(|p| p.number);
        let folder = self.job_folder(&id);
        let list = folder.join("inputs.json");
        self.ask(Step::WriteInputs, &list)?;
        files::make_dir_synced(&folder)?;
        files::write_synced(&list, &to_json(&inputs)?)?;
        self.save(state, Job::new(id.clone(), previous, self.now_ms()))?;
        if let Some(study) = state.studies.get_mut(study_uid) {
            study.last_job = id.number;
            study.is_changed = false;
            let digests = inputs
                .iter()
                .map(|i| (i.sop_instance_uid.clone(), i.digest.clone()));
            study.last_inputs = Some(digests.collect());
        }
        self.tell(&Event::JobQueued {
            study: study_uid.to_owned(),
            job: id.number,
            objects: inputs.len(),
            previous,
        });
        Ok(())
    }

    /// The next job whose analysis may begin. A job that was begun more often than others, perhaps
    /// because it ended the program, comes after them.
    ///
    /// # Errors
    /// `Write` or `Read`; the job is tried again later.
    pub fn next_job(&self) -> Result<Option<RunningJob>> {
        let now = self.now_ms();
        let mut state = self.state();
        let may_begin = |j: &&Job| {
            j.state == JobState::Queued && j.next_ms <= now && !state.running.contains(&j.id)
        };
        let next = state
            .jobs
            .values()
            .filter(may_begin)
            .min_by_key(|j| (j.starts, j.created_ms))
            .cloned();
        let Some(mut job) = next else { return Ok(None) };
        let id = job.id.clone();
        job.starts += 1;
        let begun = self.begin_job(&mut state, job);
        if begun.is_err()
            && let Some(job) = state.jobs.get_mut(&id)
        {
            job.next_ms = now + DISK_RETRY_MS;
        }
        let running = begun?;
        drop(state);
        if running.is_some() {
            self.tell(&Event::JobStarted {
                study: id.study_uid,
                job: id.number,
            });
        }
        Ok(running)
    }

    /// Notes that the job begins and prepares its folders. `None` if an object was replaced.
    fn begin_job(&self, state: &mut State, mut job: Job) -> Result<Option<RunningJob>> {
        let id = job.id.clone();
        self.ask(Step::Analyse, &self.job_folder(&id))?;
        self.save(state, job.clone())?;
        let Some(objects) = self.link_inputs(state, &job)? else {
            job.state = JobState::Superseded;
            self.save(state, job)?;
            return Ok(None);
        };
        let folder = self.job_folder(&id).join("study");
        let out = self.job_folder(&id).join("results");
        remove_folder(&out);
        files::make_dir(&out)?;
        state.running.insert(id.clone());
        let previous = state
            .studies
            .get(&id.study_uid)
            .and_then(|s| s.last_analysed.clone());
        let study = ReceivedStudy {
            job: id,
            folder,
            objects,
            previous,
        };
        Ok(Some(RunningJob { study, out }))
    }

    /// Links the job's objects into a folder of its own, so that objects which come meanwhile do not
    /// change it. `None` if one was replaced.
    fn link_inputs(&self, state: &mut State, job: &Job) -> Result<Option<Vec<ReceivedObject>>> {
        let folder = self.job_folder(&job.id).join("study");
        remove_folder(&folder);
        let Some(study) = state.studies.get(&job.id.study_uid) else {
            return Ok(None);
        };
        let mut objects = Vec::new();
        for input in self.read_inputs(&job.id)? {
            let uid = &input.sop_instance_uid;
            let stored = study.objects.get(uid).filter(|o| o.digest == input.digest);
            let Some(stored) = stored else {
                return Ok(None);
            };
            let series = folder.join(&stored.series_uid);
            files::make_dir(&series)?;
            let path = series.join(format!("{uid}.dcm"));
            link(&self.object_path(&job.id.study_uid, uid, stored), &path)?;
            objects.push(ReceivedObject {
                sop_class_uid: input.sop_class_uid,
                sop_instance_uid: input.sop_instance_uid,
                series_uid: input.series_uid,
                path,
            });
        }
        Ok(Some(objects))
    }
}

impl ReceivedStudy {
    /// Whether the study has CT objects. Every study that is analysed has.
    pub fn has_ct(&self) -> bool {
        self.objects.iter().any(|o| sop::is_ct(&o.sop_class_uid))
    }
}

/// A second name of the file `from`, or a copy where the file system has no links.
fn link(from: &Path, to: &Path) -> Result<()> {
    std::fs::hard_link(from, to)
        .or_else(|_| std::fs::copy(from, to).map(drop))
        .map_err(|e| Error::write(to, "link the file", e))
}
