//! Arrays of NumPy from volumes, and volumes from arrays.

use crate::error::{Failure, Outcome};
use multirnet_volume::{Geometry, Volume, Voxel};
use numpy::ndarray::Array3;
use numpy::{
    Element, IntoPyArray, PyArray3, PyArrayMethods, PyReadonlyArray3, PyUntypedArrayMethods,
};
use pyo3::prelude::*;

/// A read-only array with the values of `volume`, which are moved and not copied.
///
/// # Errors
/// None but those of NumPy.
pub fn from_volume<T: Voxel + Element>(
    py: Python<'_>,
    volume: Volume<T>,
) -> PyResult<Py<PyArray3<T>>> {
    let shape = volume.shape();
    let values = Array3::from_shape_vec(shape, volume.into_data())
        .map_err(|e| Failure::new("internal", e.to_string(), None))?;
    let array = values.into_pyarray(py);
    // What several parts of a program share must not change under one of them.
    array.try_readwrite()?.make_nonwriteable();
    Ok(array.unbind())
}

/// The shape `(z, y, x)` of an array.
pub fn shape<T: Element>(array: &PyReadonlyArray3<'_, T>) -> [usize; 3] {
    let shape = array.shape();
    [shape[0], shape[1], shape[2]]
}

/// A volume with a copy of the array's values, which must lie in C order.
///
/// # Errors
/// `options` if the values do not lie in C order, `mismatch` if the shape is not the geometry's.
pub fn to_volume<T: Voxel + Element>(
    array: &PyReadonlyArray3<'_, T>,
    geometry: Geometry,
) -> Outcome<Volume<T>> {
    let values = array
        .as_slice()
        .map_err(|_| Failure::options("the array's values do not lie in C order"))?;
    if shape(array) != geometry.shape() {
        return Err(Failure::new(
            "mismatch",
            format!(
                "the array has the shape {:?} (z, y, x) and not {:?}",
                shape(array),
                geometry.shape()
            ),
            Some("give an array on the scan's own grid"),
        ));
    }
    Ok(Volume::new(values.to_vec(), geometry)?)
}
