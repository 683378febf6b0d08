//! Admission by the memory plan: an analysis begins when what it plans to take is free.

use multirnet_base::StopToken;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often a waiting analysis looks whether it shall stop.
const LOOK: Duration = Duration::from_millis(200);

/// Memory that analyses share. Clones share one memory.
#[derive(Debug, Clone)]
pub(crate) struct MemoryGate(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    budget: u64,
    used: Mutex<u64>,
    freed: Condvar,
}

/// A part of the memory. Dropped, it is free again.
#[derive(Debug)]
pub(crate) struct Admission {
    gate: MemoryGate,
    bytes: u64,
}

impl MemoryGate {
    pub fn new(budget: u64) -> Self {
        Self(Arc::new(Shared {
            budget,
            used: Mutex::new(0),
            freed: Condvar::new(),
        }))
    }

    /// All of the memory in bytes.
    pub fn budget(&self) -> u64 {
        self.0.budget
    }

    /// Planned bytes of the analyses that are running.
    pub fn used(&self) -> u64 {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        // A number cannot be left half changed.
        self.0.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `bytes` are free. `None` if they are more than the whole, or `stop` was raised.
    pub fn admit(&self, bytes: u64, stop: &StopToken) -> Option<Admission> {
        if bytes > self.0.budget {
            return None;
        }
        let mut used = self.lock();
        while *used + bytes > self.0.budget {
            if stop.is_raised() {
                return None;
            }
            let waited = self.0.freed.wait_timeout(used, LOOK);
            used = waited.map_or_else(|e| e.into_inner().0, |w| w.0);
        }
        *used += bytes;
        Some(Admission {
            gate: self.clone(),
            bytes,
        })
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        *self.gate.lock() -= self.bytes;
        self.gate.0.freed.notify_all();
    }
}

/// Bytes of memory that this program may take: the machine's, or less where a control group limits
/// it. `None` where neither is known.
pub(crate) fn machine_bytes() -> Option<u64> {
    let kib_of = |text: String| {
        let line = text.lines().find(|l| l.starts_with("MemTotal:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    let total = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(kib_of);
    let limit = group_limit();
    match (total.map(|kib| kib << 10), limit) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// The least limit of the program's control group and those above it (version 2).
fn group_limit() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|l| l.strip_prefix("0::/"))?;
    let root = Path::new("/sys/fs/cgroup");
    let place = root.join(own);
    let groups = place
        .ancestors()
        .take_while(|group| group.starts_with(root));
    let limit = |group: &Path| {
        let text = std::fs::read_to_string(group.join("memory.max")).ok()?;
        text.trim().parse().ok()
    };
    groups.filter_map(limit).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn what_is_admitted_never_exceeds_the_budget() {
        let gate = MemoryGate::new(100);
        let (now, most) = (AtomicU64::new(0), AtomicU64::new(0));
        let stop = StopToken::new();
        std::thread::scope(|scope| {
            for i in 0..8u64 {
                let (gate, now, most, stop) = (&gate, &now, &most, &stop);
                scope.spawn(move || {
                    for k in 0..50 {
                        let bytes = 10 + (i * 7 + k * 13) % 60;
                        let admission = gate.admit(bytes, stop).expect("it fits");
                        let sum = now.fetch_add(bytes, Ordering::SeqCst) + bytes;
                        most.fetch_max(sum, Ordering::SeqCst);
                        std::thread::yield_now();
                        now.fetch_sub(bytes, Ordering::SeqCst);
                        drop(admission);
                    }
                });
            }
        });
        assert!(most.load(Ordering::SeqCst) <= 100);
        assert_eq!(gate.used(), 0);
    }

    #[test]
    fn too_much_is_refused_and_a_stop_ends_the_wait() {
        let gate = MemoryGate::new(100);
        let stop = StopToken::new();
        assert!(gate.admit(101, &stop).is_none());
        let held = gate.admit(100, &stop).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| gate.admit(1, &stop).is_none());
            std::thread::sleep(Duration::from_millis(50));
            stop.raise();
            assert!(waiting.join().unwrap());
        });
        drop(held);
        assert_eq!(gate.used(), 0);
    }
}
