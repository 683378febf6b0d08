//! This crate's own error, about files and folders, and its conversion into other crates' errors.

/// What went wrong with a file or a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The file or folder cannot be read.
    Read,
    /// The file or folder cannot be written.
    Write,
}

crate::error_type!(ErrorKind, read = Read, write = Write);

/// Defines the conversion of this crate's `Error` into the calling module's `Error`. Path, line,
/// reason, hint and cause stay as they are.
#[macro_export]
macro_rules! from_base_error {
    ($kind:ident, $read:ident, $write:ident) => {
        impl From<$crate::Error> for Error {
            fn from(error: $crate::Error) -> Self {
                Self::from_report(error.into_report(|kind| match kind {
                    $crate::ErrorKind::Write => $kind::$write,
                    _ => $kind::$read,
                }))
            }
        }
    };
}
