//! The core that the errors of all crates share. A [`Report`] holds the content of an error, and
//! [`error_type!`](crate::error_type) defines a crate's own `Error` around it.

use crate::text::one_line;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The content of an error: its kind, the file and line that it concerns, the reason, the offending
/// files, the remedy, and the cause.
#[derive(Debug)]
pub struct Report<K> {
    /// The kind, by which a caller decides what to do.
    pub kind: K,
    /// The file or folder that the error concerns.
    pub path: Option<PathBuf>,
    /// The line of that file, from 1.
    pub line: Option<u64>,
    /// What is wrong.
    pub reason: String,
    /// The offending files, if there are several.
    pub files: Vec<String>,
    /// The remedy: what the user can do.
    pub hint: Option<String>,
    /// The error that caused this one.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl<K> Report<K> {
    /// A report with a kind and a reason. All other fields are empty.
    pub fn new(kind: K, reason: impl Into<String>) -> Self {
        Self {
            kind,
            path: None,
            line: None,
            reason: reason.into(),
            files: Vec::new(),
            hint: None,
            source: None,
        }
    }
}

impl<K> fmt::Display for Report<K> {
    /// Writes `path:line: reason: files (hint)` and leaves out the parts that are not known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.path, self.line) {
            (Some(path), Some(line)) => write!(f, "{}:{line}: ", shown(path))?,
            (Some(path), None) => write!(f, "{}: ", shown(path))?,
            (None, Some(line)) => write!(f, "line {line}: ")?,
            (None, None) => {}
        }
        // A reason may quote a file, and a newline in it would forge a line of a log.
        f.write_str(&one_line(&self.reason))?;
        if !self.files.is_empty() {
            write!(f, ": {}", name_some(&self.files))?;
        }
        match &self.hint {
            Some(hint) => write!(f, " ({})", one_line(hint)),
            None => Ok(()),
        }
    }
}

/// A path on one line, whatever its name.
fn shown(path: &Path) -> String {
    one_line(&path.to_string_lossy()).into_owned()
}

/// The first ten of `files`, each on one line, and the number of the others.
pub fn name_some(files: &[String]) -> String {
    const SHOWN: usize = 10;
    let shown: Vec<_> = files.iter().take(SHOWN).map(|f| one_line(f)).collect();
    let shown = shown.join(", ");
    match files.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The remedy for a file that cannot be read; `None` if there is no remedy for `cause`.
pub fn read_hint(cause: &io::Error) -> Option<&'static str> {
    match cause.kind() {
        io::ErrorKind::NotFound => Some("check the path"),
        io::ErrorKind::PermissionDenied => Some("give yourself read permission"),
        _ => None,
    }
}

/// The remedy for a file that cannot be written.
pub fn write_hint(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space and run again; nothing half written is left"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "choose a folder that you may write to"
        }
        io::ErrorKind::NotFound => "create the folder first",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "a file stands where a folder is needed; choose another folder"
        }
        _ => "check that the disk has space and that you may write to the folder",
    }
}

/// A report of a failed file operation, with its path, reason and cause. The reason is "cannot"
/// and `doing`, e.g. "read the file".
#[must_use]
pub fn io_report<K>(kind: K, path: &Path, doing: &str, cause: io::Error) -> Report<K> {
    let mut report = Report::new(kind, format!("cannot {doing}: {cause}"));
    report.path = Some(path.to_owned());
    report.source = Some(Box::new(cause));
    report
}

