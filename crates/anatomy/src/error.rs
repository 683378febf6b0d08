//! The crate's error.

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, for a caller that decides by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The scan's grid is not one that a chest CT has (too few slices, spacing, extent, size).
    Grid,
    /// The values are not Hounsfield units of a CT.
    Intensity,
    /// No lungs were found, or not in a plausible amount.
    NoLungs,
    /// Two volumes that should share a grid do not.
    Mismatch,
    /// A configuration value makes no sense.
    Config,
}

/// An error with its kind, the reason, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{reason}{}", suffix(.hint))]
pub struct Error {
    kind: ErrorKind,
    reason: String,
    hint: Option<String>,
    #[source]
    source: Option<Box<multirnet_volume::Error>>,
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
            reason: reason.into(),
            hint: None,
            source: None,
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

    /// What to do about it, if that is known.
    pub fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl From<multirnet_volume::Error> for Error {
    fn from(error: multirnet_volume::Error) -> Self {
        let kind = match error.kind() {
            multirnet_volume::ErrorKind::Mismatch => ErrorKind::Mismatch,
            _ => ErrorKind::Grid,
        };
        Self {
            kind,
            reason: error.to_string(),
            hint: None,
            source: Some(Box::new(error)),
        }
    }
}
