//! Comparisons of several systems.

use crate::error::Outcome;
use crate::request::answer;
use crate::training::{event_json, toml_text};
use crate::work::Notices;
use multirnet::{DeviceChoice, StopToken, read_volume};
use multirnet_study::{Event, Folder, Options, Results, StudyConfig, figures, tables_text};
use pyo3::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The arguments of a comparison, as Python gives them.
#[derive(Deserialize)]
struct Request {
    /// A path, or the configuration's tables.
    config: Value,
    out: PathBuf,
    manifest: Option<PathBuf>,
    data: Option<PathBuf>,
    figures: bool,
}

/// The results of a comparison.
#[derive(Serialize)]
struct Compared {
    results: Results,
    tables: String,
    report: Option<PathBuf>,
}

impl Request {
    fn compare(&self, stop: &StopToken, notices: &Notices) -> Outcome<Compared> {
        let mut config = match &self.config {
            Value::String(path) => StudyConfig::read(Path::new(path))?,
            tables => StudyConfig::parse(&toml_text(tables)?)?,
        };
        if let Some(manifest) = &self.manifest {
            config.cohort.set_manifest(manifest);
        }
        if let Some(data) = &self.data {
            config.cohort.set_data(data);
        }
        let mut options = Options {
            read: &read_volume,
            device: DeviceChoice::Cpu,
            models: &multirnet::models(),
            progress: &mut |event| notices.send(&study_event_json(&event)),
        };
        let results = multirnet_study::run(&config, &self.out, &mut options, stop)?;
        let (folder, _) = Folder::existing(&self.out)?;
        multirnet_study::write_tables(&folder, &results)?;
        let tables = tables_text(&results);
        let mut draw = |what: &str| notices.send(&json!({"event": "drawing", "what": what}));
        let report = self.figures.then(|| {
            let results = Some(results.clone());
            let device = DeviceChoice::Cpu;
            figures::report(&self.out, &read_volume, device, results, &mut draw, stop)
        });
        Ok(Compared {
            results,
            tables,
            report: report.transpose()?,
        })
    }
}

/// An event as a callback gets it. `event` names it.
fn study_event_json(event: &Event<'_>) -> Value {
    match event {
        Event::Phantoms { done, total } => {
            json!({"event": "phantoms", "done": done, "total": total})
        }
        Event::LeftOut { division, patients } => {
            json!({"event": "left_out", "division": division, "patients": patients})
        }
        Event::Training { system, division } => {
            json!({"event": "training", "system": system, "division": division})
        }
        Event::Train(event) => event_json(event),
        Event::Scoring {
            division,
            done,
            total,
        } => json!({"event": "scoring", "division": division, "done": done, "total": total}),
        _ => json!({"event": "other"}),
    }
}

/// Trains and scores several systems on one cohort, and returns the results as JSON.
#[pyfunction]
pub fn compare(
    py: Python<'_>,
    request_json: &str,
    callback: Option<&Bound<'_, PyAny>>,
) -> PyResult<String> {
    answer(
        py,
        request_json,
        callback,
        |request: Request, stop, notices| request.compare(stop, notices),
    )
}
