//! Training of one model.

use crate::error::{Failure, Outcome};
use crate::request::answer;
use crate::work::Notices;
use multirnet::{DeviceChoice, StopToken, read_volume};
use multirnet_cohort::{Cohort, Split};
use multirnet_study::{describe_cohort, draw_curves, package_run};
use multirnet_train::{Event, Options, Summary, TrainConfig};
use pyo3::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The arguments of a training, as Python gives them.
#[derive(Deserialize)]
struct Request {
    manifests: Vec<PathBuf>,
    data: Option<PathBuf>,
    /// A path, or the configuration's tables.
    config: Option<Value>,
    out: PathBuf,
    fold: Option<usize>,
    all: bool,
    resume: bool,
    cache: Option<PathBuf>,
    max_minutes: Option<f64>,
    init: Option<PathBuf>,
    trained_on: Option<String>,
}

impl Request {
    fn config(&self) -> Outcome<TrainConfig> {
        let own = self.out.join("config.toml");
        let mut config = match &self.config {
            Some(Value::String(path)) => TrainConfig::read(Path::new(path))?,
            Some(tables) => TrainConfig::parse(&toml_text(tables)?)?,
            None if self.resume && own.exists() => TrainConfig::read(&own)?,
            None => TrainConfig::recipe(),
        };
        if self.max_minutes.is_some() {
            config.run.max_minutes = self.max_minutes;
        }
        if self.init.is_some() {
            config.run.init.clone_from(&self.init);
        }
        if self.all {
            config.split.test_fraction = 0.0;
        }
        config.validate()?;
        Ok(config)
    }

    fn train(&self, stop: &StopToken, notices: &Notices) -> Outcome<Trained> {
        let config = self.config()?;
        let cohort = Cohort::read_all(&self.manifests, self.data.as_deref())?;
        let split = match self.fold {
            Some(fold) => Split::cross_validation(&cohort, &config.split, fold),
            None => Split::stratified(&cohort, &config.split),
        }?;
        let cache = self.cache.clone().unwrap_or_else(|| self.out.join("cache"));
        let device = DeviceChoice::Cpu
            .open()
            .map_err(|e| Failure::new("device", e.to_string(), None))?;
        let options = Options {
            out: &self.out,
            cache: &cache,
            read: &read_volume,
            device,
            resume: self.resume,
            prepare_jobs: 2,
        };
        let mut observer = |event: &Event| notices.send(&event_json(event));
        let summary = multirnet_train::train(
            &config,
            &cohort,
            &split,
            &options,
            &mut observer,
            stop.flag(),
        )?;
        let name = self.out.file_name().unwrap_or(self.out.as_os_str());
        let name = name.to_string_lossy();
        draw_curves(&self.out, &name)?;
        let stems: Vec<String> = self.manifests.iter().map(|m| stem(m)).collect();
        let trained_on = self.trained_on.clone();
        let trained_on = trained_on.unwrap_or_else(|| describe_cohort(&stems.join(", "), &cohort));
        let model = package_run(&self.out, &name, &config, &summary, trained_on)?;
        Ok(Trained { summary, model })
    }
}

/// How a training ended, and its model's file.
#[derive(Serialize)]
struct Trained {
    #[serde(flatten)]
    summary: Summary,
    model: PathBuf,
}

/// Tables as the text of a TOML file, whose reader gives the best messages.
///
/// # Errors
/// `options` if a value does not exist in TOML.
pub fn toml_text(tables: &Value) -> Outcome<String> {
    toml::to_string(tables).map_err(|e| Failure::options(format!("the configuration: {e}")))
}

fn stem(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or(path.as_os_str());
    stem.to_string_lossy().into_owned()
}

/// An event as a callback gets it. `event` names it.
pub fn event_json(event: &Event) -> Value {
    match event {
        Event::Prepared {
            done,
            total,
            name,
            error,
            warnings,
        } => json!({
            "event": "prepared", "done": done, "total": total, "name": name, "error": error,
            "warnings": warnings,
        }),
        Event::Warning(text) => json!({"event": "warning", "text": text}),
        Event::Started {
            parameters,
            train,
            validation,
            steps_per_epoch,
            steps,
            done,
        } => json!({
            "event": "started", "parameters": parameters, "train": train,
            "validation": validation, "steps_per_epoch": steps_per_epoch, "steps": steps,
            "done": done,
        }),
        Event::Stage {
            number,
            of,
            window,
            spacing_mm,
        } => json!({
            "event": "stage", "number": number, "of": of, "window": window,
            "spacing_mm": spacing_mm,
        }),
        Event::Step {
            record,
            epoch,
            seconds_left,
        } => json!({
            "event": "step", "step": record.step, "epoch": epoch, "losses": record.losses,
            "learning_rate": record.learning_rate, "wait_seconds": record.wait_seconds,
            "compute_seconds": record.compute_seconds, "seconds_left": seconds_left,
        }),
        Event::Validating { done, total } => {
            json!({"event": "validating", "done": done, "total": total})
        }
        Event::Epoch(record) => json!({"event": "epoch", "record": record}),
        Event::Saved(path) => json!({"event": "saved", "path": path}),
        Event::Finished(summary) => json!({"event": "finished", "summary": summary}),
        _ => json!({"event": "other"}),
    }
}

/// Trains a model on a cohort, and returns the summary as JSON.
#[pyfunction]
pub fn train(
    py: Python<'_>,
    request_json: &str,
    callback: Option<&Bound<'_, PyAny>>,
) -> PyResult<String> {
    answer(
        py,
        request_json,
        callback,
        |request: Request, stop, notices| request.train(stop, notices),
    )
}
