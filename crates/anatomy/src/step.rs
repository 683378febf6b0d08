//! The steps of a preparation, for callers that show its progress or stop it.

use crate::{Error, Result};

/// What a preparation is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Checking the scan's grid and values.
    Check,
    /// Finding the lungs.
    Lungs,
    /// Cutting out the network's views.
    Views,
}

/// A callback that receives the step before each part of it. It returns whether to go on.
pub type Watch<'a> = dyn FnMut(Step) -> bool + 'a;

/// Calls `watch` with `step`.
///
/// # Errors
/// `Interrupted` if it returns false.
pub(crate) fn tell(watch: &mut Watch<'_>, step: Step) -> Result<()> {
    if watch(step) {
        Ok(())
    } else {
        Err(Error::interrupted())
    }
}
