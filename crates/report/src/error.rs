//! The crate's error.

use std::path::{Path, PathBuf};

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, for a caller that decides by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file could not be read.
    Io,
    /// A log is not what its format demands.
    Malformed,
    /// Scan and prediction do not belong together.
    Mismatch,
    /// A figure could not be drawn.
    Draw,
}

/// An error with its kind, the file it concerns if any, and the reason.
#[derive(Debug, thiserror::Error)]
#[error("{}{reason}", .path.as_ref().map_or_else(String::new, |p| format!("{}: ", p.display())))]
pub struct Error {
    kind: ErrorKind,
    path: Option<PathBuf>,
    reason: String,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, reason: impl Into<String>) -> Self {
        Self {
            kind,
            path: None,
            reason: reason.into(),
        }
    }

    pub(crate) fn at(mut self, path: &Path) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    /// The error's kind.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl From<multirnet_volume::Error> for Error {
    fn from(error: multirnet_volume::Error) -> Self {
        Self::new(ErrorKind::Mismatch, error.to_string())
    }
}
