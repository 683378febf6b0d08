//! Passwords and tokens, which come from files or the environment and are never shown.

use crate::{Error, ErrorKind, Result};
use serde::Deserialize;
use std::fmt;
use std::path::{Path, PathBuf};

/// Where a secret comes from, as the configuration names it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub enum SecretSource {
    /// The first line of a file.
    File(PathBuf),
    /// An environment variable.
    Env(String),
}

/// A password or token. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret that the caller has.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl SecretSource {
    /// Fetches the secret; a relative file lies in `folder`.
    ///
    /// # Errors
    /// `Read` for a file that cannot be read, `Config` for an empty secret or a variable that is not
    /// set. No error shows the secret.
    pub fn fetch(&self, folder: &Path) -> Result<Secret> {
        let (value, name) = match self {
            Self::File(path) => {
                let path = folder.join(path);
                let text = std::fs::read_to_string(&path)
                    .map_err(|e| Error::io(&path, "read the secret", e))?;
                (text, path.display().to_string())
            }
            Self::Env(name) => {
                let missing = || format!("the environment variable {name} is not set");
                let value = std::env::var(name).map_err(|_| {
                    Error::new(ErrorKind::Config, missing()).hint("set it to the secret")
                })?;
                (value, format!("the environment variable {name}"))
            }
        };
        match value.lines().next().map(str::trim) {
            Some(line) if !line.is_empty() => Ok(Secret(line.to_owned())),
            _ => Err(Error::new(ErrorKind::Config, format!("{name} is empty"))
                .hint("put the secret on its first line")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_from_a_file_and_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("token"), "s3cret\n").unwrap();
        let source = SecretSource::File("token".into());
        let secret = source.fetch(dir.path()).unwrap();
        assert_eq!(secret.expose(), "s3cret");
        assert!(!format!("{secret:?}").contains("s3cret"));
        let missing = SecretSource::File("none".into()).fetch(dir.path());
        assert_eq!(missing.unwrap_err().kind(), ErrorKind::Read);
        let unset = SecretSource::Env("MULTIRNET_NO_SUCH_VARIABLE".into());
        assert!(
            unset
                .fetch(dir.path())
                .unwrap_err()
                .reason()
                .contains("is not set")
        );
    }
}
