//! The table of a stack's slices, which shows where its gaps are.

use crate::{Error, ErrorKind, Result};
use std::ops::Range;
use std::path::Path;

/// Divides a scan of `planes` planes into stacks without a gap, by the table at `path` (see the
/// column `slices` of a [manifest](crate::manifest)).
///
/// # Errors
/// `Scan`, with the file, if it cannot be read, a column is missing, `k` does not name each plane
/// once, or `source_slice` neither rises nor falls from plane to plane.
pub(super) fn runs(path: &Path, planes: usize) -> Result<Vec<Range<usize>>> {
    let text = std::fs::read_to_string(path).map_err(|e| {
        Error::new(
            ErrorKind::Scan,
            format!("cannot read the table of slices: {e}"),
        )
        .at(path)
    })?;
    let numbers = numbers(&text, planes).map_err(|e| e.at(path))?;
    ranges(&numbers).map_err(|e| e.at(path))
}

fn wrong(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::Scan, reason)
        .hint("write the columns k (from 0) and source_slice, one line for each slice of the scan")
}

/// The `source_slice` of each plane.
fn numbers(text: &str, planes: usize) -> Result<Vec<i64>> {
    let mut reader = csv::ReaderBuilder::new()
        .comment(Some(b'#'))
        .trim(csv::Trim::All)
        .from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let header = reader.headers().map_err(|e| wrong(e.to_string()))?.clone();
    let column = |name: &str| {
        let at = header.iter().position(|h| h == name);
        at.ok_or_else(|| wrong(format!("the column {name:?} is missing")))
    };
    let (k, source) = (column("k")?, column("source_slice")?);
    let mut numbers: Vec<Option<i64>> = vec![None; planes];
    for record in reader.records() {
        let record = record.map_err(|e| wrong(e.to_string()))?;
        let line = record.position().map_or(0, csv::Position::line);
        let cell = |at: usize| -> Result<i64> {
            let text = record.get(at).unwrap_or("");
            text.parse()
                .map_err(|_| wrong(format!("{text:?} is not a whole number")).line(line))
        };
        let plane = cell(k)?;
        let place = usize::try_from(plane)
            .ok()
            .and_then(|p| numbers.get_mut(p))
            .ok_or_else(|| {
                wrong(format!("k is {plane}, but the scan has {planes} slices")).line(line)
            })?;
        if place.replace(cell(source)?).is_some() {
            return Err(wrong(format!("k {plane} occurs twice")).line(line));
        }
    }
    let missing = numbers.iter().position(Option::is_none);
    if let Some(plane) = missing {
        return Err(wrong(format!("k {plane} of {planes} slices is missing")));
    }
    Ok(numbers.into_iter().flatten().collect())
}

/// Ranges of planes whose numbers differ by 1 from plane to plane.
fn ranges(numbers: &[i64]) -> Result<Vec<Range<usize>>> {
    let steps: Vec<i64> = numbers
        .windows(2)
        .map(|pair| pair[1].saturating_sub(pair[0]))
        .collect();
    if steps.iter().any(|s| *s <= 0) && steps.iter().any(|s| *s >= 0) {
        return Err(wrong(
            "source_slice neither rises nor falls from slice to slice",
        ));
    }
    let mut runs = Vec::new();
    let mut start = 0;
    for (k, step) in steps.iter().enumerate() {
        if step.abs() != 1 {
            runs.push(start..k + 1);
            start = k + 1;
        }
    }
    runs.push(start..numbers.len());
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_is_a_gap() {
        let runs = |n: &[i64]| ranges(n).unwrap();
        assert_eq!(runs(&[5]).as_slice(), std::slice::from_ref(&(0..1)));
        assert_eq!(runs(&[14, 31, 32, 33, 40]), [0..1, 1..4, 4..5]);
        assert_eq!(runs(&[9, 8, 7, 3, 2]), [0..3, 3..5]);
        for bad in [&[1, 2, 2][..], &[1, 2, 1], &[3, 3]] {
            assert!(ranges(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn tables_that_do_not_fit_the_scan_are_refused() {
        let good = "source_slice,k,other\n11,1,x\n10,0,y\n";
        assert_eq!(numbers(good, 2).unwrap(), [10, 11]);
        for (text, planes, word) in [
            (good, 3, "k 2 of 3"),
            (good, 1, "has 1 slices"),
            ("k\n0\n", 1, "source_slice"),
            ("k,source_slice\n0,1\n0,2\n", 2, "twice"),
            ("k,source_slice\n0,a\n", 1, "not a whole number"),
            ("k,source_slice\n-1,4\n", 1, "k is -1"),
        ] {
            let error = numbers(text, planes).unwrap_err().to_string();
            assert!(error.contains(word), "{word} in {error}");
        }
    }
}
