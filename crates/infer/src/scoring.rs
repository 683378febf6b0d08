//! A network's output for a prepared scan. The preparation is shared when several networks are
//! scored on the scan.

use crate::network::check_tasks;
use crate::stage::Watch;
use crate::{MemoryPlan, Network, PredictOptions, Result};
use multirnet_anatomy::Prepared;
use multirnet_base::StopToken;
use multirnet_finding::{NativeMap, Probabilities};
use multirnet_volume::{Geometry, Volume};

/// A network's output for a scan.
#[derive(Debug, Clone)]
pub struct ScanOutput {
    /// Lesion mask on the scan's own grid; `None` from a network that only classifies.
    pub lesions: Option<Volume<u8>>,
    /// Lesion probability; `None` from a network that only classifies.
    pub probability: Option<NativeMap>,
    /// Class probabilities; `None` from a network that only segments.
    pub probabilities: Option<Probabilities>,
    /// Grad-CAM on the scan's own grid, scaled to `[0, 1]`, if the options ask for it and the
    /// network can make it.
    pub heatmap: Option<NativeMap>,
}

/// Runs `network` over a prepared scan whose own grid is `scan`.
///
/// # Errors
/// `Options` if a field is out of range, `Memory` if the plan is over its limit, `Model` if the
/// network's output holds values that are not probabilities or the network has no task, `Scan` if
/// the lung box lies outside the scan, `Interrupted` if `stop` was raised.
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
        probability: network.segments().then_some(found.probability),
        probabilities: network.classifies().then_some(found.probabilities),
        heatmap: found.heatmap,
    })
}
