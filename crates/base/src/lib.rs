//! The base that all multirnet crates share: the core of their errors ([`error`]), atomic writes of
//! files and folders ([`files`], [`folder`]), TOML texts ([`toml_text`]), strangers' text made visible
//! ([`text`]), digests ([`digest`]), parallel jobs ([`jobs`]), a watch of the computer's clock
//! ([`ClockWatch`]), seeded random numbers ([`random`]), and range checks of configurations
//! ([`Ranges`]).
//!
//! ```
//! use multirnet_base::Ranges;
//!
//! /// What went wrong.
//! #[derive(Debug, Clone, Copy, PartialEq, Eq)]
//! pub enum ErrorKind {
//!     /// A file cannot be read.
//!     Io,
//!     /// A value is out of its range.
//!     Config,
//! }
//! multirnet_base::error_type!(ErrorKind, read = Io, config = Config);
//!
//! fn check(threshold: f64) -> Result<()> {
//!     Ok(Ranges::new().within("threshold", threshold, 0.0..=1.0).check()?)
//! }
//!
//! let error = check(2.0).unwrap_err();
//! assert_eq!(error.kind(), ErrorKind::Config);
//! assert_eq!(error.to_string(), "threshold = 2 is out of range (allowed: 0 to 1)");
//! ```

mod clock;
pub mod digest;
pub mod error;
mod file_error;
pub mod files;
pub mod folder;
pub mod host;
pub mod jobs;
mod partial;
pub mod random;
mod range;
mod stop;
pub mod text;
pub mod toml_text;

pub use clock::ClockWatch;
pub use error::Report;
pub use file_error::{Error, ErrorKind, Result};
pub use folder::{FolderLock, StagedFolder};
pub use partial::PartialFile;
pub use range::{OutOfRange, Ranges};
pub use stop::StopToken;
pub use toml_text::TomlFault;
