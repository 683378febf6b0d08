//! Ctrl-C stops long work in an orderly way.

use crate::failure::{Exit, Failure, Outcome};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that the first Ctrl-C raises; a second one ends the program.
pub fn flag() -> Outcome<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let raised = stop.clone();
    ctrlc::set_handler(move || {
        if raised.swap(true, Ordering::Relaxed) {
            std::process::exit(Exit::Stopped as i32);
        }
        eprintln!("\nstopping after this step and saving (press Ctrl-C again to end at once)");
    })
    .map_err(|e| Failure::new(Exit::Internal, format!("cannot watch for Ctrl-C: {e}")))?;
    Ok(stop)
}
