//! The crate's error.

/// Kind of an error, for a caller that reacts to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The model file could not be read.
    Io,
    /// No model has the name that was given.
    NotFound,
    /// The model file is corrupt or not a model, the network cannot do what is asked of it, or its
    /// output holds values that are not numbers.
    Model,
    /// The scan or the lung mask was refused (input gate, lungs not found, grids that differ).
    Scan,
    /// An option is out of range.
    Options,
    /// The planned memory is over the configured limit.
    Memory,
    /// The device that was asked for cannot be used.
    Device,
    /// The caller stopped the analysis.
    Interrupted,
}

multirnet_base::error_type!(ErrorKind, read = Io, config = Options);

impl From<multirnet_volume::Error> for Error {
    fn from(cause: multirnet_volume::Error) -> Self {
        Self::from_report(cause.into_report(|_| ErrorKind::Scan))
    }
}

impl From<multirnet_anatomy::Error> for Error {
    fn from(cause: multirnet_anatomy::Error) -> Self {
        match cause.kind() {
            multirnet_anatomy::ErrorKind::Interrupted => Self::interrupted(),
            _ => Self::from_report(cause.into_report(|_| ErrorKind::Scan)),
        }
    }
}

impl Error {
    /// The caller stopped the analysis.
    pub(crate) fn interrupted() -> Self {
        Self::new(
            ErrorKind::Interrupted,
            "the analysis was stopped before its end",
        )
    }
}

impl From<multirnet_finding::Error> for Error {
    fn from(cause: multirnet_finding::Error) -> Self {
        Self::from_report(cause.into_report(|_| ErrorKind::Scan))
    }
}
