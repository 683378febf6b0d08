//! How often an address may be wrong about a token.
//!
//! Each address has a budget of wrong tokens that fills up again with time. When it is used up, no token
//! of that address is looked at any more, so parallel connections guess no faster than one. Whoever came
//! in from the address before, with the token in question, goes on: a neighbour behind the same address
//! who guesses does not lock out people at work.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Wrong tokens that an address may give at once.
pub(crate) const BUDGET: u32 = 20;
/// Time after which an address may give one more.
pub(crate) const REFILL: Duration = Duration::from_secs(6);
/// Most addresses that are remembered, of guessers and of people each.
const REMEMBERED: usize = 4096;

/// What an address has left.
#[derive(Debug, Clone, Copy)]
struct Budget {
    left: u32,
    /// When `left` was right.
    at: Instant,
}

/// The budgets of all addresses.
#[derive(Debug, Default)]
pub(crate) struct Guesses(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    budgets: HashMap<IpAddr, Budget>,
    /// Who came in from where, by the token's place in the list, and when last.
    people: HashMap<(IpAddr, usize), Instant>,
}

/// An address has used up its budget; it may try again after this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany(pub Duration);

impl Guesses {
    fn known(&self) -> MutexGuard<'_, Known> {
        // Each change is complete before anything in it can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Judges an attempt from `peer` at the time `now`. `token` is the place of the token in the list,
    /// or `None` for a wrong one.
    ///
    /// # Errors
    /// The budget is used up, and nobody came in from there with this token before.
    pub fn judge(&self, peer: IpAddr, token: Option<usize>, now: Instant) -> Result<(), TooMany> {
        let peer = network(peer);
        let mut known = self.known();
        let person = token.map(|token| (peer, token));
        let is_proven = person.is_some_and(|p| known.people.contains_key(&p));
        if !is_proven {
            let budget = known.budgets.get(&peer).map(|b| b.refilled(now));
            let budget = budget.unwrap_or(Budget {
                left: BUDGET,
                at: now,
            });
            if budget.left == 0 {
                return Err(TooMany(REFILL.saturating_sub(now - budget.at)));
            }
            if token.is_none() {
                make_room(&mut known.budgets, &peer, |b| b.at);
                let left = budget.left - 1;
                known.budgets.insert(peer, Budget { left, ..budget });
            }
        }
        if let Some(person) = person {
            make_room(&mut known.people, &person, |at| *at);
            known.people.insert(person, now);
        }
        Ok(())
    }
}

impl Budget {
    fn refilled(self, now: Instant) -> Self {
        let since = now.saturating_duration_since(self.at);
        let more = u32::try_from(since.as_secs() / REFILL.as_secs()).unwrap_or(BUDGET);
        match self.left.saturating_add(more) {
            left if left >= BUDGET => Self {
                left: BUDGET,
                at: now,
            },
            left => Self {
                left,
                at: self.at + REFILL * more,
            },
        }
    }
}

/// Forgets the oldest entry if a new `key` finds no room.
fn make_room<K: Eq + Hash + Clone, V>(
    map: &mut HashMap<K, V>,
    key: &K,
    at: impl Fn(&V) -> Instant,
) {
    if map.len() < REMEMBERED || map.contains_key(key) {
        return;
    }
    let oldest = map
        .iter()
        .min_by_key(|(_, v)| at(v))
        .map(|(k, _)| k.clone());
    if let Some(oldest) = oldest {
        map.remove(&oldest);
    }
}

/// What counts as one address: of IPv6 the network, since one machine has as many addresses in it as it
/// likes.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let host = u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !host))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_used_up_budget_stops_unknown_tokens_and_no_one_else() {
        let guesses = Guesses::default();
        let (bad, other, now) = (address("10.0.0.1"), address("10.0.0.2"), Instant::now());
        guesses.judge(bad, Some(0), now).unwrap();
        for _ in 0..BUDGET {
            guesses.judge(bad, None, now).unwrap();
        }
        assert_eq!(guesses.judge(bad, None, now), Err(TooMany(REFILL)));
        // A right token that the address never showed is not looked at: it may be a guess.
        assert_eq!(guesses.judge(bad, Some(1), now), Err(TooMany(REFILL)));
        // Whoever was there before goes on, and so do other addresses.
        guesses.judge(bad, Some(0), now).unwrap();
        guesses.judge(other, Some(1), now).unwrap();
        guesses.judge(other, None, now).unwrap();
        let later = now + REFILL;
        guesses.judge(bad, None, later).unwrap();
        assert!(guesses.judge(bad, None, later).is_err());
        let full = later + REFILL * BUDGET * 2;
        for _ in 0..BUDGET {
            guesses.judge(bad, None, full).unwrap();
        }
        assert!(guesses.judge(bad, None, full).is_err());
    }

    #[test]
    fn a_network_of_ipv6_has_one_budget_and_mapped_addresses_are_their_own() {
        let same = ["2001:db8::1", "2001:db8::ffff:1"]
            .map(address)
            .map(network);
        assert_eq!(same[0], same[1]);
        assert_ne!(same[0], network(address("2001:db8:0:1::1")));
        assert_eq!(network(address("::ffff:10.0.0.1")), address("10.0.0.1"));
    }

    #[test]
    fn memory_is_bounded_however_many_addresses_guess() {
        let guesses = Guesses::default();
        let now = Instant::now();
        for i in 0..3 * REMEMBERED as u32 {
            let peer = IpAddr::V4((0x0a00_0000 + i).into());
            let at = now + Duration::from_millis(u64::from(i));
            guesses.judge(peer, None, at).unwrap();
            guesses.judge(peer, Some(0), at).unwrap();
        }
        let known = guesses.known();
        assert_eq!(
            (known.budgets.len(), known.people.len()),
            (REMEMBERED, REMEMBERED)
        );
        let last = IpAddr::V4((0x0a00_0000 + 3 * REMEMBERED as u32 - 1).into());
        assert!(known.budgets.contains_key(&last));
    }
}
