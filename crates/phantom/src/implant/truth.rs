//! Labels of the voxels that a reader would outline.

use super::coarse::Coarse;
use super::paint::Painted;
use super::vary::Stage;
use multirnet_volume::Volume;
use multirnet_volume::components::{Connectivity, components};
use rayon::prelude::*;

/// Volume in mm³ of the smallest piece that is outlined.
const SMALLEST_MM3: f64 = 40.0;

/// The labels: 1 ground glass, 2 consolidation.
///
/// A voxel of the lungs is labelled if a lesion has at least half of its full value there, without
/// its texture. Ground glass must also exceed the lung by `contrast_hu` in the mean over some
/// millimetres. Vessels, open bronchi and small spared lobules within a lesion belong to it.
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
