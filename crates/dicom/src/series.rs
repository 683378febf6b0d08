//! Grouping of files into series, their description, and the choice of one.

use crate::header::Header;
use crate::limits::MIN_SLICES;
use crate::stack::{self, Slice};
use crate::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One series as a listing shows it. It names no patient; `description` is the scanner's free
/// text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SeriesInfo {
    /// Position in the listing, from 1.
    pub number: usize,
    /// Series instance UID.
    pub uid: String,
    /// Study instance UID.
    pub study_uid: String,
    /// Series description.
    pub description: String,
    /// Modality, `CT` for what can be read.
    pub modality: String,
    /// Convolution kernel, empty if not given.
    pub kernel: String,
    /// Number of files.
    pub files: usize,
    /// Number of slices that can make up a volume.
    pub slices: usize,
    /// `axial`, `coronal` or `sagittal`, with `oblique` before it if tilted by more than 10°;
    /// `mixed` if slices differ; empty without slices.
    pub orientation: String,
    /// Rows and columns of a slice.
    pub size: Option<[usize; 2]>,
    /// Usual distance of slices, of rows and of columns in millimetres.
    pub spacing_mm: Option<[f64; 3]>,
    /// Whether this series is the one to read.
    pub taken: bool,
    /// Why it is or is not taken.
    pub reason: String,
}

/// A series with its slices.
#[derive(Debug)]
pub(crate) struct Series {
    pub info: SeriesInfo,
    pub slices: Vec<Slice>,
    /// Files of another kind in the series, with the reason.
    pub foreign: Vec<(String, String)>,
    /// Files that should be slices and cannot be read as such, with the reason.
    pub deficient: Vec<(String, String)>,
    /// Number of patients that the files name.
    pub patients: usize,
    /// Whether the series can be taken if none is asked for.
    suitable: bool,
}

/// Groups headers by series and judges each; no series is taken yet.
pub(crate) fn group(headers: &[Header]) -> Vec<Series> {
    let mut by_uid: BTreeMap<(i64, &str), Vec<usize>> = BTreeMap::new();
    let mut number_of: BTreeMap<&str, i64> = BTreeMap::new();
    for (i, h) in headers.iter().enumerate() {
        let number = *number_of
            .entry(&h.series_uid)
            .or_insert(h.series_number.unwrap_or(i64::MAX));
        by_uid.entry((number, &h.series_uid)).or_default().push(i);
    }
    by_uid
        .values()
        .enumerate()
        .map(|(n, members)| Series::new(n + 1, members, headers))
        .collect()
}

impl Series {
    /// Why the series has no slices: the reason of its first file.
    pub fn reason(&self) -> &str {
        self.foreign
            .first()
            .or(self.deficient.first())
            .map_or("it has no slices", |(_, reason)| reason)
    }

    fn new(number: usize, members: &[usize], headers: &[Header]) -> Self {
        let (mut slices, mut foreign, mut deficient) = (Vec::new(), Vec::new(), Vec::new());
        for &i in members {
            let header = &headers[i];
            match header.obstacle() {
                None => slices.extend(slices_of(i, header)),
                Some(o) if o.foreign => foreign.push((header.name.clone(), o.reason)),
                Some(o) => deficient.push((header.name.clone(), o.reason)),
            }
        }
        let first = &headers[slices.first().map_or(members[0], |s| s.header)];
        let mut patients: Vec<&str> = members
            .iter()
            .map(|&i| headers[i].patient.as_str())
            .collect();
        patients.sort_unstable();
        patients.dedup();
        let groups = stack::groups(&slices);
        let plane = groups.first().map(|g| plane_of(&g[0]));
        let (suitable, reason) = match &plane {
            None => {
                let (_, reason) = foreign
                    .first()
                    .or(deficient.first())
                    .cloned()
                    .unwrap_or_default();
                (false, reason)
            }
            Some(_) if slices.len() < MIN_SLICES => (
                false,
                format!(
                    "{} of the {MIN_SLICES} slices that a volume needs",
                    slices.len()
                ),
            ),
            Some(p) if !p.ends_with("axial") => (false, format!("{p}, not axial")),
            Some(_) => (true, String::new()),
        };
        let info = SeriesInfo {
            number,
            uid: first.series_uid.clone(),
            study_uid: first.study_uid.clone(),
            description: first.description.clone(),
            modality: first.modality.clone(),
            kernel: first.kernel.clone(),
            files: members.len(),
            slices: slices.len(),
            orientation: match (groups.len(), plane) {
                (0, _) | (_, None) => String::new(),
                (1, Some(plane)) => plane,
                _ => "mixed".to_owned(),
            },
            size: groups.first().map(|g| [g[0].rows, g[0].columns]),
            spacing_mm: stack::arrange(&slices, true).ok().map(|s| {
                let [sy, sx] = s.slices[0].spacing_mm;
                [s.step_mm, sy, sx]
            }),
            taken: false,
            reason,
        };
        Self {
            info,
            slices,
            foreign,
            deficient,
            patients: patients.len(),
            suitable,
        }
    }
}

