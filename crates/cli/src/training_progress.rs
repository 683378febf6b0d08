//! The progress of a training on the terminal.

use crate::failure::{Outcome, study_failure};
use crate::{output, scan};
use indicatif::ProgressBar;
use multirnet_train::{EpochRecord, Event};
use std::path::{Path, PathBuf};
use std::time::Duration;
/// Shows the progress of a training on the terminal.
pub struct TrainingProgress {
    bar: ProgressBar,
    run: PathBuf,
}

impl TrainingProgress {
    pub fn new(run: &Path) -> Self {
        let bar = output::bar(Some(0), "{bar:30} {pos}/{len} {msg}");
        Self {
            bar,
            run: run.to_owned(),
        }
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Prepared {
                done,
                total,
                name,
                warnings,
                // The error that ends the preparation names all unusable scans.
                error: _,
            } => {
                self.bar.set_length(*total as u64);
                self.bar.set_position(*done as u64);
                output::set_message(&self.bar, &format!("preparing {name}"));
                for warning in warnings {
                    tracing::info!("{name}: {warning}");
                }
            }
            Event::Warning(warning) => {
                self.bar
                    .suspend(|| output::say(&format!("multirnet: warning: {warning}")));
            }
            Event::Started {
                parameters,
                train,
                validation,
                steps,
                done,
                ..
            } => {
                self.bar.set_length(*steps);
                self.bar.set_position(*done);
                self.bar.suspend(|| {
                    output::say(&format!("{parameters} parameters; {train} scans to train, {validation} to validate"))
                });
            }
            Event::Stage {
                number,
                of,
                window: [d, h, w],
                spacing_mm: [z, y, x],
            } if *of > 1 => self.bar.suspend(|| {
                output::say(&format!("stage {number} of {of}: windows of {d} × {h} × {w} voxels at {z} × {y} × {x} mm"))
            }),
            Event::Step {
                record,
                epoch,
                seconds_left,
            } => {
                self.bar.set_position(record.step);
                let left = Duration::from_secs(seconds_left.clamp(0.0, 1e9) as u64);
                self.bar.set_message(format!(
                    "epoch {epoch}, loss {:.4}, {:.2} s a step, left: {}",
                    record.losses.total,
                    record.compute_seconds + record.wait_seconds,
                    indicatif::HumanDuration(left)
                ));
            }
            Event::Validating { done, total } => {
                self.bar.set_message(format!("validating {done}/{total}"))
            }
            Event::Epoch(record) => {
                self.bar.suspend(|| output::say(&epoch_line(record)));
                // The curves show the training while it runs. A failure to draw them must not stop
                // it.
                if let Err(failure) = draw_curves(&self.run) {
                    tracing::debug!("{failure}");
                }
            }
            _ => {}
        }
    }
}

fn epoch_line(r: &EpochRecord) -> String {
    let mut line = format!(
        "epoch {:>4}, step {:>6}, {:>6.1} min: train loss {:.4}",
        r.epoch, r.step, r.minutes, r.train.total
    );
    if let Some(v) = &r.validation {
        let share =
            |v: Option<f64>| v.map_or_else(|| "–".into(), |v| format!("{:.1} %", 100.0 * v));
        line += &format!(
            ", validation loss {:.4}, window Dice {}, window accuracy {} (whole chest: {}, {}){}",
            v.losses.total,
            share(v.dice),
            share(v.accuracy),
            share(v.dice_global),
            share(v.accuracy_global),
            if r.best { ", best" } else { "" }
        );
        if let (Some(glass), Some(dense)) = (v.dice_ground_glass, v.dice_consolidation) {
            line += &format!(
                ", ground glass {}, consolidation {}",
                share(Some(glass)),
                share(Some(dense))
            );
        }
    }
    line
}

/// Draws the run's curves from its log. A run without a full epoch does not have curves yet.
pub fn draw_curves(run: &Path) -> Outcome {
    multirnet_study::draw_curves(run, &scan::stem(run)).map_err(study_failure)
}
