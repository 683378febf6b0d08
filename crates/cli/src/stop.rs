//! Ctrl-C stops long work in an orderly way.

use crate::failure::{Exit, Failure, Outcome};
use crate::output::{complain, say};
use multirnet_base::{StopToken, files};
use std::time::Duration;

/// Time after Ctrl-C in which work without anything to save must end.
const PATIENCE: Duration = Duration::from_millis(1500);

/// A token that the first Ctrl-C raises, for work that saves its state. A second Ctrl-C ends the
/// program at once.
pub fn saving() -> Outcome<StopToken> {
    watch(
        "stopping after this step and saving (press Ctrl-C again to end at once)",
        false,
    )
}

/// A token that the first Ctrl-C raises, for work that has nothing to save. If the work has not
/// ended after `PATIENCE`, the program removes half-written files and ends.
pub fn ending() -> Outcome<StopToken> {
    watch("stopping", true)
}

fn watch(message: &'static str, soon: bool) -> Outcome<StopToken> {
    let stop = StopToken::new();
    let raised = stop.clone();
    ctrlc::set_handler(move || {
        if raised.is_raised() {
            end();
        }
        raised.raise();
        say(&format!("\n{message}"));
        if soon {
            std::thread::spawn(|| {
                std::thread::sleep(PATIENCE);
                complain(&format!("multirnet: {}", Failure::stopped()));
                end();
            });
        }
    })
    .map_err(|e| Failure::new(Exit::Internal, format!("cannot watch for Ctrl-C: {e}")))?;
    Ok(stop)
}

fn end() -> ! {
    files::remove_unfinished();
    std::process::exit(Exit::Stopped as i32)
}
