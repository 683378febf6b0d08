//! The crate's error.

/// What went wrong, for a caller that decides by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The convolution itself is impossible (a zero size, a kernel larger than its padded input).
    Shape,
    /// An array's length is not what the shape demands.
    Mismatch,
}

multirnet_base::error_type!(ErrorKind);

impl Error {
    pub(crate) fn shape(reason: String) -> Self {
        Self::new(ErrorKind::Shape, reason)
            .hint("every size must be at least 1 and the kernel must fit into the padded input")
    }

    /// Checks that `name` has `wanted` elements.
    pub(crate) fn check_len(name: &str, found: usize, wanted: usize) -> Result<()> {
        if found == wanted {
            return Ok(());
        }
        let reason = format!("{name} has {found} elements where the shape has {wanted}");
        Err(Self::new(ErrorKind::Mismatch, reason)
            .hint("give dense arrays of the convolution's shape"))
    }
}
