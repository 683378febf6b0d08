//! The crate's error.

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, for a caller that decides by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The convolution itself is impossible (a zero size, a kernel larger than its padded input).
    Shape,
    /// An array's length is not what the shape demands.
    Mismatch,
}

/// An error with its kind, the reason, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason} ({hint})")]
pub struct Error {
    kind: ErrorKind,
    reason: String,
    hint: &'static str,
}

impl Error {
    pub(crate) fn shape(reason: String) -> Self {
        Self {
            kind: ErrorKind::Shape,
            reason,
            hint: "every size must be at least 1 and the kernel must fit into the padded input",
        }
    }

    /// Checks that `name` has `wanted` elements.
    pub(crate) fn check_len(name: &str, found: usize, wanted: usize) -> Result<()> {
        if found == wanted {
            return Ok(());
        }
        Err(Self {
            kind: ErrorKind::Mismatch,
            reason: format!("{name} has {found} elements where the shape has {wanted}"),
            hint: "give dense arrays of the convolution's shape",
        })
    }

    /// The error's kind.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}
