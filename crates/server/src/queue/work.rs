//! The workers: each takes the next job, analyses it, and notes what became of it.

use super::{Deferred, Queue, Running};
use crate::analyser::{AnalysisFailure, Hooks};
use crate::job::{Job, JobError, JobState};
use crate::{ErrorKind, Result};
use multirnet_base::{ClockWatch, StopToken};
use multirnet_pacs::store::Store;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long a worker waits for a job before it looks again.
const LOOK: Duration = Duration::from_millis(500);
/// How long a worker waits after a failure of disk or database.
const PAUSE: Duration = Duration::from_secs(5);
/// Shortest time between two messages on the progress of a job.
const TELL: Duration = Duration::from_millis(200);
/// How often a worker without a job gives memory back: what others freed meanwhile counts too.
const RELEASES: u32 = 6;
/// Shortest time between two removals of the traces of what was deleted.
const CLEAN: Duration = Duration::from_secs(5);
/// Longest time for which a job waits whose results the disk refused.
const LONGEST_DEFERRED: Duration = Duration::from_secs(60);
/// How often old jobs and uploads are removed.
const RETAIN: Duration = Duration::from_secs(600);

impl Queue {
    /// Analyses jobs until the queue's stop token is raised.
    pub fn work(&self) {
        let mut rest = 0;
        while !self.stop.is_raised() {
            if self.check_disk().is_err() {
                self.pause(PAUSE);
                continue;
            }
            match self.begin() {
                Ok(Some((job, stop))) => {
                    rest = RELEASES;
                    if let Err(e) = self.run(&job, &stop) {
                        tracing::error!("job {}: {e}", job.id);
                        self.pause(PAUSE);
                    }
                }
                Ok(None) => {
                    if rest > 0 {
                        rest -= 1;
                        self.release();
                    }
                    self.wait(LOOK);
                }
                Err(e) => {
                    tracing::error!("{e}");
                    self.pause(PAUSE);
                }
            }
        }
    }

    /// Gives back memory that nobody uses just now.
    fn release(&self) {
        if self.running().is_empty() {
            self.analyser.model.release();
        }
        (self.analyser.idle)();
        rayon::broadcast(|_| (self.analyser.idle)());
    }

    /// Removes what is too old, now and then, and the traces of what was deleted, until the stop token
    /// is raised. The first removal of what is too old comes only after a while, and after the clock was
    /// set nothing is removed until it has run on for as long: a clock that is ahead for a moment makes
    /// everything look old.
    pub fn keep_watch(&self, studies: &Store) {
        let (mut last, mut tried) = (Instant::now(), Instant::now());
        let mut cleaned: Option<Instant> = None;
        let mut clock = ClockWatch::new();
        while !self.stop.is_raised() {
            self.wait(LOOK);
            if tried.elapsed() >= PAUSE {
                tried = Instant::now();
                self.data.discard_leftovers();
                self.forget_again();
            }
            let is_due = cleaned.is_none_or(|c| c.elapsed() >= CLEAN);
            if is_due && self.must_clean.load(Ordering::Relaxed) {
                cleaned = Some(Instant::now());
                if let Err(e) = self.clean(studies) {
                    tracing::error!("{e}");
                }
            }
            if last.elapsed() >= RETAIN {
                last = Instant::now();
                match clock.seconds_set() {
                    0 => {
                        if let Err(e) = self.retain() {
                            tracing::error!("{e}");
                        }
                    }
                    set => tracing::warn!(
                        "the computer's clock was set by {set} s; nothing is removed for its age until it \
                         has run on for {} min",
                        RETAIN.as_secs() / 60
                    ),
                }
            }
        }
    }

