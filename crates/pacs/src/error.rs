//! The crate's error.

/// The kind of an error. Callers can decide by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file or folder cannot be read.
    Read,
    /// A file or folder cannot be written.
    Write,
    /// The configuration is wrong.
    Config,
    /// A peer cannot be reached, or the connection broke.
    Network,
    /// A peer answered, and its answer is no.
    Refused,
    /// A peer sent what the protocol does not allow, or an object is damaged.
    Protocol,
    /// The work was asked to end.
    Stopped,
}

multirnet_base::error_type!(ErrorKind, read = Read, write = Write, config = Config);
multirnet_base::from_base_error!(ErrorKind, Read, Write);

impl From<multirnet_dicom::Error> for Error {
    fn from(error: multirnet_dicom::Error) -> Self {
        Self::from_report(error.into_report(|kind| match kind {
            multirnet_dicom::ErrorKind::Io => ErrorKind::Read,
            _ => ErrorKind::Protocol,
        }))
    }
}

impl Error {
    /// An error of a network operation with the peer `peer`.
    pub(crate) fn network(peer: &str, doing: &str, cause: impl std::fmt::Display) -> Self {
        Self::new(
            ErrorKind::Network,
            format!("{peer}: cannot {doing}: {cause}"),
        )
    }

    /// The work was asked to end.
    pub(crate) fn stopped() -> Self {
        Self::new(ErrorKind::Stopped, "stopped")
    }
}

/// The text of an error and its causes, in one line. Network errors keep what matters in their causes.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let is_late = |e: &std::io::Error| e.kind() == std::io::ErrorKind::WouldBlock;
        let inner_text = match inner.downcast_ref::<std::io::Error>() {
            // A socket whose time is over says only that it is temporarily unavailable.
            Some(e) if is_late(e) => "the peer was silent for too long".to_owned(),
            _ => inner.to_string(),
        };
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text.replace('\n', " ")
}
