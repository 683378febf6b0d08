//! How scans are read.

use crate::Result;
use multirnet_volume::Volume;
use std::path::Path;

/// Reads a scan from a file or folder; the caller decides what it can read (DICOM, NIfTI, …).
pub type Reader<'a> = dyn Fn(&Path) -> Result<Volume<f32>> + Sync + 'a;
