//! Code that the readers of NRRD and MetaImage share.

use crate::{Error, ErrorKind, Result};
use std::str::FromStr;

/// Largest size of a text header in bytes. A longer one counts as endless.
pub(super) const MAX_HEADER: u64 = 1 << 20;

/// Maximum number of voxels: 8 GiB as `f32`, far beyond any chest CT.
pub(super) const MAX_VOXELS: usize = 1 << 31;

/// The `count` numbers in the value of a header's `field`.
pub(super) fn numbers<T: FromStr>(field: &str, value: &str, count: usize) -> Result<Vec<T>> {
    let numbers: Vec<T> = value
        .split_whitespace()
        .map_while(|word| word.parse().ok())
        .collect();
    if numbers.len() != count || value.split_whitespace().count() != count {
        return Err(malformed(format!(
            "the header's {field:?} should be {count} numbers, not {value:?}"
        )));
    }
    Ok(numbers)
}

/// `true` or `false`.
pub(super) fn truth(field: &str, value: &str) -> Result<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "t" | "1" | "yes" => Ok(true),
        "false" | "f" | "0" | "no" => Ok(false),
        _ => Err(malformed(format!(
            "the header's {field:?} should be True or False, not {value:?}"
        ))),
    }
}

/// The shape `(z, y, x)` from sizes in file order `(x, y, z, …)`. Fails unless they describe one
/// volume.
pub(super) fn volume_shape(sizes: &[usize], max_voxels: usize) -> Result<[usize; 3]> {
    if sizes.contains(&0) {
        return Err(malformed(format!(
            "the volume has no voxels: its size is {sizes:?} (x, y, z)"
        )));
    }
    let most = max_voxels.min(MAX_VOXELS);
    let count = sizes.iter().try_fold(1u64, |n, &s| n.checked_mul(s as u64));
    if count.is_none_or(|n| n > most as u64) {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("a size of {sizes:?} (x, y, z) is more than {most} voxels"),
        )
        .hint("crop the scan to the chest"));
    }
    match sizes {
        [x, y, z, rest @ ..] if rest.iter().all(|&n| n == 1) => Ok([*z, *y, *x]),
        [_, _, _, ..] => Err(Error::new(
            ErrorKind::Unsupported,
            format!("this is not one volume but several: its size is {sizes:?} (x, y, z, …)"),
        )
        .hint("extract one volume (time point, echo or channel) into a file")),
        _ => Err(Error::new(
            ErrorKind::Unsupported,
            format!("this is an image of size {sizes:?}, not a volume"),
        )
        .hint("a chest CT scan with all its slices is needed")),
    }
}

/// The error of a header that lacks a field.
pub(super) fn missing(field: &str) -> Error {
    malformed(format!("the header lacks {field:?}"))
}

pub(super) fn malformed(reason: String) -> Error {
    Error::new(ErrorKind::Malformed, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_must_be_as_many_as_expected() {
        assert_eq!(
            numbers::<f64>("f", " 1 -2.5\t3e1 ", 3).unwrap(),
            [1.0, -2.5, 30.0]
        );
        for (value, count) in [
            ("1 2", 3),
            ("1 2 3 4", 3),
            ("1 x 3", 3),
            ("1 2 3 x", 3),
            ("", 1),
        ] {
            assert!(numbers::<f64>("f", value, count).is_err(), "{value:?}");
        }
        assert!(numbers::<usize>("f", "1 -2", 2).is_err());
    }

    #[test]
    fn one_volume_has_three_sizes() {
        assert_eq!(volume_shape(&[5, 6, 8], MAX_VOXELS).unwrap(), [8, 6, 5]);
        assert_eq!(
            volume_shape(&[5, 6, 8, 1, 1], MAX_VOXELS).unwrap(),
            [8, 6, 5]
        );
        for (sizes, kind) in [
            (&[5, 6][..], ErrorKind::Unsupported),
            (&[5], ErrorKind::Unsupported),
            (&[], ErrorKind::Unsupported),
            (&[5, 6, 8, 2], ErrorKind::Unsupported),
            (&[5, 0, 8], ErrorKind::Malformed),
            (&[2048, 2048, 513], ErrorKind::Unsupported),
            (&[usize::MAX; 3], ErrorKind::Unsupported),
        ] {
            assert_eq!(volume_shape(sizes, MAX_VOXELS).unwrap_err().kind(), kind);
        }
    }
}
