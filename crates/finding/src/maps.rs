//! A finding with its maps.

use crate::{Finding, NativeMap};
use multirnet_volume::Volume;

/// A finding with its maps.
#[derive(Debug, Clone)]
pub struct Prediction {
    /// The finding.
    pub finding: Finding,
    /// The maps on the scan's own grid.
    pub maps: Maps,
}

/// Maps on the scan's own grid.
#[derive(Debug, Clone)]
pub struct Maps {
    /// 1 right lung, 2 left lung.
    pub lungs: Volume<u8>,
    /// 1 lesion (with one lesion channel), or 1 ground glass, 2 consolidation.
    pub lesions: Volume<u8>,
    /// Lesion probability in `[0, 1]`.
    pub probability: NativeMap,
    /// Grad-CAM of the predicted class, scaled to `[0, 1]`; `None` if it was not requested.
    pub heatmap: Option<NativeMap>,
}
