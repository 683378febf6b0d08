//! One core for every crate's error: [`Report`], and [`error_type!`](crate::error_type), which makes a
//! crate's own `Error` of it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What an error says: its kind, the file (and line) it concerns, the reason, the files that are to
/// blame, what to do about it, and what caused it.
#[derive(Debug)]
pub struct Report<K> {
    /// For a caller that decides by it.
    pub kind: K,
    /// The file or folder that the error concerns.
    pub path: Option<PathBuf>,
    /// The line of that file, from 1.
    pub line: Option<u64>,
    /// What is wrong.
    pub reason: String,
    /// The files that are to blame, if they are several.
    pub files: Vec<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// The cause.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl<K> Report<K> {
    /// A report of `kind` for `reason` and nothing else.
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
    /// `path:line: reason: files (hint)`, without what is not known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.path, self.line) {
            (Some(path), Some(line)) => write!(f, "{}:{line}: ", path.display())?,
            (Some(path), None) => write!(f, "{}: ", path.display())?,
            (None, Some(line)) => write!(f, "line {line}: ")?,
            (None, None) => {}
        }
        f.write_str(&self.reason)?;
        if !self.files.is_empty() {
            write!(f, ": {}", name_some(&self.files))?;
        }
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// The first ten names and how many more there are.
pub fn name_some(files: &[String]) -> String {
    const SHOWN: usize = 10;
    let shown = files[..files.len().min(SHOWN)].join(", ");
    match files.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// What to do about a file that cannot be read.
pub fn read_hint(cause: &io::Error) -> Option<&'static str> {
    match cause.kind() {
        io::ErrorKind::NotFound => Some("check the path"),
        io::ErrorKind::PermissionDenied => Some("give yourself read permission"),
        _ => None,
    }
}

/// What to do about a file that cannot be written.
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
        _ => "is the disk full or the folder write-protected?",
    }
}

/// Path, reason and cause of a file operation that failed; `doing` says what was tried.
#[must_use]
pub fn io_report<K>(kind: K, path: &Path, doing: &str, cause: io::Error) -> Report<K> {
    let mut report = Report::new(kind, format!("cannot {doing}: {cause}"));
    report.path = Some(path.to_owned());
    report.source = Some(Box::new(cause));
    report
}

/// Makes the calling module's `Error` and `Result` for its `ErrorKind`.
///
/// `error_type!(ErrorKind)` gives the constructors `new`, `caused` and `from_report`, the builders `at`,
/// `line`, `files`, `hint` and `within`, `into_report` for other crates, and the getters `kind`, `path`, `reason`, `advice`, `offending` and
/// `io_kind`. Named kinds add to that:
///
/// | argument | adds |
/// |---|---|
/// | `read = Kind` | `Error::io(path, doing, cause)` |
/// | `write = Kind` | `Error::write(path, doing, cause)` |
/// | `config = Kind` | conversion from [`OutOfRange`](crate::OutOfRange) and [`TomlFault`](crate::TomlFault) |
///
/// A crate with both `read` and `write` other than this one also converts `multirnet_base::Error` by
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

            /// An error of `kind` that another one caused; the cause's text is the reason.
            pub fn caused(
                kind: $kind,
                cause: impl std::error::Error + Send + Sync + 'static,
            ) -> Self {
                let mut error = Self::new(kind, cause.to_string());
                error.0.source = Some(Box::new(cause));
                error
            }

            $(
                /// An error while the file or folder `path` was read; `doing` says what was tried.
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
                /// An error while the file or folder `path` was written; `doing` says what was tried.
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

            /// Names the file or folder that the error concerns, if it names none yet.
            #[must_use]
            pub fn at(mut self, path: &std::path::Path) -> Self {
                self.0.path.get_or_insert_with(|| path.to_owned());
                self
            }

            /// Names the line (from 1) of the file, if it names none yet.
            #[must_use]
            pub fn line(mut self, line: u64) -> Self {
                self.0.line.get_or_insert(line);
                self
            }

            /// Lists the files that are to blame; the message shows the first ten and a count.
            #[must_use]
            pub fn files(mut self, files: Vec<String>) -> Self {
                self.0.files = files;
                self
            }

            /// Says what the user can do about it.
            #[must_use]
            pub fn hint(mut self, hint: impl Into<String>) -> Self {
                self.0.hint = Some(hint.into());
                self
            }

            /// Says in front of the reason within what it lies.
            #[must_use]
            pub fn within(mut self, part: &str) -> Self {
                self.0.reason = format!("{part}: {}", self.0.reason);
                self
            }

            /// An error that says what `report` says.
            pub fn from_report(report: $crate::Report<$kind>) -> Self {
                Self(Box::new(report))
            }

            /// What the error says, with the kind that another crate gives it. Path, line, files,
            /// hint and cause stay apart, so a caller that adds the path does not print it twice.
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

            /// What to do about it, if that is known.
            pub fn advice(&self) -> Option<&str> {
                self.0.hint.as_deref()
            }

            /// All files that are to blame.
            pub fn offending(&self) -> &[String] {
                &self.0.files
            }

            /// The kind of the input/output error behind it, if there is one.
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