fn slices_of(index: usize, header: &Header) -> impl Iterator<Item = Slice> {
    let many = header.frames.len() > 1;
    header.frames.iter().enumerate().filter_map(move |(i, f)| {
        // No `?` drops a frame here, because a header without an obstacle has a complete geometry.
        let orientation = f.orientation?;
        let [_, column, row] = stack::axes_of(orientation);
        Some(Slice {
            header: index,
            frame: i,
            name: if many {
                format!("{} frame {}", header.name, i + 1)
            } else {
                header.name.clone()
            },
            acquisition: header.acquisition,
            instance: header.instance,
            instance_uid: if many {
                String::new()
            } else {
                header.instance_uid.clone()
            },
            position: f.position?,
            orientation: [row, column],
            spacing_mm: f.spacing_mm?,
            rows: header.layout.rows,
            columns: header.layout.columns,
        })
    })
}

fn plane_of(slice: &Slice) -> String {
    let [normal, ..] = stack::axes_of(slice.orientation);
    let (axis, cosine) = normal
        .iter()
        .map(|c| c.abs())
        .enumerate()
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .unwrap_or((2, 1.0));
    let name = ["sagittal", "coronal", "axial"][axis];
    if cosine < 10f64.to_radians().cos() {
        format!("oblique {name}")
    } else {
        name.to_owned()
    }
}

/// Marks the series to read: the one asked for by UID or number, else the suitable one with the
/// most slices. A tie goes to the first. Every series gets the reason why it is or is not taken.
///
/// # Errors
/// `NoSeries` with the listing if there is none.
pub(crate) fn choose(series: &mut [Series], asked: Option<&str>) -> Result<usize> {
    let chosen = match asked {
        Some(asked) => {
            let wanted = asked.trim();
            let found = series
                .iter()
                .position(|s| s.info.uid == wanted)
                .or_else(|| {
                    let n: usize = wanted.parse().ok()?;
                    series.iter().position(|s| s.info.number == n)
                });
            let Some(found) = found else {
                return Err(Error::new(
                    ErrorKind::NoSeries,
                    format!("there is no series {wanted}"),
                )
                .files(listing(series))
                .hint("name a series by its number in this list or by its UID"));
            };
            found
        }
        None => {
            let best = (0..series.len())
                .filter(|&i| series[i].suitable)
                .max_by_key(|&i| (series[i].info.slices, std::cmp::Reverse(i)));
            let Some(best) = best else {
                return Err(Error::new(
                    ErrorKind::NoSeries,
                    "no series here is an axial CT volume",
                )
                .files(listing(series))
                .hint("give the folder of an axial chest CT, or choose a series with `series`"));
            };
            best
        }
    };
    let most = series[chosen].info.slices;
    let rivals =
        series.iter().filter(|s| s.suitable).count() - usize::from(series[chosen].suitable);
    for (i, s) in series.iter_mut().enumerate() {
        if i == chosen {
            s.info.taken = true;
            if s.suitable || s.info.reason.is_empty() {
                s.info.reason = if asked.is_some() {
                    "asked for".to_owned()
                } else if rivals == 0 {
                    "the only axial CT series".to_owned()
                } else {
                    format!("the axial CT series with the most slices ({most})")
                };
            }
        } else if s.suitable {
            s.info.reason = if asked.is_some() {
                "another series was asked for".to_owned()
            } else if s.info.slices < most {
                format!("axial CT, but fewer slices ({} < {most})", s.info.slices)
            } else {
                "axial CT with as many slices, but later in the list".to_owned()
            };
        }
    }
    Ok(chosen)
}

fn listing(series: &[Series]) -> Vec<String> {
    series
        .iter()
        .map(|s| {
            let reason = if s.info.reason.is_empty() {
                "axial CT".to_owned()
            } else {
                s.info.reason.clone()
            };
            format!(
                "{} \"{}\" ({}): {reason}",
                s.info.number,
                s.info.description,
                crate::error::counted(s.info.files, "file", "files")
            )
        })
        .collect()
}
