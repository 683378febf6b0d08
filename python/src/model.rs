//! Models: loaded once, they analyse scans.

use crate::array;
use crate::error::{Failure, Outcome};
use crate::finding::Finding;
use crate::scan::Scan;
use crate::work::{OnInterrupt, run};
use multirnet::{PredictOptions, Progress, Stage, Timing, analyse, overlay, to_json};
use numpy::PyReadonlyArray3;
use pyo3::prelude::*;
use std::ffi::OsString;
use std::sync::Arc;

/// A loaded model.
#[pyclass(frozen, module = "multirnet._multirnet")]
pub struct Model {
    model: Arc<multirnet::Model>,
}

#[pymethods]
impl Model {
    fn name(&self) -> &str {
        &self.model.card().name
    }

    fn digest(&self) -> &str {
        self.model.model_digest()
    }

    fn lesion_channels(&self) -> usize {
        self.model.lesion_channels()
    }

    fn card_json(&self) -> PyResult<String> {
        Ok(to_json(self.model.card()).map_err(Failure::from)?)
    }

    fn config_json(&self) -> String {
        self.model.config().to_string()
    }

    fn options_json(&self) -> PyResult<String> {
        Ok(to_json(&self.model.options()).map_err(Failure::from)?)
    }

    #[pyo3(signature = (scan, lungs, options_json, keep_scan, callback))]
    fn analyse(
        &self,
        py: Python<'_>,
        scan: &Bound<'_, Scan>,
        lungs: Option<PyReadonlyArray3<'_, u8>>,
        options_json: &str,
        keep_scan: bool,
        callback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Finding> {
        let (scan, read_seconds) = (Arc::clone(&scan.get().scan), scan.get().read_seconds);
        let model = Arc::clone(&self.model);
        let options = options(&self.model, options_json)?;
        let lungs = lungs
            .map(|l| array::to_volume(&l, *scan.volume.geometry()))
            .transpose()?;
        let has_callback = callback.is_some();
        let (prediction, scan) = run(py, callback, OnInterrupt::Leave, move |stop, notices| {
            let mut tell = |progress: Progress| {
                if has_callback {
                    notices.send(&(progress.fraction, stage(progress.stage)));
                }
            };
            let mut found = analyse(&model, &scan, lungs.as_ref(), &options, stop, &mut tell)?;
            if let Some(seconds) = read_seconds {
                let read = Timing {
                    stage: "read".to_owned(),
                    seconds,
                };
                found.finding.timings.insert(0, read);
            }
            Ok((found, scan))
        })?;
        Finding::new(py, prediction, keep_scan.then_some(scan))
    }

    /// Frees the buffers that are kept for the next scan.
    fn release(&self) {
        self.model.release();
    }
}

/// The stage's name; windows have their number.
fn stage(stage: Stage) -> String {
    match stage {
        Stage::Windows { done, total } => format!("window {done} of {total}"),
        other => other.name().to_owned(),
    }
}

/// The model's options with the changes of a JSON object.
fn options(model: &multirnet::Model, changes: &str) -> Outcome<PredictOptions> {
    let changes: toml::Table = serde_json::from_str(changes).map_err(|e| Failure::json(&e))?;
    let options = overlay(&model.options(), &changes)?;
    options.validate().map_err(multirnet::Error::from)?;
    Ok(options)
}

/// Loads a model by name or path; `None` stands for the default model.
#[pyfunction]
pub fn load_model(py: Python<'_>, name_or_path: Option<OsString>) -> PyResult<Model> {
    let model = run(py, None, OnInterrupt::Leave, move |_, _| {
        Ok(multirnet::load_model(name_or_path.as_deref())?)
    })?;
    Ok(Model {
        model: Arc::new(model),
    })
}

/// Names of the models that can be loaded by name.
#[pyfunction]
pub fn models(py: Python<'_>) -> PyResult<Vec<String>> {
    run(py, None, OnInterrupt::Leave, |_, _| {
        let entries = multirnet::models().list();
        let usable = entries.into_iter().filter(|e| !e.hidden && e.facts.is_ok());
        Ok(usable.map(|e| e.name).collect())
    })
}
