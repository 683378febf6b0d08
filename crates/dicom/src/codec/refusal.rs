//! Errors of the decoders.

use crate::layout::Layout;
use crate::{Error, ErrorKind, Result};

/// The error of a decoder for `format`.
pub(super) fn broken(format: &str, reason: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::Malformed,
        format!("the {format} data cannot be decompressed: {reason}"),
    )
    .hint("the file is damaged or was not copied completely; fetch it again")
}

/// Refuses an image whose size differs from the header's.
pub(super) fn check_size(format: &str, layout: &Layout, width: usize, height: usize) -> Result<()> {
    if (width, height) == (layout.columns, layout.rows) {
        return Ok(());
    }
    Err(broken(
        format,
        format_args!(
            "it has {width} x {height} pixels, but the header says {} x {}",
            layout.columns, layout.rows
        ),
    ))
}
