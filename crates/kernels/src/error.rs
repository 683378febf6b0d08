//! The crate's error.

/// Kind of an error, for a caller that reacts to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The convolution itself is impossible (a zero size, a kernel larger than its padded input).
    Shape,
    /// An array has another length than the shape needs.
    Mismatch,
    /// A setting of the environment has no meaning.
    Setting,
}

multirnet_base::error_type!(ErrorKind);

impl Error {
    pub(crate) fn shape(reason: String) -> Self {
        Self::new(ErrorKind::Shape, reason)
            .hint("give sizes of at least 1 and a kernel that fits into the padded input")
    }

    pub(crate) fn setting(reason: String) -> Self {
        Self::new(ErrorKind::Setting, reason).hint("correct or remove the environment variable")
    }

    /// Checks that `name` has `wanted` elements.
    pub(crate) fn check_len(name: &str, found: usize, wanted: usize) -> Result<()> {
        if found == wanted {
            return Ok(());
        }
        let reason = format!("{name} has {found} elements, but the shape needs {wanted}");
        Err(Self::new(ErrorKind::Mismatch, reason)
            .hint("give dense arrays of the convolution's shape"))
    }
}
