//! Scans: read from a path, or made of an array.

use crate::array;
use crate::error::{Failure, Outcome};
use crate::grid::{self, Placed};
use crate::work::{OnInterrupt, run};
use multirnet::{ReadOptions, open_scan};
use numpy::{PyArray3, PyReadonlyArray3};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// A scan in memory.
#[pyclass(frozen, module = "multirnet._multirnet")]
pub struct Scan {
    /// The scan.
    pub scan: Arc<multirnet::Scan>,
    /// Seconds that reading took; `None` if the scan was not read.
    pub read_seconds: Option<f64>,
    array: PyOnceLock<Py<PyArray3<f32>>>,
}

impl Scan {
    fn new(scan: multirnet::Scan, read_seconds: Option<f64>) -> Self {
        Self {
            scan: Arc::new(scan),
            read_seconds,
            array: PyOnceLock::new(),
        }
    }
}

#[pymethods]
impl Scan {
    #[staticmethod]
    fn from_array(
        values: PyReadonlyArray3<'_, f32>,
        name: String,
        placed: Placed,
    ) -> PyResult<Self> {
        let geometry = grid::geometry(array::shape(&values), &placed)?;
        let volume = array::to_volume(&values, geometry)?;
        if volume.data().iter().any(|v| v.is_nan()) {
            return Err(Failure::new(
                "scan",
                "the array holds values that are not numbers",
                Some("replace NaN by -1024, the value of air in HU"),
            )
            .into());
        }
        Ok(Self::new(multirnet::Scan::in_memory(name, volume), None))
    }

    /// The values in HU, made from a copy at the first call.
    fn array(&self, py: Python<'_>) -> PyResult<Py<PyArray3<f32>>> {
        if let Some(array) = self.array.get(py) {
            return Ok(array.clone_ref(py));
        }
        let scan = Arc::clone(&self.scan);
        let volume = run(py, None, OnInterrupt::Leave, move |_, _| {
            Ok(scan.volume.clone())
        })?;
        let made = self
            .array
            .get_or_try_init(py, || array::from_volume(py, volume))?;
        Ok(made.clone_ref(py))
    }

    fn shape(&self) -> [usize; 3] {
        self.scan.volume.shape()
    }

    fn placed(&self) -> Placed {
        grid::placed(self.scan.volume.geometry())
    }

    fn path(&self) -> &str {
        &self.scan.path
    }

    fn format(&self) -> &'static str {
        self.scan.format
    }

    fn series_uid(&self) -> Option<&str> {
        self.scan.series.as_ref().map(|s| s.series_uid.as_str())
    }

    fn warnings(&self) -> Vec<String> {
        self.scan.warnings.clone()
    }
}

/// Reads a scan of any format.
#[pyfunction]
pub fn read(
    py: Python<'_>,
    path: PathBuf,
    series: Option<String>,
    allow_irregular: bool,
) -> PyResult<Scan> {
    let (scan, seconds) = run(
        py,
        None,
        OnInterrupt::Leave,
        move |_, _| -> Outcome<(multirnet::Scan, f64)> {
            let options = ReadOptions {
                series,
                allow_irregular,
                ..ReadOptions::default()
            };
            let start = Instant::now();
            let scan = open_scan(&path, &options)?;
            Ok((scan, start.elapsed().as_secs_f64()))
        },
    )?;
    Ok(Scan::new(scan, Some(seconds)))
}
