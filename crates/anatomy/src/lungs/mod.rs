//! The lung mask, right and left.
//!
//! This module finds the lungs on a coarse grid of about 2 mm (`coarse`): the body (`body`), the
//! air in it without the airways (`airways`), the parts of this air that are lungs and their sides
//! (`sides`), and the parts of the lungs that are not aerated (`fill`, `mirror`). It then draws the
//! border on the scan's own grid (`refine`).

mod airways;
mod body;
mod coarse;
mod fill;
mod mirror;
mod refine;
mod ribs;
mod sides;

use crate::step::{Step, Watch, tell};
use crate::{Error, ErrorKind, Result};
use multirnet_base::Ranges;
use multirnet_volume::morphology::bounds;
use multirnet_volume::{Orientation, Volume};
use serde::{Deserialize, Serialize};

/// How the lungs are found. All values are ours: the paper names none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LungConfig {
    /// Density in HU below which a voxel is air or aerated lung.
    pub air_hu: f64,
    /// Density in HU below which a voxel at the border of the lung still belongs to it.
    pub border_hu: f64,
    /// Approximate spacing in millimetres of the coarse grid on which the lungs are found.
    pub coarse_mm: f64,
    /// Radius in millimetres of the closing that adds vessels and lesions.
    pub closing_mm: f64,
    /// Whether to look for airless consolidation where the other lung, mirrored, has lung.
    pub mirror: bool,
}

impl Default for LungConfig {
    fn default() -> Self {
        Self {
            air_hu: -350.0,
            border_hu: -250.0,
            coarse_mm: 2.0,
            closing_mm: 12.0,
            mirror: true,
        }
    }
}

impl LungConfig {
    fn validate(&self) -> Result<()> {
        Ok(Ranges::of_table("lungs")
            .within("air_hu", self.air_hu, -900.0..=-100.0)
            .within("border_hu", self.border_hu, self.air_hu..=0.0)
            .within("coarse_mm", self.coarse_mm, 1.0..=5.0)
            .within("closing_mm", self.closing_mm, 0.0..=50.0)
            .check()?)
    }
}

/// The lungs of `scan` on its own grid: 1 right, 2 left, by the patient's sides as the geometry
/// states them.
///
/// Consolidation, pleural lesions and vessels within the lungs belong to the mask; the trachea and
/// the main bronchi do not. A single lung is found too; the other label is then missing.
///
/// # Errors
/// `NoLungs` if no region of the scan has the size and the density of a lung; `Config` if a value
/// of `config` is out of its range.
pub fn segment_lungs(scan: &Volume<f32>, config: &LungConfig) -> Result<Volume<u8>> {
    segment_lungs_watched(scan, config, &mut |_| true)
}

/// [`segment_lungs`] with progress: calls `watch` before each part of the work, which can stop it.
///
/// # Errors
/// As [`segment_lungs`], and `Interrupted` if `watch` returns false.
pub fn segment_lungs_watched(
    scan: &Volume<f32>,
    config: &LungConfig,
    watch: &mut Watch<'_>,
) -> Result<Volume<u8>> {
    config.validate()?;
    let mut go_on = || tell(watch, Step::Lungs);
    go_on()?;
    let (small, factor) = coarse::shrink(scan, config.coarse_mm)?;
    let hu = small.reorient(Orientation::CANONICAL);
    go_on()?;
    let body = body::body(&hu);
    let whole = hu.shape();
    let (low, high) = bounds(&body).ok_or_else(no_lungs)?;
    let shape = std::array::from_fn(|a| high[a] - low[a] + 1);
    let (hu, body) = (hu.crop(low, shape)?, body.crop(low, shape)?);
    go_on()?;
    let mut air = body::air_within(&hu, &body, config.air_hu as f32);
    let (airways, lumen_hu) = airways::airways(&hu, &air, &body);
    go_on()?;
    if let Some(lumen_hu) = lumen_hu {
        let base = sides::base_plane(&air);
        body::remove_gas(&hu, &mut air, lumen_hu, base);
    }
    go_on()?;
    let (aerated, middle) = sides::lungs(&hu, &air, &airways, &body).ok_or_else(no_lungs)?;
    go_on()?;
    let mut lungs = fill::fill(&aerated, &airways, config.closing_mm);
    go_on()?;
    if config.mirror {
        mirror::add_consolidation(&hu, &mut lungs, &airways, middle);
    }
    go_on()?;
    let back = small.geometry().orientation();
    let start = low.map(|v| -(v as i64));
    let restore = |mask: Volume<u8>| -> Result<Volume<u8>> {
        Ok(mask.window(start, whole, 0)?.reorient(back))
    };
    let cells = refine::Cells {
        lungs: restore(lungs)?,
        aerated: restore(aerated)?,
        airways: restore(airways)?,
    };
    go_on()?;
    Ok(refine::refine(
        scan,
        &cells,
        factor,
        config.border_hu as f32,
    ))
}

fn no_lungs() -> Error {
    Error::new(
        ErrorKind::NoLungs,
        "no lungs were found: no air-filled region within the body has the size and the density \
         of a lung",
    )
    .hint("give a CT of the chest that shows both lungs, in Hounsfield units")
}
