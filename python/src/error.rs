//! Errors of the library as exceptions of `multirnet.errors`.

use multirnet_base::Report;
use pyo3::prelude::*;
use std::fmt::Debug;

/// Result of work that runs without the interpreter's lock.
pub type Outcome<T> = Result<T, Failure>;

/// What an exception tells. Unlike an exception it can be made without the interpreter's lock.
#[derive(Debug)]
pub struct Failure(Box<Told>);

/// The parts of a [`Failure`], which is small itself, since every function returns one.
#[derive(Debug)]
struct Told {
    kind: String,
    message: String,
    reason: String,
    path: Option<String>,
    line: Option<u64>,
    files: Vec<String>,
    hint: Option<String>,
}

impl Failure {
    /// A failure of this module itself.
    pub fn new(kind: &str, reason: impl Into<String>, hint: Option<&str>) -> Self {
        let mut report = Report::new((), reason);
        report.hint = hint.map(str::to_owned);
        Self::from_report(report, kind.to_owned())
    }

    /// A failure for arguments that do not fit.
    pub fn options(reason: impl Into<String>) -> Self {
        Self::new("options", reason, None)
    }

    fn from_report<K>(report: Report<K>, kind: String) -> Self {
        Self(Box::new(Told {
            kind,
            message: report.to_string(),
            reason: report.reason,
            path: report.path.map(|p| p.display().to_string()),
            line: report.line,
            files: report.files,
            hint: report.hint,
        }))
    }

    /// The failure for a value that cannot be written as JSON or read from it.
    pub fn json(error: &serde_json::Error) -> Self {
        Self::options(error.to_string())
    }
}

/// A kind as the exception's attribute has it: `NoLungs` becomes `no_lungs`.
fn name(kind: &impl Debug) -> String {
    let mut name = String::new();
    for c in format!("{kind:?}").chars() {
        if c.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(c.to_lowercase());
    }
    name
}

macro_rules! from_errors {
    ($($error:ty),*) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                let kind = name(&error.kind());
                Self::from_report(error.into_report(|_| ()), kind)
            }
        }
    )*};
}
from_errors!(
    multirnet::Error,
    multirnet_base::Error,
    multirnet_cohort::Error,
    multirnet_finding::Error,
    multirnet_metrics::Error,
    multirnet_phantom::Error,
    multirnet_report::Error,
    multirnet_study::Error,
    multirnet_train::Error,
    multirnet_volume::Error
);

impl From<Failure> for PyErr {
    /// The exception of `multirnet.errors` for the kind.
    fn from(failure: Failure) -> Self {
        let told = *failure.0;
        Python::attach(|py| {
            let made = py.import("multirnet.errors").and_then(|module| {
                module.getattr("from_parts")?.call1((
                    told.kind,
                    told.message,
                    told.reason,
                    told.path,
                    told.line,
                    told.files,
                    told.hint,
                ))
            });
            match made {
                Ok(exception) => PyErr::from_value(exception),
                Err(error) => error,
            }
        })
    }
}
