//! The crate's error.

/// The kinds of errors, for a caller that acts on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file could not be read.
    Io,
    /// A file of the cache or a manifest could not be written.
    Write,
    /// A file's content is not what its format demands (manifest, cache entry).
    Malformed,
    /// A configuration value is out of range, unknown, or contradicts another.
    Config,
    /// A scan or mask cannot be read or prepared.
    Scan,
    /// One patient, study or scan would lie on two sides of a split, or a split is impossible.
    Leakage,
    /// The stop flag was raised; prepared scans are kept.
    Interrupted,
}

multirnet_base::error_type!(ErrorKind, read = Io, write = Write, config = Config);
multirnet_base::from_base_error!(ErrorKind, Io, Write);

impl From<multirnet_volume::Error> for Error {
    fn from(error: multirnet_volume::Error) -> Self {
        Self::from_report(error.into_report(|_| ErrorKind::Scan))
    }
}

impl From<multirnet_dicom::Error> for Error {
    fn from(error: multirnet_dicom::Error) -> Self {
        Self::from_report(error.into_report(|_| ErrorKind::Scan))
    }
}

impl From<multirnet_anatomy::Error> for Error {
    fn from(error: multirnet_anatomy::Error) -> Self {
        Self::from_report(error.into_report(|_| ErrorKind::Scan))
    }
}
