//! The parts of the lungs that are not aerated: vessels, consolidation, pleural lesions.

use crate::{LEFT, RIGHT};
use multirnet_volume::Volume;
use multirnet_volume::morphology::{bounds, close, fill_holes};

/// Radius in millimetres of the closing that bridges bronchi within the lung, which belong to it.
/// Main bronchi are wider and lie beside the lung.
const BRONCHUS_MM: f64 = 5.0;

/// Closes each lung and fills its holes. Trachea and main bronchi stay outside. A lung never takes
/// voxels of the other one.
pub(super) fn fill(aerated: &Volume<u8>, airways: &Volume<u8>, closing_mm: f64) -> Volume<u8> {
    let mut out = aerated.clone();
    for side in [RIGHT, LEFT] {
        let lung = aerated.map(|v| u8::from(v == side));
        let Some((low, high)) = bounds(&lung) else {
            continue;
        };
        let shape = std::array::from_fn(|a| high[a] - low[a] + 1);
        let Ok(part) = lung.crop(low, shape) else {
            continue;
        };
        let filled = fill_holes(&close(&part, closing_mm));
        let inner = close(&part, BRONCHUS_MM.min(closing_mm));
        let [_, ny, nx] = out.shape();
        let [_, py, px] = filled.shape();
        for (row, line) in filled.data().chunks_exact(px).enumerate() {
            let at = ((row / py + low[0]) * ny + row % py + low[1]) * nx + low[2];
            for (x, &v) in line.iter().enumerate() {
                let target = &mut out.data_mut()[at + x];
                let inside = inner.data()[row * px + x] != 0;
                if v != 0 && *target == 0 && (inside || airways.data()[at + x] == 0) {
                    *target = side;
                }
            }
        }
    }
    out
}
