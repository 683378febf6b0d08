//! The crate's error.

/// What went wrong, for a caller that decides by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The file could not be read.
    Io,
    /// The file could not be written.
    Write,
    /// The weights are not what their format demands (truncated, corrupt, not finite).
    Malformed,
    /// The file is of a format or version that this program does not read.
    Unsupported,
    /// A configuration field is out of its range.
    Config,
    /// Weights and configuration, or a tensor and the net, do not belong together.
    Mismatch,
    /// The device that was asked for cannot be used.
    Device,
}

multirnet_base::error_type!(ErrorKind, read = Io, write = Write, config = Config);

multirnet_base::from_base_error!(ErrorKind, Io, Write);
