//! The training configuration.
//!
//! The format is TOML with the tables below. Unknown keys are refused, and missing keys have their
//! defaults. The table `[model]` may name a `system` (default `multirnet`) and a `preset` (`base`,
//! `small`); its other keys replace fields of the preset. Tables `[[stage]]` describe stages that
//! come before the one of the main tables. Every default says whether it is the paper's or ours.

mod stage;
mod tables;

#[cfg(test)]
mod tests;

pub use stage::StageConfig;
pub use tables::{
    OptimiserConfig, RunConfig, SamplingConfig, Schedule, TrainingPrecision, ValidationConfig,
};

use crate::augment::AugmentConfig;
use crate::{Error, ErrorKind, Result};
use multirnet_anatomy::PrepareConfig;
use multirnet_base::Ranges;
use multirnet_cohort::split::SplitConfig;
use multirnet_nn::{LossConfig, MultiRNetConfig, SystemConfig};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Everything that decides the outcome of a training, and the run's limits.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// The network.
    pub model: SystemConfig,
    /// The loss.
    pub loss: LossConfig,
    /// How scans are prepared.
    pub prepare: PrepareConfig,
    /// How the cohort is divided.
    pub split: SplitConfig,
    /// Which windows are drawn.
    pub sampling: SamplingConfig,
    /// How windows are varied.
    pub augment: AugmentConfig,
    /// The optimiser.
    pub optimiser: OptimiserConfig,
    /// The windows that decide about stopping.
    pub validation: ValidationConfig,
    /// Start, length and limits of the run.
    pub run: RunConfig,
    /// Stages before the one that the other tables describe, first to last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stage: Vec<StageConfig>,
}

impl TrainConfig {
    /// The configuration of `multirnet train` if none is given; `configs/train/recipe.toml` spells it
    /// out. It has the defaults after a coarse stage with windows of half the size at twice the
    /// spacing. The net makes one pass.
    pub fn recipe() -> Self {
        Self {
            model: MultiRNetConfig {
                iterations: 0,
                ..MultiRNetConfig::base()
            }
            .into(),
            stage: vec![StageConfig {
                spacing_scale: Some(2.0),
                patch_size: Some([16, 48, 48]),
                epochs: Some(20),
                ..StageConfig::default()
            }],
            ..Self::default()
        }
    }

    /// The complete configuration of each stage, first to last; none of them has stages of its
    /// own. The last is that of the main tables. `run.max_minutes` of the others is the stage's
    /// limit.
    pub fn stages(&self) -> Vec<Self> {
        let last = Self {
            stage: Vec::new(),
            ..self.clone()
        };
        let before = self.stage.iter().map(|stage| self.staged(stage));
        before.chain([last]).collect()
    }