    /// Waits for a change, but not longer than `time`.
    fn wait(&self, time: Duration) {
        let waited = self.changed.wait_timeout(self.running(), time);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits, but not longer than until the stop token is raised.
    pub(crate) fn pause(&self, time: Duration) {
        let end = Instant::now() + time;
        while !self.stop.is_raised() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until a job is finished. `None` once `stop` is raised.
    ///
    /// # Errors
    /// `NotFound` if it is deleted meanwhile.
    pub(crate) fn wait_for(&self, id: &str, stop: &StopToken) -> Result<Option<Job>> {
        while !stop.is_raised() && !self.stop.is_raised() {
            let job = self.database.job(id)?;
            if job.state.is_finished() {
                return Ok(Some(job));
            }
            self.wait(LOOK);
        }
        Ok(None)
    }

    fn begin(&self) -> Result<Option<(Job, StopToken)>> {
        // The map is held, so that a job is never running without a token to stop it.
        let mut running = self.running();
        let deferred = self.deferred();
        let Some((job, _)) = self.database.begin_next(&deferred)? else {
            return Ok(None);
        };
        let stop = StopToken::new();
        let run = Running {
            stop: stop.clone(),
            is_cancelled: false,
            progress: 0.0,
            stage: "waiting for memory".to_owned(),
        };
        running.insert(job.id.clone(), run);
        Ok(Some((job, stop)))
    }

    fn run(&self, job: &Job, stop: &StopToken) -> Result<()> {
        let id = job.id.as_str();
        // Also ends when the server ends.
        let guard = StopWith(self, id);
        let _ = self.tell(id);
        let begin = Instant::now();
        let mut last: Option<Instant> = None;
        let mut told = |progress: f64, stage: &str| {
            if let Some(run) = self.running().get_mut(id) {
                run.progress = progress;
                stage.clone_into(&mut run.stage);
            }
            if last.is_none_or(|l| l.elapsed() >= TELL) {
                last = Some(Instant::now());
                let _ = self.tell(id);
            }
        };
        let hooks = Hooks {
            stop,
            told: &mut told,
        };
        let result = catch_unwind(AssertUnwindSafe(|| self.analyse(id, &job.name, hooks)));
        let seconds = begin.elapsed().as_secs_f64();
        match &result {
            Ok(Ok(_)) => self.metrics.finished(seconds),
            Ok(Err(failure)) => self.count_failure(id, failure),
            Err(_) => self.metrics.failed("internal"),
        }
        let noted = self.until_noted(id, || match &result {
            Ok(Ok(summary)) => self.database.finish(id, summary),
            Ok(Err(failure)) => self.note_failure(id, failure),
            Err(_) => self.fail(id, "internal", "the analysis panicked", None),
        });
        drop(guard);
        // The job may have been deleted by a kill of its row only; then nobody needs to know.
        let _ = self.tell(id);
        noted?;
        match result {
            // The disk may have room later.
            Ok(Err(AnalysisFailure::Error(e))) if e.kind() == ErrorKind::Write => Err(e),
            _ => Ok(()),
        }
    }

    /// Notes what became of a job, again and again while the disk refuses: otherwise the job would count
    /// as running until the next start.
    fn until_noted(&self, id: &str, note: impl Fn() -> Result<()>) -> Result<()> {
        loop {
            match note() {
                Err(e) if !self.stop.is_raised() => {
                    tracing::error!("job {id}: what became of it is not noted yet: {e}");
                    if let Some(run) = self.running().get_mut(id) {
                        "waiting for the disk".clone_into(&mut run.stage);
                    }
                    self.pause(PAUSE);
                }
                noted => return noted,
            }
        }
    }

    /// The jobs whose results the disk refused and that do not run again yet.
    fn deferred(&self) -> Vec<String> {
        let deferred = self.deferred.lock();
        let deferred = deferred.unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let waiting = deferred.iter().filter(|(_, d)| d.until > now);
        waiting.map(|(id, _)| id.clone()).collect()
    }

    /// Lets a job wait, longer each time.
    fn defer(&self, id: &str) {
        let deferred = self.deferred.lock();
        let mut deferred = deferred.unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        deferred.retain(|_, d| now < d.until + LONGEST_DEFERRED);
        let wait = deferred.get(id).map_or(PAUSE, |d| d.wait * 2);
        let wait = wait.min(LONGEST_DEFERRED);
        let until = now + wait;
        deferred.insert(id.to_owned(), Deferred { until, wait });
    }

    fn count_failure(&self, id: &str, failure: &AnalysisFailure) {
        match failure {
            AnalysisFailure::Stopped => {}
            AnalysisFailure::Memory { .. } => self.metrics.failed("memory"),
            AnalysisFailure::Error(e) if e.kind() == ErrorKind::Write => {
                self.metrics.failed("disk");
                self.defer(id);
            }
            AnalysisFailure::Error(_) => self.metrics.failed("scan"),
        }
    }

    fn note_failure(&self, id: &str, failure: &AnalysisFailure) -> Result<()> {
        let is_cancelled = self.running().get(id).is_some_and(|r| r.is_cancelled);
        let error = match failure {
            AnalysisFailure::Stopped if is_cancelled => {
                let from = [JobState::Running];
                self.database.change_state(id, &from, JobState::Cancelled)?;
                return Ok(());
            }
            AnalysisFailure::Stopped => return self.database.requeue(id, true),
            AnalysisFailure::Memory { needed, budget } => {
                let reason = format!(
                    "the scan needs {} MiB of memory, and analyses may take {} MiB",
                    needed >> 20,
                    budget >> 20
                );
                let hint = "raise analysis.memory_mib, or crop the scan";
                return self.fail(id, "memory", &reason, Some(hint));
            }
            AnalysisFailure::Error(error) => error,
        };
        match error.kind() {
            // That is not the scan's fault, and a disk that is full now has room later.
            ErrorKind::Write => {
                let waits = JobError {
                    kind: "disk".to_owned(),
                    reason: error.reason().to_owned(),
                    hint: Some(
                        "the scan waits, and is analysed when the disk takes files".to_owned(),
                    ),
                };
                self.database.defer(id, &waits)
            }
            _ => self.fail(id, "scan", error.reason(), error.advice()),
        }
    }

    fn fail(&self, id: &str, kind: &str, reason: &str, hint: Option<&str>) -> Result<()> {
        let error = JobError {
            kind: kind.to_owned(),
            reason: reason.to_owned(),
            hint: hint.map(str::to_owned),
        };
        self.database.fail(id, &error)
    }

    /// Raises the stop tokens of all running jobs.
    pub(crate) fn stop_running(&self) {
        for run in self.running().values() {
            run.stop.raise();
        }
        self.changed.notify_all();
    }
}

/// Takes the job off the running ones when it is dropped.
struct StopWith<'a>(&'a Queue, &'a str);

impl Drop for StopWith<'_> {
    fn drop(&mut self) {
        self.0.running().remove(self.1);
        self.0.changed.notify_all();
    }
}
