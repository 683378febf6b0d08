//! `multirnet train`: trains a model on a cohort.

use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome, study_failure};
use crate::model::DeviceArguments;
use crate::training_progress::{TrainingProgress, draw_curves};
use crate::{output, scan};
use multirnet::read_volume;
use multirnet_cohort::{Cohort, Split};
use multirnet_study::{describe_cohort, package_run};
use multirnet_train::{Event, Options, StopReason, Summary, TrainConfig};
use std::path::{Path, PathBuf};

/// Train a model on a cohort
///
/// The run's folder gets config.toml, split.csv, log.csv, steps.csv, curves.png, checkpoints/, and
/// at the end threshold.json and model.safetensors (the weights with the lowest validation loss and
/// their card). Without --config it uses the configuration configs/train/recipe.toml.
/// Ctrl-C saves and stops; --resume continues to the same weights.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  multirnet train cohort.csv --config configs/train/recipe.toml -o runs/mine\n  multirnet train cohort.csv -o runs/fold0 --fold 0\n  multirnet train cohort.csv -o runs/mine --resume"
)]
pub struct Train {
    /// Cohort manifests (CSV or TOML); several are joined, and a patient's name means the same
    /// patient in all of them
    #[arg(required = true, value_name = "MANIFEST")]
    manifests: Vec<PathBuf>,

    /// Folder that paths in the manifests are relative to (default: each manifest's own)
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Training configuration (TOML); with --resume the run's own by default
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Folder of the run
    #[arg(short, long, value_name = "RUN")]
    out: PathBuf,

    /// Cross-validation: train on all folds but this one (from 0); without it, a 70/30 split
    #[arg(long, value_name = "K")]
    fold: Option<usize>,

    /// Train and validate on all scans and hold none out for a test
    #[arg(long, conflicts_with = "fold")]
    all: bool,

    /// Continue the run in RUN
    #[arg(long)]
    resume: bool,

    /// Folder of prepared scans, which runs may share (default: RUN/cache)
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,

    /// Stop after this many minutes of training (overrides the configuration)
    #[arg(long, value_name = "MIN")]
    max_minutes: Option<f64>,

    /// Start from these weights, of the same system and sizes (overrides the configuration)
    #[arg(long, value_name = "WEIGHTS", conflicts_with = "resume")]
    init: Option<PathBuf>,

    /// Sentence for the model's card that describes the cohort
    #[arg(long, value_name = "TEXT")]
    trained_on: Option<String>,

    #[command(flatten)]
    device: DeviceArguments,
}

impl Train {
    /// Runs the command.
    pub fn run(self, context: Context) -> Outcome {
        let device = self.device.open()?;
        let mut config = self.config()?;
        if self.max_minutes.is_some() {
            config.run.max_minutes = self.max_minutes;
        }
        if self.init.is_some() {
            config.run.init = self.init.clone();
        }
        if self.all {
            config.split.test_fraction = 0.0;
        }
        let cohort = Cohort::read_all(&self.manifests, self.data.as_deref());
        let cohort = cohort.map_err(Failure::input)?;
        let split = match self.fold {
            Some(fold) => Split::cross_validation(&cohort, &config.split, fold),
            None => Split::stratified(&cohort, &config.split),
        }
        .map_err(Failure::input)?;
        let stop = crate::stop::saving()?;
        let cache = self.cache.clone().unwrap_or_else(|| self.out.join("cache"));
        let options = Options {
            out: &self.out,
            cache: &cache,
            read: &read_volume,
            device,
            resume: self.resume,
            prepare_jobs: 2,
        };
        let mut progress = TrainingProgress::new(&self.out);
        let summary = multirnet_train::train(
            &config,
            &cohort,
            &split,
            &options,
            &mut |e: &Event| progress.event(e),
            stop.flag(),
        )
        .map_err(Failure::training)?;
        progress.finish();
        draw_curves(&self.out)?;
        let model = self.package(&config, &cohort, &summary)?;
        if context.json {
            output::print(&output::to_json(&summary)?)?;
        } else {
            output::print(&describe(&summary, &model))?;
        }
        if summary.reason == StopReason::Interrupted {
            return Err(Failure::new(
                Exit::Stopped,
                format!(
                    "stopped; go on with --resume -o {}",
                    output::path(&self.out)
                ),
            ));
        }
        Ok(())
    }

    fn config(&self) -> Outcome<TrainConfig> {
        let own = self.out.join("config.toml");
        match &self.config {
            Some(path) => TrainConfig::read(path),
            None if self.resume && own.exists() => TrainConfig::read(&own),
            None => Ok(TrainConfig::recipe()),
        }
        .map_err(Failure::input)
    }

    /// Writes the model of the run, and returns the file's path.
    fn package(
        &self,
        config: &TrainConfig,
        cohort: &Cohort,
        summary: &Summary,
    ) -> Outcome<PathBuf> {
        let stems: Vec<String> = self.manifests.iter().map(|m| scan::stem(m)).collect();
        let trained_on = self.trained_on.clone();
        let trained_on = trained_on.unwrap_or_else(|| describe_cohort(&stems.join(", "), cohort));
        package_run(
            &self.out,
            &scan::stem(&self.out),
            config,
            summary,
            trained_on,
        )
        .map_err(study_failure)
    }
}

fn describe(s: &Summary, model: &Path) -> String {
    let best = s.best_loss.map_or_else(
        || "none".into(),
        |l| format!("{l:.4} in epoch {}", s.best_epoch),
    );
    format!(
        "stopped because      {}\nepochs, steps        {}, {}\nbest validation loss {best}\nbest threshold       {}\nminutes              {:.1} (waiting for windows {:.1} s, \
         computing {:.1} s, validating {:.1} s)\nmodel                {}\n",
        match s.reason {
            StopReason::Epochs => "all epochs are done",
            StopReason::Patience => "the validation loss no longer falls",
            StopReason::Time => "its time is up",
            StopReason::Interrupted => "it was interrupted",
        },
        s.epochs,
        s.steps,
        s.threshold
            .map_or_else(|| "none".into(), |t| format!("{t:.2}")),
        s.minutes,
        s.wait_seconds,
        s.compute_seconds,
        s.validation_seconds,
        output::path(model)
    )
}
