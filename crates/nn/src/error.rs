//! The crate's error.

use std::path::{Path, PathBuf};

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, for a caller that decides by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The file could not be read or written.
    Io,
    /// The weights are not what their format demands (truncated, corrupt, not finite).
    Malformed,
    /// The file is of a format or version that this program does not read.
    Unsupported,
    /// A configuration field is out of its range.
    Config,
    /// Weights and configuration, or a tensor and the net, do not belong together.
    Mismatch,
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
    source: Option<std::io::Error>,
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

    /// An input/output error on `path`.
    pub fn io(path: &Path, doing: &str, source: std::io::Error) -> Self {
        Self {
            kind: ErrorKind::Io,
            path: Some(path.to_owned()),
            reason: format!("cannot {doing}: {source}"),
            hint: None,
            source: Some(source),
        }
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
