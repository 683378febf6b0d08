//! Rounds, in which contestants take turns.

use crate::contestant::{Contestant, Entry};
use crate::process::Others;
use crate::{Result, median};
use serde_json::Value;

/// Number of runs of each contestant.
#[derive(Debug, Clone, Copy)]
pub struct Rounds {
    /// Counted runs of each.
    pub count: usize,
    /// Runs before the first round. They do not count, because they compile, allocate and pack.
    pub warm: usize,
    /// Runs at the start of each turn. They do not count: they wake the contestant's threads and
    /// refill the caches, which hold data of the contestant before.
    pub per_turn: usize,
}

/// Starts all contestants, one after the other. Each does its warm runs. Returns each contestant
/// with its first answer.
///
/// # Errors
/// A sentence that names the contestant.
pub fn start(entries: Vec<Entry>, rounds: Rounds) -> Result<Vec<(Contestant, Value)>> {
    let mut all = Vec::new();
    for entry in entries {
        eprintln!("starting {}", entry.name);
        let mut contestant = Contestant::start(entry)?;
        let (_, first) = contestant.run()?;
        for _ in 1..rounds.warm {
            contestant.run()?;
        }
        contestant.measure_idle();
        all.push((contestant, first));
    }
    Ok(all)
}

/// Runs all rounds. Each contestant works once a round, and each round starts with the next
/// contestant. Returns the number of cores that other processes kept busy meanwhile.
///
/// # Errors
/// A sentence that names the contestant.
pub fn run(contestants: &mut [&mut Contestant], rounds: Rounds) -> Result<Option<f64>> {
    let live: Vec<u32> = contestants.iter().map(|c| c.id()).collect();
    let others = Others::watch(&live);
    let n = contestants.len();
    for round in 0..rounds.count {
        eprintln!("round {} of {}", round + 1, rounds.count);
        for turn in 0..n {
            let contestant = &mut contestants[(round + turn) % n];
            for _ in 0..rounds.per_turn {
                contestant.run()?;
            }
            let (ms, _) = contestant.run()?;
            contestant.ms.push(ms);
        }
    }
    Ok(others.cores(&live))
}

/// Largest absolute difference of two outputs, and the same relative to the largest reference value.
pub fn difference(output: &[f32], reference: &[f32]) -> Option<(f64, f64)> {
    if output.len() != reference.len() || output.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let largest = reference.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let apart = output
        .iter()
        .zip(reference)
        .fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
    Some((f64::from(apart), f64::from(apart / largest)))
}

/// The median time in milliseconds of our fastest contestant at a precision.
pub fn our_best(
    contestants: &[&mut Contestant],
    precision: crate::contestant::Precision,
) -> Option<f64> {
    contestants
        .iter()
        .filter(|c| c.ours && c.precision == precision)
        .map(|c| median(&c.ms))
        .min_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_the_largest() {
        assert_eq!(difference(&[1.0, 2.0], &[1.5, 4.0]), Some((2.0, 0.5)));
        assert_eq!(difference(&[1.0], &[1.0, 2.0]), None);
        assert_eq!(difference(&[f32::NAN], &[1.0]), None);
    }
}
