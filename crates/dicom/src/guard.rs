//! Protection from panics in third-party decoders.

use crate::{Error, ErrorKind, Result};

/// Runs third-party code on untrusted bytes. A panic in it becomes a `Malformed` error.
pub(crate) fn guard<T>(work: impl FnOnce() -> T) -> Result<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).map_err(|_| {
        Error::new(
            ErrorKind::Malformed,
            "the decoder failed on this file's content",
        )
        .hint("the file is damaged; fetch it again")
    })
}
