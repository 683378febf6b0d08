//! Cohorts from folders of scans.

use super::{Case, Cohort};
use crate::{Error, ErrorKind, Result};
use multirnet_volume::Diagnosis;
use std::path::{Path, PathBuf};

const VOLUME_ENDINGS: [&str; 6] = [".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd"];
const MASK_ENDINGS: [&str; 5] = ["_mask", "_seg", "_label", "_labels", "_lesions"];
const LUNG_ENDINGS: [&str; 2] = ["_lungs", "_lung"];
/// Endings of a scan's name that the name of its mask may lack.
const SCAN_ENDINGS: [&str; 2] = ["_ct", "_scan"];

/// Builds a cohort from `root`, which holds one folder per class: `normal`, `cap`, `covid19` (or
/// another spelling that [`Diagnosis`] reads; other folders are refused).
///
/// A scan is one of these:
/// - a volume file in a class folder; its patient is the file's stem,
/// - a volume file in a folder below a class folder; its patient is that folder,
/// - a folder of other files, which is taken as a DICOM series.
///
/// The mask of a scan `NAME.*` lies beside it and is named `NAME_mask.*` (or `_seg`, `_label`,
/// `_labels`, `_lesions`). A lung mask, if there is one, is named `NAME_lungs.*` (or `_lung`). The
/// masks of a scan `STEM_ct.*` or `STEM_scan.*` may also be named `STEM_mask.*` and so on. The masks
/// of a DICOM folder `NAME` lie beside the folder under the same names.
///
/// # Errors
/// `Io` if a folder cannot be read; `Malformed` if a folder's name is not a class, no scan is found,
/// or the result breaks a rule of a manifest (e.g. a scan of another class than normal has no mask).
pub fn from_folders(root: &Path) -> Result<Cohort> {
    let mut cases = Vec::new();
    for folder in list(root)?.iter().filter(|p| p.is_dir()) {
        let class: Diagnosis = file_name(folder).parse().map_err(|_| {
            Error::new(ErrorKind::Malformed, "the folder's name is not a class")
                .at(folder)
                .hint("name the folders normal, cap and covid19")
        })?;
        collect(folder, class, None, &mut cases)?;
    }
    if cases.is_empty() {
        return Err(Error::new(ErrorKind::Malformed, "no scan was found")
            .at(root)
            .hint("make folders normal, cap and covid19 with scans and NAME_mask files"));
    }
    Cohort::new(cases).map_err(|e| e.at(root))
}

fn collect(
    folder: &Path,
    class: Diagnosis,
    patient: Option<&str>,
    cases: &mut Vec<Case>,
) -> Result<()> {
    let entries = list(folder)?;
    let volumes: Vec<(PathBuf, String)> = entries
        .iter()
        .filter(|p| p.is_file())
        .filter_map(|p| Some((p.clone(), stem(p)?)))
        .collect();
    let beside = |name: &str, endings: &[&str]| {
        let mut stems = vec![name];
        stems.extend(SCAN_ENDINGS.iter().filter_map(|e| name.strip_suffix(e)));
        volumes
            .iter()
            .find(|(_, s)| {
                stems
                    .iter()
                    .any(|n| endings.iter().any(|e| s.strip_suffix(e) == Some(*n)))
            })
            .map(|(p, _)| p.clone())
    };
    let mut push = |scan: &Path, name: &str| {
        let mut case = Case::new(
            scan,
            beside(name, &MASK_ENDINGS),
            class,
            patient.unwrap_or(name),
        );
        case.lungs = beside(name, &LUNG_ENDINGS);
        cases.push(case);
    };
    let is_part = |s: &str| {
        MASK_ENDINGS
            .iter()
            .chain(&LUNG_ENDINGS)
            .any(|e| s.ends_with(e))
    };
    for (path, name) in volumes.iter().filter(|(_, s)| !is_part(s)) {
        push(path, name);
    }
    for sub in entries.iter().filter(|p| p.is_dir()) {
        let content = list(sub)?;
        if content.iter().any(|p| p.is_dir() || stem(p).is_some()) {
            // All folders below a patient's folder belong to that patient.
            let name = patient.map_or_else(|| file_name(sub), str::to_owned);
            collect(sub, class, Some(&name), cases)?;
        } else if !content.is_empty() {
            let mut case = Case::new(
                sub.as_path(),
                beside(&file_name(sub), &MASK_ENDINGS),
                class,
                patient.map_or_else(|| file_name(sub), str::to_owned),
            );
            case.lungs = beside(&file_name(sub), &LUNG_ENDINGS);
            cases.push(case);
        }
    }
    Ok(())
}

/// Entries of a folder without hidden ones, sorted by name.
fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let io = |e: std::io::Error| Error::io(folder, "read the folder", e);
    let mut entries = std::fs::read_dir(folder)
        .map_err(io)?
        .map(|e| e.map(|e| e.path()).map_err(io))
        .collect::<Result<Vec<_>>>()?;
    entries.retain(|p| !file_name(p).starts_with('.'));
    entries.sort();
    Ok(entries)
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |n| n.to_string_lossy().into_owned())
}

/// The file's name without the ending of a volume format; `None` for other files.
fn stem(path: &Path) -> Option<String> {
    let name = file_name(path);
    let lower = name.to_ascii_lowercase();
    VOLUME_ENDINGS
        .iter()
        .find(|e| lower.ends_with(**e))
        .map(|e| name[..name.len() - e.len()].to_owned())
}
