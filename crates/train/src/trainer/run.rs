//! The loop itself.

use crate::batch::{Batch, Scores, numbers};
use crate::cache::{Cache, Entry};
use crate::checkpoint::{self, Position};
use crate::config::{Schedule, TrainConfig};
use crate::loader::{Items, Loader};
use crate::log::{EpochRecord, Log, MeanLosses, StepRecord, ValidationRecord};
use crate::observer::{Event, Observer, StopReason, Summary};
use crate::random::keyed;
use crate::sampler::{FixedWindow, Sampler};
use crate::{Cohort, Error, ErrorKind, Result, schedule};
use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Device;
use multirnet_nn::System;
use rand::Rng;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Key of dropout's random numbers.
const DROPOUT: u64 = 11;

/// A run under way.
pub(super) struct Run<'a> {
    pub config: &'a TrainConfig,
    pub cohort: &'a Cohort,
    pub cache: &'a Cache<'a>,
    pub entries: &'a [Option<Entry>],
    pub sampler: &'a Sampler,
    pub fixed: &'a [FixedWindow],
    pub device: Device,
    pub checkpoints: PathBuf,
    pub digests: Vec<String>,
    pub steps_per_epoch: u64,
    pub earlier_seconds: f64,
    pub started: Instant,
    pub saved: Instant,
    pub position: Position,
    /// Taken out during a step only.
    pub net: Option<System>,
    pub optimiser: ModuleOptimizer,
    pub log: Log,
    pub wait_seconds: f64,
    pub compute_seconds: f64,
    pub validation_seconds: f64,
    pub steps_here: u64,
}

impl<'a> Run<'a> {
    pub fn go(&mut self, observer: &mut dyn Observer, stop: &AtomicBool) -> Result<Summary> {
        let batch = self.config.sampling.batch;
        let (sampler, cohort, cache, entries) =
            (self.sampler, self.cohort, self.cache, self.entries);
        let source = move |item: u64| {
            let case = sampler.scan_of(item);
            let prepared = get(cohort, cache, entries, case)?;
            Ok(sampler.window(item, case, &cohort.cases[case], &prepared))
        };
        let first = self.position.step * batch as u64;
        let end = self.total_steps() * batch as u64;
        let loader = Loader::new(first, end, self.config.run.prefetch * batch);
        let reason = std::thread::scope(|scope| {
            let items = loader.start(scope, &source, self.workers());
            self.epochs(&items, observer, stop)
        })?;
        self.save(observer)?;
        Ok(self.summary(reason))
    }

