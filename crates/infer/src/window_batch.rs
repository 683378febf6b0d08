//! Windows on their way into a network.

use crate::{Error, ErrorKind, Result};
use multirnet_base::StopToken;
use multirnet_volume::Volume;

/// Windows of one shape, one after the other, with values in `[0, 1]`.
#[derive(Debug, Clone, Copy)]
pub struct WindowBatch<'a> {
    values: &'a [f32],
    shape: [usize; 3],
    stop: Option<&'a StopToken>,
}

impl<'a> WindowBatch<'a> {
    /// `values.len() / (d · h · w)` windows of `shape` `(z, y, x)`.
    ///
    /// # Errors
    /// `Model` unless `values` holds whole windows, at least one.
    pub fn new(values: &'a [f32], shape: [usize; 3]) -> Result<Self> {
        let size: usize = shape.iter().product();
        if size == 0 || values.is_empty() || !values.len().is_multiple_of(size) {
            let reason = format!(
                "{} values do not make up windows of {shape:?}",
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

    /// The same windows; the network looks at `stop` on its way.
    #[must_use]
    pub fn with_stop(mut self, stop: &'a StopToken) -> Self {
        self.stop = Some(stop);
        self
    }

    /// All values.
    pub fn values(&self) -> &'a [f32] {
        self.values
    }

    /// Voxels per axis of each window.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Voxels of each window.
    pub fn voxels(&self) -> usize {
        self.shape.iter().product()
    }

    /// How many windows there are.
    pub fn count(&self) -> usize {
        self.values.len() / self.voxels()
    }

    /// Whether the caller asked to end early.
    ///
    /// # Errors
    /// `Interrupted` if so.
    pub fn check_stop(&self) -> Result<()> {
        self.stop.map_or(Ok(()), crate::stage::check)
    }
}
