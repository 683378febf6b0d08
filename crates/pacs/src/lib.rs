//! DICOM on the network: studies come in, an analysis makes results of them, and the results go back.
//!
//! [`listen`] runs everything that a [`config::Config`] names: the C-STORE and C-ECHO provider, the
//! [`store`] that survives a kill at any moment, the analysis that the caller hands in as [`Analyse`],
//! the delivery by C-STORE or STOW-RS, the [`Audit`] log and the retention rule. [`client`] has what a
//! node asks of others: echo, send, search and fetch. [`doctor`] checks a configuration.
//!
//! ```no_run
//! use multirnet_base::StopToken;
//! use multirnet_pacs::config::Config;
//! use multirnet_pacs::store::ReceivedStudy;
//! use multirnet_pacs::{AnalysisError, listen};
//! use std::path::{Path, PathBuf};
//!
//! fn analyse(study: &ReceivedStudy, out: &Path, stop: &StopToken) -> Result<Vec<PathBuf>, AnalysisError> {
//!     // Read the files of `study.folder`, write DICOM objects into `out`, and give their paths.
//!     Ok(Vec::new())
//! }
//!
//! let config = Config::read(Path::new("pacs.toml"))?;
//! listen(&config, &analyse, &StopToken::new())?;
//! # Ok::<(), multirnet_pacs::Error>(())
//! ```
//!
//! # Rules
//!
//! - **An acknowledged object is on the disk.** It is analysed and delivered, whatever happens to the
//!   program afterwards.
//! - **A study is complete when it is quiet**: no object of any of its series for
//!   `store.quiet_seconds`, counted by a clock that tests replace.
//! - **Only CT starts an analysis.** Other objects lie beside it, or are refused by configuration.
//! - **What is refused is refused alone**: an object, a transfer syntax, a delivery.
//! - **Everything has a bound**: associations, PDUs, command sets, objects, answers, matches.
//! - **No secret and no patient** is in a log, an error of a connection, or `Debug`.

mod audit;
pub mod client;
mod clock;
pub mod config;
mod delivery;
pub mod dimse;
pub mod doctor;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod listen;
mod multipart;
mod probe;
mod scp;
pub mod sop;
pub mod store;
mod stow;
pub use audit::{Audit, Event, Watch};
pub use clock::{Clock, SystemClock};
pub use delivery::{deliver_due, deliver_with};
pub use error::{Error, ErrorKind, Result};
pub use listen::{Analyse, AnalysisError, Listener, ListenerOptions, listen, run_job};
pub use probe::{Probe, Step};
pub use stow::{StowedObject, receive_stow, stow_answer};
