//! Independent jobs on a few threads of their own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};

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

/// A stage that a limited number of jobs may be in at the same time.
#[derive(Debug)]
pub struct Stage {
    free: Mutex<usize>,
    freed: Condvar,
}

impl Stage {
    /// A stage for `places` jobs, at least one.
    #[must_use]
    pub fn new(places: usize) -> Self {
        Self {
            free: Mutex::new(places.max(1)),
            freed: Condvar::new(),
        }
    }

    /// Waits for a place. The place is free again when the result is dropped.
    ///
    /// A job that enters the next stage before it leaves the one before holds back the jobs behind it,
    /// so no stage runs ahead of the next by more than its places.
    pub fn enter(&self) -> Place<'_> {
        let free = self.free.lock().unwrap_or_else(|e| e.into_inner());
        let wait = self.freed.wait_while(free, |free| *free == 0);
        *wait.unwrap_or_else(|e| e.into_inner()) -= 1;
        Place(self)
    }
}

/// A place in a [`Stage`].
#[derive(Debug)]
pub struct Place<'a>(&'a Stage);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(|e| e.into_inner()) += 1;
        self.0.freed.notify_one();
    }
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

    #[test]
    fn no_stage_holds_more_jobs_than_its_places() {
        let (first, second) = (Stage::new(1), Stage::new(2));
        let inside = [AtomicUsize::new(0), AtomicUsize::new(0)];
        let most = [AtomicUsize::new(0), AtomicUsize::new(0)];
        let work = |stage: usize| {
            let now = inside[stage].fetch_add(1, Ordering::SeqCst) + 1;
            most[stage].fetch_max(now, Ordering::SeqCst);
            std::thread::sleep(std::time::Duration::from_millis(2));
            inside[stage].fetch_sub(1, Ordering::SeqCst);
        };
        let done = in_parallel(
            24,
            6,
            || true,
            |_| {
                let place = first.enter();
                work(0);
                let next = second.enter();
                drop(place);
                work(1);
                drop(next);
            },
        );
        assert_eq!(done.iter().flatten().count(), 24);
        let most = most.map(AtomicUsize::into_inner);
        assert!(most[0] == 1 && most[1] <= 2, "{most:?}");
    }
}
