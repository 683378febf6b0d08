//! The function that reads scans.

use crate::Result;
use multirnet_volume::Volume;
use std::path::Path;

/// A function that reads a scan from a file or folder. The caller decides which formats it reads
/// (DICOM, NIfTI, …).
pub type Reader<'a> = dyn Fn(&Path) -> Result<Volume<f32>> + Sync + 'a;
