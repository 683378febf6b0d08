//! Sorting of slices along their normal, and the check that they make up one regular grid.

use crate::error::counted;
use crate::limits::MIN_SLICES;
use crate::{Error, ErrorKind, Result};

/// Slices nearer to each other than this lie at the same place.
const SAME_PLACE_MM: f64 = 0.01;
/// A slice distance counts as uniform if it deviates from the median by at most this share of the
/// median plus [`UNIFORM_MM`] for rounding.
const UNIFORM_SHARE: f64 = 0.01;
const UNIFORM_MM: f64 = 0.02;
/// Largest sideways shift against the first slice that is tolerated, in pixels.
const DRIFT_PIXELS: f64 = 0.25;
/// Two directions are the same if each of their components differs by less than this (0.06°).
const SAME_DIRECTION: f64 = 1e-3;

/// One slice: a frame of a file and where it lies.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Slice {
    /// Index in the list of headers.
    pub header: usize,
    pub frame: usize,
    /// Name of the slice in messages.
    pub name: String,
    pub acquisition: Option<i64>,
    pub instance: Option<i64>,
    pub instance_uid: String,
    pub position: [f64; 3],
    /// Unit directions along a row and along a column.
    pub orientation: [[f64; 3]; 2],
    /// Distance between rows, then between columns.
    pub spacing_mm: [f64; 2],
    pub rows: usize,
    pub columns: usize,
}

/// Slices that fit together, sorted along the normal.
#[derive(Debug, Clone)]
pub(crate) struct Stack {
    pub slices: Vec<Slice>,
    /// Unit directions of the array axes: normal, along a column, along a row.
    pub axes: [[f64; 3]; 3],
    /// Positions along the normal, ascending.
    pub at_mm: Vec<f64>,
    /// Distance of the slices: the mean if the distances are uniform, else the median.
    pub step_mm: f64,
    /// Sideways offsets (along a column, along a row) from the first slice; `None` if they are within
    /// the tolerance.
    pub shift_mm: Option<Vec<[f64; 2]>>,
    /// Whether the distances are uniform.
    pub uniform: bool,
    /// Irregularities that were mended.
    pub warnings: Vec<String>,
}

pub(crate) fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    (0..3).map(|k| a[k] * b[k]).sum()
}

/// Unit axes `(normal, column, row)`, made exactly perpendicular.
pub(crate) fn axes_of(orientation: [[f64; 3]; 2]) -> [[f64; 3]; 3] {
    let unit = |v: [f64; 3]| {
        let length = dot(v, v).sqrt();
        v.map(|c| c / length)
    };
    let row = unit(orientation[0]);
    let along = dot(row, orientation[1]);
    let column = unit(std::array::from_fn(|k| orientation[1][k] - along * row[k]));
    let normal = [
        row[1] * column[2] - row[2] * column[1],
        row[2] * column[0] - row[0] * column[2],
        row[0] * column[1] - row[1] * column[0],
    ];
    [normal, column, row]
}

fn same_grid(a: &Slice, b: &Slice) -> bool {
    a.rows == b.rows
        && a.columns == b.columns
        && (0..2).all(|i| (a.spacing_mm[i] / b.spacing_mm[i] - 1.0).abs() < 1e-3)
        && (0..2).all(|i| {
            (0..3).all(|k| (a.orientation[i][k] - b.orientation[i][k]).abs() < SAME_DIRECTION)
        })
}

/// Groups of slices of the same orientation, size and pixel spacing, the largest first.
pub(crate) fn groups(slices: &[Slice]) -> Vec<Vec<Slice>> {
    let mut groups: Vec<Vec<Slice>> = Vec::new();
    for slice in slices {
        match groups.iter_mut().find(|g| same_grid(&g[0], slice)) {
            Some(group) => group.push(slice.clone()),
            None => groups.push(vec![slice.clone()]),
        }
    }
    groups.sort_by_key(|g| std::cmp::Reverse(g.len()));
    groups
}

fn names<'a>(slices: impl IntoIterator<Item = &'a Slice>) -> Vec<String> {
    slices.into_iter().map(|s| s.name.clone()).collect()
}

/// Turns an irregularity into an error or, if irregularities are allowed, into a warning.
struct Judge {
    allow: bool,
    warnings: Vec<String>,
}

