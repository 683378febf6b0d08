//! The crate's error.

/// Kind of an error, for a caller that reacts to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The file could not be read.
    Io,
    /// The file could not be written.
    Write,
    /// The weights violate their format (truncated, corrupt, not finite).
    Malformed,
    /// The file has a format or version that this program does not read.
    Unsupported,
    /// A configuration field is out of its range.
    Config,
    /// Weights do not match the configuration, or a tensor does not match the net.
    Mismatch,
    /// The device that was asked for cannot be used.
    Device,
}

multirnet_base::error_type!(ErrorKind, read = Io, write = Write, config = Config);

multirnet_base::from_base_error!(ErrorKind, Io, Write);
