//! Reading of a case's files into arrays on one grid.

use super::reader::Reader;
use super::slices::runs;
use crate::{Case, Error, ErrorKind, Result};
use multirnet_anatomy::{GateConfig, Intensity, PrepareConfig, check_scan, segment_lungs};
use multirnet_volume::{Diagnosis, Geometry, Volume, Voxel, io};
use std::ops::Range;
use std::path::Path;

/// Label of lung whose side is not known.
const SOME_LUNG: u8 = 3;
/// Fewest planes for the lung segmentation, which looks at surroundings of some centimetres.
/// Thinner stacks are padded to this many planes with copies of their end slices.
const LEAST_PLANES: usize = 24;

/// A case as its files and the manifest give it, all arrays on the scan's grid.
#[derive(Debug, Clone)]
pub struct CaseScan {
    /// The scan in HU, or in grey values for [`Intensity::Unit`]. The manifest's spacing replaces
    /// the file's.
    pub scan: Volume<f32>,
    /// Lung labels: from the lung mask, or all lung, or segmented.
    pub lungs: Volume<u8>,
    /// Lesion labels; 0 is not a lesion. `None` if lesions are unknown.
    pub lesions: Option<Volume<u8>>,
    /// The stacks without a gap, as ranges of planes along the array's first axis. A single range
    /// holds all planes unless the manifest lists slices.
    pub runs: Vec<Range<usize>>,
    /// The configuration that prepares the stacks: the given one with the case's intensity. For a
    /// declared part of a chest ([`Case::is_part`]), its input gate asks for less.
    pub prepare: PrepareConfig,
}

/// A stack's scan, lungs and, if they are known, lesions.
pub type Stack = (Volume<f32>, Volume<u8>, Option<Volume<u8>>);

impl CaseScan {
    /// Cuts the planes `run` out of scan, lungs and lesions.
    ///
    /// # Errors
    /// `Scan` if the planes do not lie within the scan.
    pub fn cut(&self, run: &Range<usize>) -> Result<Stack> {
        let lesions = self.lesions.as_ref().map(|l| planes(l, run)).transpose()?;
        Ok((planes(&self.scan, run)?, planes(&self.lungs, run)?, lesions))
    }
}

/// Reads a case's files, maps their values, puts all arrays on one grid, and segments the lungs if
/// the case does not give them.
///
/// Lungs are segmented in the whole scan, even if it has gaps. A scan of fewer than 24 slices is
/// padded for this with copies of its end slices.
///
/// # Errors
/// `Scan`, with the file, if a file cannot be read, the input gate refuses the scan, a mask lies on
/// another grid, a normal scan has lesions, the table of slices does not fit the scan, or no lungs
/// are found.
pub fn read_case(case: &Case, read: &Reader, prepare: &PrepareConfig) -> Result<CaseScan> {
    let stored = read_stored(case, read)?;
    let grid = match case.spacing_mm {
        None => *stored.geometry(),
        Some(spacing) => {
            let g = stored.geometry();
            Geometry::new(g.shape(), spacing, g.origin_mm(), g.direction())
                .map_err(|e| Error::from(e).at(&case.scan))?
        }
    };
    // Labels must lie on the grid that the scan's file gives. Then the manifest's spacing replaces
    // the spacing of both.
    let labels = |path: &Path| -> Result<Volume<u8>> {
        labels_on(path, stored.geometry())?
            .with_geometry(grid)
            .map_err(|e| Error::from(e).at(path))
    };
    let lesions = match (&case.mask, case.lesions_known) {
        (_, false) => None,
        (None, true) => Some(Volume::filled(0, grid)),
        (Some(path), true) => Some(lesion_labels(case, path, labels(path)?)?),
    };
    let given = match (&case.lungs, case.lungs_all) {
        (_, true) => Some(Volume::filled(SOME_LUNG, grid)),
        (Some(path), false) => Some(lung_labels(case, labels(path)?)),
        (None, false) => None,
    };
    let scan = linear(case, stored)
        .with_geometry(grid)
        .map_err(|e| Error::from(e).at(&case.scan))?;
    let runs = match &case.slices {
        None => std::iter::once(0..scan.shape()[0]).collect(),
        Some(path) => runs(path, scan.shape()[0])?,
    };
    let prepare = PrepareConfig {
        intensity: case.intensity,
        gate: gate(case, &prepare.gate),
        ..prepare.clone()
    };
    let lungs = match given {
        Some(lungs) => lungs,
        None => {
            // The gate comes first: its message about wrong values helps more than missing lungs.
            check_scan(&scan, &prepare.gate).map_err(|e| refused(case, e))?;
            find_lungs(&scan, &prepare).map_err(|e| refused(case, e))?
        }
    };
    Ok(CaseScan {
        scan,
        lungs,
        lesions,
        runs,
        prepare,
    })
}

fn fail(path: &Path, reason: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Scan, reason.to_string()).at(path)
}

