//! The crate's error.

/// What went wrong, for callers that match on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file could not be read.
    Io,
    /// A log does not follow its format.
    Malformed,
    /// Scan and prediction do not belong together.
    Mismatch,
    /// A figure could not be drawn.
    Draw,
}

multirnet_base::error_type!(ErrorKind, read = Io);

impl From<multirnet_volume::Error> for Error {
    fn from(error: multirnet_volume::Error) -> Self {
        Self::caused(ErrorKind::Mismatch, error)
    }
}
