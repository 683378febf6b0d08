//! The crate's error.

/// Kind of an error, for a caller that reacts to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The net cannot be exported, or does not give what was asked for.
    Unsupported,
    /// A weight does not fit the type in which it would be stored.
    Weights,
}

multirnet_base::error_type!(ErrorKind);
