//! Structured arguments and results, which cross the border as JSON.

use crate::error::{Failure, Outcome};
use crate::work::{Notices, OnInterrupt, run};
use multirnet::{StopToken, to_json};
use pyo3::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A value from JSON.
///
/// # Errors
/// `options` if the text does not describe such a value.
pub fn parse<T: DeserializeOwned>(text: &str) -> Outcome<T> {
    serde_json::from_str(text).map_err(|e| Failure::json(&e))
}

/// Reads a request from JSON, runs `work` with it, and returns the result as JSON. An interrupt waits
/// until what was reached is saved.
///
/// # Errors
/// `options` if the text does not describe such a request, and those of [`run`].
pub fn answer<T: DeserializeOwned + Send + 'static, R: Serialize>(
    py: Python<'_>,
    request_json: &str,
    callback: Option<&Bound<'_, PyAny>>,
    work: impl FnOnce(T, &StopToken, &Notices) -> Outcome<R> + Send + 'static,
) -> PyResult<String> {
    let request: T = parse(request_json)?;
    run(py, callback, OnInterrupt::Save, move |stop, notices| {
        Ok(to_json(&work(request, stop, notices)?)?)
    })
}
