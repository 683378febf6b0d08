//! The crate's error.

use std::path::{Path, PathBuf};

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, for a caller that decides by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The model file could not be read.
    Io,
    /// No model has the name that was given.
    NotFound,
    /// The model file is corrupt, of another kind, or gives values that are no numbers.
    Model,
    /// The scan or the lung mask was refused (input gate, lungs not found, grids that differ).
    Scan,
    /// An option is out of range.
    Options,
    /// The planned memory is over the configured limit.
    Memory,
    /// The device that was asked for cannot be used.
    Device,
}

/// An error with its kind, the file it concerns if any, the reason, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{}{reason}{}", prefix(.path), suffix(.hint))]
pub struct Error {
    kind: ErrorKind,
    path: Option<PathBuf>,
    reason: String,
    hint: Option<String>,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

fn prefix(path: &Option<PathBuf>) -> String {
    path.as_ref()
        .map_or_else(String::new, |p| format!("{}: ", p.display()))
}

fn suffix(hint: &Option<String>) -> String {
    hint.as_ref()
        .map_or_else(String::new, |h| format!(" ({h})"))
}

impl Error {
    /// A new error of `kind` for `reason`.
    pub fn new(kind: ErrorKind, reason: impl Into<String>) -> Self {
        Self {
            kind,
            path: None,
            reason: reason.into(),
            hint: None,
            source: None,
        }
    }

    /// An error that another one caused; the cause's text is the reason.
    pub(crate) fn caused(
        kind: ErrorKind,
        cause: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        let mut error = Self::new(kind, cause.to_string());
        error.source = Some(Box::new(cause));
        error
    }

    /// Names the file that the error concerns.
    #[must_use]
    pub fn at(mut self, path: &Path) -> Self {
        self.path.get_or_insert_with(|| path.to_owned());
        self
    }

    /// Says what the user can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The error's kind.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The file that the error concerns.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }
}

impl From<multirnet_volume::Error> for Error {
    fn from(cause: multirnet_volume::Error) -> Self {
        Self::caused(ErrorKind::Scan, cause)
    }
}

impl From<multirnet_anatomy::Error> for Error {
    fn from(cause: multirnet_anatomy::Error) -> Self {
        Self::caused(ErrorKind::Scan, cause)
    }
}
