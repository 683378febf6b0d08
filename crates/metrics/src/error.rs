//! The crate's error.

/// What went wrong, for callers that match on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Two inputs that belong together do not fit (grids, lengths).
    Mismatch,
    /// There is nothing to score.
    Empty,
    /// A value or setting is unusable.
    Invalid,
}

multirnet_base::error_type!(ErrorKind, config = Invalid);
