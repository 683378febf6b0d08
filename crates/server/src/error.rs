//! The crate's error.

/// The kind of an error. Callers can decide by it, and the HTTP interface chooses the status by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file or folder cannot be read.
    Read,
    /// A file or folder cannot be written.
    Write,
    /// The configuration is wrong.
    Config,
    /// The port cannot be used.
    Network,
    /// The database is damaged or of a later version.
    Database,
    /// There is no such job, upload, version or file.
    NotFound,
    /// The request is wrong.
    Invalid,
    /// The caller may not have this.
    Forbidden,
    /// The request does not fit the present state.
    Conflict,
    /// The upload is larger than allowed.
    TooLarge,
    /// A limit of jobs, uploads or disk is reached; a later attempt may succeed.
    Full,
    /// The analysis or the scan cannot be done.
    Scan,
    /// The work was asked to end.
    Stopped,
}

multirnet_base::error_type!(ErrorKind, read = Read, write = Write, config = Config);
multirnet_base::from_base_error!(ErrorKind, Read, Write);

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{CannotOpen, DiskFull, ReadOnly, SystemIoFailure};
        let kind = match error.sqlite_error_code() {
            Some(DiskFull | ReadOnly | SystemIoFailure | CannotOpen) => ErrorKind::Write,
            _ => ErrorKind::Database,
        };
        let told = Self::new(kind, format!("the database answers: {error}"));
        match error.sqlite_error_code() {
            Some(DiskFull) => told.hint("free some space; the server then goes on by itself"),
            Some(ReadOnly | CannotOpen | SystemIoFailure) => told.hint(
                "give the server a data folder that it may write to; it then goes on by itself",
            ),
            _ => told,
        }
    }
}

impl From<multirnet::Error> for Error {
    fn from(error: multirnet::Error) -> Self {
        use multirnet::ErrorKind as Library;
        Self::from_report(error.into_report(|kind| match kind {
            Library::Write => ErrorKind::Write,
            Library::Io => ErrorKind::Read,
            Library::Interrupted => ErrorKind::Stopped,
            Library::Options => ErrorKind::Config,
            _ => ErrorKind::Scan,
        }))
    }
}

impl From<multirnet_pacs::Error> for Error {
    fn from(error: multirnet_pacs::Error) -> Self {
        use multirnet_pacs::ErrorKind as Pacs;
        Self::from_report(error.into_report(|kind| match kind {
            Pacs::Read => ErrorKind::Read,
            Pacs::Write => ErrorKind::Write,
            Pacs::Config => ErrorKind::Config,
            Pacs::Network => ErrorKind::Network,
            Pacs::Stopped => ErrorKind::Stopped,
            _ => ErrorKind::Invalid,
        }))
    }
}

impl From<multirnet_volume::Error> for Error {
    fn from(error: multirnet_volume::Error) -> Self {
        multirnet::Error::from(error).into()
    }
}

impl From<multirnet_finding::Error> for Error {
    fn from(error: multirnet_finding::Error) -> Self {
        Self::from_report(error.into_report(|_| ErrorKind::Invalid))
    }
}

impl Error {
    /// There is no such thing.
    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(ErrorKind::NotFound, format!("there is no such {what}"))
    }

    /// The request is wrong.
    pub(crate) fn invalid(reason: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, reason.into())
    }
}
