//! A network's run over a prepared scan, with the result on the scan's own grid.

use crate::consolidation;
use crate::memory::Room;
use crate::pipeline::{self, WorkingGridResult};
use crate::stage::{Stage, Watch};
use crate::{Error, ErrorKind, Network, PredictOptions, Result};
use multirnet_anatomy::Prepared;
use multirnet_finding::{NativeBox, NativeMap, Probabilities};
use multirnet_metrics::calibration::{tempered, tempered_classes};
use multirnet_volume::boxes::{dilate, radius_voxels};
use multirnet_volume::{Geometry, Volume};
use rayon::prelude::*;

/// A network's result for a scan, on the scan's own grid.
pub(crate) struct NativeResult {
    /// Lesion labels.
    pub(crate) lesions: Volume<u8>,
    /// Lesion probability.
    pub(crate) probability: NativeMap,
    /// Grad-CAM, if the options ask for it.
    pub(crate) heatmap: Option<NativeMap>,
    /// Class probabilities.
    pub(crate) probabilities: Probabilities,
    /// Number of windows (or tiles) that went through the network.
    pub(crate) windows: usize,
    /// Number of voxels of these windows.
    pub(crate) voxels: usize,
    /// Reasons to trust the result less.
    pub(crate) warnings: Vec<String>,
}

/// Runs `network` over a prepared scan whose own grid is `scan`.
///
/// # Errors
/// `Model` if the network's output holds values that are not probabilities, `Scan` if the lung box
/// lies outside the scan, `Interrupted` if the caller stopped the run.
pub(crate) fn run(
    network: &dyn Network,
    scan: &Geometry,
    prepared: &Prepared,
    options: &PredictOptions,
    room: &Room,
    watch: &mut Watch<'_>,
) -> Result<NativeResult> {
    let mut working = pipeline::run(network, prepared, options, room, watch)?;
    temper(&mut working, options);
    watch.time(Stage::Restore, |_| {
        if network.segments() && options.complete_consolidation {
            consolidation::complete(&mut working.lesion, prepared, options)?;
        }
        restore(scan, prepared, working, options)
    })
}

/// Divides the logits of the network's probabilities by the temperatures that `options` name.
fn temper(working: &mut WorkingGridResult, options: &PredictOptions) {
    if options.lesion_temperature != 1.0 {
        let voxels = |map: &mut Volume<f32>| {
            map.data_mut().par_iter_mut().for_each(|p| {
                *p = tempered(f64::from(*p), options.lesion_temperature) as f32;
            });
        };
        working.lesion.iter_mut().for_each(voxels);
    }
    if options.class_temperature != 1.0 {
        let p = working.probabilities.to_array();
        working.probabilities =
            Probabilities::from_array(tempered_classes(p, options.class_temperature));
    }
}

/// Resamples the result to the scan's own grid. The maps are 0 outside the block that holds both lungs.
fn restore(
    scan: &Geometry,
    prepared: &Prepared,
    working: WorkingGridResult,
    options: &PredictOptions,
) -> Result<NativeResult> {
    let mut warnings = working.warnings;
    let block = NativeBox::around(scan, prepared.global.geometry())?.ok_or_else(|| {
        Error::new(ErrorKind::Scan, "the lung box lies outside the scan")
            .hint("check the lung mask that was given")
    })?;
    if working.lesion.is_empty() {
        return Err(Error::new(
            ErrorKind::Model,
            "the model has no lesion channel",
        ));
    }
    let mut allowed = None;
    if options.restrict_to_lungs {
        let mut lungs = block.cut(&prepared.lungs)?;
        if options.lung_margin_mm > 0.0 {
            let spacing = prepared.local.geometry().spacing_mm();
            let radius = radius_voxels(spacing, options.lung_margin_mm);
            let grown = dilate(&prepared.local_lungs, radius).resample_nearest(block.geometry(), 0);
            for (a, g) in lungs.data_mut().iter_mut().zip(grown.data()) {
                *a |= g;
            }
        }
        allowed = Some(lungs);
    }
    let probability = NativeMap::new(working.lesion, block, allowed);
    let heatmap = working.heat.map(|map| {
        let (heat, any) = NativeMap::new(vec![map], block, None).scaled_to_one();
        if !any {
            warnings.push(
                "The heat map is empty: no part of the image alone supports the explained class."
                    .to_owned(),
            );
        }
        heat
    });
    Ok(NativeResult {
        lesions: probability.labels(options.threshold),
        probability,
        heatmap,
        probabilities: working.probabilities,
        windows: working.windows,
        voxels: working.voxels,
        warnings,
    })
}
