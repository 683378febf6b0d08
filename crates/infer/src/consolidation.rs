//! Consolidation that the network outlines but leaves hollow.
//!
//! A network that sees only a window cannot tell airless lung from the chest wall. The lung mask
//! can. Thick airless tissue inside the lungs that touches a lesion is therefore counted as lesion.
//! This is a rule of ours, not of the paper, and can be switched off.
//!
//! If ground glass has its own channel, such tissue is consolidation even if the network calls it
//! ground glass, because it holds no air.

use crate::{PredictOptions, Result};
use multirnet_anatomy::components::{Connectivity, components};
use multirnet_anatomy::{Intensity, Prepared};
use multirnet_volume::Volume;
use multirnet_volume::morphology;
use rayon::prelude::*;

/// Lowest value of tissue without air, in HU.
const AIRLESS_HU: f64 = -200.0;
/// Radius of the opening that removes vessels and walls, which are thinner.
const RADIUS_MM: f64 = 5.0;
/// Largest distance at which a lesion counts as touching the tissue.
const REACH_MM: f64 = 5.0;
/// Probability that the rule assigns. A higher probability of the network stays.
const PROBABILITY: f32 = 0.9;

/// Raises the last channel of `lesion` (the only one, or consolidation) where thick airless tissue
/// in the lungs touches a lesion. The channel becomes at least as high as the others and therefore
/// decides the tissue's label. Maps of the global view are too coarse and stay as they are.
pub(crate) fn complete(
    lesion: &mut [Volume<f32>],
    prepared: &Prepared,
    options: &PredictOptions,
) -> Result<()> {
    let local = &prepared.local;
    let fits = |v: &Volume<f32>| local.geometry().matches(v.geometry(), 1e-3);
    if options.prepare.intensity != Intensity::Hu || !lesion.iter().all(fits) {
        return Ok(());
    }
    let [low, high] = options.prepare.window_hu;
    let airless = ((AIRLESS_HU - low) / (high - low)) as f32;
    let mut found = Volume::filled(0u8, *local.geometry());
    for channel in lesion.iter() {
        mark(&mut found, channel.data(), |p| p >= options.threshold);
    }
    if found.data().par_iter().all(|&f| f == 0) {
        return Ok(());
    }
    let mut dense = Volume::filled(0u8, *local.geometry());
    mark(&mut dense, local.data(), |v| v >= airless);
    let lungs = prepared.local_lungs.data().par_chunks(PART);
    let parts = dense.data_mut().par_chunks_mut(PART).zip(lungs);
    parts.for_each(|(dense, lungs)| {
        for (d, &lung) in dense.iter_mut().zip(lungs) {
            *d &= u8::from(lung != 0);
        }
    });
    let near = morphology::dilate(&found, REACH_MM);
    let cores = components(&morphology::open(&dense, RADIUS_MM), Connectivity::Faces);
    let mut meets = vec![false; cores.sizes.len() + 1];
    for (&core, &n) in cores.labels.data().iter().zip(near.data()) {
        if core != 0 {
            meets[core as usize] |= n != 0;
        }
    }
    let Some((last, others)) = lesion.split_last_mut() else {
        return Ok(());
    };
    let found = last.data_mut().iter_mut().zip(cores.labels.data());
    for (i, (p, _)) in found
        .enumerate()
        .filter(|(_, (_, core))| **core != 0 && meets[**core as usize])
    {
        let others = others.iter().map(|channel| channel.data()[i]);
        *p = others.fold(p.max(PROBABILITY), f32::max);
    }
    Ok(())
}

/// Number of voxels that a thread takes at once.
const PART: usize = 1 << 16;

/// Sets the voxels of `mask` to 1 whose values pass `test`.
fn mark(mask: &mut Volume<u8>, values: &[f32], test: impl Fn(f32) -> bool + Sync) {
    let parts = mask.data_mut().par_chunks_mut(PART);
    parts
        .zip(values.par_chunks(PART))
        .for_each(|(mask, values)| {
            for (m, &v) in mask.iter_mut().zip(values) {
                *m |= u8::from(test(v));
            }
        });
}

#[cfg(test)]
mod tests {
    use super::*;
    use multirnet_anatomy::{BeyondScan, GateReport};
    use multirnet_volume::Geometry;

    /// A lung with two airless balls of 9 voxels across and a thin vessel. Only the first ball
    /// touches the lesion.
    fn scene() -> (Volume<f32>, Prepared) {
        let grid = Geometry::axial([24, 24, 48], [2.0; 3]).unwrap();
        let ball = |p: [usize; 3], x: usize| {
            (p[0].abs_diff(12).pow(2) + p[1].abs_diff(12).pow(2) + p[2].abs_diff(x).pow(2)) <= 20
        };
        let vessel = |p: [usize; 3]| p[0] == 4 && p[1] == 4;
        let local = Volume::from_fn(grid, |p| {
            if ball(p, 10) || ball(p, 34) || vessel(p) {
                0.75
            } else {
                0.1
            }
        });
        let lungs = Volume::filled(1u8, grid);
        let lesion = Volume::from_fn(grid, |p| if p[2] == 5 && p[0] > 8 { 0.8 } else { 0.0 });
        let prepared = Prepared {
            lungs: lungs.clone(),
            global: local.clone(),
            global_lungs: lungs.clone(),
            local_lungs: lungs,
            local,
            beyond_scan: BeyondScan::default(),
            report: GateReport::default(),
        };
        (lesion, prepared)
    }

    #[test]
    fn thick_airless_tissue_that_meets_a_lesion_is_lesion() {
        let (lesion, prepared) = scene();
        let mut maps = [lesion];
        complete(&mut maps, &prepared, &PredictOptions::default()).unwrap();
        assert_eq!(maps[0].at([12, 12, 10]), PROBABILITY);
        assert_eq!(maps[0].at([12, 12, 34]), 0.0);
        assert_eq!(maps[0].at([4, 4, 10]), 0.0);
    }

    #[test]
    fn airless_tissue_is_consolidation_even_where_the_network_says_ground_glass() {
        let (lesion, prepared) = scene();
        let core = [12, 12, 10];
        for says in [0.7, 0.97] {
            let mut glass = lesion.clone();
            glass.data_mut()[lesion.offset(core)] = says;
            let mut maps = [glass.clone(), lesion.map(|_| 0.0)];
            complete(&mut maps, &prepared, &PredictOptions::default()).unwrap();
            assert_eq!(maps[0], glass);
            assert_eq!(maps[1].at(core), PROBABILITY.max(says));
            assert_eq!(maps[1].at([12, 12, 34]), 0.0);
            // Outside the tissue the network's probability stays.
            assert_eq!(maps[1].at([12, 12, 5]), 0.0);
        }
    }

    #[test]
    fn tissue_outside_the_lungs_stays_out() {
        let (lesion, mut prepared) = scene();
        prepared.local_lungs.data_mut().fill(0);
        let mut maps = [lesion.clone()];
        complete(&mut maps, &prepared, &PredictOptions::default()).unwrap();
        assert_eq!(maps[0], lesion);
    }
}
