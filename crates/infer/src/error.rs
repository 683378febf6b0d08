//! The crate's error.

/// What went wrong, for a caller that decides by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The model file could not be read.
    Io,
    /// No model has the name that was given.
    NotFound,
    /// The model file is corrupt, of another kind, or gives values that are no numbers.
    Model,
    /// The scan or the lung mask was refused (input gate, lungs not found, grids that differ).
    Scan,
    /// An option is out of range.
    Options,
    /// The planned memory is over the configured limit.
    Memory,
    /// The device that was asked for cannot be used.
    Device,
    /// The caller asked to end early.
    Interrupted,
}

multirnet_base::error_type!(ErrorKind, read = Io, config = Options);

impl From<multirnet_volume::Error> for Error {
    fn from(cause: multirnet_volume::Error) -> Self {
        Self::caused(ErrorKind::Scan, cause)
    }
}

impl From<multirnet_anatomy::Error> for Error {
    fn from(cause: multirnet_anatomy::Error) -> Self {
        match cause.kind() {
            multirnet_anatomy::ErrorKind::Interrupted => Self::interrupted(),
            _ => Self::caused(ErrorKind::Scan, cause),
        }
    }
}

impl Error {
    /// The caller asked to end early.
    pub(crate) fn interrupted() -> Self {
        Self::new(
            ErrorKind::Interrupted,
            "stopped before the analysis was done",
        )
    }
}

impl From<multirnet_finding::Error> for Error {
    fn from(cause: multirnet_finding::Error) -> Self {
        Self::caused(ErrorKind::Scan, cause)
    }
}
