//! Scan in, finding out.

mod digest;
mod error;
mod finding;
mod grid;
mod options;
mod stitch;
mod windows;

pub use digest::{content_sha256, sha256};
pub use error::{Error, ErrorKind, Result};
pub use finding::{
    Finding, Maps, NOTICE, Prediction, Probabilities, Provenance, SCHEMA, Source, Timing,
};
pub use options::{DeviceChoice, Pipeline, PredictOptions};
pub use stitch::Stitcher;
pub use windows::plan_windows;
