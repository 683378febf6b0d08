//! The part of a list that one process works on.

use crate::{Error, ErrorKind, Result};
use std::fmt;
use std::str::FromStr;

/// Part `index` of `count` of a list. Scans are dealt in turn: part 2 of 3 has the second, the fifth, the
/// eighth and so on. All parts together have every scan once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: usize,
    count: usize,
}

impl Shard {
    /// The whole list.
    pub const WHOLE: Self = Self { index: 1, count: 1 };

    /// Part `index`, from 1, of `count`.
    ///
    /// # Errors
    /// `Options` unless `1 <= index <= count`.
    pub fn new(index: usize, count: usize) -> Result<Self> {
        if index == 0 || index > count {
            let reason = format!("there is no part {index} of {count}");
            return Err(Error::new(ErrorKind::Options, reason)
                .hint("parts are numbered from 1 to their number, as in 3/64"));
        }
        Ok(Self { index, count })
    }

    /// Positions of this part in a list of `total` scans.
    pub fn positions(self, total: usize) -> impl Iterator<Item = usize> {
        (self.index - 1..total).step_by(self.count)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let numbers = text
            .split_once('/')
            .and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        let (index, count) = numbers.ok_or_else(|| {
            Error::new(ErrorKind::Options, format!("{text:?} is not a part"))
                .hint("write number and count, as in 3/64")
        })?;
        Self::new(index, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_disjoint_and_complete_for_any_numbers() {
        for total in [0, 1, 7, 64, 65, 1000] {
            for count in [1, 2, 7, 64, 100] {
                let mut times = vec![0; total];
                for index in 1..=count {
                    let shard = Shard::new(index, count).unwrap();
                    let positions: Vec<_> = shard.positions(total).collect();
                    assert!(positions.len().abs_diff(total / count) <= 1);
                    positions.into_iter().for_each(|i| times[i] += 1);
                }
                assert_eq!(times, vec![1; total], "{total} in {count}");
            }
        }
        assert_eq!(Shard::WHOLE.positions(3).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn parts_are_read_as_they_are_shown_and_impossible_ones_refused() {
        let shard: Shard = "3/64".parse().unwrap();
        assert_eq!(shard, Shard::new(3, 64).unwrap());
        assert_eq!(shard.to_string(), "3/64");
        for text in [
            "", "3", "3/", "/3", "0/3", "4/3", "0/0", "a/b", "1/2/3", "-1/3",
        ] {
            let error = text.parse::<Shard>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Options, "{text}");
            assert!(error.advice().is_some_and(|h| h.contains("3/64")), "{text}");
        }
    }
}
