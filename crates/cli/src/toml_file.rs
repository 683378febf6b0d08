//! Reading of a value from a TOML file.

use crate::failure::Outcome;
use multirnet_base::{files, toml_text};
use serde::de::DeserializeOwned;
use std::path::Path;

/// Reads a value from a TOML file. `what` names the file in errors, e.g. "card".
pub fn read<T: DeserializeOwned>(path: &Path, what: &str) -> Outcome<T> {
    let text = files::read_text(path, what)?;
    Ok(toml_text::parse(&text).map_err(|fault| multirnet::Error::from(fault).at(path))?)
}
