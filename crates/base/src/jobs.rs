//! Independent jobs on a few threads of their own.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Calls `work(i)` for every `i` in `0..count` on at most `jobs` threads. Returns the results in
/// order. Each thread calls `go_on` before it takes a job. After `go_on` has returned false, jobs
/// that have not begun give `None`.
///
/// The threads do not belong to rayon's pool. A job may therefore use that pool, and a job that
/// waits for a file does not block it.
pub fn in_parallel<T: Send>(
    count: usize,
    jobs: usize,
    go_on: impl Fn() -> bool + Sync,
    work: impl Fn(usize) -> T + Sync,
) -> Vec<Option<T>> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<T>>> = Mutex::new((0..count).map(|_| None).collect());
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, count.max(1)) {
            scope.spawn(|| {
                while go_on() {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    if i >= count {
                        break;
                    }
                    let result = work(i);
                    if let Ok(mut all) = results.lock() {
                        all[i] = Some(result);
                    }
                }
            });
        }
    });
    results.into_inner().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn results_come_in_order_and_a_stop_leaves_the_rest() {
        let squares = in_parallel(7, 3, || true, |i| i * i);
        assert_eq!(squares, [0, 1, 4, 9, 16, 25, 36].map(Some));
        assert!(in_parallel(0, 3, || true, |i| i).is_empty());
        let stopped = AtomicBool::new(false);
        let go_on = || !stopped.load(Ordering::Relaxed);
        let some = in_parallel(5, 1, go_on, |i| stopped.store(i == 2, Ordering::Relaxed));
        assert_eq!(some.iter().flatten().count(), 3);
    }
}
