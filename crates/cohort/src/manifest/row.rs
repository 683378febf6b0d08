//! A line of a manifest, and its conversion to and from a case.

use super::case::UNKNOWN;
use super::{COLUMNS, Case};
use crate::{Error, ErrorKind, Result};
use multirnet_anatomy::Intensity;
use multirnet_volume::Diagnosis;
use std::path::{Path, PathBuf};

/// The word that stands for a lung mask if the whole scan counts as lung.
const ALL: &str = "all";

/// One line of a manifest as text, column by column; empty means not given.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    pub line: u64,
    pub cells: [String; COLUMNS.len()],
}

impl Row {
    pub(super) fn cell(&self, column: &str) -> &str {
        COLUMNS
            .iter()
            .position(|c| *c == column)
            .map_or("", |k| self.cells[k].trim())
    }

    pub(super) fn of(case: &Case, folder: &Path) -> Self {
        let relative = |p: &Path| p.strip_prefix(folder).unwrap_or(p).display().to_string();
        let path = |p: &Option<PathBuf>| p.as_deref().map_or_else(String::new, relative);
        let list = |v: &[u8]| v.iter().map(u8::to_string).collect::<Vec<_>>().join(";");
        let unless = |value: f64, default: f64| match value == default {
            true => String::new(),
            false => value.to_string(),
        };
        let spacing = |s: [f64; 3]| s.map(|v| v.to_string()).join(";");
        Self {
            line: case.line,
            cells: [
                relative(&case.scan),
                match case.lesions_known {
                    true => path(&case.mask),
                    false => UNKNOWN.to_owned(),
                },
                case.class_name().to_owned(),
                case.patient.clone(),
                case.fold.map_or_else(String::new, |f| f.to_string()),
                case.source.clone(),
                match case.intensity {
                    Intensity::Hu => "hu",
                    Intensity::Unit => "unit",
                }
                .to_owned(),
                unless(case.slope, 1.0),
                unless(case.intercept, 0.0),
                case.spacing_mm.map_or_else(String::new, spacing),
                path(&case.slices),
                list(&case.mask_values),
                match case.lungs_all {
                    true => ALL.to_owned(),
                    false => path(&case.lungs),
                },
                list(&case.lungs_values),
                case.study_uid.clone().unwrap_or_default(),
            ],
        }
    }

    pub(super) fn case(&self, root: &Path) -> Result<Case> {
        let required = |column: &str| match self.cell(column) {
            "" => Err(bad(format!("the column {column:?} is empty"))
                .hint("scan, class and patient are required for every scan")),
            text => Ok(text),
        };
        let path = |column: &str, word: &str| match self.cell(column) {
            "" => None,
            text if text == word => None,
            text => Some(root.join(text)),
        };
        let number = |column: &str, default: f64| match self.cell(column) {
            "" => Ok(default),
            text => text
                .parse()
                .map_err(|_| bad(format!("{column} {text:?} is not a number"))),
        };
        Ok(Case {
            scan: root.join(required("scan")?),
            mask: path("mask", UNKNOWN),
            lesions_known: self.cell("mask") != UNKNOWN,
            class: class(required("class")?)?,
            patient: required("patient")?.to_owned(),
            fold: match self.cell("fold") {
                "" => None,
                text => Some(
                    text.parse()
                        .map_err(|_| bad(format!("fold {text:?} is not a whole number from 0")))?,
                ),
            },
            source: self.cell("source").to_owned(),
            intensity: match self.cell("intensity") {
                "" | "hu" => Intensity::Hu,
                "unit" => Intensity::Unit,
                other => {
                    return Err(bad(format!("unknown intensity {other:?}"))
                        .hint("write hu, or unit for values of 0..1 or 0..255"));
                }
            },
            slope: number("slope", 1.0)?,
            intercept: number("intercept", 0.0)?,
            spacing_mm: spacing(self.cell("spacing_mm"))?,
            slices: path("slices", ""),
            mask_values: self.values("mask_values")?,
            lungs: path("lungs", ALL),
            lungs_all: self.cell("lungs") == ALL,
            lungs_values: self.values("lungs_values")?,
            study_uid: Some(self.cell("study_uid"))
                .filter(|t| !t.is_empty())
                .map(str::to_owned),
            line: self.line,
        })
    }

    /// Parses a list of different labels from 1 to 255.
    fn values(&self, column: &str) -> Result<Vec<u8>> {
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
    }
}

fn bad(reason: String) -> Error {
    Error::new(ErrorKind::Malformed, reason)
}

fn class(text: &str) -> Result<Option<Diagnosis>> {
    if text == UNKNOWN {
        return Ok(None);
    }
    text.parse::<Diagnosis>().map(Some).map_err(|_| {
        bad(format!("unknown class {text:?}"))
            .hint("write normal, cap or covid19, or the word unknown to leave the class out")
    })
}

fn spacing(text: &str) -> Result<Option<[f64; 3]>> {
    if text.is_empty() {
        return Ok(None);
    }
    let numbers: Option<Vec<f64>> = text
        .split([';', ' '])
        .filter(|p| !p.is_empty())
        .map(|p| p.parse().ok())
        .collect();
    let three: Option<[f64; 3]> = numbers.and_then(|n| n.try_into().ok());
    three.map(Some).ok_or_else(|| {
        bad(format!("spacing_mm {text:?} is not three numbers"))
            .hint("write the distances between slices, rows and columns, as in 2.5;0.8;0.8")
    })
}
