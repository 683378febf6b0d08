//! Files that somebody made to harm the reader. Each costs little memory and time, and is refused with a
//! reason.
//!
//! The tests share one process, so the peak of its memory bounds them all. `--nocapture` prints what
//! each attack took.

mod codecs;
#[allow(dead_code)]
#[path = "../dicom/support.rs"]
mod support;
mod tiny;
mod watch;
mod zips;
