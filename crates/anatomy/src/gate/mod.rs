//! The input gate: checks that a scan is a CT of a chest that can be measured (SPEC 3.1).

mod intensity;
mod pose;

use crate::lungs::{LungConfig, segment_lungs};
use crate::{Error, ErrorKind, LEFT, RIGHT, Result};
use multirnet_volume::{Geometry, Orientation, Volume};
use pose::CUT_MM2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Limits of the input gate. All are ours: the paper names none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GateConfig {
    /// Fewest slices, and fewest voxels along every other axis.
    pub min_slices: usize,
    /// Most voxels in all. More would not fit into memory.
    pub max_voxels: usize,
    /// Smallest and largest accepted pixel spacing in millimetres.
    pub in_plane_mm: [f64; 2],
    /// Pixel spacing in millimetres beyond which the report warns.
    pub warn_in_plane_mm: f64,
    /// Smallest and largest accepted distance between slices in millimetres.
    pub slice_mm: [f64; 2],
    /// Distance between slices in millimetres beyond which the report warns.
    pub warn_slice_mm: f64,
    /// Smallest and largest accepted width and depth of the image in millimetres.
    pub extent_mm: [f64; 2],
    /// Smallest and largest accepted volume of both lungs together in litres.
    pub lung_litres: [f64; 2],
}

impl Default for GateConfig {
    fn default() -> Self {
        Self {
            min_slices: 8,
            max_voxels: 1 << 30,
            in_plane_mm: [0.1, 6.0],
            warn_in_plane_mm: 3.0,
            slice_mm: [0.1, 10.0],
            warn_slice_mm: 5.0,
            extent_mm: [120.0, 1200.0],
            lung_litres: [0.2, 14.0],
        }
    }
}

/// What the gate found in a scan that it accepted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GateReport {
    /// Warnings for readers of the results, one sentence each.
    pub warnings: Vec<String>,
    /// Voxels per axis `(z, y, x)` in canonical order.
    pub shape: [usize; 3],
    /// Spacing per axis `(z, y, x)` in canonical order, in millimetres.
    pub spacing_mm: [f64; 3],
    /// Smallest and largest value.
    pub range_hu: [f64; 2],
    /// Volumes of the right and the left lung in millilitres, as far as the scan shows them.
    pub lung_ml: [f64; 2],
    /// Whether the scan cuts the lungs. Volumes then hold for the scanned part only.
    pub lungs_cut: bool,
}

/// Checks that `scan` is a chest CT in Hounsfield units that can be measured. It segments the lungs
/// to check their volume; [`prepare`](crate::prepare) segments them once for all its steps.
///
/// # Errors
/// `Grid`, `Intensity` or `NoLungs`; each says what was found, what is expected and what to do.
pub fn check(scan: &Volume<f32>, config: &GateConfig) -> Result<GateReport> {
    let mut report = check_scan(scan, config)?;
    let lungs = segment_lungs(scan, &LungConfig::default())?;
    check_lungs(scan, &lungs, config, &mut report)?;
    Ok(report)
}

/// The part of [`check`] that needs no lung mask: grid and values.
///
/// # Errors
/// `Grid` or `Intensity`.
pub fn check_scan(scan: &Volume<f32>, config: &GateConfig) -> Result<GateReport> {
    let canonical = scan.geometry().reoriented(Orientation::CANONICAL);
    let mut report = GateReport {
        shape: canonical.shape(),
        spacing_mm: canonical.spacing_mm(),
        ..GateReport::default()
    };
    check_grid(&canonical, config, &mut report.warnings)?;
    report.range_hu = intensity::check(scan)?;
    Ok(report)
}

fn check_grid(geometry: &Geometry, config: &GateConfig, warnings: &mut Vec<String>) -> Result<()> {
    let refuse = |reason: String, hint: String| Err(Error::new(ErrorKind::Grid, reason).hint(hint));
    let (shape, spacing) = (geometry.shape(), geometry.spacing_mm());
    if let Some(&few) = shape.iter().filter(|&&n| n < config.min_slices).min() {
        return refuse(
            format!(
                "the scan has {few} slices (its shape is {shape:?} voxels, z, y, x), but at least \
                 {} are needed",
                config.min_slices
            ),
            "give a whole volume, not single slices or a scout".to_owned(),
        );
    }
    if geometry.len() > config.max_voxels {
        return refuse(
            format!(
                "the scan has {} million voxels, but at most {} million are accepted",
                geometry.len() / 1_000_000,
                config.max_voxels / 1_000_000
            ),
            format!(
                "crop it to the chest or resample it, or raise gate.max_voxels: {} bytes of \
                 memory are needed per voxel",
                MEMORY_PER_VOXEL
            ),
        );
    }
    // The slices are stacked along the coarsest axis. A tie goes to the patient's long axis.
    let slice = (0..3).fold(0, |best, a| {
        if spacing[a] > 1.05 * spacing[best] {
            a
        } else {
            best
        }
    });
    let [low, high] = config.slice_mm;
    if !(low..=high).contains(&spacing[slice]) {
        return refuse(
            format!(
                "the slices are {:.3} mm apart, but {low} to {high} mm are expected",
                spacing[slice]
            ),
            "check the spacing in the file's header; use a reconstruction with thinner slices"
                .to_owned(),
        );
    }
    if spacing[slice] > config.warn_slice_mm {
        warnings.push(format!(
            "The slices are {:.1} mm apart: small lesions and volumes are uncertain above {} mm.",
            spacing[slice], config.warn_slice_mm
        ));
    }
    for a in (0..3).filter(|&a| a != slice) {
        let [low, high] = config.in_plane_mm;
        if !(low..=high).contains(&spacing[a]) {
            return refuse(
                format!(
                    "the pixels are {:.3} mm wide, but {low} to {high} mm are expected",
                    spacing[a]
                ),
                "check the spacing in the file's header".to_owned(),
            );
        }
        let extent = spacing[a] * shape[a] as f64;
        let [low, high] = config.extent_mm;
        if a > 0 && !(low..=high).contains(&extent) {
            return refuse(
                format!("the image is {extent:.0} mm wide, but {low} to {high} mm are expected"),
                "check the spacing in the file's header; give the whole cross section of the chest"
                    .to_owned(),
            );
        }
    }
    let coarsest = (0..3).filter(|&a| a != slice).map(|a| spacing[a]);
    let coarsest = coarsest.fold(0.0, f64::max);
    if coarsest > config.warn_in_plane_mm {
        warnings.push(format!(
            "The pixels are {coarsest:.1} mm wide: lesions are uncertain above {} mm.",
            config.warn_in_plane_mm
        ));
    }
    let tilt = tilt_degrees(geometry);
    if tilt > 20.0 {
        warnings.push(format!(
            "The scan is turned by {tilt:.0}° against the patient's axes: the views for the \
             network follow the scan's own axes."
        ));
    }
    Ok(())
}

