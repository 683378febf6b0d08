//! Cohort manifests.
//!
//! A manifest lists scans, as CSV with a header line or as TOML with one `[[case]]` table a scan:
//!
//! | column | meaning |
//! |---|---|
//! | `scan` | the CT: a file, or a folder of DICOM. Required |
//! | `mask` | lesion labels on the scan's grid; may be missing for class `normal` only |
//! | `class` | `normal`, `cap` or `covid19`. Required |
//! | `patient` | any name; scans of one patient never lie on two sides of a split. Required |
//! | `fold` | number of the cross-validation fold, from 0; for all scans or for none |
//! | `intensity` | `hu` (default) or `unit` (values 0..1 or 0..255 that are not HU) |
//! | `mask_values` | values of the mask that are lesion, e.g. `2` or `1;2`; the first is label 1 (ground glass), the second label 2 (consolidation). Default: any value but 0, kept as it is |
//! | `lungs` | lung labels on the scan's grid; replaces the lung segmentation. Required for `unit` |
//! | `lungs_values` | values of `lungs` that are lung; default: any value but 0 |
//! | `study_uid` | study identifier, for the leakage check |
//!
//! Paths are relative to the manifest's folder. Lines of a CSV that begin with `#` are comments.

mod csv_form;
mod folders;
mod toml_form;

pub use folders::from_folders;

use crate::{Error, ErrorKind, Result};
use multirnet_anatomy::Intensity;
use multirnet_volume::Diagnosis;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Column names, in the order in which they are written.
pub(crate) const COLUMNS: [&str; 10] = [
    "scan",
    "mask",
    "class",
    "patient",
    "fold",
    "intensity",
    "mask_values",
    "lungs",
    "lungs_values",
    "study_uid",
];

/// One scan of a cohort.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// The CT: a volume file, or a folder of DICOM.
    pub scan: PathBuf,
    /// Lesion labels on the scan's grid; `None` only for class normal.
    pub mask: Option<PathBuf>,
    /// The scan's class.
    pub class: Diagnosis,
    /// The patient it belongs to.
    pub patient: String,
    /// Cross-validation fold, from 0.
    pub fold: Option<usize>,
    /// What the scan's values mean.
    pub intensity: Intensity,
    /// Values of the mask that are lesion, in the order of the labels 1, 2; empty: any but 0.
    pub mask_values: Vec<u8>,
    /// A lung mask that replaces segmentation.
    pub lungs: Option<PathBuf>,
    /// Values of the lung mask that are lung; empty: any but 0.
    pub lungs_values: Vec<u8>,
    /// Study identifier.
    pub study_uid: Option<String>,
    /// Line of the manifest that it was read from (0: not from a manifest).
    pub line: u64,
}

impl Case {
    /// A case in Hounsfield units with any value but 0 of `mask` as lesion.
    pub fn new(
        scan: impl Into<PathBuf>,
        mask: Option<PathBuf>,
        class: Diagnosis,
        patient: impl Into<String>,
    ) -> Self {
        Self {
            scan: scan.into(),
            mask,
            class,
            patient: patient.into(),
            fold: None,
            intensity: Intensity::Hu,
            mask_values: vec![],
            lungs: None,
            lungs_values: vec![],
            study_uid: None,
            line: 0,
        }
    }

    /// The scan's file name, for messages.
    pub fn name(&self) -> String {
        self.scan.file_name().map_or_else(
            || self.scan.display().to_string(),
            |n| n.to_string_lossy().into_owned(),
        )
    }
}

/// A list of scans, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Cohort {
    /// The scans, in the order of the manifest. Paths are as given, or joined to its folder.
    pub cases: Vec<Case>,
}

impl Cohort {
    /// A cohort of `cases`.
    ///
    /// # Errors
    /// `Malformed` if a rule of the [module](self) is broken, `Io` if a file does not exist.
    pub fn new(cases: Vec<Case>) -> Result<Self> {
        let cohort = Self { cases };
        cohort.check()?;
        Ok(cohort)
    }

