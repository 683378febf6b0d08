//! Reading of TOML texts, with errors that name the line.

use serde::de::DeserializeOwned;
use std::fmt;

/// The first fault of a TOML text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TomlFault {
    /// Line of the text, from 1, if the parser names one.
    pub line: Option<u64>,
    /// What is wrong, in one line.
    pub reason: String,
}

impl fmt::Display for TomlFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

impl std::error::Error for TomlFault {}

impl TomlFault {
    /// Converts the parser's error about `text`. The parser's own message quotes the text over
    /// several lines and would not fit into `path:line: reason`.
    pub fn new(text: &str, error: &toml::de::Error) -> Self {
        Self {
            line: error.span().map(|span| line_of(text, span.start)),
            reason: error.message().replace('\n', "; "),
        }
    }
}

/// The line, from 1, that holds the byte `offset` of `text`.
pub fn line_of(text: &str, offset: usize) -> u64 {
    let before = &text.as_bytes()[..offset.min(text.len())];
    before.iter().filter(|b| **b == b'\n').count() as u64 + 1
}

/// Parses a value from `text`.
///
/// # Errors
/// The first fault, with its line.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, TomlFault> {
    toml::from_str(text).map_err(|e| TomlFault::new(text, &e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Size {
        #[allow(dead_code)]
        width: u32,
    }

    #[test]
    fn a_fault_names_its_line_in_one_line() {
        for (text, line, reason) in [
            ("# a\nwidht = 3\n", 2, "`widht`"),
            ("\n\nwidth = \"x\"", 3, "string"),
            ("width = 1\nwidth = 2", 2, "duplicate"),
        ] {
            let fault = parse::<Size>(text).unwrap_err();
            assert_eq!(fault.line, Some(line), "{fault}");
            let shown = fault.to_string();
            assert!(shown.contains(reason) && !shown.contains('\n'), "{shown}");
        }
    }
}