/// Most bytes per voxel of the scan that preparation and prediction hold: 4 for the scan, 2 for two
/// masks, and 5 for the lung box, which can be as large as the scan.
const MEMORY_PER_VOXEL: usize = 11;

/// Largest angle between an array axis and its patient axis.
fn tilt_degrees(canonical: &Geometry) -> f64 {
    let direction = canonical.direction();
    [direction[0][2], direction[1][1], direction[2][0]]
        .iter()
        .map(|c| c.clamp(-1.0, 1.0).acos().to_degrees())
        .fold(0.0, f64::max)
}

/// The part of [`check`] that judges the lung mask. It adds its results to `report`. Labels other
/// than 1 (right) and 2 (left) count only for both lungs together.
///
/// # Errors
/// `NoLungs` if the lungs' volume is outside `config.lung_litres`, `Mismatch` if the grids differ.
pub fn check_lungs(
    scan: &Volume<f32>,
    lungs: &Volume<u8>,
    config: &GateConfig,
    report: &mut GateReport,
) -> Result<()> {
    scan.check_same_grid(lungs)?;
    let ml = scan.geometry().voxel_mm3() / 1000.0;
    let voxels = histogram(lungs.data());
    report.lung_ml = [RIGHT, LEFT].map(|side| voxels[usize::from(side)] as f64 * ml);
    let litres = voxels[1..].iter().sum::<usize>() as f64 * ml / 1000.0;
    let [low, high] = config.lung_litres;
    if litres < low {
        return Err(Error::new(
            ErrorKind::NoLungs,
            format!("only {litres:.2} l of lung are in view, but at least {low} l are needed"),
        )
        .hint("give a CT of the chest; a scan of the head or abdomen cannot be assessed"));
    }
    if litres > high {
        return Err(Error::new(
            ErrorKind::NoLungs,
            format!("{litres:.1} l of lung were found, but at most {high} l are plausible"),
        )
        .hint("check the spacing in the file's header"));
    }

    let sides = pose::look(scan, lungs);
    report.lungs_cut = sides.cut_mm2.iter().any(|&area| area > CUT_MM2);
    if report.lungs_cut {
        let end = match sides.cut_mm2.map(|area| area > CUT_MM2) {
            [true, true] => "below and above",
            [true, false] => "below",
            _ => "above",
        };
        report.warnings.push(format!(
            "The scan cuts the lungs {end}: volumes and zones hold for the scanned part only."
        ));
    }
    let [right, left] = report.lung_ml;
    if right + left > 0.0 {
        for (own, other, name) in [(right, left, "right"), (left, right, "left")] {
            if own < 0.1 * other {
                report.warnings.push(format!(
                    "Hardly any aerated {name} lung was found ({own:.0} ml): it may be removed, \
                     collapsed or wholly consolidated, and its measurements are not reliable."
                ));
            }
        }
    }
    report.warnings.extend(sides.warnings());
    Ok(())
}

/// How often each label occurs.
fn histogram(labels: &[u8]) -> [usize; 256] {
    let join = |mut a: [usize; 256], b: [usize; 256]| {
        a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        a
    };
    let chunk = |labels: &[u8]| {
        // Neighbouring labels are mostly equal. With four counters, an increment does not wait for
        // the one before it.
        let mut lanes = [[0u32; 256]; 4];
        for four in labels.chunks(4) {
            for (lane, &v) in lanes.iter_mut().zip(four) {
                lane[usize::from(v)] += 1;
            }
        }
        std::array::from_fn(|v| lanes.iter().map(|lane| lane[v] as usize).sum())
    };
    labels
        .par_chunks(1 << 20)
        .map(chunk)
        .reduce(|| [0; 256], join)
}
