//! The training loop over steps and epochs.

use super::setup;
use super::stage::{Length, Stage};
use crate::average::{self, Average};
use crate::batch::{Batch, numbers};
use crate::checkpoint::{self, Position, Trained};
use crate::config::{Schedule, TrainConfig};
use crate::loader::{Items, Loader};
use crate::log::{Log, StepRecord};
use crate::observer::{Event, Observer, StopReason};
use crate::{Error, ErrorKind, Result, schedule};
use burn::optim::GradientsParams;
use burn::tensor::Device;
use multirnet_base::random::Random;
use multirnet_nn::ops::with_precision;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Key of dropout's random numbers.
const DROPOUT: u64 = 11;

/// A running training, through all of its stages.
pub(super) struct Run<'a> {
    config: &'a TrainConfig,
    pub out: &'a Path,
    pub checkpoints: PathBuf,
    pub device: Device,
    digests: Vec<String>,
    lengths: Vec<Length>,
    pub position: Position,
    /// Empty only during a step.
    trained: Option<Trained>,
    pub log: Log,
    earlier_seconds: f64,
    started: Instant,
    saved: Instant,
    pub wait_seconds: f64,
    pub compute_seconds: f64,
    pub validation_seconds: f64,
    /// Voxels that went through the net in steps of this part of the run.
    voxels: u64,
}

impl<'a> Run<'a> {
    #[allow(clippy::too_many_arguments, reason = "each is a part of the run")]
    pub fn new(
        config: &'a TrainConfig,
        out: &'a Path,
        device: Device,
        digests: Vec<String>,
        lengths: Vec<Length>,
        log: Log,
        position: Position,
        trained: Trained,
    ) -> Self {
        Self {
            config,
            out,
            checkpoints: out.join("checkpoints"),
            device,
            digests,
            lengths,
            earlier_seconds: position.seconds,
            position,
            trained: Some(trained),
            log,
            started: Instant::now(),
            saved: Instant::now(),
            wait_seconds: 0.0,
            compute_seconds: 0.0,
            validation_seconds: 0.0,
            voxels: 0,
        }
    }