impl Judge {
    /// `found` is the irregularity, `mend` how it is mended if that is allowed.
    fn irregular(&mut self, found: String, files: Vec<String>, mend: &str) -> Result<()> {
        if self.allow {
            self.warnings.push(format!(
                "{found}: {}; {mend}",
                multirnet_base::error::name_some(&files)
            ));
            return Ok(());
        }
        Err(Error::new(ErrorKind::Irregular, found)
            .files(files)
            .hint(format!("with `allow_irregular`: {mend}")))
    }
}

/// Arranges slices as a stack.
///
/// # Errors
/// `Irregular` with the offending files for mixed grids, several slices at one place, sideways
/// shifts, missing slices and non-uniform distances, unless `allow`; `Unsupported` for fewer than
/// three slices.
pub(crate) fn arrange(slices: &[Slice], allow: bool) -> Result<Stack> {
    let mut judge = Judge {
        allow,
        warnings: Vec::new(),
    };
    if slices.len() < MIN_SLICES {
        return Err(too_few(slices.len()).files(names(slices)));
    }
    let mut groups = groups(slices);
    if groups.len() > 1 {
        judge.irregular(
            format!(
                "the slices have {} different orientations, sizes or pixel spacings; {} from the other {}",
                groups.len(),
                counted(
                    slices.len() - groups[0].len(),
                    "slice differs",
                    "slices differ"
                ),
                groups[0].len()
            ),
            names(groups[1..].iter().flatten()),
            "these slices are left out",
        )?;
    }
    let mut slices = groups.swap_remove(0);
    let axes = axes_of(slices[0].orientation);
    slices.sort_by(|a, b| {
        dot(a.position, axes[0])
            .total_cmp(&dot(b.position, axes[0]))
            .then_with(|| a.acquisition.cmp(&b.acquisition))
            .then_with(|| a.instance.cmp(&b.instance))
            .then_with(|| a.name.cmp(&b.name))
    });
    let slices = drop_duplicates(slices, axes[0], &mut judge)?;
    if slices.len() < MIN_SLICES {
        return Err(too_few(slices.len()).files(names(&slices)));
    }

    let first = slices[0].position;
    let at_mm: Vec<f64> = slices.iter().map(|s| dot(s.position, axes[0])).collect();
    let shifts = sideways(&slices, &axes, &at_mm, first, &mut judge)?;
    let (step_mm, uniform) = distances(&slices, &at_mm, &mut judge)?;
    Ok(Stack {
        slices,
        axes,
        at_mm,
        step_mm,
        shift_mm: shifts,
        uniform,
        warnings: judge.warnings,
    })
}

pub(crate) fn too_few(count: usize) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!(
            "{}, at least {} are needed",
            counted(
                count,
                "slice does not make a volume",
                "slices do not make a volume"
            ),
            MIN_SLICES
        ),
    )
    .hint("give the folder that holds the whole series")
}

fn drop_duplicates(slices: Vec<Slice>, normal: [f64; 3], judge: &mut Judge) -> Result<Vec<Slice>> {
    let (mut kept, mut dropped): (Vec<Slice>, Vec<Slice>) = (Vec::new(), Vec::new());
    let mut copies = 0;
    let mut by_acquisition = true;
    for slice in slices {
        match kept.last() {
            Some(last)
                if dot(slice.position, normal) - dot(last.position, normal) < SAME_PLACE_MM =>
            {
                if !slice.instance_uid.is_empty() && slice.instance_uid == last.instance_uid {
                    copies += 1;
                }
                by_acquisition &= slice.acquisition != last.acquisition;
                dropped.push(slice);
            }
            _ => kept.push(slice),
        }
    }
    if !dropped.is_empty() {
        let what = if copies == dropped.len() {
            "copies of the same images"
        } else if by_acquisition {
            "different acquisitions, so the series holds several volumes"
        } else {
            "the series holds several volumes (time points or reconstructions) or stray copies"
        };
        judge.irregular(
            format!(
                "{} at the place of another slice; {what}",
                counted(dropped.len(), "slice lies", "slices lie")
            ),
            names(&dropped),
            "the first slice at each place is kept, in the order of acquisition and instance number",
        )?;
    }
    Ok(kept)
}

