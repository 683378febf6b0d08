//! What a reader would outline.

use super::coarse::Coarse;
use super::paint::Painted;
use super::vary::Stage;
use multirnet_volume::Volume;
use multirnet_volume::components::{Connectivity, components};
use rayon::prelude::*;

/// Smaller pieces than this, in mm³, are not outlined.
const SMALLEST_MM3: f64 = 40.0;

/// Labels 1 ground glass, 2 consolidation.
///
/// A voxel of the lungs is labelled where a lesion has at least half of its full value (its texture
/// left out) and where, on the average over some millimetres, it exceeds the lung by `contrast_hu`.
/// What lies within (vessels, open bronchi, spared lobules that are small) belongs to it.
pub(super) fn labels(
    stage: &Stage,
    painted: &Painted,
    base: &Coarse,
    tissue_hu: f32,
    contrast_hu: f32,
) -> crate::Result<Volume<u8>> {
    let [_, ny, nx] = stage.shape();
    let plane = ny * nx;
    let spacing = stage.spacing_mm;
    let filling = Coarse::mean(stage.shape(), spacing, 3.0, 0.0, |i| {
        (stage.lungs[i] > 0).then_some(painted.filling[i])
    });
    let mut labels = vec![0u8; stage.lungs.len()];
    labels
        .par_chunks_exact_mut(plane)
        .enumerate()
        .for_each(|(k, labels)| {
            for (i, label) in labels.iter_mut().enumerate() {
                let i = k * plane + i;
                if stage.lungs[i] == 0 || painted.body[i] < 0.5 {
                    continue;
                }
                let p = stage.point(i);
                let contrast = filling.at(p, spacing) * (tissue_hu - base.at(p, spacing));
                if painted.core[i] >= 0.5 {
                    *label = 2;
                } else if contrast >= contrast_hu {
                    *label = 1;
                }
            }
        });
    let mut labels = Volume::new(labels, stage.geometry)?;
    let smallest = SMALLEST_MM3 / stage.geometry.voxel_mm3();
    // Islands of consolidation that are too small become part of the ground glass around them.
    let dense = components(&labels.map(|l| u8::from(l == 2)), Connectivity::Corners);
    let kept = dense.select(|_, size| size as f64 >= smallest);
    for (l, k) in labels.data_mut().iter_mut().zip(kept.data()) {
        if *l == 2 && *k == 0 {
            *l = 1;
        }
    }
    let all = components(&labels, Connectivity::Corners);
    let kept = all.select(|_, size| size as f64 >= smallest);
    for (l, k) in labels.data_mut().iter_mut().zip(kept.data()) {
        *l *= k;
    }
    Ok(labels)
}
