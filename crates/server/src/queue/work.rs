//! The workers: each takes the next job, analyses it, and notes what became of it.

use super::{Queue, Running};
use crate::analyser::{AnalysisFailure, Hooks};
use crate::job::{Job, JobError, JobState};
use crate::{ErrorKind, Result};
use multirnet_base::StopToken;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// How long a worker waits for a job before it looks again.
const LOOK: Duration = Duration::from_millis(500);
/// How long a worker waits after a failure of disk or database.
const PAUSE: Duration = Duration::from_secs(5);
/// Shortest time between two messages on the progress of a job.
const TELL: Duration = Duration::from_millis(200);
/// How often a worker without a job gives memory back: what others freed meanwhile counts too.
const RELEASES: u32 = 6;
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
                Ok(Some((job, starts, stop))) => {
                    rest = RELEASES;
                    if let Err(e) = self.run(&job, starts, &stop) {
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

    /// Removes what is too old, now and then, until the stop token is raised.
    pub fn keep_watch(&self) {
        let mut last = Instant::now();
        while !self.stop.is_raised() {
            self.wait(LOOK);
            if last.elapsed() >= RETAIN {
                last = Instant::now();
                if let Err(e) = self.retain() {
                    tracing::error!("{e}");
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

    fn begin(&self) -> Result<Option<(Job, u32, StopToken)>> {
        // The map is held, so that a job is never running without a token to stop it.
        let mut running = self.running();
        let Some((job, starts)) = self.database.begin_next()? else {
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
        Ok(Some((job, starts, stop)))
    }

    fn run(&self, job: &Job, starts: u32, stop: &StopToken) -> Result<()> {
        let id = job.id.as_str();
        // Also ends when the server ends.
        let guard = StopWith(self, id);
        self.tell(id)?;
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
        let noted = match result {
            Ok(Ok(summary)) => self.database.finish(id, &summary).map(|()| {
                self.metrics.finished(begin.elapsed().as_secs_f64());
            }),
            Ok(Err(failure)) => self.note_failure(id, starts, failure),
            Err(_) => self.fail(id, "internal", "the analysis panicked", None),
        };
        drop(guard);
        // The job may have been deleted by a kill of its row only; then nobody needs to know.
        let _ = self.tell(id);
        noted
    }

    fn note_failure(&self, id: &str, starts: u32, failure: AnalysisFailure) -> Result<()> {
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
            // A disk that is full now may have room later.
            ErrorKind::Write if starts < self.config.analysis.attempts => {
                self.database.requeue(id, false)?;
                Err(error)
            }
            ErrorKind::Write => self.fail(id, "disk", error.reason(), error.advice()),
            _ => self.fail(id, "scan", error.reason(), error.advice()),
        }
    }

    fn fail(&self, id: &str, kind: &str, reason: &str, hint: Option<&str>) -> Result<()> {
        self.metrics.failed(kind);
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
