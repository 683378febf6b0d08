//! Data sets in other transfer syntaxes without compression.

use crate::error::with_causes;
use crate::{Error, ErrorKind, Result};
use dicom_encoding::transfer_syntax::{TransferSyntax, TransferSyntaxIndex};
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;
use std::path::Path;

/// The registry's entry of the transfer syntax `uid`.
pub(crate) fn syntax(uid: &str) -> Result<&'static TransferSyntax> {
    TransferSyntaxRegistry.get(uid).ok_or_else(|| {
        Error::new(
            ErrorKind::Protocol,
            format!("the transfer syntax {uid} is unknown"),
        )
    })
}

/// The data set of the file `path`, rewritten in the transfer syntax `uid`. Both are without
/// compression.
pub(crate) fn data_set_in(path: &Path, uid: &str) -> Result<Vec<u8>> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, "read the file", e))?;
    multirnet_dicom::check_lengths(&bytes).map_err(|e| Error::from(e).at(path))?;
    let target = syntax(uid)?;
    let convert = || {
        let object = dicom_object::from_reader(bytes.as_slice()).map_err(|e| with_causes(&e))?;
        let mut out = Vec::new();
        let written = object.into_inner().write_dataset_with_ts(&mut out, target);
        written.map(|()| out).map_err(|e| with_causes(&e))
    };
    guarded(convert).map_err(|e| Error::new(ErrorKind::Protocol, e).at(path))
}

/// Reads a data set that came from a peer.
pub(crate) fn read_data_set(bytes: &[u8], uid: &str) -> Result<InMemDicomObject> {
    multirnet_dicom::check_data_set(bytes, uid)?;
    let syntax = syntax(uid)?;
    let read =
        || InMemDicomObject::read_dataset_with_ts(bytes, syntax).map_err(|e| with_causes(&e));
    guarded(read).map_err(|e| Error::new(ErrorKind::Protocol, e))
}

/// A result whose error is a text.
type Text<T> = std::result::Result<T, String>;

/// Runs third-party code on bytes that others wrote. A panic in it becomes an error.
fn guarded<T>(work: impl FnOnce() -> Text<T>) -> Text<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err("the data set is damaged".to_owned()))
}
