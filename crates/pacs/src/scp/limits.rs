//! What one peer may take: associations of its address, and lines of the audit log.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Counts the associations of each address.
#[derive(Debug, Clone, Default)]
pub(super) struct ByAddress(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// An association of an address, until it is dropped.
#[derive(Debug)]
pub(super) struct AddressSlot {
    counts: ByAddress,
    address: IpAddr,
}

impl ByAddress {
    /// A place for a further association of `address`; `None` if it has `most`.
    pub fn take(&self, address: IpAddr, most: usize) -> Option<AddressSlot> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_insert(0);
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(AddressSlot {
            counts: self.clone(),
            address,
        })
    }
}

impl Drop for AddressSlot {
    fn drop(&mut self) {
        let mut counts = self.counts.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// Most lines of the audit log about refused peers within [`WINDOW`].
const MAX_REFUSALS: u64 = 100;
const WINDOW: Duration = Duration::from_secs(60);

/// Bounds the lines about refused peers. A flood would fill the disk otherwise.
#[derive(Debug)]
pub(super) struct Refusals(Mutex<(Instant, u64)>);

/// What to write about a refused peer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Telling {
    /// Whether the peer has a line of its own.
    pub this: bool,
    /// Number of peers before it that had none; 0 within a window.
    pub untold: u64,
}

impl Default for Refusals {
    fn default() -> Self {
        Self(Mutex::new((Instant::now(), 0)))
    }
}

impl Refusals {
    /// Counts a refused peer at the time `now`.
    pub fn count(&self, now: Instant) -> Telling {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (begin, count) = &mut *state;
        let mut untold = 0;
        if now.duration_since(*begin) >= WINDOW {
            untold = count.saturating_sub(MAX_REFUSALS);
            (*begin, *count) = (now, 0);
        }
        *count += 1;
        Telling {
            this: *count <= MAX_REFUSALS,
            untold,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_share_and_gets_it_back() {
        let counts = ByAddress::default();
        let [one, two] = ["10.0.0.1", "10.0.0.2"].map(|a| a.parse().unwrap());
        let first = counts.take(one, 2);
        let second = counts.take(one, 2);
        assert!(first.is_some() && second.is_some());
        assert!(counts.take(one, 2).is_none());
        assert!(counts.take(two, 2).is_some());
        drop(first);
        assert!(counts.take(one, 2).is_some());
        drop(second);
        assert!(counts.0.lock().unwrap().is_empty());
    }

    #[test]
    fn refusals_are_told_up_to_a_number_and_then_counted() {
        let refusals = Refusals::default();
        let begin = Instant::now();
        let told = (0..1000).filter(|_| refusals.count(begin).this).count();
        assert_eq!(told as u64, MAX_REFUSALS);
        let later = refusals.count(begin + WINDOW);
        assert_eq!((later.this, later.untold), (true, 900));
        assert_eq!(refusals.count(begin + WINDOW).untold, 0);
    }
}
