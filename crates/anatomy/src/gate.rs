//! The input gate: is this a CT of a chest, and can it be measured?

use crate::{Result, lungs::LungConfig, lungs::segment_lungs};
use multirnet_volume::Volume;
use serde::{Deserialize, Serialize};

/// Limits of the input gate. All are ours: the paper names none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GateConfig {
    /// Fewest slices, and fewest voxels along every other axis.
    pub min_slices: usize,
    /// Most voxels in all; more would not fit into memory.
    pub max_voxels: usize,
    /// Smallest and largest pixel spacing in millimetres; beyond is refused.
    pub in_plane_mm: [f64; 2],
    /// Largest distance between slices in millimetres; beyond is refused.
    pub max_slice_mm: f64,
    /// Distance between slices in millimetres beyond which the report warns.
    pub warn_slice_mm: f64,
    /// Smallest and largest volume of both lungs together in litres; beyond is refused.
    pub lung_litres: [f64; 2],
}

impl Default for GateConfig {
    fn default() -> Self {
        Self {
            min_slices: 8,
            max_voxels: 1 << 30,
            in_plane_mm: [0.1, 6.0],
            max_slice_mm: 12.5,
            warn_slice_mm: 5.0,
            lung_litres: [0.2, 14.0],
        }
    }
}

/// What the gate found in a scan that it let through.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GateReport {
    /// What a reader of the results should know, one sentence each.
    pub warnings: Vec<String>,
    /// Voxels per axis `(z, y, x)` in canonical order.
    pub shape: [usize; 3],
    /// Spacing per axis `(z, y, x)` in canonical order, in millimetres.
    pub spacing_mm: [f64; 3],
    /// Smallest and largest value.
    pub range_hu: [f64; 2],
    /// Volumes of the right and the left lung in millilitres, as far as the scan shows them.
    pub lung_ml: [f64; 2],
    /// Whether the scan cuts the lungs, so that volumes hold for the scanned part only.
    pub lungs_cut: bool,
}

/// Checks that `scan` is a chest CT in Hounsfield units that can be measured.
///
/// # Errors
/// `Grid`, `Intensity` or `NoLungs`; each says what was found, what is expected and what to do.
pub fn check(scan: &Volume<f32>, config: &GateConfig) -> Result<GateReport> {
    let mut report = check_scan(scan, config)?;
    let lungs = segment_lungs(scan, &LungConfig::default())?;
    check_lungs(scan, &lungs, config, &mut report)?;
    Ok(report)
}

/// The part of [`check`] that needs no lung mask.
///
/// # Errors
/// `Grid` or `Intensity`.
pub fn check_scan(scan: &Volume<f32>, _config: &GateConfig) -> Result<GateReport> {
    let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
    for &v in scan.data() {
        low = low.min(v);
        high = high.max(v);
    }
    Ok(GateReport {
        shape: scan.shape(),
        spacing_mm: scan.geometry().spacing_mm(),
        range_hu: [f64::from(low), f64::from(high)],
        ..GateReport::default()
    })
}

/// The part of [`check`] that judges the lung mask; adds to `report`.
///
/// # Errors
/// `NoLungs`, `Mismatch`.
pub fn check_lungs(
    scan: &Volume<f32>,
    lungs: &Volume<u8>,
    _config: &GateConfig,
    report: &mut GateReport,
) -> Result<()> {
    scan.check_same_grid(lungs)?;
    let ml = scan.geometry().voxel_mm3() / 1000.0;
    for side in [0, 1] {
        let voxels = lungs
            .data()
            .iter()
            .filter(|&&v| v == side as u8 + 1)
            .count();
        report.lung_ml[side] = voxels as f64 * ml;
    }
    Ok(())
}
