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
    /// A file of the run or of the cache could not be written.
    Write,
    /// A file's content is not what its format demands (manifest, checkpoint, cache entry).
    Malformed,
    /// A configuration value is out of range, unknown, or contradicts another.
    Config,
    /// A scan or mask cannot be prepared.
    Scan,
    /// One patient, study or scan would lie on two sides of a split, or a split is impossible.
    Leakage,
    /// A run cannot be resumed: something changed since its checkpoint.
    Resume,
    /// Training went wrong numerically (loss not finite).
    Diverged,
    /// The stop flag was raised before there was a run to save; prepared scans are kept.
    Interrupted,
}

/// An error with its kind, the file (and line) it concerns, the reason, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{}{reason}{}", place(.path, .line), suffix(.hint))]
pub struct Error {
    kind: ErrorKind,
    path: Option<PathBuf>,
    line: Option<u64>,
    reason: String,
    hint: Option<String>,
}

fn place(path: &Option<PathBuf>, line: &Option<u64>) -> String {
    match (path, line) {
        (Some(p), Some(l)) => format!("{}:{l}: ", p.display()),
        (Some(p), None) => format!("{}: ", p.display()),
        (None, Some(l)) => format!("line {l}: "),
        (None, None) => String::new(),
    }
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
            line: None,
            reason: reason.into(),
            hint: None,
        }
    }

    /// An error while `path` was read.
    pub fn io(path: &Path, doing: &str, source: &std::io::Error) -> Self {
        Self::new(ErrorKind::Io, format!("cannot {doing}: {source}")).at(path)
    }

    /// An error while `path` was written.
    pub fn write(path: &Path, doing: &str, source: &std::io::Error) -> Self {
        Self::new(ErrorKind::Write, format!("cannot {doing}: {source}"))
            .at(path)
            .hint("is the disk full or the folder write-protected?")
    }

    /// Names the file that the error concerns.
    #[must_use]
    pub fn at(mut self, path: &Path) -> Self {
        self.path.get_or_insert_with(|| path.to_owned());
        self
    }

    /// Names the line (from 1) of the file.
    #[must_use]
    pub fn line(mut self, line: u64) -> Self {
        self.line.get_or_insert(line);
        self
    }

    /// Says what the user can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says within what the reason lies, in front of it.
    #[must_use]
    pub(crate) fn within(mut self, part: &str) -> Self {
        self.reason = format!("{part}: {}", self.reason);
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
