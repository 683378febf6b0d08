//! The training configuration.
//!
//! TOML with the tables below; unknown keys are refused; what is left out has its default. The
//! table `[model]` may name a `system` (default `multirnet`) and a `preset` (`base`, `small`)
//! whose fields its other keys replace. Every default says whether it is the paper's or ours.

use crate::augment::AugmentConfig;
use crate::split::SplitConfig;
use crate::{Error, ErrorKind, Result};
use multirnet_anatomy::PrepareConfig;
use multirnet_nn::{LossConfig, SystemConfig};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
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
    /// Length and limits of the run.
    pub run: RunConfig,
}

/// Which windows are drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SamplingConfig {
    /// Shape of a window `(z, y, x)` in voxels (paper: 32 × 96 × 96).
    pub window: [usize; 3],
    /// Windows in a batch (paper: 4).
    pub batch: usize,
    /// Share of windows that are global views, the rest local (ours).
    pub global_share: f64,
    /// Share of local windows of a scan with lesions that are centred on a lesion voxel; the rest
    /// are centred on a lung voxel (ours).
    pub lesion_share: f64,
    /// Windows drawn from each scan in an epoch (ours); not used with `steps_per_epoch`.
    pub windows_per_scan: usize,
    /// Steps in an epoch; default: enough for `windows_per_scan` of every scan.
    pub steps_per_epoch: Option<usize>,
    /// Whether scans of rare classes are drawn more often, so that classes come equally often
    /// (ours).
    pub balance_classes: bool,
    /// Whether each source of scans comes equally often, whatever the number of its scans (ours);
    /// classes are then balanced within each source.
    pub balance_sources: bool,
    /// How often sources come in relation to each other; a source that is not named has 1 (ours).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub source_weights: BTreeMap<String, f64>,
}

impl Default for SamplingConfig {
    fn default() -> Self {
        Self {
            window: [32, 96, 96],
            batch: 4,
            global_share: 0.5,
            lesion_share: 2.0 / 3.0,
            windows_per_scan: 4,
            steps_per_epoch: None,
            balance_classes: true,
            balance_sources: true,
            source_weights: BTreeMap::new(),
        }
    }
}

/// How the learning rate goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// It stays (ours: the paper names an initial rate and no decay).
    #[default]
    Constant,
    /// Half a cosine down to `final_learning_rate` over `run.epochs` (ours).
    Cosine,
    /// Half a cosine over `run.max_minutes`, for runs with a fixed time (ours). It follows the
    /// clock, so two such runs do not give the same weights.
    CosineTime,
}

/// Adam.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimiserConfig {
    /// Learning rate (paper: 3e-4).
    pub learning_rate: f64,
    /// Decay rates of the two moments (paper: 0.9, 0.999).
    pub betas: [f32; 2],
    /// Added to the root of the second moment (ours).
    pub epsilon: f32,
    /// How the learning rate goes on.
    pub schedule: Schedule,
    /// Steps over which the learning rate rises from 0 at the start (ours: none).
    pub warmup_steps: usize,
    /// Learning rate at the end of a cosine.
    pub final_learning_rate: f64,
    /// Gradients with a larger norm over all weights are scaled down to it (ours: off).
    pub clip_norm: Option<f64>,
}

impl Default for OptimiserConfig {
    fn default() -> Self {
        Self {
            learning_rate: 3e-4,
            betas: [0.9, 0.999],
            epsilon: 1e-8,
            schedule: Schedule::Constant,
            warmup_steps: 0,
            final_learning_rate: 1e-6,
            clip_norm: None,
        }
    }
}

/// The fixed windows on which the validation loss is computed (ours).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ValidationConfig {
    /// Local windows of each validation scan, besides its global view.
    pub local_windows: usize,
    /// No more windows than this; scans are thinned out evenly.
    pub max_windows: usize,
    /// Windows in a batch.
    pub batch: usize,
    /// Epochs from one validation to the next.
    pub every_epochs: usize,
}

impl Default for ValidationConfig {
    fn default() -> Self {
        Self {
            local_windows: 3,
            max_windows: 240,
            batch: 4,
            every_epochs: 1,
        }
    }
}

