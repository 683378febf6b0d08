//! Stages of an analysis, their progress and times, and its early stop.

use crate::{Error, Result};
use multirnet_base::StopToken;
use multirnet_finding::Timing;
use std::time::Instant;

/// A stage of an analysis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// Computing the scan's digest, in parallel with the other stages.
    Hash,
    /// Checking the scan and cutting out the network's views.
    Prepare,
    /// Finding the lungs.
    Lungs,
    /// Running the network on the whole chest.
    Global,
    /// Running the network on fine windows or tiles.
    Windows {
        /// Number of windows that are done.
        done: usize,
        /// Number of all windows.
        total: usize,
    },
    /// Joining the windows' heat maps.
    Explain,
    /// Resampling the maps to the scan's own grid.
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

    /// Approximate fraction of an analysis that is done when the stage begins, from 0 to 1. The
    /// fractions are those of a usual scan on two cores. Those of windows follow their number.
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

/// Progress of an analysis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// The current stage.
    pub stage: Stage,
    /// Approximate fraction of the analysis that is done, from 0 to 1. It never falls.
    pub fraction: f64,
}

/// Reports stages to the caller, records their times, and checks for a stop.
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

    /// Reports `stage` to the caller.
    pub(crate) fn tell(&mut self, stage: Stage) {
        self.fraction = self.fraction.max(stage.fraction());
        (self.progress)(Progress {
            stage,
            fraction: self.fraction,
        });
    }

    /// Adds `seconds` to the time of `stage`.
    pub(crate) fn note(&mut self, stage: Stage, seconds: f64) {
        match self.timings.iter_mut().find(|t| t.stage == stage.name()) {
            Some(timing) => timing.seconds += seconds,
            None => self.timings.push(Timing {
                stage: stage.name().to_owned(),
                seconds,
            }),
        }
    }

    /// Records the time of a stage that ran in parallel with the others, in front of theirs.
    pub(crate) fn note_first(&mut self, stage: Stage, seconds: f64) {
        self.timings.insert(
            0,
            Timing {
                stage: stage.name().to_owned(),
                seconds,
            },
        );
    }

    /// Runs `work` as the stage `stage` and records its time.
    ///
    /// # Errors
    /// `Interrupted` if the caller raised the stop before the end of `work`, else the error of
    /// `work`.
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
/// `Interrupted` if the stop is raised.
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