    /// Reads and checks a TOML file.
    ///
    /// # Errors
    /// `Io`; `Config` with line, key and remedy.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| Error::io(path, "read the configuration", e))?;
        Self::parse(&text).map_err(|e| e.at(path))
    }

    /// Parses and checks TOML.
    ///
    /// # Errors
    /// `Config` with line, key and remedy.
    pub fn parse(text: &str) -> Result<Self> {
        let config: Self = multirnet_base::toml_text::parse(text)?;
        config.validate()?;
        Ok(config)
    }

    /// The complete configuration as TOML.
    ///
    /// # Errors
    /// `Config` if a value cannot be written as TOML.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|e| Error::new(ErrorKind::Config, e.to_string()))
    }

    /// Checks ranges and contradictions, in every stage.
    ///
    /// # Errors
    /// `Config`, naming the key, and the stage by its number from 1.
    pub fn validate(&self) -> Result<()> {
        self.validate_stage()?;
        for (number, stage) in (1..).zip(&self.stage) {
            self.check_stage(stage)
                .and_then(|()| self.staged(stage).validate_stage())
                .map_err(|e| e.within(&format!("stage {number}")))?;
        }
        Ok(())
    }

    fn validate_stage(&self) -> Result<()> {
        let bad = |reason: String| Error::new(ErrorKind::Config, reason);
        self.model.validate().map_err(|e| bad(e.to_string()))?;
        self.loss.validate().map_err(|e| bad(e.to_string()))?;
        self.model
            .check_window(self.sampling.patch_size)
            .map_err(|e| bad(format!("sampling.patch_size: {e}")))?;
        if self.prepare.global_shape != self.sampling.patch_size {
            return Err(bad(format!(
                "prepare.global_shape {:?} and sampling.patch_size {:?} differ",
                self.prepare.global_shape, self.sampling.patch_size
            ))
            .hint("give both the same shape, because both views share batches"));
        }
        self.augment.validate()?;
        let (s, o, v, r) = (&self.sampling, &self.optimiser, &self.validation, &self.run);
        const COUNT: &str = "at least 1";
        const RATE: &str = "0 or more";
        const MINUTES: &str = "above 0";
        let rate = |x: f64| x.is_finite() && x >= 0.0;
        let minutes = |x: f64| x > 0.0 && !x.is_nan();
        let betas = o.betas.iter().all(|b| (0.0..1.0).contains(b));
        let average = o.average.is_none_or(|d| d > 0.0 && d < 1.0);
        Ranges::of_table("sampling")
            .require(s.batch >= 1, "batch", s.batch, COUNT)
            .within("global_fraction", s.global_fraction, 0.0..=1.0)
            .within("lesion_fraction", s.lesion_fraction, 0.0..=1.0)
            .require(
                s.windows_per_scan >= 1,
                "windows_per_scan",
                s.windows_per_scan,
                COUNT,
            )
            .require(
                s.steps_per_epoch != Some(0),
                "steps_per_epoch",
                s.steps_per_epoch,
                COUNT,
            )
            .require(
                s.source_weights.values().all(|w| rate(*w)),
                "source_weights",
                &s.source_weights,
                "0 or more for each source",
            )
            .check()?;
        Ranges::of_table("optimiser")
            .require(
                rate(o.learning_rate),
                "learning_rate",
                o.learning_rate,
                RATE,
            )
            .require(
                rate(o.final_learning_rate),
                "final_learning_rate",
                o.final_learning_rate,
                RATE,
            )
            .require(betas, "betas", o.betas, "from 0 to below 1")
            .require(o.epsilon > 0.0, "epsilon", o.epsilon, "above 0")
            .require(
                o.clip_norm.is_none_or(|c| c > 0.0),
                "clip_norm",
                o.clip_norm,
                "above 0, or 0 for off",
            )
            .require(
                average,
                "average",
                o.average,
                "above 0 and below 1, or 0 for off",
            )
            .check()?;
        Ranges::of_table("validation")
            .require(v.batch >= 1, "batch", v.batch, COUNT)
            .require(v.max_windows >= 1, "max_windows", v.max_windows, COUNT)
            .require(v.every_epochs >= 1, "every_epochs", v.every_epochs, COUNT)
            .check()?;
        Ranges::of_table("run")
            .require(r.epochs >= 1, "epochs", r.epochs, COUNT)
            .require(r.patience >= 1, "patience", r.patience, COUNT)
            .require(
                r.max_minutes.is_none_or(minutes),
                "max_minutes",
                r.max_minutes,
                MINUTES,
            )
            .require(
                minutes(r.checkpoint_minutes),
                "checkpoint_minutes",
                r.checkpoint_minutes,
                MINUTES,
            )
            .require(r.prefetch >= 1, "prefetch", r.prefetch, COUNT)
            .within("workers", r.workers, 0..=256)
            .check()?;
        if !s.balance_sources && !s.source_weights.is_empty() {
            return Err(
                bad("sampling.source_weights needs sampling.balance_sources".into())
                    .hint("set sampling.balance_sources, or leave the weights out"),
            );
        }
        if o.schedule == Schedule::CosineTime && r.max_minutes.is_none() {
            return Err(
                bad("optimiser.schedule cosine-time needs run.max_minutes".into())
                    .hint("set run.max_minutes, or choose cosine"),
            );
        }
        Ok(())
    }

    /// Keys that differ from `other` and change a run's outcome, with both values.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let outcome = |c: &Self| -> toml::Table {
            let mut c = c.clone();
            let free = RunConfig::default();
            let keep = c.optimiser.schedule;
            c.run = RunConfig {
                seed: c.run.seed,
                epochs: if keep == Schedule::Cosine {
                    c.run.epochs
                } else {
                    free.epochs
                },
                max_minutes: c.run.max_minutes.filter(|_| keep == Schedule::CosineTime),
                precision: c.run.precision,
                ..free
            };
            toml::Table::try_from(&c).unwrap_or_default()
        };
        let mut list = Vec::new();
        compare("", &outcome(self), &outcome(other), &mut list);
        list
    }
}