/// Length and limits of a run. Only `seed` and, with a cosine, `epochs` (or `max_minutes`) change
/// the outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// Seed of the weights, the windows and the dropout.
    pub seed: u64,
    /// Epochs at most.
    pub epochs: usize,
    /// Validations without improvement after which training stops (paper: 100 epochs).
    pub patience: usize,
    /// Minutes of training after which it saves and stops, over all parts of a resumed run.
    pub max_minutes: Option<f64>,
    /// Minutes between checkpoints within an epoch.
    pub checkpoint_minutes: f64,
    /// Threads that make windows; 0 chooses half of the cores, at most 4.
    pub workers: usize,
    /// Batches made in advance; bounds the memory for windows.
    pub prefetch: usize,
    /// Memory for prepared scans, MiB.
    pub cache_mib: usize,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            epochs: 1000,
            patience: 100,
            max_minutes: None,
            checkpoint_minutes: 10.0,
            workers: 0,
            prefetch: 4,
            cache_mib: 4096,
        }
    }
}

impl TrainConfig {
    /// Reads and checks a TOML file.
    ///
    /// # Errors
    /// `Io`; `Config` with line, key and remedy.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| Error::io(path, "read the configuration", &e))?;
        Self::parse(&text).map_err(|e| e.at(path))
    }

    /// Parses and checks TOML.
    ///
    /// # Errors
    /// `Config` with line, key and remedy.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = |e: toml::de::Error| {
            let line = e.span().map(|s| {
                let before = &text.as_bytes()[..s.start.min(text.len())];
                before.iter().filter(|b| **b == b'\n').count() as u64 + 1
            });
            let error = Error::new(ErrorKind::Config, e.message().to_owned());
            match line {
                Some(line) => error.line(line),
                None => error,
            }
        };
        let config: Self = toml::from_str(text).map_err(bad)?;
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

    /// Checks ranges and contradictions.
    ///
    /// # Errors
    /// `Config`, naming the key.
    pub fn validate(&self) -> Result<()> {
        let bad = |reason: String| Error::new(ErrorKind::Config, reason);
        self.model.validate().map_err(|e| bad(e.to_string()))?;
        self.loss.validate().map_err(|e| bad(e.to_string()))?;
        self.model
            .check_window(self.sampling.window)
            .map_err(|e| bad(format!("sampling.window: {e}")))?;
        if self.prepare.global_shape != self.sampling.window {
            return Err(bad(format!(
                "prepare.global_shape {:?} and sampling.window {:?} differ",
                self.prepare.global_shape, self.sampling.window
            ))
            .hint("both views share batches, so they have the same shape"));
        }
        self.augment.validate()?;
        let (s, o, v, r) = (&self.sampling, &self.optimiser, &self.validation, &self.run);
        let share = |x: f64| (0.0..=1.0).contains(&x);
        let rate = |x: f64| x.is_finite() && x >= 0.0;
        let count = |x: usize| x >= 1;
        let minutes = |x: f64| x > 0.0 && !x.is_nan();
        let checks = [
            ("sampling.batch", count(s.batch), "at least 1"),
            (
                "sampling.global_share",
                share(s.global_share),
                "from 0 to 1",
            ),
            (
                "sampling.lesion_share",
                share(s.lesion_share),
                "from 0 to 1",
            ),
            (
                "sampling.windows_per_scan",
                count(s.windows_per_scan),
                "at least 1",
            ),
            (
                "sampling.steps_per_epoch",
                s.steps_per_epoch.is_none_or(count),
                "at least 1",
            ),
            (
                "sampling.source_weights",
                s.source_weights.values().all(|w| rate(*w)),
                "0 or more for each source",
            ),
            (
                "optimiser.learning_rate",
                rate(o.learning_rate),
                "0 or more",
            ),
            (
                "optimiser.final_learning_rate",
                rate(o.final_learning_rate),
                "0 or more",
            ),
            (
                "optimiser.betas",
                o.betas.iter().all(|b| (0.0..1.0).contains(b)),
                "from 0 to below 1",
            ),
            ("optimiser.epsilon", o.epsilon > 0.0, "above 0"),
            (
                "optimiser.clip_norm",
                o.clip_norm.is_none_or(|c| c > 0.0),
                "above 0",
            ),
            ("validation.batch", count(v.batch), "at least 1"),
            ("validation.max_windows", count(v.max_windows), "at least 1"),
            (
                "validation.every_epochs",
                count(v.every_epochs),
                "at least 1",
            ),
            ("run.epochs", count(r.epochs), "at least 1"),
            ("run.patience", count(r.patience), "at least 1"),
            (
                "run.max_minutes",
                r.max_minutes.is_none_or(minutes),
                "above 0",
            ),
            (
                "run.checkpoint_minutes",
                minutes(r.checkpoint_minutes),
                "above 0",
            ),
            ("run.prefetch", count(r.prefetch), "at least 1"),
            ("run.workers", r.workers <= 256, "at most 256"),
        ];
        if let Some((key, _, rule)) = checks.iter().find(|c| !c.1) {
            return Err(bad(format!("{key} is out of range")).hint(format!("it must be {rule}")));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn committed_configurations_are_sound() {
        let paper = TrainConfig::parse(include_str!("../../../configs/train/default.toml"));
        // What the file spells out are the defaults.
        let defaults = TrainConfig::default();
        assert_eq!(defaults.differences(&paper.unwrap()), Vec::<String>::new());
        let small = include_str!("../../../configs/train/phantom-small.toml");
        let small = TrainConfig::parse(small).unwrap();
        let expected = multirnet_nn::MultiRNetConfig {
            iterations: 0,
            ..multirnet_nn::MultiRNetConfig::small()
        };
        assert_eq!(small.model, expected.into());
    }

    #[test]
    fn the_effective_configuration_reads_back_the_same() {
        let mut config = TrainConfig::parse("[model]\npreset = \"vnet5\"\niterations = 0").unwrap();
        let expected = multirnet_nn::MultiRNetConfig {
            iterations: 0,
            ..multirnet_nn::MultiRNetConfig::vnet5()
        };
        assert_eq!(config.model, expected.into());
        config.optimiser.clip_norm = Some(0.1);
        config.run.max_minutes = Some(1.0 / 3.0);
        let back = TrainConfig::parse(&config.to_toml().unwrap()).unwrap();
        assert_eq!(back, config);
    }

    #[test]
    fn bad_configurations_are_refused_with_key_and_line() {
        let table = [
            ("[run]\nseed = 1\nepoch = 3\n", "line 3", "epoch"),
            ("[modell]\n", "line 1", "modell"),
            ("[model]\npreset = \"huge\"\n", "base, small, vnet5", "huge"),
            ("[model]\npreset = \"small\"\nwidth = 3\n", "width", "width"),
            ("[sampling]\nbatch = 0\n", "at least 1", "sampling.batch"),
            (
                "[sampling]\nwindow = [32, 96, 90]\n",
                "16",
                "sampling.window",
            ),
            (
                "[sampling]\nwindow = [16, 96, 96]\n",
                "same shape",
                "global_shape",
            ),
            (
                "[optimiser]\nschedule = \"cosine-time\"\n",
                "max_minutes",
                "schedule",
            ),
            ("[augment]\nscale = 3\n", "0.5", "augment.scale"),
            ("[run\n", "line 1", ""),
        ];
        for (text, first, second) in table {
            let error = TrainConfig::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            let message = error.to_string();
            assert!(
                message.contains(first) && message.contains(second),
                "{message}"
            );
        }
    }

    #[test]
    fn differences_name_keys_and_leave_limits_alone() {
        let a = TrainConfig::default();
        let mut b = a.clone();
        b.run.patience = 3;
        b.run.epochs = 7;
        assert!(a.differences(&b).is_empty());
        b.loss.alpha = 0.5;
        b.optimiser.clip_norm = Some(1.0);
        assert_eq!(
            a.differences(&b),
            [
                "loss.alpha was 0.7 and is 0.5",
                "optimiser.clip_norm was none and is 1.0"
            ]
        );
        let mut c = a.clone();
        c.optimiser.schedule = Schedule::Cosine;
        let mut d = c.clone();
        d.run.epochs = 7;
        assert_eq!(c.differences(&d).len(), 1, "a cosine depends on its length");
    }
}
