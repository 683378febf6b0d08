//! The crate's error.

/// The kind of an error. Callers can decide by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file could not be read.
    Io,
    /// A file of the run or of the cache could not be written.
    Write,
    /// A file's content does not follow its format (manifest, checkpoint, cache entry).
    Malformed,
    /// A configuration value is out of range, unknown, or contradicts another.
    Config,
    /// A scan or mask cannot be prepared.
    Scan,
    /// One patient, study or scan would lie on two sides of a split, or a split is impossible.
    Leakage,
    /// A run cannot be resumed because something changed since its checkpoint, or a new run cannot
    /// begin because its folder already has one.
    Resume,
    /// The training went wrong numerically: the loss is not finite.
    Diverged,
    /// The stop flag was raised before there was a run to save. Prepared scans are kept.
    Interrupted,
}

multirnet_base::error_type!(ErrorKind, read = Io, write = Write, config = Config);

multirnet_base::from_base_error!(ErrorKind, Io, Write);

impl From<multirnet_cohort::Error> for Error {
    fn from(error: multirnet_cohort::Error) -> Self {
        use multirnet_cohort::ErrorKind as Cohort;
        let kind = match error.kind() {
            Cohort::Write => ErrorKind::Write,
            Cohort::Malformed => ErrorKind::Malformed,
            Cohort::Config => ErrorKind::Config,
            Cohort::Scan => ErrorKind::Scan,
            Cohort::Leakage => ErrorKind::Leakage,
            Cohort::Interrupted => ErrorKind::Interrupted,
            _ => ErrorKind::Io,
        };
        Self::caused(kind, error)
    }
}
