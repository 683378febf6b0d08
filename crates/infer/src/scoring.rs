//! A network's answer for a scan that is prepared already, for scoring several networks on it.

use crate::network::check_tasks;
use crate::pipeline::{self, Watch};
use crate::predictor::restore;
use crate::{MemoryPlan, NativeMap, Network, PredictOptions, Result};
use multirnet_anatomy::Prepared;
use multirnet_volume::{Geometry, Volume};

/// What a network says of a scan, as far as it can.
#[derive(Debug, Clone)]
pub struct ScanAnswer {
    /// Lesion mask on the scan's own grid; `None` from a network that only classifies.
    pub lesions: Option<Volume<u8>>,
    /// Class probabilities in the order of [`multirnet_volume::Diagnosis`]; `None` from a network
    /// that only segments.
    pub probabilities: Option<[f64; 3]>,
    /// Grad-CAM on the scan's own grid, scaled to `[0, 1]`, if it was asked for and can be made.
    pub heatmap: Option<NativeMap>,
}

/// Runs `network` over a prepared scan whose own grid is `scan`.
///
/// # Errors
/// `Options` for a field out of range, `Memory` for a plan over its limit, `Model` for values that
/// are no probabilities or a network without any task.
pub fn answer(
    network: &dyn Network,
    scan: &Geometry,
    prepared: &Prepared,
    options: &PredictOptions,
) -> Result<ScanAnswer> {
    options.validate()?;
    check_tasks(network)?;
    let (plan, room) = MemoryPlan::with_room(scan, true, network, options);
    plan.check()?;
    let (mut timings, mut warnings) = (Vec::new(), Vec::new());
    let mut watch = Watch {
        progress: &mut |_| {},
        timings: &mut timings,
    };
    let mut working = pipeline::run(network, prepared, options, &room, &mut watch)?;
    let probabilities = network
        .classifies()
        .then(|| working.probabilities.to_array());
    let segments = network.segments();
    if segments && options.complete_consolidation {
        crate::consolidation::complete(&mut working.lesion, prepared, options)?;
    }
    let (maps, _) = restore(scan, prepared.clone(), working, options, &mut warnings)?;
    Ok(ScanAnswer {
        lesions: segments.then_some(maps.lesions),
        probabilities,
        heatmap: maps.heatmap,
    })
}
