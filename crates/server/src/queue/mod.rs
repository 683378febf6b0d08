//! The durable queue: jobs are taken in, analysed once each, cancelled, tried again and deleted.
//!
//! The database holds the state; what is in memory (progress, stop tokens) can be lost. A job is
//! acknowledged when its scan and its row are on the disk. Results appear by one rename, and only then
//! does the row say `done`:
//!
//! | step | a kill before it | a kill after it |
//! |---|---|---|
//! | scan in the job's folder | the upload is there still | the folder belongs to no row and is removed |
//! | row `queued` | the caller has no answer and asks again, with the same key for the same job | – |
//! | row `running` | it is still queued | it is queued again at the next start |
//! | rename of `attempt` to `results` | the analysis runs again | the row becomes `done` at the next start |
//! | row `done` | as above | – |

mod events;
mod memory;
mod recover;
mod roots;
mod take_in;
mod work;

pub(crate) use events::Events;
pub use events::JobEvent;
pub(crate) use memory::{Admission, MemoryGate, machine_bytes};
pub(crate) use take_in::{NewScan, StoredScan, is_plain, link, link_tree};

use crate::analyser::Analyser;
use crate::config::ServerConfig;
use crate::data::DataFolder;
use crate::database::{Database, JobQuery};
use crate::job::{Job, JobState};
use crate::metrics::Metrics;
use crate::{Error, ErrorKind, Result};
use multirnet_base::StopToken;
use multirnet_base::digest::hex;
use multirnet_pacs::store::Store;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The queue with all that its workers need. Clones share one queue.
#[derive(Clone)]
pub struct Queue(Arc<Inner>);

/// What all clones of a [`Queue`] share.
pub struct Inner {
    pub(crate) config: ServerConfig,
    pub(crate) data: DataFolder,
    pub(crate) database: Database,
    pub(crate) analyser: Analyser,
    pub(crate) events: Events,
    pub(crate) memory: MemoryGate,
    pub(crate) metrics: Metrics,
    /// One scan is read at a time: until it is read, nothing is known of the memory that it takes.
    pub(crate) reading: Mutex<()>,
    running: Mutex<HashMap<String, Running>>,
    /// Uploads that are used up and that the disk keeps so far.
    used_up: Mutex<Vec<String>>,
    /// Jobs whose results the disk refused.
    deferred: Mutex<HashMap<String, Deferred>>,
    /// Wakes workers, and those who wait for a job's end.
    changed: Condvar,
    /// Something was deleted of which traces may be left.
    pub(crate) must_clean: AtomicBool,
    pub(crate) stop: StopToken,
}

/// A job that is analysed.
struct Running {
    stop: StopToken,
    is_cancelled: bool,
    progress: f64,
    stage: String,
}

/// Until when a job waits whose results the disk refused, and how long that is.
struct Deferred {
    until: Instant,
    wait: Duration,
}

impl std::ops::Deref for Queue {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Queue {
    /// The database, for those who read it.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Opens the data folder and its database, and puts in order what a kill left.
    ///
    /// # Errors
    /// `Write`, also if another program uses the folder; `Database`.
    pub fn open(config: ServerConfig, analyser: Analyser, stop: StopToken) -> Result<Self> {
        let data = DataFolder::open(&config.data)?;
        let database = Database::open(&data.database())?;
        let given = config.analysis.memory_mib.map(|mib| mib << 20);
        let budget = given.or_else(|| machine_bytes().map(|b| b / 4 * 3));
        let queue = Self(Arc::new(Inner {
            memory: MemoryGate::new(budget.unwrap_or(4 << 30)),
            metrics: Metrics::new(),
            events: Events::new(),
            reading: Mutex::new(()),
            running: Mutex::new(HashMap::new()),
            used_up: Mutex::default(),
            deferred: Mutex::new(HashMap::new()),
            changed: Condvar::new(),
            // A kill may have come in between.
            must_clean: AtomicBool::new(true),
            config,
            data,
            database,
            analyser,
            stop,
        }));
        queue.recover()?;
        Ok(queue)
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, Running>> {
        // Each change is complete before anything in it can panic.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A job with its progress.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn job(&self, id: &str) -> Result<Job> {
        let mut job = self.database.job(id)?;
        self.add_progress(&mut job);
        Ok(job)
    }

    /// A job whose results are there.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` in any other state.
    pub(crate) fn done(&self, id: &str) -> Result<Job> {
        let job = self.database.job(id)?;
        match job.state {
            JobState::Done => Ok(job),
            _ => Err(wrong_state(&job, "only a job that is done has results")),
        }
    }

    fn add_progress(&self, job: &mut Job) {
        if job.state == JobState::Running
            && let Some(running) = self.running().get(&job.id)
        {
            job.progress = running.progress;
            job.stage = Some(running.stage.clone());
        }
    }

    /// The number of jobs that `query` finds, and those of its page.
    ///
    /// # Errors
    /// `Database`.
    pub fn list(&self, query: &JobQuery) -> Result<(u64, Vec<Job>)> {
        let (total, mut jobs) = self.database.list(query)?;
        jobs.iter_mut().for_each(|job| self.add_progress(job));
        Ok((total, jobs))
    }

    /// Tells those who watch what a job is now.
    pub(crate) fn tell(&self, id: &str) -> Result<Job> {
        let job = self.job(id)?;
        self.events.changed(job.clone());
        self.changed.notify_all();
        Ok(job)
    }

    /// Cancels a job that waits or is analysed.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` if it is finished.
    pub fn cancel(&self, id: &str) -> Result<Job> {
        let job = self.database.job(id)?;
        // The map is held, so that no worker begins or ends the job in between.
        let mut running = self.running();
        if let Some(run) = running.get_mut(id) {
            run.is_cancelled = true;
            run.stop.raise();
            drop(running);
            return self.job(id);
        }
        let cancelled = self
            .database
            .change_state(id, &[JobState::Queued], JobState::Cancelled)?;
        drop(running);
        match cancelled {
            true => self.tell(id),
            false => Err(wrong_state(
                &job,
                "only a job that waits or runs can be cancelled",
            )),
        }
    }

    /// Puts a job that failed or was cancelled into the queue again.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` if it is in another state.
    pub fn retry(&self, id: &str) -> Result<Job> {
        let job = self.database.job(id)?;
        let from = [JobState::Failed, JobState::Cancelled];
        match self.database.change_state(id, &from, JobState::Queued)? {
            true => self.tell(id),
            false => Err(wrong_state(
                &job,
                "only a job that failed or was cancelled can be tried again",
            )),
        }
    }

    /// Sets a job's priority. It counts while the job waits.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn set_priority(&self, id: &str, priority: i32) -> Result<Job> {
        self.database.set_priority(id, priority)?;
        self.tell(id)
    }

