//! A server: scans come in by HTTP or DICOM, are analysed once each, and are read and corrected in a
//! browser.
//!
//! [`Server`] runs everything that a [`config::ServerConfig`] names: the durable [`Queue`] of jobs with
//! its workers, the HTTP interface under `/api/v1` (described by [`description`]), the viewer, which is
//! part of the program, and the store of studies that come over the network.
//!
//! For research use only. Not a medical device.
//!
//! # Rules
//!
//! - **A job that is acknowledged is on the disk**, and is done exactly once, whatever happens to the
//!   program afterwards.
//! - **Results appear whole.**
//! - **The model's result never changes.** What a reader corrects is a version beside it.
//! - **Everything has a bound**: uploads, jobs, memory, free disk.
//! - **Nobody comes in without a token** or a proxy's word, on any path but `/api/v1/health`.

mod access;
mod analyser;
mod analysis;
mod cohort;
pub mod config;
mod corrections;
mod data;
pub mod database;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod guesses;
mod http;
mod job;
mod metrics;
mod queue;
mod server;

pub use analyser::Analyser;
pub use cohort::{Exported, export_cohort};
pub use corrections::NewVersion;
pub use error::{Error, ErrorKind, Result};
pub use http::description;
pub use job::{ClassProbabilities, Job, JobError, JobSource, JobState, Verdict};
pub use queue::{JobEvent, Queue};
pub use server::Server;

use multirnet::{Catalogue, DEFAULT_MODEL};
use std::path::Path;

/// The models that the server knows: those of the program, and those in `folder`.
pub fn models(folder: Option<&Path>) -> Catalogue {
    let program = multirnet::models();
    let folders = folder.into_iter().map(Path::to_owned);
    Catalogue::new(
        &[DEFAULT_MODEL],
        folders.chain(program.folders().iter().cloned()),
    )
}
