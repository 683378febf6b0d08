//! Slices of cases for pictures.

use crate::{Error, Result};
use multirnet_anatomy::Intensity;
use multirnet_cohort::Case;
use multirnet_report::{PixelBox, Slice};
use multirnet_volume::{Volume, Voxel};

/// Room around the lungs in pictures, mm.
const MARGIN_MM: f64 = 12.0;

/// Title of a case's pictures.
pub fn title(case: &Case) -> String {
    let class = case.class.map_or("class unknown", |c| c.label());
    format!("{}, {class}", case.patient)
}

/// The scan in HU for display. Grey values of unknown scale are spread over the lung window.
pub fn display_hu(scan: &Volume<f32>, intensity: Intensity) -> Volume<f32> {
    match intensity {
        Intensity::Hu => scan.clone(),
        Intensity::Unit => {
            let top = scan.data().iter().copied().fold(0.0f32, f32::max);
            let top = if top > 1.5 { 255.0 } else { 1.0 };
            scan.map(|v| -1350.0 + 1500.0 * v / top)
        }
    }
}

/// The first plane with the most non-zero voxels; `None` if all are 0.
pub fn busiest(labels: &Volume<u8>) -> Option<usize> {
    (0..labels.shape()[0])
        .map(|z| (labels.plane(z).iter().filter(|l| **l != 0).count(), z))
        .filter(|(n, _)| *n > 0)
        .max_by_key(|&(n, z)| (n, std::cmp::Reverse(z)))
        .map(|(_, z)| z)
}

/// The part of slice `z` that holds the lungs, or the whole slice if it has none. `lungs` is in
/// canonical orientation.
pub fn frame(lungs: &Volume<u8>, z: usize) -> Result<PixelBox> {
    let lungs = Slice::axial(lungs, z)?;
    let [rows, columns] = lungs.shape();
    Ok(lungs.box_around(MARGIN_MM).unwrap_or(PixelBox {
        start: [0; 2],
        size: [rows, columns],
    }))
}

/// A slice of a volume in canonical orientation, cut to `frame`.
pub fn cut<T: Voxel>(volume: &Volume<T>, z: usize, frame: &PixelBox) -> Result<Slice<T>> {
    Slice::axial(volume, z)
        .and_then(|s| s.crop(frame))
        .map_err(Error::from)
}
