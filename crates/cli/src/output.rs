//! Results on standard output, messages on standard error.

use crate::failure::{Failure, Outcome};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether messages are left out (`--quiet`).
static QUIET: AtomicBool = AtomicBool::new(false);

/// Leaves out all messages but errors from now on.
pub fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// Whether messages are left out.
pub fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Prints a message to standard error, unless `--quiet` was given.
pub fn say(text: &str) {
    if !is_quiet() {
        eprintln!("{text}");
    }
}

/// A progress bar. It is hidden with `--quiet`, and if standard error is not a terminal.
pub fn bar(length: Option<u64>, template: &str) -> ProgressBar {
    let bar = length.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    if is_quiet() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// A value as indented JSON with a final newline.
pub fn to_json(value: &impl Serialize) -> Outcome<String> {
    Ok(multirnet::to_json(value)?)
}

/// Prints data to standard output. A closed pipe is not an error.
pub fn print(text: &str) -> Outcome {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::output(format!(
            "cannot write to standard output: {e}"
        ))),
        _ => Ok(()),
    }
}