    /// Trains in `stage` until it ends or is interrupted, and saves.
    pub fn go(
        &mut self,
        stage: &Stage,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Result<StopReason> {
        let batch = stage.config.sampling.batch;
        let source = |item: u64| stage.window(item);
        let first = self.steps_in_stage() * batch as u64;
        let end = stage.length.steps * batch as u64;
        let loader = Loader::new(first, end, stage.config.run.prefetch * batch);
        let reason = std::thread::scope(|scope| {
            let items = loader.start(scope, &source, self.workers());
            self.epochs(stage, &items, observer, stop)
        })?;
        self.save(observer)?;
        Ok(match stop.load(Ordering::Relaxed) && !stage.last {
            true => StopReason::Interrupted,
            false => reason,
        })
    }

    /// Whether the next stage follows after `stage` ended for `reason`.
    pub fn goes_on(&self, stage: &Stage, reason: StopReason) -> bool {
        !stage.last
            && match reason {
                StopReason::Epochs | StopReason::Patience => true,
                StopReason::Time => !self.run_is_over(),
                StopReason::Interrupted => false,
            }
    }

    /// Begins the next stage with the best weights of the one before, as `go` saved them.
    pub fn next_stage(&mut self, observer: &mut dyn Observer) -> Result<()> {
        let path = self.best_weights();
        let net = multirnet_nn::weights::load(&path, &self.device).map_err(nn)?;
        self.trained = Some(Trained {
            net,
            optimiser: setup::optimiser(self.config),
            average: None,
        });
        self.position = self.position.next_stage();
        self.save(observer)
    }

    fn epochs(
        &mut self,
        stage: &Stage,
        items: &Items,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Result<StopReason> {
        loop {
            if self.epochs_in_stage() >= stage.config.run.epochs as u64 {
                return Ok(StopReason::Epochs);
            }
            if self.position.epochs_without_improvement >= stage.config.run.patience as u64 {
                return Ok(StopReason::Patience);
            }
            // An interrupted validation leaves no step to do, so the flag is checked here as well.
            if stop.load(Ordering::Relaxed) {
                return Ok(StopReason::Interrupted);
            }
            let mut rate = 0.0;
            while self.position.step_in_epoch < stage.length.steps_per_epoch {
                if stop.load(Ordering::Relaxed) {
                    return Ok(StopReason::Interrupted);
                }
                if self.time_is_over(stage) {
                    // The last weights of a time-bound schedule are the result, and those of a stage
                    // are carried over. Both are validated. Otherwise the epoch stays open for an
                    // exact continuation.
                    let timed = stage.config.optimiser.schedule == Schedule::CosineTime;
                    let carried = !stage.last && !self.run_is_over();
                    if (timed || carried) && self.position.step_in_epoch > 0 {
                        self.finish_epoch(stage, rate, observer, stop)?;
                    }
                    return Ok(StopReason::Time);
                }
                if self.saved.elapsed().as_secs_f64() > self.config.run.checkpoint_minutes * 60.0 {
                    self.save(observer)?;
                }
                let record = self.step(stage, items)?;
                rate = record.learning_rate;
                self.log.step(&record)?;
                observer.event(&Event::Step {
                    record,
                    epoch: self.position.epoch + 1,
                    seconds_left: self.seconds_left(),
                });
            }
            self.finish_epoch(stage, rate, observer, stop)?;
        }
    }

    fn step(&mut self, stage: &Stage, items: &Items) -> Result<StepRecord> {
        let config = stage.config;
        let begin = Instant::now();
        let windows = items.batch(config.sampling.batch)?;
        let waited = begin.elapsed().as_secs_f64();
        let begin = Instant::now();
        let rate = schedule::learning_rate(
            &config.optimiser,
            self.steps_in_stage(),
            self.progress(stage),
        );
        let batch = Batch::new(
            &windows,
            config.sampling.patch_size,
            config.model.lesion_channels(),
            &self.device,
        );
        drop(windows);
        // Dropout depends only on the step, so a resumed run repeats it.
        let seed = Random::keyed(&[config.run.seed, DROPOUT, self.position.step]).bits();
        self.device.seed(seed);
        let mut trained = self.trained.take().ok_or_else(no_net)?;
        let answer = with_precision(config.run.precision.into(), || {
            trained.net.answer(batch.image)
        });
        let losses = config.loss.score(&answer, &batch.truth);
        let values = numbers(&losses)?;
        if !values.total.is_finite() {
            return Err(Error::new(
                ErrorKind::Diverged,
                format!("the loss of step {} is not finite", self.position.step + 1),
            )
            .at(self.out)
            // A run keeps its configuration, so it cannot continue with another rate.
            .hint(format!(
                "train into a new folder with a lower learning rate than \
                 optimiser.learning_rate = {:?}",
                config.optimiser.learning_rate
            )));
        }
        drop(answer);
        let grads = GradientsParams::from_grads(losses.total.backward(), &trained.net);
        let grads = match config.optimiser.clip_norm {
            Some(limit) => schedule::clip(&trained.net, grads, limit),
            None => grads,
        };
        trained.net = trained.optimiser.step(rate, trained.net, grads);
        if let Some(limit) = config.optimiser.average {
            let decay = average::decay(limit, self.steps_in_stage());
            match &mut trained.average {
                Some(average) => average.update(&trained.net, decay),
                None => trained.average = Some(Average::new(&trained.net)),
            }
        }
        self.trained = Some(trained);
        let computed = begin.elapsed().as_secs_f64();

        let p = &mut self.position;
        p.step += 1;
        p.step_in_epoch += 1;
        let parts = [values.total, values.segmentation, values.classification];
        p.sums.iter_mut().zip(parts).for_each(|(s, v)| *s += v);
        self.wait_seconds += waited;
        self.compute_seconds += computed;
        self.voxels += stage.length.voxels;
        Ok(StepRecord {
            step: p.step,
            losses: values,
            learning_rate: rate,
            wait_seconds: waited,
            compute_seconds: computed,
        })
    }

    pub fn save(&mut self, observer: &mut dyn Observer) -> Result<()> {
        self.position.seconds = self.seconds();
        let trained = self.trained()?;
        let path = self.last_weights();
        multirnet_nn::weights::save(&path, &trained.evaluated()).map_err(nn)?;
        let path = self.checkpoints.join("last.state");
        checkpoint::save(&path, &self.position, self.config, &self.digests, trained)?;
        self.saved = Instant::now();
        observer.event(&Event::Saved(path));
        Ok(())
    }

    pub fn last_weights(&self) -> PathBuf {
        self.checkpoints.join("last.safetensors")
    }

    /// Path of the best weights of the stage, or of the last ones if no validation took place.
    pub fn best_weights(&self) -> PathBuf {
        match self.position.best_epoch {
            0 => self.last_weights(),
            _ => self.checkpoints.join("best.safetensors"),
        }
    }

    pub fn trained(&self) -> Result<&Trained> {
        self.trained.as_ref().ok_or_else(no_net)
    }

    /// The length of the current stage.
    pub fn length(&self) -> Length {
        self.lengths[self.position.stage]
    }

    /// Maximum number of steps of the run.
    pub fn total_steps(&self) -> u64 {
        let left = self.lengths[self.position.stage..].iter();
        self.position.before.steps + left.map(|l| l.steps).sum::<u64>()
    }

    fn steps_in_stage(&self) -> u64 {
        self.position.step - self.position.before.steps
    }

    pub fn epochs_in_stage(&self) -> u64 {
        self.position.epoch - self.position.before.epochs
    }

    pub fn seconds(&self) -> f64 {
        self.earlier_seconds + self.started.elapsed().as_secs_f64()
    }

    fn run_is_over(&self) -> bool {
        let limit = self.config.run.max_minutes;
        limit.is_some_and(|m| self.seconds() >= m * 60.0)
    }

    /// Whether the run's time is up, or that of an earlier stage.
    pub fn time_is_over(&self, stage: &Stage) -> bool {
        let limit = stage.config.run.max_minutes.filter(|_| !stage.last);
        let seconds = self.seconds() - self.position.before.seconds;
        self.run_is_over() || limit.is_some_and(|m| seconds >= m * 60.0)
    }

    /// The part of the stage that is over, 0 to 1.
    fn progress(&self, stage: &Stage) -> f64 {
        let before = self.position.before.seconds;
        let timed = stage.config.optimiser.schedule == Schedule::CosineTime;
        match stage.config.run.max_minutes.filter(|_| timed) {
            Some(minutes) => {
                // The last stage has the rest of the run's time.
                let whole = match stage.last {
                    true => minutes * 60.0 - before,
                    false => minutes * 60.0,
                };
                (self.seconds() - before) / whole.max(1e-9)
            }
            None => self.steps_in_stage() as f64 / stage.length.steps as f64,
        }
    }

    fn seconds_left(&self) -> f64 {
        let each = self.started.elapsed().as_secs_f64() / self.voxels.max(1) as f64;
        let left = self.lengths[self.position.stage..].iter();
        let voxels: u64 = left.map(|l| l.steps * l.voxels).sum();
        let done = self.steps_in_stage() * self.length().voxels;
        let steps = voxels.saturating_sub(done) as f64 * each;
        match self.config.run.max_minutes {
            Some(minutes) => steps.min((minutes * 60.0 - self.seconds()).max(0.0)),
            None => steps,
        }
    }

    fn workers(&self) -> usize {
        match self.config.run.workers {
            0 => (std::thread::available_parallelism().map_or(2, usize::from) / 2).clamp(1, 4),
            n => n,
        }
    }
}

fn no_net() -> Error {
    Error::new(ErrorKind::Diverged, "a failed step left no network behind")
}

pub(super) fn nn(e: multirnet_nn::Error) -> Error {
    Error::from_report(e.into_report(|kind| match kind {
        multirnet_nn::ErrorKind::Write => ErrorKind::Write,
        _ => ErrorKind::Io,
    }))
}
