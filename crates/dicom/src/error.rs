//! The crate's error.

/// The kind of an error. Callers can decide by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file or folder could not be read.
    Io,
    /// A file could not be written.
    Write,
    /// Nothing at the path is DICOM.
    NotDicom,
    /// A file is truncated, corrupt or contradicts itself.
    Malformed,
    /// The content is sound, but not supported (compression, colour, another modality).
    Unsupported,
    /// No series is suitable, or the requested series does not exist.
    NoSeries,
    /// The slices do not make up one regular grid; `allow_irregular` may mend it.
    Irregular,
    /// The content is larger than the reader accepts.
    TooLarge,
    /// A value given for a result is not one that DICOM can hold.
    Invalid,
    /// A mask does not lie on the slices of the source: the series was resampled, or the mask is that
    /// of another scan.
    OtherGrid,
    /// The source series lacks what a result must repeat.
    IncompleteSource,
    /// The self-check refuses an object that viewers would not show, or would show wrongly.
    NotShown,
}

multirnet_base::error_type!(ErrorKind, read = Io, write = Write);
multirnet_base::from_base_error!(ErrorKind, Io, Write);

/// A count with the phrase for one or for several.
pub(crate) fn counted(n: usize, one: &str, several: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { several })
}