    fn epochs(
        &mut self,
        items: &Items,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Result<StopReason> {
        loop {
            if self.position.epoch >= self.config.run.epochs as u64 {
                return Ok(StopReason::Epochs);
            }
            if self.position.stale >= self.config.run.patience as u64 {
                return Ok(StopReason::Patience);
            }
            // Also here: an interrupted validation leaves no step to do.
            if stop.load(Ordering::Relaxed) {
                return Ok(StopReason::Interrupted);
            }
            let mut rate = 0.0;
            while self.position.step_in_epoch < self.steps_per_epoch {
                if stop.load(Ordering::Relaxed) {
                    return Ok(StopReason::Interrupted);
                }
                if self.time_is_over() {
                    // Weights at the end of a time-bound schedule are the ones wanted, so they
                    // are validated; otherwise the epoch stays open for an exact continuation.
                    let timed = self.config.optimiser.schedule == Schedule::CosineTime;
                    if timed && self.position.step_in_epoch > 0 {
                        self.finish_epoch(rate, observer, stop)?;
                    }
                    return Ok(StopReason::Time);
                }
                if self.saved.elapsed().as_secs_f64() > self.config.run.checkpoint_minutes * 60.0 {
                    self.save(observer)?;
                }
                let record = self.step(items)?;
                rate = record.learning_rate;
                self.log.step(&record)?;
                observer.event(&Event::Step {
                    record,
                    epoch: self.position.epoch + 1,
                    seconds_left: self.seconds_left(),
                });
            }
            self.finish_epoch(rate, observer, stop)?;
        }
    }

    fn step(&mut self, items: &Items) -> Result<StepRecord> {
        let config = self.config;
        let begin = Instant::now();
        let windows = items.batch(config.sampling.batch)?;
        let waited = begin.elapsed().as_secs_f64();
        let begin = Instant::now();
        let rate = schedule::learning_rate(&config.optimiser, self.position.step, self.progress());
        let batch = Batch::new(
            &windows,
            config.sampling.window,
            config.model.lesion_channels(),
            &self.device,
        );
        drop(windows);
        // Dropout depends on the step alone, so that a resumed run repeats it.
        let seed = keyed(&[config.run.seed, DROPOUT, self.position.step]).next_u64();
        self.device.seed(seed);
        let net = self.net.take().ok_or_else(no_net)?;
        let answer = net.answer(batch.image);
        let losses = config.loss.score(&answer, &batch.truth);
        let values = numbers(&losses)?;
        if !values.total.is_finite() {
            return Err(Error::new(
                ErrorKind::Diverged,
                format!("the loss of step {} is not finite", self.position.step + 1),
            )
            .hint("resume from the last checkpoint with a new run and a lower learning rate or optimiser.clip_norm"));
        }
        drop(answer);
        let grads = GradientsParams::from_grads(losses.total.backward(), &net);
        let grads = match config.optimiser.clip_norm {
            Some(limit) => schedule::clip(&net, grads, limit),
            None => grads,
        };
        self.net = Some(self.optimiser.step(rate, net, grads));
        let computed = begin.elapsed().as_secs_f64();

        let p = &mut self.position;
        p.step += 1;
        p.step_in_epoch += 1;
        let parts = [values.total, values.segmentation, values.classification];
        p.sums.iter_mut().zip(parts).for_each(|(s, v)| *s += v);
        self.wait_seconds += waited;
        self.compute_seconds += computed;
        self.steps_here += 1;
        Ok(StepRecord {
            step: p.step,
            losses: values,
            learning_rate: rate,
            wait_seconds: waited,
            compute_seconds: computed,
        })
    }

    fn finish_epoch(
        &mut self,
        rate: f64,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Result<()> {
        let every = self.config.validation.every_epochs as u64;
        let due = (self.position.epoch + 1).is_multiple_of(every)
            || self.position.epoch + 1 == self.config.run.epochs as u64
            || self.time_is_over();
        let validation = if due && !self.fixed.is_empty() {
            let begin = Instant::now();
            let record = self.validate(observer, stop)?;
            self.validation_seconds += begin.elapsed().as_secs_f64();
            if record.is_none() {
                // Interrupted: the epoch stays open, and a resumed run validates first.
                return Ok(());
            }
            record
        } else {
            None
        };
        let p = &mut self.position;
        let n = p.step_in_epoch.max(1) as f64;
        p.epoch += 1;
        let mut best = false;
        if let Some(v) = &validation {
            best = v.losses.total < p.best_loss;
            p.stale += 1;
            if best {
                p.best_loss = v.losses.total;
                p.best_epoch = p.epoch;
                p.stale = 0;
            }
        }
        let record = EpochRecord {
            epoch: p.epoch,
            step: p.step,
            minutes: (self.earlier_seconds + self.started.elapsed().as_secs_f64()) / 60.0,
            learning_rate: rate,
            train: MeanLosses {
                total: p.sums[0] / n,
                segmentation: p.sums[1] / n,
                classification: p.sums[2] / n,
            },
            validation,
            best,
        };
        p.step_in_epoch = 0;
        p.sums = [0.0; 3];
        self.log.epoch(&record)?;
        observer.event(&Event::Epoch(record));
        if best {
            let path = self.checkpoints.join("best.safetensors");
            multirnet_nn::weights::save(&path, self.net()?).map_err(nn)?;
            observer.event(&Event::Saved(path));
        }
        self.save(observer)
    }

    /// Scores the fixed windows; `None` if interrupted.
    fn validate(
        &self,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Result<Option<ValidationRecord>> {
        let config = self.config;
        let net = self.net()?.valid();
        let device = self.device.clone().without_autodiff();
        let source = |item: u64| {
            let fixed = &self.fixed[item as usize];
            let prepared = get(self.cohort, self.cache, self.entries, fixed.case)?;
            let case = &self.cohort.cases[fixed.case];
            Ok(fixed.window(case, &prepared, &config.sampling, config.run.seed))
        };
        let total = self.fixed.len();
        let size = config.validation.batch;
        let loader = Loader::new(0, total as u64, config.run.prefetch * size);
        std::thread::scope(|scope| {
            let items = loader.start(scope, &source, 1);
            let mut scores = Scores::default();
            let mut done = 0;
            loop {
                let windows = items.batch(size)?;
                if windows.is_empty() {
                    return Ok(Some(scores.record()));
                }
                if stop.load(Ordering::Relaxed) {
                    return Ok(None);
                }
                let batch = Batch::new(
                    &windows,
                    config.sampling.window,
                    config.model.lesion_channels(),
                    &device,
                );
                let answer = net.answer(batch.image);
                let losses = config.loss.score(&answer, &batch.truth);
                let values = numbers(&losses)?;
                scores.add(&windows, &values, &answer)?;
                done += windows.len();
                observer.event(&Event::Validating { done, total });
            }
        })
    }

    fn save(&mut self, observer: &mut dyn Observer) -> Result<()> {
        self.position.seconds = self.earlier_seconds + self.started.elapsed().as_secs_f64();
        let path = self.checkpoints.join("last.safetensors");
        multirnet_nn::weights::save(&path, self.net()?).map_err(nn)?;
        let path = self.checkpoints.join("last.state");
        checkpoint::save(
            &path,
            &self.position,
            self.config,
            &self.digests,
            self.net()?,
            &self.optimiser,
        )?;
        self.saved = Instant::now();
        observer.event(&Event::Saved(path));
        Ok(())
    }

    fn summary(&self, reason: StopReason) -> Summary {
        let p = &self.position;
        let last = self.checkpoints.join("last.safetensors");
        let best = self.checkpoints.join("best.safetensors");
        Summary {
            reason,
            epochs: p.epoch,
            steps: p.step,
            best_epoch: p.best_epoch,
            best_loss: Some(p.best_loss).filter(|l| l.is_finite()),
            minutes: p.seconds / 60.0,
            wait_seconds: self.wait_seconds,
            compute_seconds: self.compute_seconds,
            validation_seconds: self.validation_seconds,
            best_weights: if p.best_epoch > 0 { best } else { last.clone() },
            last_weights: last,
        }
    }

    pub fn net(&self) -> Result<&System> {
        self.net.as_ref().ok_or_else(no_net)
    }

    pub fn total_steps(&self) -> u64 {
        self.steps_per_epoch * self.config.run.epochs as u64
    }

    fn seconds(&self) -> f64 {
        self.earlier_seconds + self.started.elapsed().as_secs_f64()
    }

    fn time_is_over(&self) -> bool {
        let limit = self.config.run.max_minutes;
        limit.is_some_and(|m| self.seconds() >= m * 60.0)
    }

    fn progress(&self) -> f64 {
        match (self.config.optimiser.schedule, self.config.run.max_minutes) {
            (Schedule::CosineTime, Some(minutes)) => self.seconds() / (minutes * 60.0),
            _ => self.position.step as f64 / self.total_steps() as f64,
        }
    }

    fn seconds_left(&self) -> f64 {
        let each = self.started.elapsed().as_secs_f64() / self.steps_here.max(1) as f64;
        let steps = (self.total_steps() - self.position.step) as f64 * each;
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

fn get(
    cohort: &Cohort,
    cache: &Cache,
    entries: &[Option<Entry>],
    case: usize,
) -> Result<std::sync::Arc<crate::PreparedCase>> {
    let key = entries[case].as_ref().map_or("", |e| e.key.as_str());
    cache.get(&cohort.cases[case], key)
}

fn no_net() -> Error {
    Error::new(ErrorKind::Diverged, "a failed step left no network behind")
}

fn nn(e: multirnet_nn::Error) -> Error {
    Error::new(ErrorKind::Io, e.to_string())
}