fn sideways(
    slices: &[Slice],
    axes: &[[f64; 3]; 3],
    at_mm: &[f64],
    first: [f64; 3],
    judge: &mut Judge,
) -> Result<Option<Vec<[f64; 2]>>> {
    let [_, column, row] = *axes;
    let shifts: Vec<[f64; 2]> = slices
        .iter()
        .map(|s| {
            let d = std::array::from_fn(|k| s.position[k] - first[k]);
            [dot(d, column), dot(d, row)]
        })
        .collect();
    let [sy, sx] = slices[0].spacing_mm;
    let tolerance = DRIFT_PIXELS * sy.min(sx);
    let far = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).hypot(a[1] - b[1]) > tolerance;
    if !shifts.iter().any(|s| far(*s, [0.0; 2])) {
        return Ok(None);
    }
    let last = shifts.len() - 1;
    let depth = at_mm[last] - at_mm[0];
    let line = |i: usize| shifts[last].map(|s| s * (at_mm[i] - at_mm[0]) / depth);
    if (0..=last).all(|i| !far(shifts[i], line(i))) {
        let angle = (shifts[last][0].hypot(shifts[last][1]) / depth)
            .atan()
            .to_degrees();
        judge.irregular(
            format!("the slices are sheared by {angle:.1}° (gantry tilt)"),
            names(slices),
            "the slices are shifted to a straight grid by linear interpolation",
        )?;
    } else {
        let middle: [f64; 2] = std::array::from_fn(|a| {
            let mut values: Vec<f64> = shifts.iter().map(|s| s[a]).collect();
            median(&mut values)
        });
        let moved: Vec<&Slice> = slices
            .iter()
            .zip(&shifts)
            .filter(|(_, shift)| far(**shift, middle))
            .map(|(slice, _)| slice)
            .collect();
        judge.irregular(
            counted(
                moved.len(),
                "slice is shifted sideways",
                "slices are shifted sideways",
            ),
            names(moved),
            "the slices are shifted to a straight grid by linear interpolation",
        )?;
    }
    Ok(Some(shifts))
}

/// The distance of the slices, and whether it is uniform.
fn distances(slices: &[Slice], at_mm: &[f64], judge: &mut Judge) -> Result<(f64, bool)> {
    let gaps: Vec<f64> = at_mm.windows(2).map(|w| w[1] - w[0]).collect();
    let typical = median(&mut gaps.clone());
    let odd = |gap: f64| (gap - typical).abs() > UNIFORM_SHARE * typical + UNIFORM_MM;
    let between = |i: usize| {
        format!(
            "{:.2} mm between {} and {}",
            gaps[i],
            slices[i].name,
            slices[i + 1].name
        )
    };
    let mut holes = Vec::new();
    let mut uneven = Vec::new();
    let mut missing = 0;
    for (i, &gap) in gaps.iter().enumerate().filter(|(_, gap)| odd(**gap)) {
        let ratio = gap / typical;
        if ratio > 1.5 && (ratio - ratio.round()).abs() < 0.05 * ratio {
            missing += ratio.round() as usize - 1;
            holes.push(between(i));
        } else {
            uneven.push(between(i));
        }
    }
    let mend = format!("the series is resampled linearly to {typical:.3} mm");
    if !uneven.is_empty() {
        let (least, most) = gaps
            .iter()
            .fold((f64::MAX, 0.0f64), |(a, b), &g| (a.min(g), b.max(g)));
        uneven.extend(holes);
        judge.irregular(
            format!(
                "the slices are not uniformly spaced: {least:.2} to {most:.2} mm where {typical:.2} mm is usual"
            ),
            uneven,
            &mend,
        )?;
    } else if missing > 0 {
        judge.irregular(
            format!(
                "{} (usual distance {typical:.2} mm)",
                counted(missing, "slice is missing", "slices are missing")
            ),
            holes,
            &mend,
        )?;
    } else {
        // The mean over the stack carries less rounding than any single distance.
        let mean = (at_mm[at_mm.len() - 1] - at_mm[0]) / gaps.len() as f64;
        return Ok((mean, true));
    }
    Ok((typical, false))
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
