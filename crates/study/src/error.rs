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
    /// A file could not be written.
    Write,
    /// A file's content is not what it should be.
    Malformed,
    /// A configuration value is unknown, out of range, or contradicts another.
    Config,
    /// The folder holds another study.
    Folder,
    /// A cohort cannot be made, read or divided.
    Cohort,
    /// A training failed.
    Training,
    /// The loss of a training is not finite.
    Diverged,
    /// A scan could not be scored.
    Scoring,
    /// A figure could not be drawn.
    Figure,
    /// The stop flag was raised; everything done so far is kept.
    Interrupted,
}

/// An error with its kind, the file it concerns, the reason, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{}{reason}{}", prefix(.path), suffix(.hint))]
pub struct Error {
    kind: ErrorKind,
    path: Option<PathBuf>,
    reason: String,
    hint: Option<String>,
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
        }
    }

    /// What another crate says, as an error of `kind`.
    pub fn caused(kind: ErrorKind, cause: impl std::fmt::Display) -> Self {
        Self::new(kind, cause.to_string())
    }

    /// An error while `path` was read.
    pub fn io(path: &Path, doing: &str, cause: &std::io::Error) -> Self {
        Self::new(ErrorKind::Io, format!("cannot {doing}: {cause}")).at(path)
    }

    /// The stop flag was raised.
    pub(crate) fn interrupted() -> Self {
        Self::new(
            ErrorKind::Interrupted,
            "stopped; everything done so far is kept",
        )
        .hint("start the same command again to go on")
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
}
