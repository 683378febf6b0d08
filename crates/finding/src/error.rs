//! The crate's error.

/// What went wrong, for callers that match on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Two volumes that should share a grid do not.
    Mismatch,
    /// A grid is unusable.
    Geometry,
}

multirnet_base::error_type!(ErrorKind);

impl From<multirnet_volume::Error> for Error {
    fn from(error: multirnet_volume::Error) -> Self {
        let kind = match error.kind() {
            multirnet_volume::ErrorKind::Mismatch => ErrorKind::Mismatch,
            _ => ErrorKind::Geometry,
        };
        Self::caused(kind, error)
    }
}
