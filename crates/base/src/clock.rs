//! Whether somebody set the computer's clock.

use std::time::{Duration, Instant, SystemTime};

/// Differences up to this are the work of a time service, not of somebody who set the clock.
const TOLERANCE_SECONDS: i64 = 60;

/// Compares the computer's clock with the time that passes. What removes files by their age asks it
/// first, since a clock that is a day or a year ahead for a moment makes everything look old.
#[derive(Debug, Clone)]
pub struct ClockWatch {
    wall: SystemTime,
    since: Instant,
}

impl ClockWatch {
    /// A watch that begins now.
    pub fn new() -> Self {
        Self {
            wall: SystemTime::now(),
            since: Instant::now(),
        }
    }

    /// By how many seconds the clock was set since the last call, or since the watch began: above 0 if
    /// it was set ahead, below 0 if it was set back, and 0 if it ran as time did, to a minute.
    pub fn seconds_set(&mut self) -> i64 {
        let wall = SystemTime::now();
        let passed = self.since.elapsed();
        let set = difference(self.wall, wall, passed);
        (self.wall, self.since) = (wall, Instant::now());
        set
    }
}

impl Default for ClockWatch {
    fn default() -> Self {
        Self::new()
    }
}

fn difference(before: SystemTime, after: SystemTime, passed: Duration) -> i64 {
    let whole = |d: Duration| i64::try_from(d.as_secs()).unwrap_or(i64::MAX);
    let moved = match after.duration_since(before) {
        Ok(ahead) => whole(ahead),
        Err(back) => -whole(back.duration()),
    };
    match moved.saturating_sub(whole(passed)) {
        set if set.abs() <= TOLERANCE_SECONDS => 0,
        set => set,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_is_told_from_one_that_ran() {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let seconds = Duration::from_secs;
        for (wall, passed, expected) in [
            (start + seconds(600), 600, 0),
            (start + seconds(640), 600, 0),
            (start + seconds(600 + 86_400), 600, 86_400),
            (start - seconds(86_400), 600, -87_000),
            (start, 30, 0),
        ] {
            assert_eq!(difference(start, wall, seconds(passed)), expected);
        }
        assert_eq!(ClockWatch::new().seconds_set(), 0);
    }
}
