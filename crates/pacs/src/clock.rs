//! The time, injected so that tests can let hours pass.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970-01-01 00:00 UTC. Never runs backwards, and does not follow a clock that
    /// somebody sets: waiting goes by it.
    fn now_ms(&self) -> u64;

    /// What the computer's clock says, in milliseconds since 1970. Messages and ages go by it.
    fn wall_ms(&self) -> u64 {
        self.now_ms()
    }
}

/// The computer's time when it was made, and from then on a clock that nobody sets.
#[derive(Debug)]
pub struct SystemClock {
    start_ms: u64,
    since: Instant,
}

impl SystemClock {
    /// A clock that starts with the computer's time.
    pub fn new() -> Self {
        Self {
            start_ms: wall_ms(),
            since: Instant::now(),
        }
    }
}

fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| d.as_millis() as u64)
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now_ms(&self) -> u64 {
        self.start_ms + self.since.elapsed().as_millis() as u64
    }

    fn wall_ms(&self) -> u64 {
        wall_ms()
    }
}

/// `ms` since 1970 as UTC in ISO 8601.
pub(crate) fn iso_8601(ms: u64) -> String {
    let time = i64::try_from(ms)
        .ok()
        .and_then(dicom_core::chrono::DateTime::from_timestamp_millis);
    time.map_or_else(String::new, |t| {
        t.to_rfc3339_opts(dicom_core::chrono::SecondsFormat::Millis, true)
    })
}
