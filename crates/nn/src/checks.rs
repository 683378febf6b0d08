//! Checks that the comparison nets' configurations share.

use crate::error::{Error, ErrorKind, Result};

/// Largest number of channels that a configuration may ask for.
pub(crate) const MAX_CHANNELS: usize = 2048;

/// Whether `channels` is a number of channels that a layer may have.
pub(crate) fn is_width(channels: &usize) -> bool {
    (1..=MAX_CHANNELS).contains(channels)
}

/// Checks configuration fields, given as `(holds, field, rule)`.
///
/// # Errors
///
/// [`ErrorKind::Config`] for the first check that does not hold; the message names the field and
/// the presets.
pub(crate) fn fields(checks: &[(bool, &str, &str)], presets: &[&str]) -> Result<()> {
    match checks.iter().find(|(holds, ..)| !holds) {
        None => Ok(()),
        Some((_, field, rule)) => Err(Error::new(
            ErrorKind::Config,
            format!("model configuration: `{field}` {rule}"),
        )
        .hint(format!(
            "correct `{field}` or start from a preset: {}",
            presets.join(", ")
        ))),
    }
}

/// Checks that every side of a window satisfies `fits`. `rule` describes the condition in words.
///
/// # Errors
///
/// [`ErrorKind::Mismatch`] if a side does not; the message names the shape and the rule.
pub(crate) fn window(
    system: &str,
    shape: [usize; 3],
    fits: impl Fn(usize) -> bool,
    rule: &str,
) -> Result<()> {
    if shape.into_iter().all(fits) {
        return Ok(());
    }
    let [d, h, w] = shape;
    Err(Error::new(
        ErrorKind::Mismatch,
        format!("a window of {d} × {h} × {w} voxels does not fit {system}"),
    )
    .hint(format!("each side must be {rule}")))
}

/// Checks that every side of a window is a positive multiple of `step`.
///
/// # Errors
///
/// Those of [`window`].
pub(crate) fn multiple(system: &str, shape: [usize; 3], step: usize) -> Result<()> {
    let rule = format!("a positive multiple of {step}");
    window(system, shape, |n| n > 0 && n.is_multiple_of(step), &rule)
}

/// Asserts that a net's input has one channel and has passed the check of its shape.
///
/// # Panics
///
/// If the input has another number of channels, or `checked` is an error.
pub(crate) fn input([_, channels, ..]: [usize; 5], checked: Result<()>) {
    assert_eq!(channels, 1, "the net takes one CT channel");
    if let Err(error) = checked {
        panic!("{error}");
    }
}
