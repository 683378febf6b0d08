//! Results on standard output.

use crate::failure::{Failure, Outcome};
use serde::Serialize;
use std::io::Write as _;

/// A value as indented JSON with a final newline.
pub fn to_json(value: &impl Serialize) -> Outcome<String> {
    serde_json::to_string_pretty(value)
        .map(|text| text + "\n")
        .map_err(|e| {
            Failure::new(
                crate::failure::Exit::Internal,
                format!("cannot write JSON: {e}"),
            )
        })
}

/// Prints data to stdout; a closed pipe is no error.
pub fn print(text: &str) -> Outcome {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::output(format!(
            "cannot write to standard output: {e}"
        ))),
        _ => Ok(()),
    }
}
