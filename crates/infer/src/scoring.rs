//! A network's output for a scan that is prepared already, for scoring several networks on it.

use crate::network::check_tasks;
use crate::stage::Watch;
use crate::{MemoryPlan, Network, PredictOptions, Result};
use multirnet_anatomy::Prepared;
use multirnet_base::StopToken;
use multirnet_finding::{NativeMap, Probabilities};
use multirnet_volume::{Geometry, Volume};

/// What a network gives for a scan, as far as it can.
#[derive(Debug, Clone)]
pub struct ScanOutput {
    /// Lesion mask on the scan's own grid; `None` from a network that only classifies.
    pub lesions: Option<Volume<u8>>,
    /// Class probabilities; `None` from a network that only segments.
    pub probabilities: Option<Probabilities>,
    /// Grad-CAM on the scan's own grid, scaled to `[0, 1]`, if it was asked for and can be made.
    pub heatmap: Option<NativeMap>,
}

/// Runs `network` over a prepared scan whose own grid is `scan`.
///
/// # Errors
/// `Options` for a field out of range, `Memory` for a plan over its limit, `Model` for values that
/// are no probabilities or a network without any task, `Interrupted`.
pub fn run_prepared(
    network: &dyn Network,
    scan: &Geometry,
    prepared: &Prepared,
    options: &PredictOptions,
    stop: &StopToken,
) -> Result<ScanOutput> {
    options.validate()?;
    check_tasks(network)?;
    let (plan, room) = MemoryPlan::with_room(scan, true, network, options);
    plan.check()?;
    let mut ignored = |_| {};
    let mut watch = Watch::new(&mut ignored, stop);
    let found = crate::run::run(network, scan, prepared, options, &room, &mut watch)?;
    Ok(ScanOutput {
        lesions: network.segments().then_some(found.lesions),
        probabilities: network.classifies().then_some(found.probabilities),
        heatmap: found.heatmap,
    })
}
