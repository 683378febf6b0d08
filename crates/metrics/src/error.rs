//! The crate's error.

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, for a caller that decides by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Two inputs that belong together do not fit (grids, lengths).
    Mismatch,
    /// There is nothing to score.
    Empty,
    /// A value or setting that means nothing here.
    Invalid,
}

/// An error with its kind, the reason, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{reason}{}", .hint.as_ref().map_or_else(String::new, |h| format!(" ({h})")))]
pub struct Error {
    kind: ErrorKind,
    reason: String,
    hint: Option<String>,
}

impl Error {
    /// A new error of `kind` for `reason`.
    pub fn new(kind: ErrorKind, reason: impl Into<String>) -> Self {
        Self {
            kind,
            reason: reason.into(),
            hint: None,
        }
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