    /// Deletes a job with its scan, results and corrections.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` while it is analysed.
    pub fn delete(&self, id: &str) -> Result<()> {
        // The map is held, so that no worker begins the job in between.
        let running = self.running();
        let job = self.database.job(id)?;
        if running.contains_key(id) {
            return Err(wrong_state(&job, "cancel it first"));
        }
        let study = self.database.study_of(id)?;
        self.database.remove_job(id, study.as_deref())?;
        self.data.discard_job(id);
        drop(running);
        self.must_clean.store(true, Ordering::Relaxed);
        self.events.removed(id);
        Ok(())
    }

    /// Ends the removal of what was deleted: the received objects of studies whose jobs are gone, and
    /// what the database's log still has. A study whose objects still come, or whose results are on
    /// their way to an archive, waits; [`Queue::keep_watch`] comes back to it.
    ///
    /// # Errors
    /// `Write`, `Database`.
    pub(crate) fn clean(&self, studies: &Store) -> Result<()> {
        let mut is_done = true;
        // A later deletion sets it again.
        self.must_clean.store(false, Ordering::Relaxed);
        let cleaned = self.database.forgotten().and_then(|forgotten| {
            for study in forgotten {
                match studies.forget(&study)? {
                    true => self.database.is_forgotten(&study)?,
                    false => is_done = false,
                }
            }
            is_done &= self.database.empty_log()?;
            Ok(())
        });
        if !is_done || cleaned.is_err() {
            self.must_clean.store(true, Ordering::Relaxed);
        }
        cleaned
    }

    /// Refuses what is new while the disk is nearly full.
    ///
    /// # Errors
    /// `Full`.
    pub(crate) fn check_disk(&self) -> Result<()> {
        self.check_disk_for(0)
    }

    /// Refuses `bytes` that the disk has no room for.
    ///
    /// # Errors
    /// `Full`.
    pub(crate) fn check_disk_for(&self, bytes: u64) -> Result<()> {
        let least = self.config.limits.free_disk_mib << 20;
        match self.data.free_bytes() {
            Some(free) if free < least.saturating_add(bytes) => {
                let needed = match bytes {
                    0 => String::new(),
                    _ => format!(", and the upload has {} MiB", bytes.div_ceil(1 << 20)),
                };
                let reason = format!(
                    "the disk of the data folder has {} MiB free, and {} MiB are kept free{needed}",
                    free >> 20,
                    least >> 20
                );
                Err(Error::new(ErrorKind::Full, reason).hint("delete old jobs or make room"))
            }
            _ => Ok(()),
        }
    }

    /// Deletes jobs that are older than the limit, and uploads that nobody goes on with. The server does this
    /// by itself once its clock has run for a while without being set.
    ///
    /// # Errors
    /// `Database`.
    pub fn retain(&self) -> Result<()> {
        let limits = &self.config.limits;
        let hours = |n: u64| i64::try_from(n.saturating_mul(3_600_000)).unwrap_or(i64::MAX);
        let now = crate::database::now_ms();
        for id in self
            .database
            .stale_uploads(now.saturating_sub(hours(limits.upload_hours)))?
        {
            let _ = self.discard_upload(&id);
        }
        let Some(days) = limits.keep_days else {
            return Ok(());
        };
        let before = now.saturating_sub(hours(days.saturating_mul(24)));
        for id in self.database.expired(before)? {
            // Someone may have begun it again since.
            let _ = self.delete(&id);
        }
        Ok(())
    }
}

fn wrong_state(job: &Job, hint: &str) -> Error {
    let reason = format!("the job is {}", job.state.name());
    Error::new(ErrorKind::Conflict, reason).hint(hint)
}

/// A name for a job or an upload that nobody can guess.
pub(crate) fn new_id() -> Result<String> {
    let mut bytes = [0; 10];
    getrandom::fill(&mut bytes).map_err(|e| {
        Error::new(
            ErrorKind::Read,
            format!("the system gives no random bytes: {e}"),
        )
    })?;
    Ok(hex(&bytes))
}
