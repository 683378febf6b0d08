//! The arguments for reading scans, and names for their results.

use crate::failure::Outcome;
use multirnet::{ReadOptions, Scan, open_scan};
use std::path::{Path, PathBuf};

/// The arguments for reading scans.
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

impl ReadArguments {
    /// The readers' options that these arguments give.
    pub fn options(&self) -> ReadOptions {
        ReadOptions {
            series: self.series.clone(),
            allow_irregular: self.allow_irregular,
            ..ReadOptions::default()
        }
    }

    /// Reads a scan: a DICOM folder, file or zip, or a NIfTI, NRRD or MetaImage file.
    pub fn open(&self, path: &Path) -> Outcome<Scan> {
        Ok(open_scan(path, &self.options())?)
    }
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

/// A distinct name for each scan. Equal names get a number.
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
}
