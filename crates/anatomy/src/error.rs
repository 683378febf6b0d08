//! The crate's error.

/// What went wrong, for callers that match on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The scan's grid is not one that a chest CT has (too few slices, spacing, extent, size).
    Grid,
    /// The values are not Hounsfield units of a CT.
    Intensity,
    /// No lungs were found, or their volume is not plausible.
    NoLungs,
    /// Two volumes that should share a grid do not.
    Mismatch,
    /// A configuration value is out of its range.
    Config,
    /// The caller stopped the work.
    Interrupted,
}

multirnet_base::error_type!(ErrorKind, config = Config);

impl From<multirnet_volume::Error> for Error {
    fn from(error: multirnet_volume::Error) -> Self {
        let kind = match error.kind() {
            multirnet_volume::ErrorKind::Mismatch => ErrorKind::Mismatch,
            _ => ErrorKind::Grid,
        };
        Self::caused(kind, error)
    }
}

impl Error {
    /// The caller stopped the work.
    pub(crate) fn interrupted() -> Self {
        Self::new(ErrorKind::Interrupted, "stopped")
    }
}
