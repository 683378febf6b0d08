//! The crate's error.

/// The kinds of errors, for a caller that acts on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file could not be read.
    Io,
    /// A file could not be written.
    Write,
    /// A file's content is damaged.
    Malformed,
    /// A configuration value is unknown, out of range, or contradicts another.
    Config,
    /// The folder holds another study.
    Folder,
    /// A cohort cannot be made, read or divided.
    Cohort,
    /// A training failed.
    Training,
    /// The loss of a training is not finite.
    Diverged,
    /// A scan could not be scored.
    Scoring,
    /// A figure could not be drawn.
    Figure,
    /// The stop flag was raised; everything done so far is kept.
    Interrupted,
}

multirnet_base::error_type!(ErrorKind, read = Io, write = Write, config = Config);

multirnet_base::from_base_error!(ErrorKind, Io, Write);

impl Error {
    /// The error if the stop flag was raised.
    pub(crate) fn interrupted() -> Self {
        Self::new(
            ErrorKind::Interrupted,
            "stopped; everything done so far is kept",
        )
        .hint("start the same command again to go on")
    }

    /// The error if the stop flag was raised while figures were drawn. The next run draws all
    /// figures anew.
    pub(crate) fn interrupted_drawing() -> Self {
        Self::new(
            ErrorKind::Interrupted,
            "stopped; everything done so far is kept",
        )
        .hint("start the same command again: it draws all figures anew")
    }
}

impl Error {
    /// The error of a cohort that cannot be made, read or divided. A manifest that the disk refuses is
    /// not the cohort's fault.
    pub(crate) fn cohort(error: multirnet_cohort::Error) -> Self {
        let kind = match error.kind() {
            multirnet_cohort::ErrorKind::Write => ErrorKind::Write,
            _ => ErrorKind::Cohort,
        };
        Self::caused(kind, error)
    }
}

impl From<multirnet::Error> for Error {
    fn from(error: multirnet::Error) -> Self {
        use multirnet::ErrorKind as Library;
        match error.kind() {
            Library::Interrupted => Self::interrupted(),
            Library::Write => Self::caused(ErrorKind::Write, error),
            Library::Options => Self::caused(ErrorKind::Config, error),
            Library::Draw => Self::caused(ErrorKind::Figure, error),
            _ => Self::caused(ErrorKind::Scoring, error),
        }
    }
}
