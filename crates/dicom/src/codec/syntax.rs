//! The supported transfer syntaxes and their pixel formats.

use crate::{Error, ErrorKind, Result};

/// The supported pixel formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    Native,
    Rle,
    /// Baseline, extended and lossless JPEG (processes 1, 2, 4, 14).
    Jpeg,
    JpegLs,
    Jpeg2000,
}

/// The format of a transfer syntax; `None` if it is not supported.
pub(super) fn codec(syntax: &str) -> Option<Codec> {
    Some(match syntax.strip_prefix("1.2.840.10008.1.2")? {
        "" | ".1" | ".2" | ".1.99" => Codec::Native,
        ".5" => Codec::Rle,
        ".4.50" | ".4.51" | ".4.57" | ".4.70" => Codec::Jpeg,
        ".4.80" | ".4.81" => Codec::JpegLs,
        ".4.90" | ".4.91" => Codec::Jpeg2000,
        _ => return None,
    })
}

/// Whether the transfer syntax allows lossy compression only.
pub(crate) fn is_always_lossy(syntax: &str) -> bool {
    matches!(
        syntax,
        "1.2.840.10008.1.2.4.50" | "1.2.840.10008.1.2.4.51" | "1.2.840.10008.1.2.4.81"
    )
}

/// Refuses a transfer syntax that is not supported, by its name.
pub(crate) fn check_syntax(syntax: &str) -> Result<()> {
    if codec(syntax).is_some() {
        return Ok(());
    }
    let name = dicom_transfer_syntax_registry::TransferSyntaxIndex::get(
        &dicom_transfer_syntax_registry::TransferSyntaxRegistry,
        syntax,
    )
    .map_or("unknown", |t| t.name());
    Err(Error::new(
        ErrorKind::Unsupported,
        format!("the transfer syntax {syntax} ({name}) is not supported"),
    )
    .hint(
        "transcode it, for example with `gdcmconv --raw IN OUT` (GDCM) or `dcmdjpeg IN OUT` (DCMTK)",
    ))
}