/// Defines `Error` and `Result` in the calling module, for its `ErrorKind`.
///
/// `error_type!(ErrorKind)` gives the constructors `new`, `caused` and `from_report`, the builders
/// `at`, `line`, `files`, `hint` and `within`, the conversion `into_report` for other crates, and
/// the getters `kind`, `path`, `reason`, `advice`, `offending` and `io_kind`. Arguments that name
/// kinds add more:
///
/// | argument | adds |
/// |---|---|
/// | `read = Kind` | `Error::io(path, doing, cause)` |
/// | `write = Kind` | `Error::write(path, doing, cause)` |
/// | `config = Kind` | conversion from [`OutOfRange`](crate::OutOfRange) and [`TomlFault`](crate::TomlFault) |
///
/// Another crate that names both `read` and `write` can also convert `multirnet_base::Error`, with
/// `multirnet_base::from_base_error!(ErrorKind, Read, Write)`.
#[macro_export]
macro_rules! error_type {
    ($kind:ident $(, read = $read:ident)? $(, write = $write:ident)? $(, config = $config:ident)? $(,)?) => {
        /// Result of this crate.
        pub type Result<T> = std::result::Result<T, Error>;

        /// An error with its kind, the file it concerns if any, the reason, and what to do about it.
        #[derive(Debug)]
        pub struct Error(Box<$crate::Report<$kind>>);

        impl std::fmt::Display for Error {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::error::Error for Error {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                self.0.source.as_deref().map(|e| e as _)
            }
        }

        #[allow(dead_code)]
        impl Error {
            /// A new error of `kind` for `reason`.
            pub fn new(kind: $kind, reason: impl Into<String>) -> Self {
                Self(Box::new($crate::Report::new(kind, reason)))
            }

            /// An error of `kind` that `cause` caused. The reason is the text of `cause`.
            pub fn caused(
                kind: $kind,
                cause: impl std::error::Error + Send + Sync + 'static,
            ) -> Self {
                let mut error = Self::new(kind, cause.to_string());
                error.0.source = Some(Box::new(cause));
                error
            }

            $(
                /// The error of a failed attempt to read the file or folder `path`. The reason is
                /// "cannot" and `doing`, e.g. "read the file".
                pub fn io(
                    path: &std::path::Path,
                    doing: &str,
                    cause: std::io::Error,
                ) -> Self {
                    let hint = $crate::error::read_hint(&cause);
                    let mut report = $crate::error::io_report($kind::$read, path, doing, cause);
                    report.hint = hint.map(str::to_owned);
                    Self(Box::new(report))
                }
            )?

            $(
                /// The error of a failed attempt to write the file or folder `path`. The reason is
                /// "cannot" and `doing`, e.g. "write the file".
                pub fn write(
                    path: &std::path::Path,
                    doing: &str,
                    cause: std::io::Error,
                ) -> Self {
                    let hint = $crate::error::write_hint(&cause);
                    let mut report = $crate::error::io_report($kind::$write, path, doing, cause);
                    report.hint = Some(hint.to_owned());
                    Self(Box::new(report))
                }
            )?

            /// Sets the file or folder that the error concerns, unless the error has one already.
            #[must_use]
            pub fn at(mut self, path: &std::path::Path) -> Self {
                self.0.path.get_or_insert_with(|| path.to_owned());
                self
            }

            /// Sets the line (from 1) of the file, unless the error has one already.
            #[must_use]
            pub fn line(mut self, line: u64) -> Self {
                self.0.line.get_or_insert(line);
                self
            }

            /// Sets the offending files. The message shows the first ten and the number of the
            /// others.
            #[must_use]
            pub fn files(mut self, files: Vec<String>) -> Self {
                self.0.files = files;
                self
            }

            /// Sets the remedy: what the user can do.
            #[must_use]
            pub fn hint(mut self, hint: impl Into<String>) -> Self {
                self.0.hint = Some(hint.into());
                self
            }

            /// Puts `part`, the place of the fault, in front of the reason: `part: reason`.
            #[must_use]
            pub fn within(mut self, part: &str) -> Self {
                self.0.reason = format!("{part}: {}", self.0.reason);
                self
            }

            /// The error with the content of `report`.
            pub fn from_report(report: $crate::Report<$kind>) -> Self {
                Self(Box::new(report))
            }

            /// The error's content, with the kind that another crate gives it. Path, line, files,
            /// hint and cause stay separate, so a caller that adds the path does not print it twice.
            pub fn into_report<K>(self, kind: impl FnOnce($kind) -> K) -> $crate::Report<K> {
                let report = *self.0;
                $crate::Report {
                    kind: kind(report.kind),
                    path: report.path,
                    line: report.line,
                    reason: report.reason,
                    files: report.files,
                    hint: report.hint,
                    source: report.source,
                }
            }

            /// The error's kind.
            pub fn kind(&self) -> $kind {
                self.0.kind
            }

            /// The file or folder that the error concerns.
            pub fn path(&self) -> Option<&std::path::Path> {
                self.0.path.as_deref()
            }

            /// What is wrong, without path, files and remedy.
            pub fn reason(&self) -> &str {
                &self.0.reason
            }

            /// The remedy, if there is one.
            pub fn advice(&self) -> Option<&str> {
                self.0.hint.as_deref()
            }

            /// All offending files.
            pub fn offending(&self) -> &[String] {
                &self.0.files
            }

            /// The kind of the I/O error that caused this one, if there is one.
            pub fn io_kind(&self) -> Option<std::io::ErrorKind> {
                let source = self.0.source.as_deref()?;
                source.downcast_ref::<std::io::Error>().map(std::io::Error::kind)
            }
        }

        $(
            impl From<$crate::OutOfRange> for Error {
                fn from(field: $crate::OutOfRange) -> Self {
                    Self::new($kind::$config, field.reason()).hint(field.hint())
                }
            }

            impl From<$crate::TomlFault> for Error {
                fn from(fault: $crate::TomlFault) -> Self {
                    let error = Self::new($kind::$config, fault.reason);
                    match fault.line {
                        Some(line) => error.line(line),
                        None => error,
                    }
                }
            }
        )?
    };
}

#[cfg(test)]
mod tests {
    use crate::{Error, ErrorKind};
    use std::io;
    use std::path::Path;

    #[test]
    fn a_message_names_place_reason_files_and_remedy() {
        let error = Error::new(ErrorKind::Read, "two slices differ")
            .at(Path::new("a/b"))
            .at(Path::new("ignored"))
            .line(3)
            .hint("remove one")
            .files((1..=12).map(|i| i.to_string()).collect());
        assert_eq!(
            error.to_string(),
            "a/b:3: two slices differ: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more (remove one)"
        );
        assert_eq!(
            error.within("stage 2").reason(),
            "stage 2: two slices differ"
        );
    }

    #[test]
    fn a_full_disk_keeps_its_cause_and_gets_a_remedy() {
        let cause = io::Error::from(io::ErrorKind::StorageFull);
        let error = Error::write(Path::new("x"), "write the file", cause);
        assert_eq!(error.kind(), ErrorKind::Write);
        assert_eq!(error.io_kind(), Some(io::ErrorKind::StorageFull));
        assert!(error.to_string().contains("free some space"), "{error}");
        assert!(std::error::Error::source(&error).is_some());
    }
}
