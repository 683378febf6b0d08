//! Findings with their maps.

use crate::array;
use crate::error::{Failure, Outcome};
use crate::grid::{self, Placed};
use crate::work::{OnInterrupt, run};
use multirnet::{HeatmapGrid, Maps, NativeMap, Prediction, to_json, write_results};
use multirnet_finding::lesions;
use multirnet_report::{Overview, overview_png};
use numpy::{PyArray3, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;
use std::path::PathBuf;
use std::sync::Arc;

/// The result of an analysis.
///
/// The masks lie in NumPy's arrays, into which they were moved. The maps of probabilities and of heat
/// stay on the working grid, as in the library, until somebody asks for them.
#[pyclass(frozen, module = "multirnet._multirnet")]
pub struct Finding {
    finding: multirnet::Finding,
    scan: Option<Arc<multirnet::Scan>>,
    lungs: Py<PyArray3<u8>>,
    lesions: Py<PyArray3<u8>>,
    probability: LazyArray,
    heatmap: Option<LazyArray>,
}

/// A map that becomes an array when it is asked for.
struct LazyArray {
    map: Arc<NativeMap>,
    array: PyOnceLock<Py<PyArray3<f32>>>,
}

impl LazyArray {
    fn new(map: NativeMap) -> Self {
        Self {
            map: Arc::new(map),
            array: PyOnceLock::new(),
        }
    }

    fn array(&self, py: Python<'_>) -> PyResult<Py<PyArray3<f32>>> {
        if let Some(array) = self.array.get(py) {
            return Ok(array.clone_ref(py));
        }
        let map = Arc::clone(&self.map);
        let volume = run(
            py,
            None,
            OnInterrupt::Leave,
            move |_, _| Ok(map.to_volume()),
        )?;
        let made = self
            .array
            .get_or_try_init(py, || array::from_volume(py, volume))?;
        Ok(made.clone_ref(py))
    }
}

impl Finding {
    /// Moves the masks of `prediction` into arrays. `scan` is what pictures are drawn on.
    ///
    /// # Errors
    /// None but those of NumPy.
    pub fn new(
        py: Python<'_>,
        prediction: Prediction,
        scan: Option<Arc<multirnet::Scan>>,
    ) -> PyResult<Self> {
        let Prediction { finding, maps } = prediction;
        Ok(Self {
            finding,
            scan,
            lungs: array::from_volume(py, maps.lungs)?,
            lesions: array::from_volume(py, maps.lesions)?,
            probability: LazyArray::new(maps.probability),
            heatmap: maps.heatmap.map(LazyArray::new),
        })
    }

    /// The scan and a copy of the prediction, for the library's functions.
    fn parts(&self, py: Python<'_>) -> Outcome<(Arc<multirnet::Scan>, Prediction)> {
        let scan = self.scan.as_ref().ok_or_else(|| {
            Failure::new(
                "options",
                "the finding does not hold its scan",
                Some("analyse with keep_scan=True"),
            )
        })?;
        let mask = |values: &Py<PyArray3<u8>>| {
            array::to_volume(&values.bind(py).readonly(), self.finding.geometry)
        };
        let maps = Maps {
            lungs: mask(&self.lungs)?,
            lesions: mask(&self.lesions)?,
            probability: self.probability.map.as_ref().clone(),
            heatmap: self.heatmap.as_ref().map(|h| h.map.as_ref().clone()),
        };
        let finding = self.finding.clone();
        Ok((Arc::clone(scan), Prediction { finding, maps }))
    }
}

#[pymethods]
impl Finding {
    fn json(&self) -> PyResult<String> {
        Ok(to_json(&self.finding).map_err(Failure::from)?)
    }

    /// What a result of a model says first whose classes or lesions were not validated on patients.
    fn validation_notice(&self) -> Option<&'static str> {
        self.finding.validated_on.notice()
    }

    fn leads_with_class(&self) -> bool {
        self.finding.validated_on.classes_on_patients()
    }

    fn placed(&self) -> Placed {
        grid::placed(&self.finding.geometry)
    }

    fn lungs(&self, py: Python<'_>) -> Py<PyArray3<u8>> {
        self.lungs.clone_ref(py)
    }

    fn lesions(&self, py: Python<'_>) -> Py<PyArray3<u8>> {
        self.lesions.clone_ref(py)
    }

    fn probability(&self, py: Python<'_>) -> PyResult<Py<PyArray3<f32>>> {
        self.probability.array(py)
    }

    fn heatmap(&self, py: Python<'_>) -> PyResult<Option<Py<PyArray3<f32>>>> {
        self.heatmap.as_ref().map(|h| h.array(py)).transpose()
    }

    fn has_scan(&self) -> bool {
        self.scan.is_some()
    }

    fn overview_png(&self, py: Python<'_>) -> PyResult<Py<PyBytes>> {
        let (scan, prediction) = self.parts(py)?;
        let png = run(py, None, OnInterrupt::Leave, move |_, _| {
            Ok(overview_png(&Overview {
                scan: &scan.volume,
                finding: &prediction.finding,
                maps: &prediction.maps,
            })?)
        })?;
        Ok(PyBytes::new(py, &png).unbind())
    }

    fn single_lesions_json(&self, py: Python<'_>) -> PyResult<String> {
        let (scan, prediction) = self.parts(py)?;
        run(py, None, OnInterrupt::Leave, move |_, _| {
            let maps = &prediction.maps;
            let has_kinds = !prediction.finding.lesion_kinds.is_empty();
            let found = lesions(&scan.volume, &maps.lungs, &maps.lesions, has_kinds)?;
            Ok(to_json(&found)?)
        })
    }

    fn write(
        &self,
        py: Python<'_>,
        folder: PathBuf,
        name: String,
        heatmap_grid: &str,
    ) -> PyResult<()> {
        let grid: HeatmapGrid = heatmap_grid.parse().map_err(Failure::from)?;
        let (scan, prediction) = self.parts(py)?;
        // A call that is left would go on to write into the caller's folder.
        run(py, None, OnInterrupt::Save, move |_, _| {
            Ok(write_results(
                &scan.volume,
                &prediction,
                &name,
                grid,
                &folder,
            )?)
        })
    }
}