/// An error of the input gate or of the lung segmentation, with the file and a remedy.
pub(super) fn refused(case: &Case, error: multirnet_anatomy::Error) -> Error {
    fail(&case.scan, error).hint(match case.intensity {
        Intensity::Hu => "repair the scan, or remove it from the manifest",
        Intensity::Unit => "check the columns lungs and lungs_values",
    })
}

fn read_stored(case: &Case, read: &Reader) -> Result<Volume<f32>> {
    match case.spacing_mm {
        Some(spacing) if case.is_picture() => {
            io::read_picture(&case.scan, spacing).map_err(|e| Error::from(e).at(&case.scan))
        }
        _ => read(&case.scan).map_err(|e| e.at(&case.scan)),
    }
}

/// Maps stored values to HU by the case's slope and intercept.
fn linear(case: &Case, scan: Volume<f32>) -> Volume<f32> {
    let (slope, intercept) = (case.slope as f32, case.intercept as f32);
    if (slope, intercept) == (1.0, 0.0) {
        return scan;
    }
    scan.map(|v| slope * v + intercept)
}

/// Reads labels from a file, which must lie on `grid`. A picture does not state its place, so only
/// its size must agree.
fn labels_on(path: &Path, grid: &Geometry) -> Result<Volume<u8>> {
    if io::is_picture(path) {
        let labels = io::read_picture_labels(path, grid.spacing_mm())
            .map_err(|e| Error::from(e).at(path))?;
        let (own, wanted) = (labels.shape(), grid.shape());
        return labels.with_geometry(*grid).map_err(|_| {
            fail(
                path,
                format!("the mask has {own:?} pixels (z, y, x), but the scan has {wanted:?}"),
            )
            .hint("give a mask of the same slice at the same size")
        });
    }
    let labels = io::read_labels(path).map_err(|e| Error::from(e).at(path))?;
    if let Some(difference) = labels.geometry().difference(grid) {
        let reason = format!("the mask is not on the scan's grid: {difference}");
        return Err(fail(path, reason).hint("resample the mask onto the scan first"));
    }
    Ok(labels)
}

/// The input gate for a case. A declared part of a chest may have any number of slices and any
/// amount of lung up to the usual limits.
fn gate(case: &Case, usual: &GateConfig) -> GateConfig {
    if !case.is_part() {
        return usual.clone();
    }
    GateConfig {
        min_slices: 1,
        extent_mm: [0.0, usual.extent_mm[1]],
        lung_litres: [0.0, usual.lung_litres[1]],
        ..usual.clone()
    }
}

fn find_lungs(scan: &Volume<f32>, config: &PrepareConfig) -> multirnet_anatomy::Result<Volume<u8>> {
    let axes = scan.geometry().orientation().axes();
    let along = (0..3).find(|&a| axes[a].world() == 2).unwrap_or(0);
    let own = scan.shape();
    if own[along] >= LEAST_PLANES {
        return segment_lungs(scan, &config.lungs);
    }
    let mut shape = own;
    shape[along] = LEAST_PLANES;
    let before = (LEAST_PLANES - own[along]) / 2;
    let mut start = [0i64; 3];
    start[along] = -(before as i64);
    let thick = Volume::from_fn(scan.geometry().window(start, shape)?, |mut index| {
        index[along] = index[along].saturating_sub(before).min(own[along] - 1);
        scan.at(index)
    });
    let lungs = segment_lungs(&thick, &config.lungs)?;
    let lungs = lungs.crop(start.map(|s| s.unsigned_abs() as usize), own)?;
    // The detour through the padded grid may round the origin. The scan's own grid is exact.
    Ok(lungs.with_geometry(*scan.geometry())?)
}

fn planes<T: Voxel>(volume: &Volume<T>, run: &Range<usize>) -> Result<Volume<T>> {
    let [_, ny, nx] = volume.shape();
    volume
        .crop([run.start, 0, 0], [run.len(), ny, nx])
        .map_err(Error::from)
}

/// Keeps only the listed values of the lung mask, as lung of unknown side. If none are listed, the
/// labels stay as they are in the file.
fn lung_labels(case: &Case, labels: Volume<u8>) -> Volume<u8> {
    let values = &case.lungs_values;
    if values.is_empty() {
        return labels;
    }
    labels.map(|v| if values.contains(&v) { SOME_LUNG } else { 0 })
}

/// Maps the listed values of the mask to the labels 1, 2, … in their order. If none are listed, the
/// mask stays as it is.
fn lesion_labels(case: &Case, path: &Path, mask: Volume<u8>) -> Result<Volume<u8>> {
    let label = |v: u8| {
        let place = case.mask_values.iter().position(|x| *x == v);
        place.map_or(0, |k| k as u8 + 1)
    };
    let mask = match case.mask_values.is_empty() {
        true => mask,
        false => mask.map(label),
    };
    let count = mask.data().iter().filter(|v| **v != 0).count();
    if case.class == Some(Diagnosis::Normal) && count > 0 {
        return Err(fail(
            path,
            format!("the scan is of class normal, but its mask has {count} lesion voxels"),
        )
        .hint("correct the class, the mask, or mask_values"));
    }
    Ok(mask)
}