    /// Reads a manifest: TOML if the name ends in `.toml`, CSV otherwise.
    ///
    /// # Errors
    /// `Io` if the manifest cannot be read or a file it names does not exist; `Malformed` for an
    /// unknown column, a missing value, an unknown class, a duplicate scan and whatever else
    /// breaks the rules of the [module](self). All name the manifest and the line.
    pub fn read(path: &Path) -> Result<Self> {
        let text =
            std::fs::read_to_string(path).map_err(|e| Error::io(path, "read the manifest", &e))?;
        let rows = if is_toml(path) {
            toml_form::parse(&text)
        } else {
            csv_form::parse(&text)
        };
        let folder = path.parent().unwrap_or(Path::new(""));
        let cases = rows
            .and_then(|rows| {
                rows.iter()
                    .map(|row| row.case(folder).map_err(|e| e.line(row.line)))
                    .collect::<Result<Vec<_>>>()
            })
            .map_err(|e| e.at(path))?;
        Self::new(cases).map_err(|e| e.at(path))
    }

    /// Writes a manifest (TOML if the name ends in `.toml`, CSV otherwise), with paths relative to
    /// its folder where they lie below it.
    ///
    /// # Errors
    /// `Io` if it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let rows: Vec<Row> = self.cases.iter().map(|c| Row::of(c, folder)).collect();
        let text = if is_toml(path) {
            toml_form::print(&rows)
        } else {
            csv_form::print(&rows)
        };
        crate::files::write_atomic(path, text.as_bytes())
    }

    /// Scans per class, in logit order.
    pub fn class_counts(&self) -> [usize; 3] {
        let mut counts = [0; 3];
        for case in &self.cases {
            counts[case.class.index()] += 1;
        }
        counts
    }

    fn check(&self) -> Result<()> {
        let error = |kind, line, reason: String| {
            let e = Error::new(kind, reason);
            if line > 0 { e.line(line) } else { e }
        };
        let malformed = |line, reason| error(ErrorKind::Malformed, line, reason);
        if self.cases.is_empty() {
            return Err(
                Error::new(ErrorKind::Malformed, "the manifest lists no scan")
                    .hint("add one line for each scan below the header"),
            );
        }
        let with_fold = self.cases.iter().filter(|c| c.fold.is_some()).count();
        let mut seen: HashMap<PathBuf, u64> = HashMap::new();
        for case in &self.cases {
            let name = case.scan.display();
            for (what, path) in [
                ("scan", Some(&case.scan)),
                ("mask", case.mask.as_ref()),
                ("lungs", case.lungs.as_ref()),
            ] {
                if let Some(path) = path.filter(|p| !p.exists()) {
                    let reason = format!("the {what} {} does not exist", path.display());
                    return Err(error(ErrorKind::Io, case.line, reason)
                        .hint("paths are relative to the manifest's folder"));
                }
            }
            let key = case
                .scan
                .canonicalize()
                .unwrap_or_else(|_| case.scan.clone());
            if let Some(first) = seen.insert(key, case.line) {
                let first = if first > 0 {
                    format!(" (first in line {first})")
                } else {
                    String::new()
                };
                return Err(malformed(
                    case.line,
                    format!("the scan {name} is listed twice{first}"),
                )
                .hint("keep one of the two lines"));
            }
            if case.patient.trim().is_empty() {
                return Err(
                    malformed(case.line, format!("the scan {name} has no patient"))
                        .hint("write any name; it keeps a patient's scans on one side of a split"),
                );
            }
            if case.mask.is_none() && case.class != Diagnosis::Normal {
                return Err(malformed(
                    case.line,
                    format!("the scan {name} of class {} has no mask", case.class.name()),
                )
                .hint("only scans of class normal may go without"));
            }
            if case.intensity == Intensity::Unit && case.lungs.is_none() {
                return Err(malformed(
                    case.line,
                    format!("the scan {name} has intensity unit but no lungs"),
                )
                .hint("lungs can be segmented in Hounsfield units only: name a lung mask"));
            }
            if with_fold > 0 && case.fold.is_none() {
                return Err(malformed(
                    case.line,
                    format!("the scan {name} has no fold, but {with_fold} other scans have"),
                )
                .hint("give a fold to every scan or to none"));
            }
        }
        Ok(())
    }
}

