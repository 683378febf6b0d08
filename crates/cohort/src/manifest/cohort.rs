//! The cohort: manifests are read, checked, joined and written.

use super::row::Row;
use super::{Case, csv_form, toml_form};
use crate::{Error, ErrorKind, Result};
use multirnet_anatomy::Intensity;
use multirnet_base::files;
use multirnet_volume::Diagnosis;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// A list of scans. [`Cohort::new`] and the functions that read manifests check the rules of the
/// [module](super).
#[derive(Debug, Clone, PartialEq)]
pub struct Cohort {
    /// The scans, in the order of the manifest. Paths are as given, or joined to the folder that
    /// they are relative to.
    pub cases: Vec<Case>,
}

impl Cohort {
    /// A cohort of `cases`.
    ///
    /// # Errors
    /// `Malformed` if a rule of the [module](super) is broken, `Io` if a file does not exist.
    pub fn new(cases: Vec<Case>) -> Result<Self> {
        let cohort = Self { cases };
        cohort.check_files()?;
        cohort.check_rules()?;
        cohort.check_folds()?;
        Ok(cohort)
    }

    /// Reads a manifest whose paths are relative to its folder: TOML if the name ends in `.toml`,
    /// CSV otherwise.
    ///
    /// # Errors
    /// `Io` if the manifest cannot be read or a file that it names does not exist; `Malformed` for
    /// an unknown column, a missing value, an unknown class, a duplicate scan, or anything else that
    /// breaks the rules of the [module](super). All name the manifest and the line.
    pub fn read(path: &Path) -> Result<Self> {
        Self::read_in(path, None)
    }

    /// Reads a manifest like [`Cohort::read`], with paths relative to `root` if it is given. A
    /// manifest can then lie apart from the data that it names.
    ///
    /// # Errors
    /// As [`Cohort::read`].
    pub fn read_in(path: &Path, root: Option<&Path>) -> Result<Self> {
        let text =
            std::fs::read_to_string(path).map_err(|e| Error::io(path, "read the manifest", e))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let cohort = Self::parse(path, &text, root.unwrap_or(folder))?;
        cohort.check_files().map_err(|e| e.at(path))?;
        Ok(cohort)
    }

    /// Reads several manifests as one cohort; `root` as in [`Cohort::read_in`]. A patient's name
    /// means the same patient in all of them. Manifests with and without folds may be joined; see
    /// [`folds`](crate::split::folds).
    ///
    /// # Errors
    /// As [`Cohort::read`]; `Malformed` if two manifests list the same scan, or if there is no
    /// manifest.
    pub fn read_all(paths: &[PathBuf], root: Option<&Path>) -> Result<Self> {
        let mut cases = Vec::new();
        let mut listed: HashMap<PathBuf, &Path> = HashMap::new();
        for path in paths {
            for case in Self::read_in(path, root)?.cases {
                // `read_in` has found no duplicate in a manifest, but two manifests may be equal.
                if let Some(first) = listed.insert(place_of(&case.scan), path) {
                    return Err(Error::new(
                        ErrorKind::Malformed,
                        format!(
                            "the scan {} is also listed in {}",
                            case.scan.display(),
                            first.display()
                        ),
                    )
                    .at(path)
                    .line(case.line)
                    .hint("keep it in one of the two manifests"));
                }
                cases.push(case);
            }
        }
        let cohort = Self { cases };
        cohort.check_rules()?;
        Ok(cohort)
    }

    /// Parses `text`, the content of the manifest `path`, with paths relative to `root`. Does not
    /// check whether the files exist.
    ///
    /// # Errors
    /// `Malformed` as [`Cohort::read`].
    pub fn parse(path: &Path, text: &str, root: &Path) -> Result<Self> {
        let rows = if is_toml(path) {
            toml_form::parse(text)
        } else {
            csv_form::parse(text, &["scan", "class", "patient"])
        };
        let parse = || {
            let cases = rows?
                .iter()
                .map(|row| row.case(root).map_err(|e| e.line(row.line)))
                .collect::<Result<Vec<_>>>()?;
            let cohort = Self { cases };
            cohort.check_rules()?;
            cohort.check_folds()?;
            Ok(cohort)
        };
        parse().map_err(|e: Error| e.at(path))
    }

