//! All records of a folder, one after the other.

use super::folder::RECORD;
use super::{BatchFolder, Record, ScanState, scan_name};
use crate::{Error, ErrorKind, Result};
use multirnet_base::files::PARTIAL;
use multirnet_cohort::ScanList;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

/// Numbers of scans in a merged table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MergeCounts {
    /// Scans with results.
    pub done: usize,
    /// Scans that could not be analysed.
    pub failed: usize,
    /// Scans of the list of which nothing is known; 0 without a list.
    pub missing: usize,
    /// Scans that are in the folder and not in the list. They are not in the table.
    pub unlisted: usize,
    /// Failed scans by the kind of their failure.
    pub kinds: BTreeMap<String, usize>,
}

/// Gives `row` the record of every scan. With `list`, these are its scans in its order, also those of
/// which nothing is known. Without one, they are all scans of the folder, sorted by name.
///
/// A scan that failed and later got its results counts as done.
///
/// # Errors
/// `Io` if the folder holds no run, cannot be read, or has a damaged record; the errors of `row`.
pub fn merge(
    folder: &BatchFolder,
    list: Option<&ScanList>,
    row: &mut dyn FnMut(&Record) -> Result<()>,
) -> Result<MergeCounts> {
    let run = folder.root().join("run.json");
    if !run.exists() {
        return Err(
            Error::new(ErrorKind::Io, "this folder holds no results of many scans")
                .at(folder.root())
                .hint("give the folder that the analysis of a manifest wrote to"),
        );
    }
    let there = names(folder)?;
    let mut counts = MergeCounts::default();
    let mut count = |record: &Record| {
        match record.state {
            ScanState::Done => counts.done += 1,
            ScanState::Failed => counts.failed += 1,
            ScanState::Missing => counts.missing += 1,
        }
        if let Some(failure) = &record.failure {
            *counts.kinds.entry(failure.kind.clone()).or_default() += 1;
        }
        row(record)
    };
    let Some(list) = list else {
        for name in &there {
            // A record may go between the listing and the reading, if a failed scan is done meanwhile.
            if let Some(record) = folder.record(name)? {
                count(&record)?;
            }
        }
        return Ok(counts);
    };
    let mut listed = HashSet::new();
    for scan in &list.scans {
        let name = scan_name(&scan.written);
        let record = match there.contains(&name) {
            true => folder.record(&name)?,
            false => None,
        };
        count(&record.unwrap_or_else(|| Record::missing(scan, name.clone())))?;
        listed.insert(name);
    }
    counts.unlisted = there.iter().filter(|name| !listed.contains(*name)).count();
    Ok(counts)
}

/// The names of all scans of the folder that have a record.
fn names(folder: &BatchFolder) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for bucket in entries(&folder.root().join("scans"))? {
        for results in entries(&bucket)? {
            // Unfinished folders lie beside the finished ones. They may have a record already.
            if !file_name(&results).starts_with(PARTIAL) && results.join(RECORD).exists() {
                names.insert(file_name(&results));
            }
        }
    }
    for bucket in entries(&folder.root().join("failures"))? {
        for record in entries(&bucket)? {
            let name = file_name(&record);
            if let Some(stem) = name.strip_suffix(".json")
                && !name.starts_with(PARTIAL)
            {
                names.insert(stem.to_owned());
            }
        }
    }
    Ok(names)
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// The entries of a folder; none if it does not exist.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let fail = |e| Error::io(folder, "read the folder", e);
    match std::fs::read_dir(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(fail(e)),
        Ok(entries) => entries.map(|e| e.map(|e| e.path()).map_err(fail)).collect(),
    }
}
