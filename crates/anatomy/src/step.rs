//! The steps of a preparation, told to whoever waits for it.

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

/// Is told of the step before each part of it, and answers whether to go on.
pub type Watch<'a> = dyn FnMut(Step) -> bool + 'a;

/// Tells `watch` of `step`.
///
/// # Errors
/// `Interrupted` if it answers that the work shall end.
pub(crate) fn tell(watch: &mut Watch<'_>, step: Step) -> Result<()> {
    if watch(step) {
        Ok(())
    } else {
        Err(Error::interrupted())
    }
}
