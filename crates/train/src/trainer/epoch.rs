//! The end of an epoch, of a stage and of the run: validation, records and weights.

use super::run::{Run, nn};
use super::stage::Stage;
use super::threshold::Grid;
use crate::batch::{Batch, Scores, numbers};
use crate::loader::Loader;
use crate::log::{EpochRecord, MeanLosses, ValidationRecord};
use crate::observer::{Event, Observer, StopReason, Summary};
use crate::window::Window;
use crate::{Error, ErrorKind, Result};
use multirnet_base::files;
use multirnet_nn::{ModelOutput, System, Truth};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A callback for a batch of fixed windows, the net's answer and the truth.
type Each<'a> = dyn FnMut(&[Window], &ModelOutput, &Truth) -> Result<()> + 'a;

impl Run<'_> {
    pub fn finish_epoch(
        &mut self,
        stage: &Stage,
        rate: f64,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Result<()> {
        let every = stage.config.validation.every_epochs as u64;
        let epochs = self.epochs_in_stage() + 1;
        let due = epochs.is_multiple_of(every)
            || epochs == stage.config.run.epochs as u64
            || self.time_is_over(stage);
        let validation = if due && !stage.fixed.is_empty() {
            let begin = Instant::now();
            let net = self.trained()?.evaluated();
            let record = self.validate(stage, &net, observer, stop)?;
            self.validation_seconds += begin.elapsed().as_secs_f64();
            if record.is_none() {
                // The validation was interrupted. The epoch stays open, and a resumed run validates
                // first.
                return Ok(());
            }
            record.map(|record| (record, net))
        } else {
            None
        };
        let minutes = self.seconds() / 60.0;
        let p = &mut self.position;
        let n = p.step_in_epoch.max(1) as f64;
        p.epoch += 1;
        let mut best = None;
        if let Some((v, net)) = &validation {
            p.epochs_without_improvement += 1;
            if v.losses.total < p.best_loss {
                p.best_loss = v.losses.total;
                p.best_epoch = p.epoch;
                p.epochs_without_improvement = 0;
                best = Some(net);
            }
        }
        let record = EpochRecord {
            epoch: p.epoch,
            stage: p.stage + 1,
            step: p.step,
            minutes,
            learning_rate: rate,
            train: MeanLosses {
                total: p.sums[0] / n,
                segmentation: p.sums[1] / n,
                classification: p.sums[2] / n,
            },
            validation: validation.as_ref().map(|(v, _)| v.clone()),
            best: best.is_some(),
        };
        p.step_in_epoch = 0;
        p.sums = [0.0; 3];
        self.log.epoch(&record)?;
        observer.event(&Event::Epoch(record));
        if let Some(net) = best {
            let path = self.checkpoints.join("best.safetensors");
            multirnet_nn::weights::save(&path, net).map_err(nn)?;
            observer.event(&Event::Saved(path));
        }
        self.save(observer)
    }

    /// Scores the fixed windows; `None` if interrupted.
    fn validate(
        &self,
        stage: &Stage,
        net: &System,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Result<Option<ValidationRecord>> {
        let mut scores = Scores::new(stage.config);
        let whole =
            self.over_fixed(stage, net, observer, stop, &mut |windows, answer, truth| {
                let values = numbers(&stage.config.loss.score(answer, truth))?;
                scores.add(windows, &values, answer)
            })?;
        Ok(whole.then(|| scores.record()))
    }

    /// Ends the run in `stage`: chooses the threshold for its best weights and sums up the run.
    pub fn finish(
        &self,
        stage: &Stage,
        reason: StopReason,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Result<Summary> {
        let threshold = match reason {
            StopReason::Interrupted => None,
            _ => self.threshold(stage, observer, stop)?,
        };
        let p = &self.position;
        Ok(Summary {
            reason,
            stage: p.stage + 1,
            epochs: p.epoch,
            steps: p.step,
            best_epoch: p.best_epoch,
            best_loss: Some(p.best_loss).filter(|l| l.is_finite()),
            threshold,
            minutes: p.seconds / 60.0,
            wait_seconds: self.wait_seconds,
            compute_seconds: self.compute_seconds,
            validation_seconds: self.validation_seconds,
            best_weights: self.best_weights(),
            last_weights: self.last_weights(),
        })
    }

    /// Chooses the threshold with the highest mean Dice and writes `threshold.json`. `None` if no
    /// validation window is suitable, or if interrupted.
    fn threshold(
        &self,
        stage: &Stage,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Result<Option<f32>> {
        if !stage.config.model.segments() || stage.fixed.is_empty() {
            return Ok(None);
        }
        let device = self.device.clone().without_autodiff();
        let net = multirnet_nn::weights::load(&self.best_weights(), &device).map_err(nn)?;
        let mut grid = Grid::default();
        let whole = self.over_fixed(stage, &net, observer, stop, &mut |windows, answer, _| {
            grid.add(windows, answer)
        })?;
        let Some(chosen) = grid.chosen().filter(|_| whole) else {
            return Ok(None);
        };
        let json = serde_json::to_vec_pretty(&grid.record(chosen))
            .map_err(|e| Error::new(ErrorKind::Io, e.to_string()))?;
        files::write_synced(&self.out.join("threshold.json"), &json)?;
        Ok(Some(chosen))
    }

    /// Calls `each` with the fixed windows of `stage`, batch by batch. Returns whether it got all of
    /// them; an interruption leaves windows out.
    fn over_fixed(
        &self,
        stage: &Stage,
        net: &System,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
        each: &mut Each,
    ) -> Result<bool> {
        let config = stage.config;
        let device = self.device.clone().without_autodiff();
        let source = |item: u64| stage.fixed_window(item);
        let total = stage.fixed.len();
        let size = config.validation.batch;
        let loader = Loader::new(0, total as u64, config.run.prefetch * size);
        std::thread::scope(|scope| {
            let items = loader.start(scope, &source, 1);
            let mut done = 0;
            loop {
                let windows = items.batch(size)?;
                if windows.is_empty() {
                    return Ok(true);
                }
                if stop.load(Ordering::Relaxed) {
                    return Ok(false);
                }
                let batch = Batch::new(
                    &windows,
                    config.sampling.patch_size,
                    config.model.lesion_channels(),
                    &device,
                );
                each(&windows, &net.answer(batch.image), &batch.truth)?;
                done += windows.len();
                observer.event(&Event::Validating { done, total });
            }
        })
    }
}