fn is_toml(path: &Path) -> bool {
    path.extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("toml"))
}

/// One line of a manifest as text, column by column; empty means not given.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    pub line: u64,
    pub cells: [String; COLUMNS.len()],
}

impl Row {
    fn cell(&self, column: &str) -> &str {
        COLUMNS
            .iter()
            .position(|c| *c == column)
            .map_or("", |k| self.cells[k].trim())
    }

    fn of(case: &Case, folder: &Path) -> Self {
        let relative = |p: &Path| p.strip_prefix(folder).unwrap_or(p).display().to_string();
        let path = |p: &Option<PathBuf>| p.as_deref().map_or_else(String::new, relative);
        let list = |v: &[u8]| v.iter().map(u8::to_string).collect::<Vec<_>>().join(";");
        Self {
            line: case.line,
            cells: [
                relative(&case.scan),
                path(&case.mask),
                case.class.name().to_owned(),
                case.patient.clone(),
                case.fold.map_or_else(String::new, |f| f.to_string()),
                match case.intensity {
                    Intensity::Hu => "hu",
                    Intensity::Unit => "unit",
                }
                .to_owned(),
                list(&case.mask_values),
                path(&case.lungs),
                list(&case.lungs_values),
                case.study_uid.clone().unwrap_or_default(),
            ],
        }
    }

    fn case(&self, folder: &Path) -> Result<Case> {
        let bad = |reason: String| Error::new(ErrorKind::Malformed, reason);
        let required = |column: &str| match self.cell(column) {
            "" => Err(bad(format!("the column {column:?} is empty"))
                .hint("scan, class and patient are required for every scan")),
            text => Ok(text),
        };
        let path = |column: &str| match self.cell(column) {
            "" => None,
            text => Some(folder.join(text)),
        };
        let values = |column: &str| -> Result<Vec<u8>> {
            let text = self.cell(column);
            let mut list = Vec::new();
            for part in text.split([';', ' ']).filter(|p| !p.is_empty()) {
                match part.parse() {
                    Ok(v) if v > 0 && !list.contains(&v) => list.push(v),
                    _ => {
                        return Err(bad(format!("{column} {text:?} is not a list of values"))
                            .hint("write different numbers from 1 to 255, as in 1;2"));
                    }
                }
            }
            Ok(list)
        };
        Ok(Case {
            scan: folder.join(required("scan")?),
            mask: path("mask"),
            class: required("class")?
                .parse()
                .map_err(|e| bad(format!("{e}")))?,
            patient: required("patient")?.to_owned(),
            fold: match self.cell("fold") {
                "" => None,
                text => Some(
                    text.parse()
                        .map_err(|_| bad(format!("fold {text:?} is not a whole number from 0")))?,
                ),
            },
            intensity: match self.cell("intensity") {
                "" | "hu" => Intensity::Hu,
                "unit" => Intensity::Unit,
                other => {
                    return Err(bad(format!("unknown intensity {other:?}"))
                        .hint("write hu, or unit for values of 0..1 or 0..255"));
                }
            },
            mask_values: values("mask_values")?,
            lungs: path("lungs"),
            lungs_values: values("lungs_values")?,
            study_uid: Some(self.cell("study_uid"))
                .filter(|t| !t.is_empty())
                .map(str::to_owned),
            line: self.line,
        })
    }
}
