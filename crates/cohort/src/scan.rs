//! Reading a scan of any supported format.

use crate::{Error, ErrorKind, Result};
use multirnet_dicom::{ReadOptions, SeriesInfo, SeriesReference};
use multirnet_volume::{Volume, io};
use std::path::Path;

/// A scan in memory, with its origin.
#[derive(Debug, Clone)]
pub struct Scan {
    /// CT in HU on its own grid.
    pub volume: Volume<f32>,
    /// The path as it was given, or the name of a scan that was not read from a file.
    pub path: String,
    /// `dicom`, `nifti`, `nrrd`, `metaimage` or `memory`.
    pub format: &'static str,
    /// The DICOM series that was read. DICOM results refer to it.
    pub series: Option<SeriesReference>,
    /// Every DICOM series that was found there, with the reason why it was or was not taken.
    pub listing: Vec<SeriesInfo>,
    /// Warnings of the reader.
    pub warnings: Vec<String>,
}

impl Scan {
    /// A scan that was not read from a file; `name` describes it.
    pub fn in_memory(name: impl Into<String>, volume: Volume<f32>) -> Self {
        Self {
            volume,
            path: name.into(),
            format: "memory",
            series: None,
            listing: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

/// Reads a scan: a DICOM folder, file or zip, or a NIfTI, NRRD or MetaImage file.
///
/// # Errors
/// `Io` if there is nothing at `path`, `Scan` if it cannot be read or the format's reader refuses
/// it.
pub fn open_scan(path: &Path, options: &ReadOptions) -> Result<Scan> {
    if !path.exists() {
        return Err(Error::new(ErrorKind::Io, "there is no such file or folder")
            .hint("check the path")
            .at(path));
    }
    let name = path.display().to_string();
    if let Some(format) = io::Format::from_path(path).filter(|_| path.is_file()) {
        let format = match format {
            io::Format::Nifti => "nifti",
            io::Format::Nrrd => "nrrd",
            io::Format::MetaImage => "metaimage",
            _ => "other",
        };
        let (volume, _) = io::read_at_most(path, options.max_voxels)?;
        return Ok(Scan {
            format,
            ..Scan::in_memory(name, volume)
        });
    }
    let scan = multirnet_dicom::read(path, options)?;
    Ok(Scan {
        volume: scan.volume,
        path: name,
        format: "dicom",
        series: Some(scan.reference),
        listing: scan.listing,
        warnings: scan.warnings,
    })
}

/// The volume of the scan at `path`, read with default options: the usual [`crate::load::Reader`].
///
/// # Errors
/// As [`open_scan`].
pub fn read_volume(path: &Path) -> Result<Volume<f32>> {
    open_scan(path, &ReadOptions::default()).map(|scan| scan.volume)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_scan_is_named() {
        let error = read_volume(Path::new("/no/such/scan.nii")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "/no/such/scan.nii: there is no such file or folder (check the path)"
        );
    }
}
