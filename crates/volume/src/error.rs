//! The crate's error.

/// The kinds of errors, for a caller that acts on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The file could not be read.
    Io,
    /// The file could not be written.
    Write,
    /// The file's content is not what its format demands (truncated, corrupt, contradictory).
    Malformed,
    /// The format or a feature of it is not supported.
    Unsupported,
    /// The geometry is unusable (singular affine, zero or non-finite spacing, no voxels).
    Geometry,
    /// Two volumes that should share a grid do not, or data and shape disagree.
    Mismatch,
}

multirnet_base::error_type!(ErrorKind, read = Io, write = Write);

multirnet_base::from_base_error!(ErrorKind, Io, Write);
