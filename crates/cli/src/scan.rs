//! Reading a scan of any supported format.

use crate::failure::{Failure, Outcome};
use multirnet_dicom::{ReadOptions, SeriesInfo};
use multirnet_infer::Source;
use multirnet_volume::{Volume, io};
use std::path::{Path, PathBuf};

/// How scans are read.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ReadArguments {
    /// DICOM series to take: its UID, or its number in `multirnet inspect`
    #[arg(long, value_name = "UID|N")]
    pub series: Option<String>,

    /// Resample DICOM series with gaps, uneven spacing, gantry tilt or duplicates instead of
    /// refusing them; a warning stays in the result
    #[arg(long)]
    pub allow_irregular: bool,
}

/// A scan in memory.
pub struct Scan {
    /// CT in HU on its own grid.
    pub volume: Volume<f32>,
    /// Where it came from (without the content's digest, which the predictor adds).
    pub source: Source,
    /// Every DICOM series that was found there.
    pub series: Vec<SeriesInfo>,
}

impl Scan {
    /// A scan that was made and not read; `name` says what it is.
    pub fn in_memory(name: String, volume: Volume<f32>) -> Self {
        let source = Source {
            path: name,
            format: "memory".into(),
            ..Source::default()
        };
        Self {
            volume,
            source,
            series: vec![],
        }
    }
}

/// Reads a DICOM folder, file or zip, NIfTI, NRRD or MetaImage.
pub fn read(path: &Path, arguments: &ReadArguments) -> Outcome<Scan> {
    let mut source = Source {
        path: path.display().to_string(),
        ..Source::default()
    };
    if !path.exists() {
        return Err(Failure::input(format!(
            "{}: there is no such file or folder (check the path)",
            path.display()
        )));
    }
    if let Some(format) = io::Format::from_path(path).filter(|_| path.is_file()) {
        source.format = match format {
            io::Format::Nifti => "nifti",
            io::Format::Nrrd => "nrrd",
            io::Format::MetaImage => "metaimage",
            _ => "other",
        }
        .into();
        let volume = io::read(path).map_err(Failure::input)?;
        return Ok(Scan {
            volume,
            source,
            series: vec![],
        });
    }
    let options = ReadOptions {
        series: arguments.series.clone(),
        allow_irregular: arguments.allow_irregular,
    };
    let scan = multirnet_dicom::read(path, &options).map_err(Failure::input)?;
    source.format = "dicom".into();
    source.series_uid = Some(scan.series.uid.clone());
    source.warnings = scan.warnings;
    Ok(Scan {
        volume: scan.volume,
        source,
        series: scan.listing,
    })
}

/// Reads a scan for the libraries that take a reader.
pub fn read_volume(path: &Path) -> Result<Volume<f32>, String> {
    read(path, &ReadArguments::default())
        .map(|s| s.volume)
        .map_err(|f| f.to_string())
}

/// A name for a scan's results, from its file or folder name.
pub fn stem(path: &Path) -> String {
    let name = path
        .file_name()
        .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let name = if path.is_dir() {
        name
    } else {
        let lower = name.to_ascii_lowercase();
        let endings = [
            ".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".zip", ".dcm",
        ];
        let cut = endings
            .iter()
            .find(|e| lower.ends_with(**e))
            .map_or(0, |e| e.len());
        name[..name.len() - cut].to_owned()
    };
    if name.is_empty() || name == "." || name == ".." {
        "scan".into()
    } else {
        name
    }
}

/// One distinct name per scan: equal names get a number.
pub fn names(paths: &[PathBuf]) -> Vec<String> {
    let mut taken = std::collections::HashSet::new();
    paths
        .iter()
        .map(|p| {
            let base = stem(p);
            let name = std::iter::once(base.clone())
                .chain((2..).map(|i| format!("{base}-{i}")))
                .find(|n| !taken.contains(n))
                .unwrap_or(base);
            taken.insert(name.clone());
            name
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_distinct() {
        let paths = ["/a/x.nii.gz", "/b/x.nii", "/c/Y.NRRD", "/"].map(PathBuf::from);
        assert_eq!(names(&paths), ["x", "x-2", "Y", "scan"]);
    }

    #[test]
    fn a_missing_scan_is_named() {
        let Err(failure) = read(Path::new("/no/such/scan.nii"), &ReadArguments::default()) else {
            panic!("read a scan that is not there")
        };
        assert!(
            failure
                .to_string()
                .starts_with("/no/such/scan.nii: there is no such")
        );
    }
}
