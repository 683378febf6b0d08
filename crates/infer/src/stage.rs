//! What an analysis is doing, and when it must stop.

use crate::{Error, Result};
use multirnet_base::StopToken;
use multirnet_finding::Timing;
use std::time::Instant;

/// A stage of an analysis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// Computing the scan's digest; the other stages go on beside it.
    Hash,
    /// Checking the scan and cutting out the network's views.
    Prepare,
    /// Finding the lungs.
    Lungs,
    /// The network looks at the whole chest.
    Global,
    /// The network looks at windows.
    Windows {
        /// Windows that are done.
        done: usize,
        /// Windows in all.
        total: usize,
    },
    /// Putting the heat map together.
    Explain,
    /// Bringing the maps back to the scan's own grid.
    Restore,
    /// Measuring the involvement of the lungs.
    Measure,
}

impl Stage {
    /// Machine name, as in [`Timing::stage`].
    pub fn name(self) -> &'static str {
        match self {
            Self::Hash => "hash",
            Self::Prepare => "prepare",
            Self::Lungs => "lungs",
            Self::Global => "global",
            Self::Windows { .. } => "windows",
            Self::Explain => "explain",
            Self::Restore => "restore",
            Self::Measure => "measure",
        }
    }

    /// About how much of an analysis is done when the stage begins, from 0 to 1. The shares are those
    /// of a usual scan on two cores; windows are counted.
    fn fraction(self) -> f64 {
        const WINDOWS: [f64; 2] = [0.6, 0.85];
        match self {
            Self::Hash => 0.0,
            Self::Prepare => 0.02,
            Self::Lungs => 0.05,
            Self::Global => 0.55,
            Self::Windows { done, total } => {
                let share = done as f64 / total.max(1) as f64;
                WINDOWS[0] + share * (WINDOWS[1] - WINDOWS[0])
            }
            Self::Explain => WINDOWS[1],
            Self::Restore => 0.87,
            Self::Measure => 0.97,
        }
    }
}

/// How far an analysis has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// What it is doing now.
    pub stage: Stage,
    /// About how much of it is done, from 0 to 1; it never falls.
    pub fraction: f64,
}

/// Tells a caller of stages, notes their times, and asks whether to stop.
pub(crate) struct Watch<'a> {
    progress: &'a mut dyn FnMut(Progress),
    stop: &'a StopToken,
    fraction: f64,
    /// Seconds of the stages that have ended, in the order in which they first began.
    pub(crate) timings: Vec<Timing>,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(progress: &'a mut dyn FnMut(Progress), stop: &'a StopToken) -> Self {
        Self {
            progress,
            stop,
            fraction: 0.0,
            timings: Vec::new(),
        }
    }

    /// The token that asks for a stop.
    pub(crate) fn stop(&self) -> &'a StopToken {
        self.stop
    }

    /// Tells the caller of `stage`.
    pub(crate) fn tell(&mut self, stage: Stage) {
        self.fraction = self.fraction.max(stage.fraction());
        (self.progress)(Progress {
            stage,
            fraction: self.fraction,
        });
    }

    /// Adds seconds to the time of `stage`.
    pub(crate) fn note(&mut self, stage: Stage, seconds: f64) {
        match self.timings.iter_mut().find(|t| t.stage == stage.name()) {
            Some(timing) => timing.seconds += seconds,
            None => self.timings.push(Timing {
                stage: stage.name().to_owned(),
                seconds,
            }),
        }
    }

    /// Puts the time of a stage that ran beside others in front of theirs.
    pub(crate) fn note_first(&mut self, stage: Stage, seconds: f64) {
        self.timings.insert(
            0,
            Timing {
                stage: stage.name().to_owned(),
                seconds,
            },
        );
    }

    /// Runs `work` as the stage `stage` and notes its time.
    ///
    /// # Errors
    /// `Interrupted` if a stop was asked for before or meanwhile, else those of `work`.
    pub(crate) fn time<R>(
        &mut self,
        stage: Stage,
        work: impl FnOnce(&mut Self) -> Result<R>,
    ) -> Result<R> {
        check(self.stop)?;
        self.tell(stage);
        let start = Instant::now();
        let result = work(self);
        self.note(stage, start.elapsed().as_secs_f64());
        check(self.stop)?;
        result
    }
}

/// # Errors
/// `Interrupted` if a stop was asked for.
pub(crate) fn check(stop: &StopToken) -> Result<()> {
    if stop.is_raised() {
        Err(Error::interrupted())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn progress_never_falls_and_times_add_up() {
        let mut seen = Vec::new();
        let mut note = |p: Progress| seen.push(p.fraction);
        let stop = StopToken::new();
        let mut watch = Watch::new(&mut note, &stop);
        for stage in [Stage::Prepare, Stage::Lungs, Stage::Prepare, Stage::Measure] {
            watch.time(stage, |_| Ok(())).unwrap();
        }
        let stages: Vec<_> = watch.timings.iter().map(|t| t.stage.as_str()).collect();
        assert_eq!(stages, ["prepare", "lungs", "measure"]);
        stop.raise();
        let error = watch.time(Stage::Global, |_| Ok(())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted);
        assert!(seen.is_sorted() && seen.len() == 4, "{seen:?}");
    }
}