fn compare(prefix: &str, a: &toml::Table, b: &toml::Table, list: &mut Vec<String>) {
    let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    for key in keys {
        let name = format!("{prefix}{key}");
        match (a.get(key), b.get(key)) {
            (Some(toml::Value::Table(x)), Some(toml::Value::Table(y))) => {
                compare(&format!("{name}."), x, y, list);
            }
            (x, y) if x == y => {}
            (x, y) => {
                let show = |v: Option<&toml::Value>| {
                    v.map_or_else(|| "none".to_owned(), ToString::to_string)
                };
                list.push(format!("{name} was {} and is {}", show(x), show(y)));
            }
        }
    }
}

impl TrainConfig {
    /// The complete configuration of `stage`; its `run.max_minutes` is the stage's.
    fn staged(&self, stage: &StageConfig) -> Self {
        let mut config = Self {
            stage: Vec::new(),
            ..self.clone()
        };
        if let Some(scale) = stage.spacing_scale {
            config.prepare.spacing_mm = config.prepare.spacing_mm.map(|mm| mm * scale);
        }
        set(&mut config.prepare.spacing_mm, stage.spacing_mm);
        set(&mut config.prepare.global_shape, stage.patch_size);
        set(&mut config.sampling.patch_size, stage.patch_size);
        set(&mut config.sampling.batch, stage.batch);
        if stage.steps_per_epoch.is_some() {
            config.sampling.steps_per_epoch = stage.steps_per_epoch;
        }
        set(&mut config.run.epochs, stage.epochs);
        set(&mut config.run.patience, stage.patience);
        config.run.max_minutes = stage.minutes;
        let optimiser = &mut config.optimiser;
        set(&mut optimiser.learning_rate, stage.learning_rate);
        set(
            &mut optimiser.final_learning_rate,
            stage.final_learning_rate,
        );
        set(&mut optimiser.warmup_steps, stage.warmup_steps);
        config
    }

    /// Checks the keys of a stage that its complete configuration does not show.
    fn check_stage(&self, stage: &StageConfig) -> Result<()> {
        let bad = |reason: &str| Err(Error::new(ErrorKind::Config, reason));
        let positive = |mm: f64| mm.is_finite() && mm > 0.0;
        if stage.spacing_scale.is_some() && stage.spacing_mm.is_some() {
            return bad("spacing_scale and spacing_mm exclude each other");
        }
        let each = stage
            .spacing_mm
            .is_none_or(|mm| mm.into_iter().all(positive));
        let scale = stage.spacing_scale.is_none_or(positive);
        let minutes = stage.minutes.is_none_or(|m| m > 0.0);
        Ranges::new()
            .require(scale, "spacing_scale", stage.spacing_scale, "above 0")
            .require(each, "spacing_mm", stage.spacing_mm, "above 0 each")
            .require(minutes, "minutes", stage.minutes, "above 0")
            .check()?;
        if self.optimiser.schedule == Schedule::CosineTime && stage.minutes.is_none() {
            return bad("the schedule cosine-time needs the stage's minutes");
        }
        Ok(())
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}
