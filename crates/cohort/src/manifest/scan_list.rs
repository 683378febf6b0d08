//! Scans without labels: what an analysis of many scans reads from a manifest.

use super::cohort::is_toml;
use super::row::Row;
use super::{csv_form, toml_form};
use crate::{Error, ErrorKind, Result};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Columns that change what a scan's values mean. An analysis of a list reads scans as they are.
const CHANGING: [&str; 5] = ["intensity", "slope", "intercept", "spacing_mm", "slices"];

/// One scan of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedScan {
    /// The path as the manifest writes it. It is the same on every machine.
    pub written: String,
    /// The path that this machine opens: `written`, joined to the folder that it is relative to.
    pub path: PathBuf,
    /// Line of the manifest, from 1.
    pub line: u64,
}

/// The scans of a manifest, in its order. Only the column `scan` is required. Labels (`mask`,
/// `class`, `patient`, `lungs` and so on) may be there and are not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanList {
    /// The scans.
    pub scans: Vec<ListedScan>,
}

impl ScanList {
    /// Reads the manifest `path` (TOML if the name ends in `.toml`, CSV otherwise) with paths
    /// relative to `root`, or to the manifest's folder without one.
    ///
    /// Does not check whether the scans exist. A list may have a million of them, and a missing scan
    /// must not keep the others from being analysed.
    ///
    /// # Errors
    /// `Io` if the manifest cannot be read; `Malformed` if it lists no scan or a scan twice, for an
    /// unknown column, and for a value in a column that changes a scan (`intensity` other than `hu`,
    /// `slope`, `intercept`, `spacing_mm`, `slices`). All name the manifest and the line.
    pub fn read(path: &Path, root: Option<&Path>) -> Result<Self> {
        let text =
            std::fs::read_to_string(path).map_err(|e| Error::io(path, "read the manifest", e))?;
        let root = root.or(path.parent()).unwrap_or(Path::new(""));
        Self::parse(path, &text, root).map_err(|e| e.at(path))
    }

    fn parse(path: &Path, text: &str, root: &Path) -> Result<Self> {
        let rows = if is_toml(path) {
            toml_form::parse(text)?
        } else {
            csv_form::parse(text, &["scan"])?
        };
        let mut lines = HashMap::new();
        let mut scans = Vec::with_capacity(rows.len());
        for row in &rows {
            let scan = listed(row, root).map_err(|e| e.line(row.line))?;
            if let Some(first) = lines.insert(scan.written.clone(), row.line) {
                let name = &scan.written;
                let reason = format!("the scan {name} is listed twice (first in line {first})");
                return Err(Error::new(ErrorKind::Malformed, reason)
                    .line(row.line)
                    .hint("keep one of the two lines"));
            }
            scans.push(scan);
        }
        if scans.is_empty() {
            return Err(
                Error::new(ErrorKind::Malformed, "the manifest lists no scan")
                    .hint("add one line for each scan below the header"),
            );
        }
        Ok(Self { scans })
    }
}

fn listed(row: &Row, root: &Path) -> Result<ListedScan> {
    let written = row.cell("scan");
    if written.is_empty() {
        return Err(Error::new(
            ErrorKind::Malformed,
            "the column \"scan\" is empty",
        ));
    }
    let is_given = |column: &&&str| !matches!(row.cell(column), "" | "hu");
    if let Some(column) = CHANGING.iter().find(is_given) {
        let reason = format!("the scan {written} has a value in the column {column:?}");
        return Err(Error::new(ErrorKind::Malformed, reason).hint(
            "convert such scans to files in HU first; only they can be analysed from a list",
        ));
    }
    Ok(ListedScan {
        written: written.to_owned(),
        path: root.join(written),
        line: row.line,
    })
}
