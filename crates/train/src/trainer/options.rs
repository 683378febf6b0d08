//! Options of a training.

use burn::tensor::Device;
use multirnet_cohort::load::Reader;
use std::path::Path;

/// Folders, reader and device of a training.
pub struct Options<'a> {
    /// The run's folder; see the crate's documentation.
    pub out: &'a Path,
    /// Folder of prepared scans, which runs may share.
    pub cache: &'a Path,
    /// Reads a scan.
    pub read: &'a Reader<'a>,
    /// The device, without autodiff (see `multirnet_nn::DeviceChoice`).
    pub device: Device,
    /// Whether to continue the run in `out` instead of starting one.
    pub resume: bool,
    /// Scans prepared at once.
    pub prepare_jobs: usize,
}
