//! The crate's error.

use std::path::{Path, PathBuf};

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, for a caller that decides by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file or folder could not be read.
    Io,
    /// Nothing at the path is DICOM.
    NotDicom,
    /// A file is truncated, corrupt or contradicts itself.
    Malformed,
    /// The content is sound, but of a kind that is not read (compression, colour, another modality).
    Unsupported,
    /// No series is suitable, or the one asked for is not there.
    NoSeries,
    /// The slices do not make up one regular grid; `allow_irregular` may mend it.
    Irregular,
    /// The content is larger than the reader accepts.
    TooLarge,
}

/// An error with its kind, the path and the files it concerns, the reason, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{}{reason}{}{}", prefix(.path), list(.files), suffix(.hint))]
pub struct Error {
    kind: ErrorKind,
    path: Option<PathBuf>,
    reason: String,
    files: Vec<String>,
    hint: Option<String>,
    #[source]
    source: Option<std::io::Error>,
}

fn prefix(path: &Option<PathBuf>) -> String {
    path.as_ref()
        .map_or_else(String::new, |p| format!("{}: ", p.display()))
}

fn suffix(hint: &Option<String>) -> String {
    hint.as_ref()
        .map_or_else(String::new, |h| format!(" ({h})"))
}

fn list(files: &[String]) -> String {
    if files.is_empty() {
        String::new()
    } else {
        format!(": {}", name_some(files))
    }
}

/// The first ten names and how many more there are.
pub(crate) fn name_some(files: &[String]) -> String {
    const SHOWN: usize = 10;
    let shown = files
        .iter()
        .take(SHOWN)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    match files.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// A count with the phrase for one or for several.
pub(crate) fn counted(n: usize, one: &str, several: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { several })
}

impl Error {
    /// A new error of `kind` for `reason`.
    pub fn new(kind: ErrorKind, reason: impl Into<String>) -> Self {
        Self {
            kind,
            path: None,
            reason: reason.into(),
            files: Vec::new(),
            hint: None,
            source: None,
        }
    }

    /// An input/output error on `path`.
    pub fn io(path: &Path, doing: &str, source: std::io::Error) -> Self {
        let hint = match source.kind() {
            std::io::ErrorKind::PermissionDenied => {
                Some("give yourself read permission or move the file away".to_owned())
            }
            std::io::ErrorKind::NotFound => Some("check the path".to_owned()),
            _ => None,
        };
        Self {
            kind: ErrorKind::Io,
            path: Some(path.to_owned()),
            reason: format!("cannot {doing}: {source}"),
            files: Vec::new(),
            hint,
            source: Some(source),
        }
    }

    /// Names the file or folder that the error concerns.
    #[must_use]
    pub fn at(mut self, path: &Path) -> Self {
        self.path.get_or_insert_with(|| path.to_owned());
        self
    }

    /// Lists the offending files; the message shows the first ten and a count.
    #[must_use]
    pub fn files(mut self, files: Vec<String>) -> Self {
        self.files = files;
        self
    }

    /// Says what the user can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The error's kind.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What is wrong, without path, files and remedy.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The file or folder that the error concerns.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// All offending files, relative to the path that was read.
    pub fn offending(&self) -> &[String] {
        &self.files
    }
}
