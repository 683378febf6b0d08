//! Synthetic scans with known truth.

use crate::array;
use crate::error::Failure;
use crate::grid::{self, Placed};
use crate::request::parse;
use crate::work::{OnInterrupt, run};
use multirnet::{Diagnosis, to_json};
use multirnet_phantom::PhantomConfig;
use multirnet_study::PhantomCohort;
use numpy::PyArray3;
use pyo3::prelude::*;
use std::path::PathBuf;

/// A synthetic scan with its truth.
#[pyclass(frozen, module = "multirnet._multirnet")]
pub struct Phantom {
    ct: Py<PyArray3<f32>>,
    lungs: Py<PyArray3<u8>>,
    lesions: Py<PyArray3<u8>>,
    placed: Placed,
    config: PhantomConfig,
    notes: Vec<String>,
}

#[pymethods]
impl Phantom {
    fn ct(&self, py: Python<'_>) -> Py<PyArray3<f32>> {
        self.ct.clone_ref(py)
    }

    fn lungs(&self, py: Python<'_>) -> Py<PyArray3<u8>> {
        self.lungs.clone_ref(py)
    }

    fn lesions(&self, py: Python<'_>) -> Py<PyArray3<u8>> {
        self.lesions.clone_ref(py)
    }

    fn placed(&self) -> Placed {
        self.placed
    }

    fn diagnosis(&self) -> &'static str {
        self.config.class.name()
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    fn config_json(&self) -> PyResult<String> {
        Ok(to_json(&self.config).map_err(Failure::from)?)
    }
}

/// Draws and renders a phantom.
#[pyfunction]
pub fn phantom(
    py: Python<'_>,
    seed: u64,
    class_json: &str,
    matrix: usize,
    slices: Option<usize>,
    config_json: Option<&str>,
) -> PyResult<Phantom> {
    let class: Diagnosis = parse(class_json)?;
    let given: Option<PhantomConfig> = config_json.map(parse).transpose()?;
    let (config, made) = run(py, None, OnInterrupt::Leave, move |_, _| {
        let config = match given {
            Some(config) => config,
            None if !(96..=1024).contains(&matrix) => {
                let reason = format!("matrix is {matrix}");
                return Err(Failure::new(
                    "config",
                    reason,
                    Some("give 96 to 1024 voxels"),
                ));
            }
            None => PhantomConfig::sample(seed, class, matrix),
        };
        let config = match slices {
            Some(slices) => config.with_slices(slices)?,
            None => config,
        };
        let made = config.generate()?;
        Ok((config, made))
    })?;
    Ok(Phantom {
        placed: grid::placed(made.ct.geometry()),
        ct: array::from_volume(py, made.ct)?,
        lungs: array::from_volume(py, made.lungs)?,
        lesions: array::from_volume(py, made.lesions)?,
        config,
        notes: made.notes,
    })
}

/// Makes a cohort of phantoms in a folder, and returns the path of its manifest.
#[pyfunction]
pub fn phantom_cohort(
    py: Python<'_>,
    folder: PathBuf,
    per_class: u32,
    seed: u64,
    matrix: u16,
    callback: Option<&Bound<'_, PyAny>>,
) -> PyResult<PathBuf> {
    run(py, callback, OnInterrupt::Save, move |stop, notices| {
        let cohort = PhantomCohort {
            normal: per_class,
            cap: per_class,
            covid19: per_class,
            seed,
            matrix,
        };
        let mut tell = |done: usize, total: usize| {
            notices.send(&(
                done as f64 / total.max(1) as f64,
                format!("{done} of {total}"),
            ));
        };
        cohort.make(&folder, &mut tell, stop.flag())?;
        Ok(folder.join("cohort.csv"))
    })
}
