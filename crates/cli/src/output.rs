//! Results on standard output, messages on standard error. All text of the program goes through here, so
//! that names of strangers cannot command the terminal: see [`multirnet_base::text`].

use crate::failure::{Failure, Outcome};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use multirnet_base::text::{one_line, printable};
use serde::Serialize;
use std::io::Write;
use std::path::Path;
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
        complain(text);
    }
}

/// Prints an error to standard error, also with `--quiet`.
pub fn complain(text: &str) {
    eprintln!("{}", printable(text));
}

/// A path for a message, on one line whatever its name.
pub fn path(path: impl AsRef<Path>) -> String {
    one_line(&path.as_ref().to_string_lossy()).into_owned()
}

/// Shows `text` beside a progress bar.
pub fn set_message(bar: &ProgressBar, text: &str) {
    bar.set_message(one_line(text).into_owned());
}

/// Where the log goes: standard error, each event on one line.
pub struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        // The subscriber writes an event at a time, with its newline.
        let text = String::from_utf8_lossy(bytes);
        let event = text.strip_suffix('\n').unwrap_or(&text);
        eprintln!("{}", one_line(event));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
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
    match std::io::stdout().write_all(printable(text).as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::output(format!(
            "cannot write to standard output: {e}"
        ))),
        _ => Ok(()),
    }
}
