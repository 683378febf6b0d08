//! The input of a network: a batch of windows.

use crate::{Error, ErrorKind, Result};
use multirnet_base::StopToken;
use multirnet_volume::Volume;

/// A batch of windows of one shape, one after the other, with values in `[0, 1]`.
#[derive(Debug, Clone, Copy)]
pub struct WindowBatch<'a> {
    values: &'a [f32],
    shape: [usize; 3],
    stop: Option<&'a StopToken>,
}

impl<'a> WindowBatch<'a> {
    /// A batch of `values.len() / (d · h · w)` windows of `shape` `(z, y, x)`.
    ///
    /// # Errors
    /// `Model` unless `values` holds a whole number of windows, and at least one.
    pub fn new(values: &'a [f32], shape: [usize; 3]) -> Result<Self> {
        let size: usize = shape.iter().product();
        if size == 0 || values.is_empty() || !values.len().is_multiple_of(size) {
            let reason = format!(
                "the input has {} values, which is not a positive multiple of a window of {shape:?}",
                values.len()
            );
            return Err(Error::new(ErrorKind::Model, reason));
        }
        Ok(Self {
            values,
            shape,
            stop: None,
        })
    }

    /// A whole view as one window.
    pub(crate) fn of_view(view: &'a Volume<f32>, stop: &'a StopToken) -> Self {
        Self {
            values: view.data(),
            shape: view.shape(),
            stop: Some(stop),
        }
    }

    /// The same windows with a token that the network checks during its run.
    #[must_use]
    pub fn with_stop(mut self, stop: &'a StopToken) -> Self {
        self.stop = Some(stop);
        self
    }

    /// The values of all windows, one after the other.
    pub fn values(&self) -> &'a [f32] {
        self.values
    }

    /// Shape of each window, `(z, y, x)` in voxels.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Number of voxels of each window.
    pub fn voxels(&self) -> usize {
        self.shape.iter().product()
    }

    /// Number of windows.
    pub fn count(&self) -> usize {
        self.values.len() / self.voxels()
    }

    /// Checks whether the caller has stopped the run.
    ///
    /// # Errors
    /// `Interrupted` if the stop is raised.
    pub fn check_stop(&self) -> Result<()> {
        self.stop.map_or(Ok(()), crate::stage::check)
    }
}
