//! Which objects are to be sent where, and what became of it.

use super::job::{Delivery, DeliveryState, Job, JobId, JobState};
use super::results::doubled;
use super::{DISK_RETRY_MS, Store};
use crate::{Event, Result, Step};
use std::path::PathBuf;

const HOUR_MS: u64 = 3_600_000;
/// Most of the time by which an attempt was late that counts towards giving up. More than that is the
/// time in which the program did not run, or a clock that was set.
const LONGEST_LATE_MS: u64 = HOUR_MS;

/// An object on its way to a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The job that made it.
    pub job: JobId,
    /// SOP Instance UID.
    pub sop_instance_uid: String,
    /// The file.
    pub path: PathBuf,
}

/// What became of an attempt to send an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The destination has it.
    Delivered,
    /// The destination answered that it does not take it.
    Refused(String),
    /// The destination cannot be reached or is busy.
    Failed(String),
}

impl Store {
    /// The objects that are to be sent to `destination` now: all that are due of one job, the oldest
    /// first.
    pub fn due(&self, destination: &str) -> Vec<Outgoing> {
        let now = self.now_ms();
        let is_due = |d: &Delivery| d.state == DeliveryState::Pending && d.next_ms <= now;
        let state = self.state();
        let due_of = |job: &Job| -> Vec<Outgoing> {
            let folder = self.job_folder(&job.id).join("results");
            let results = job
                .results
                .iter()
                .filter(|r| r.deliveries.get(destination).is_some_and(is_due));
            results
                .map(|r| Outgoing {
                    job: job.id.clone(),
                    sop_instance_uid: r.sop_instance_uid.clone(),
                    path: folder.join(&r.file),
                })
                .collect()
        };
        let mut jobs: Vec<&Job> = state
            .jobs
            .values()
            .filter(|j| j.state == JobState::Analysed)
            .collect();
        jobs.sort_by_key(|j| j.analysed_ms);
        jobs.into_iter()
            .map(due_of)
            .find(|due| !due.is_empty())
            .unwrap_or_default()
    }

    /// Asks the probe before an object is sent.
    ///
    /// # Errors
    /// The probe's.
    pub(crate) fn before_delivery(&self, object: &Outgoing) -> Result<()> {
        self.ask(Step::Deliver, &object.path)
    }

    /// Notes what became of an attempt to send `object` to `destination`.
    ///
    /// # Errors
    /// `Write` if the disk refuses. The object is then sent again later, under the same UID.
    pub fn record(&self, object: &Outgoing, destination: &str, outcome: &Outcome) -> Result<()> {
        let settings = &self.0.settings.delivery;
        let now = self.now_ms();
        let mut state = self.state();
        let Some(mut job) = state.jobs.get(&object.job).cloned() else {
            return Ok(());
        };
        let (wait, longest) = (settings.retry_seconds, settings.longest_retry_seconds);
        let uid = &object.sop_instance_uid;
        let result = job.results.iter_mut().find(|r| r.sop_instance_uid == *uid);
        let Some(delivery) = result.and_then(|r| r.deliveries.get_mut(destination)) else {
            return Ok(());
        };
        if delivery.attempts > 0 {
            let late = now.saturating_sub(delivery.next_ms).min(LONGEST_LATE_MS);
            delivery.tried_ms += doubled(wait, delivery.attempts, longest) + late;
        }
        delivery.attempts += 1;
        let reason = match outcome {
            Outcome::Delivered => {
                delivery.state = DeliveryState::Delivered;
                None
            }
            Outcome::Refused(reason) => {
                delivery.refusals += 1;
                if delivery.refusals >= settings.attempts_when_refused {
                    delivery.state = DeliveryState::Refused;
                }
                Some(reason.clone())
            }
            Outcome::Failed(reason) => {
                if delivery.tried_ms >= settings.give_up_hours * HOUR_MS {
                    delivery.state = DeliveryState::Refused;
                }
                Some(reason.clone())
            }
        };
        delivery.reason = reason.clone();
        delivery.next_ms = now + doubled(wait, delivery.attempts, longest);
        let will_retry = delivery.state == DeliveryState::Pending;
        let written = self
            .ask(Step::RecordDelivery, &object.path)
            .and_then(|()| self.save(&mut state, job));
        if let Err(e) = written {
            // The record still says that it is to be sent; not at once, though.
            let open = state.jobs.get_mut(&object.job);
            let results = open.map(|j| &mut j.results).into_iter().flatten();
            for result in results.filter(|r| r.sop_instance_uid == *uid) {
                if let Some(delivery) = result.deliveries.get_mut(destination) {
                    delivery.next_ms = now + DISK_RETRY_MS;
                }
            }
            return Err(e);
        }
        if *outcome == Outcome::Delivered
            && let Some(study) = state.studies.get_mut(&object.job.study_uid)
        {
            study
                .delivered
                .insert((destination.to_owned(), uid.clone()));
            self.settle_others(&mut state, object, destination)?;
        }
        drop(state);
        let (study, job) = (object.job.study_uid.clone(), object.job.number);
        let (object, destination) = (uid.clone(), destination.to_owned());
        self.tell(&match reason {
            None => Event::Delivered {
                study,
                job,
                object,
                destination,
            },
            Some(reason) => Event::NotDelivered {
                study,
                job,
                object,
                destination,
                reason,
                will_retry,
            },
        });
        Ok(())
    }

    /// Another job of the study may wait to send the same object.
    fn settle_others(
        &self,
        state: &mut super::State,
        object: &Outgoing,
        destination: &str,
    ) -> Result<()> {
        let is_same_study = |j: &&Job| j.id.study_uid == object.job.study_uid;
        let others: Vec<Job> = state.jobs.values().filter(is_same_study).cloned().collect();
        for mut job in others {
            let mut has_settled = false;
            for result in &mut job.results {
                if result.sop_instance_uid == object.sop_instance_uid
                    && let Some(delivery) = result.deliveries.get_mut(destination)
                    && delivery.state == DeliveryState::Pending
                {
                    *delivery = Delivery::done();
                    has_settled = true;
                }
            }
            if has_settled {
                self.save(state, job)?;
            }
        }
        Ok(())
    }

    /// Makes refused deliveries of a study's jobs pending again, and gives their number.
    ///
    /// # Errors
    /// `Read` or `Write` for a record.
    pub fn retry_refused(&self, study_uid: &str) -> Result<usize> {
        let mut count = 0;
        for mut job in self.jobs_of(study_uid)? {
            let before = count;
            let folder = self.job_folder(&job.id).join("results");
            for result in &mut job.results {
                // The retention rule may have removed the file.
                if !folder.join(&result.file).exists() {
                    continue;
                }
                for (name, delivery) in &mut result.deliveries {
                    let is_known = self.0.settings.delivery.to.contains(name);
                    if delivery.state == DeliveryState::Refused && is_known {
                        *delivery = Delivery::pending();
                        count += 1;
                    }
                }
            }
            if count > before {
                self.save(&mut self.state(), job)?;
            }
        }
        Ok(count)
    }
}
