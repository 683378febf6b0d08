//! The crate's error.

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, for a caller that decides by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A field of the configuration is outside what can be rendered.
    Config,
    /// The grid is unusable.
    Geometry,
    /// Two volumes that should share a grid do not.
    Mismatch,
    /// There are no lungs to work on, or nothing of them is left.
    NoLungs,
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
}

impl From<multirnet_volume::Error> for Error {
    fn from(source: multirnet_volume::Error) -> Self {
        Self {
            kind: ErrorKind::Geometry,
            reason: format!("the phantom's grid is unusable: {source}"),
            hint: None,
            source: Some(Box::new(source)),
        }
    }
}