    /// Writes a manifest: TOML if the name ends in `.toml`, CSV otherwise. Paths below the
    /// manifest's folder are written relative to it.
    ///
    /// # Errors
    /// `Write` if it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let rows: Vec<Row> = self.cases.iter().map(|c| Row::of(c, folder)).collect();
        let text = if is_toml(path) {
            toml_form::print(&rows)
        } else {
            csv_form::print(&rows)
        };
        Ok(files::write_synced(path, text.as_bytes())?)
    }

    /// Number of scans per class, in logit order. Scans of unknown class are not counted.
    pub fn class_counts(&self) -> [usize; 3] {
        let mut counts = [0; 3];
        for class in self.cases.iter().filter_map(|c| c.class) {
            counts[class.index()] += 1;
        }
        counts
    }

    /// Number of scans per source, sorted by the source's name.
    pub fn sources(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for case in &self.cases {
            *counts.entry(case.source.as_str()).or_insert(0) += 1;
        }
        counts
    }

    fn check_files(&self) -> Result<()> {
        for case in &self.cases {
            for (what, path) in [
                ("scan", Some(&case.scan)),
                ("mask", case.mask.as_ref()),
                ("lungs", case.lungs.as_ref()),
                ("slices", case.slices.as_ref()),
            ] {
                if let Some(path) = path.filter(|p| !p.exists()) {
                    let reason = format!("the {what} {} does not exist", path.display());
                    return Err(at_line(Error::new(ErrorKind::Io, reason), case).hint(
                        "paths are relative to the manifest's folder, or to the folder of the \
                         data where one is named",
                    ));
                }
            }
        }
        Ok(())
    }

    fn check_rules(&self) -> Result<()> {
        if self.cases.is_empty() {
            return Err(
                Error::new(ErrorKind::Malformed, "the manifest lists no scan")
                    .hint("add one line for each scan below the header"),
            );
        }
        let mut seen: HashMap<PathBuf, u64> = HashMap::new();
        for case in &self.cases {
            if let Some(first) = seen.insert(place_of(&case.scan), case.line) {
                let first = if first > 0 {
                    format!(" (first in line {first})")
                } else {
                    String::new()
                };
                let name = case.scan.display();
                return Err(malformed(
                    case,
                    format!("the scan {name} is listed twice{first}"),
                    "keep one of the two lines",
                ));
            }
            check_case(case)?;
        }
        Ok(())
    }

    fn check_folds(&self) -> Result<()> {
        let with_fold = self.cases.iter().filter(|c| c.fold.is_some()).count();
        match self.cases.iter().find(|c| c.fold.is_none()) {
            Some(case) if with_fold > 0 => Err(malformed(
                case,
                format!(
                    "the scan {} has no fold, but {with_fold} other scans have one",
                    case.scan.display()
                ),
                "give a fold to every scan or to none",
            )),
            _ => Ok(()),
        }
    }
}

/// Checks that the columns of a case agree with each other.
fn check_case(case: &Case) -> Result<()> {
    let name = case.scan.display();
    let wrong = |reason: String, hint: &str| Err(malformed(case, reason, hint));
    if case.patient.trim().is_empty() {
        return wrong(
            format!("the scan {name} has no patient"),
            "write any name; it keeps a patient's scans on one side of a split",
        );
    }
    if case.lesions_known && case.mask.is_none() && case.class != Some(Diagnosis::Normal) {
        return wrong(
            format!("the scan {name} of class {} has no mask", case.class_name()),
            "give a mask, or write unknown if lesions were not outlined",
        );
    }
    if !case.lesions_known && case.mask.is_some() {
        return wrong(
            format!("the scan {name} has a mask, but its lesions are unknown"),
            "give the mask, or say that lesions are unknown",
        );
    }
    if case.lungs_all && case.lungs.is_some() {
        return wrong(
            format!("the scan {name} has a lung mask, but all of it is lung"),
            "give the lung mask, or say that all is lung",
        );
    }
    if case.intensity == Intensity::Unit && case.lungs.is_none() && !case.lungs_all {
        return wrong(
            format!("the scan {name} has intensity unit but no lungs"),
            "lungs can be segmented in Hounsfield units only: name a lung mask",
        );
    }
    let linear = case.slope.is_finite() && case.slope > 0.0 && case.intercept.is_finite();
    if !linear {
        return wrong(
            format!(
                "the slope of {name} is {} and its intercept is {}",
                case.slope, case.intercept
            ),
            "give a slope above 0 and a finite intercept: HU = slope · value + intercept",
        );
    }
    if case.intensity == Intensity::Unit && (case.slope, case.intercept) != (1.0, 0.0) {
        return wrong(
            format!("the scan {name} has intensity unit and a slope or intercept"),
            "write intensity hu if slope and intercept lead to Hounsfield units",
        );
    }
    if let Some(spacing) = case.spacing_mm
        && spacing.iter().any(|s| !(0.05..=50.0).contains(s))
    {
        return wrong(
            format!("spacing_mm {spacing:?} of {name} is not within 0.05 to 50 mm"),
            "write the distances between slices, rows and columns, as in 2.5;0.8;0.8",
        );
    }
    if case.is_picture() && case.spacing_mm.is_none() {
        return wrong(
            format!("the picture {name} has no spacing_mm"),
            "a picture does not say how large its pixels are: write z;y;x as in 2.5;0.8;0.8",
        );
    }
    if case.is_picture() && case.slices.is_some() {
        return wrong(
            format!("the picture {name} has a table of slices"),
            "a picture is one slice: leave the column empty",
        );
    }
    Ok(())
}

fn malformed(case: &Case, reason: String, hint: &str) -> Error {
    at_line(Error::new(ErrorKind::Malformed, reason), case).hint(hint)
}

fn at_line(error: Error, case: &Case) -> Error {
    match case.line {
        0 => error,
        line => error.line(line),
    }
}

/// The canonical form of a path, which is the same for all paths that lead to one file.
fn place_of(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

pub(super) fn is_toml(path: &Path) -> bool {
    path.extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("toml"))
}
