//! The retention rule: received objects and results go once they are delivered and old enough.

use super::{Job, JobId, State, Store, remove_folder};
use crate::{Error, Event, Result, Step};
use multirnet_base::files;

const DAY_MS: u64 = 86_400_000;
const GIB: u64 = 1 << 30;

impl Store {
    /// Removes the objects and results of studies whose jobs are finished: those older than
    /// `retention.days`, then the oldest ones while all objects take more than `retention.gib`. The
    /// records of their jobs stay, so a study that is sent again unchanged is not analysed again.
    ///
    /// Gives the number of studies. Ages go by the computer's clock; [`Store::retain_by_size`] does not
    /// look at it.
    ///
    /// # Errors
    /// `Write` for what cannot be removed.
    pub fn retain(&self) -> Result<usize> {
        self.remove_finished(self.0.settings.retention.days)
    }

    /// As [`Store::retain`], without the rule on the age.
    ///
    /// # Errors
    /// As [`Store::retain`].
    pub fn retain_by_size(&self) -> Result<usize> {
        self.remove_finished(None)
    }

    fn remove_finished(&self, days: Option<u64>) -> Result<usize> {
        let retention = &self.0.settings.retention;
        let now = self.wall_ms();
        let mut state = self.state();
        let mut total: u64 = state
            .studies
            .values()
            .flat_map(|s| s.objects.values())
            .map(|o| o.bytes)
            .sum();
        let mut finished: Vec<(u64, String)> = state
            .studies
            .iter()
            .filter(|(uid, s)| {
                !s.objects.is_empty() && s.arriving == 0 && !s.is_changed && !has_jobs(&state, uid)
            })
            .map(|(uid, s)| {
                let last = s.objects.values().map(|o| o.received_ms).max();
                (last.unwrap_or(0), uid.clone())
            })
            .collect();
        finished.sort();
        let mut removed = 0;
        for (last_ms, uid) in finished {
            let is_old = days.is_some_and(|days| now >= last_ms + days * DAY_MS);
            let is_over = retention.gib.is_some_and(|gib| total > gib * GIB);
            if is_old || is_over {
                total -= self.remove_objects(&mut state, &uid)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Removes the objects and results of one study now, whatever its age. Its record stays, with UIDs
    /// and digests only, so the study is not analysed again when it is sent again unchanged.
    ///
    /// Gives whether nothing of it is left. While objects of it come, or a job of it is not finished,
    /// everything stays.
    ///
    /// # Errors
    /// `Write` for what cannot be removed.
    pub fn forget(&self, study_uid: &str) -> Result<bool> {
        let mut state = self.state();
        let Some(study) = state.studies.get(study_uid) else {
            return Ok(true);
        };
        if study.arriving > 0 || study.is_changed || has_jobs(&state, study_uid) {
            return Ok(false);
        }
        let last_job = study.last_job;
        if !study.objects.is_empty() {
            self.remove_objects(&mut state, study_uid)?;
        }
        for number in 1..=last_job {
            let study_uid = study_uid.to_owned();
            let id = JobId { study_uid, number };
            let mut job = Job::read(&self.job_folder(&id).join("job.json"))?;
            // It may name what the study names.
            if job.reason.take().is_some() {
                self.save(&mut state, job)?;
            }
        }
        Ok(true)
    }

    /// Removes the objects and results of a study and gives the bytes of its objects.
    fn remove_objects(&self, state: &mut State, study_uid: &str) -> Result<u64> {
        let Some(study) = state.studies.get_mut(study_uid) else {
            return Ok(0);
        };
        let (mut objects, mut bytes) = (0, 0);
        while let Some((uid, object)) = study.objects.pop_first() {
            let path = self.object_path(study_uid, &uid, &object);
            let removed = self.ask(Step::RemoveObject, &path).and_then(|()| {
                std::fs::remove_file(&path).map_err(|e| Error::write(&path, "remove the file", e))
            });
            if let Err(e) = removed {
                study.objects.insert(uid, object);
                return Err(e);
            }
            objects += 1;
            bytes += object.bytes;
        }
        study.last_inputs = None;
        let last_job = study.last_job;
        let folder = self.study_folder(study_uid);
        remove_folder(&folder.join("objects"));
        for number in 1..=last_job {
            let study_uid = study_uid.to_owned();
            remove_folder(
                &self
                    .job_folder(&JobId { study_uid, number })
                    .join("results"),
            );
        }
        files::sync_dir(&folder)?;
        self.tell(&Event::ObjectsRemoved {
            study: study_uid.to_owned(),
            objects,
            bytes,
        });
        Ok(bytes)
    }
}

fn has_jobs(state: &State, study_uid: &str) -> bool {
    state.jobs.keys().any(|id| id.study_uid == study_uid)
}
