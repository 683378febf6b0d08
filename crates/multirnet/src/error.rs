//! The crate's error.

/// The kinds of errors, for a caller that acts on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file could not be read.
    Io,
    /// A result could not be written.
    Write,
    /// The scan or a mask cannot be used.
    Scan,
    /// The model cannot be found or used.
    Model,
    /// An option is unknown or out of range.
    Options,
    /// The planned memory is over the configured limit.
    Memory,
    /// The device that was asked for cannot be used.
    Device,
    /// A prediction cannot be scored.
    Scoring,
    /// A picture or page could not be drawn.
    Draw,
    /// The caller asked to end early.
    Interrupted,
}

impl ErrorKind {
    /// Name in records and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Io => "io",
            Self::Write => "write",
            Self::Scan => "scan",
            Self::Model => "model",
            Self::Options => "options",
            Self::Memory => "memory",
            Self::Device => "device",
            Self::Scoring => "scoring",
            Self::Draw => "draw",
            Self::Interrupted => "interrupted",
        }
    }
}

multirnet_base::error_type!(ErrorKind, read = Io, write = Write, config = Options);
multirnet_base::from_base_error!(ErrorKind, Io, Write);

impl From<multirnet_infer::Error> for Error {
    fn from(cause: multirnet_infer::Error) -> Self {
        use multirnet_infer::ErrorKind as Infer;
        let kind = match cause.kind() {
            Infer::Scan => ErrorKind::Scan,
            Infer::Options => ErrorKind::Options,
            Infer::Memory => ErrorKind::Memory,
            Infer::Device => ErrorKind::Device,
            Infer::Interrupted => ErrorKind::Interrupted,
            _ => ErrorKind::Model,
        };
        Self::from_report(cause.into_report(|_| kind))
    }
}

impl From<multirnet_cohort::Error> for Error {
    fn from(cause: multirnet_cohort::Error) -> Self {
        let kind = match cause.kind() {
            multirnet_cohort::ErrorKind::Write => ErrorKind::Write,
            multirnet_cohort::ErrorKind::Interrupted => ErrorKind::Interrupted,
            _ => ErrorKind::Scan,
        };
        Self::from_report(cause.into_report(|_| kind))
    }
}

impl From<multirnet_report::Error> for Error {
    fn from(cause: multirnet_report::Error) -> Self {
        Self::from_report(cause.into_report(|_| ErrorKind::Draw))
    }
}

impl From<multirnet_finding::Error> for Error {
    fn from(cause: multirnet_finding::Error) -> Self {
        Self::from_report(cause.into_report(|_| ErrorKind::Scan))
    }
}

impl From<multirnet_volume::Error> for Error {
    fn from(cause: multirnet_volume::Error) -> Self {
        let kind = match cause.kind() {
            multirnet_volume::ErrorKind::Write => ErrorKind::Write,
            _ => ErrorKind::Scan,
        };
        Self::from_report(cause.into_report(|_| kind))
    }
}

impl From<multirnet_dicom::Error> for Error {
    fn from(cause: multirnet_dicom::Error) -> Self {
        use multirnet_dicom::ErrorKind as Dicom;
        let kind = match cause.kind() {
            Dicom::Write => ErrorKind::Write,
            Dicom::Invalid => ErrorKind::Options,
            // An object that fails its own check is a fault of this program.
            Dicom::NotShown => ErrorKind::Draw,
            _ => ErrorKind::Scan,
        };
        Self::from_report(cause.into_report(|_| kind))
    }
}
