//! Worker threads that make windows ahead of the training loop.
//!
//! Workers make items by number, and the loop takes them in order, so their content cannot depend
//! on timing. At most `capacity` items are ready or in work, which bounds the memory.

use crate::window::Window;
use crate::{Error, ErrorKind, Result};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;

/// Makes item number `i`.
pub(crate) type Source<'a> = dyn Fn(u64) -> Result<Window> + Sync + 'a;

/// Items made in advance.
pub(crate) struct Loader {
    state: Mutex<State>,
    change: Condvar,
    capacity: u64,
    end: u64,
}

struct State {
    next: u64,
    taken: u64,
    ready: BTreeMap<u64, Result<Window>>,
    closed: bool,
}

impl Loader {
    /// A loader of the items `first..end`. [`Loader::start`] starts its workers.
    pub fn new(first: u64, end: u64, capacity: usize) -> Self {
        Self {
            state: Mutex::new(State {
                next: first,
                taken: first,
                ready: BTreeMap::new(),
                closed: false,
            }),
            change: Condvar::new(),
            capacity: capacity.max(1) as u64,
            end,
        }
    }

    /// Starts `workers` threads in `scope`. Returns the guard that takes items; dropping it stops
    /// the threads.
    pub fn start<'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        source: &'env Source<'env>,
        workers: usize,
    ) -> Items<'env> {
        for _ in 0..workers.max(1) {
            scope.spawn(|| self.work(source));
        }
        Items(self)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, source: &Source) {
        let mut state = self.lock();
        loop {
            if state.closed || state.next >= self.end {
                return;
            }
            if state.next >= state.taken + self.capacity {
                state = self
                    .change
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let item = state.next;
            state.next += 1;
            drop(state);
            // A panic in a worker must end the training with a message, not hang it.
            let made = catch_unwind(AssertUnwindSafe(|| source(item))).unwrap_or_else(|_| {
                Err(Error::new(
                    ErrorKind::Scan,
                    format!("window {item} could not be made: internal error"),
                ))
            });
            state = self.lock();
            state.ready.insert(item, made);
            self.change.notify_all();
        }
    }
}

/// The guard that takes items of a [`Loader`].
pub(crate) struct Items<'a>(&'a Loader);

impl Items<'_> {
    /// Waits for the next item and takes it; `None` after the last.
    pub fn take(&self) -> Option<Result<Window>> {
        let mut state = self.0.lock();
        if state.taken >= self.0.end {
            return None;
        }
        loop {
            let taken = state.taken;
            if let Some(item) = state.ready.remove(&taken) {
                state.taken += 1;
                self.0.change.notify_all();
                return Some(item);
            }
            state = self
                .0
                .change
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes the next `n` items, fewer at the end.
    pub fn batch(&self, n: usize) -> Result<Vec<Window>> {
        (0..n).map_while(|_| self.take()).collect()
    }
}

impl Drop for Items<'_> {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.change.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::ViewKind;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    fn window(i: u64) -> Window {
        Window {
            image: vec![i as f32],
            labels: vec![0],
            class: 0,
            known: multirnet_cohort::known::Known::ALL,
            kind: ViewKind::Global,
            case: i as usize,
        }
    }

    #[test]
    fn items_come_in_order_whatever_the_workers_do() {
        for workers in [1, 4] {
            let loader = Loader::new(3, 40, 5);
            let source = |i: u64| {
                std::thread::sleep(Duration::from_micros(i * 7919 % 500));
                Ok(window(i))
            };
            let cases: Vec<usize> = std::thread::scope(|scope| {
                let items = loader.start(scope, &source, workers);
                std::iter::from_fn(|| items.take())
                    .map(|w| w.unwrap().case)
                    .collect()
            });
            assert_eq!(cases, (3..40).collect::<Vec<_>>());
        }
    }

    #[test]
    fn no_more_than_the_capacity_is_made_ahead() {
        let made = AtomicU64::new(0);
        let loader = Loader::new(0, 1000, 6);
        let source = |i: u64| {
            made.fetch_add(1, Ordering::SeqCst);
            Ok(window(i))
        };
        std::thread::scope(|scope| {
            let items = loader.start(scope, &source, 3);
            for taken in 1..20 {
                items.take().unwrap().unwrap();
                std::thread::sleep(Duration::from_millis(1));
                assert!(made.load(Ordering::SeqCst) <= taken + 6);
            }
        });
    }

    #[test]
    fn errors_and_panics_arrive_in_their_place() {
        let loader = Loader::new(0, 3, 2);
        let source = |i: u64| match i {
            0 => Ok(window(0)),
            1 => Err(Error::new(ErrorKind::Scan, "bad")),
            _ => panic!("worker panics on purpose"),
        };
        std::thread::scope(|scope| {
            let items = loader.start(scope, &source, 2);
            assert!(items.take().unwrap().is_ok());
            assert!(items.take().unwrap().is_err());
            assert!(items.take().unwrap().is_err());
            assert!(items.take().is_none());
        });
    }
}
