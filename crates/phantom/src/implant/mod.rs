//! Synthetic lesions in real lungs.
//!
//! A [`Ground`] is a real chest CT of normal or nearly normal lungs. [`Ground::implant`] varies it
//! and puts COVID-19 or CAP lesions into it, with their truth. The idea is that of label-free
//! training (Yao et al., "Label-free segmentation of COVID-19 lesions in lung CT", IEEE TMI 2021);
//! shapes, densities and the truth are this project's. **Implanted lesions are not real lesions.**
//!
//! # How it works
//! At every point of its lung a lesion replaces a share of the air by tissue (`shape`), and the
//! voxel is mixed with tissue by that share. Vessels have no air, so they keep their density. They
//! stand out of ground glass, and cannot be seen in consolidation of equal density. Open bronchi
//! keep their air. Mixing reduces the scan's own noise, so noise is added up to its level. The
//! variant's kernel and added noise follow last. Lesions are therefore as sharp as the lungs around
//! them.
//!
//! # Truth
//! As for phantoms: `lungs` 1 right, 2 left; `lesions` 1 ground glass, 2 consolidation; the class.
//! A voxel is labelled where a reader would outline a lesion (see `truth`). Findings of the scan
//! itself are never labelled.

mod bronchi;
mod coarse;
mod config;
mod ground;
mod hilum;
mod lobes;
mod paint;
mod pattern;
mod plan;
mod shape;
#[cfg(test)]
mod tests;
mod truth;
mod vary;

pub use config::{AvoidList, BackgroundConfig, ImplantConfig, Region, ScanRegions};
pub use ground::Ground;
pub use pattern::Pattern;
pub use shape::{Core, Form, ImplantedLesion, Texture};
pub use vary::Variation;

use crate::Result;
use crate::noise::{Lobules, Noise};
use coarse::Coarse;
use lobes::Lobes;
use multirnet_base::random::Random;
use multirnet_volume::{Diagnosis, Volume};
use paint::{Painted, ScanNoise};
use plan::Planner;
use serde::{Deserialize, Serialize};
use shape::Textures;
use vary::Stage;

/// A varied scan with implanted lesions; all volumes share one grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Implanted {
    /// The scan in whole HU.
    pub ct: Volume<f32>,
    /// 1 right lung, 2 left lung.
    pub lungs: Volume<u8>,
    /// 1 ground glass, 2 consolidation.
    pub lesions: Volume<u8>,
    /// The class: normal exactly if nothing is labelled.
    pub class: Diagnosis,
    /// Record of the variation and the lesions.
    pub record: ImplantRecord,
}

/// Record of how a scan was varied and which lesions were implanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImplantRecord {
    /// The seed of all draws.
    pub seed: u64,
    /// The class.
    pub class: Diagnosis,
    /// How the lesions are spread.
    pub pattern: Pattern,
    /// How the scan was varied.
    pub variation: Variation,
    /// HU of full consolidation.
    pub consolidation_hu: f32,
    /// Estimated standard deviation of the scan's own noise within the lungs in HU.
    pub own_noise_hu: f32,
    /// The implanted lesions.
    pub lesions: Vec<ImplantedLesion>,
    /// Millilitres of lung.
    pub lungs_ml: f64,
    /// Millilitres that are labelled ground glass.
    pub ground_glass_ml: f64,
    /// Millilitres that are labelled consolidation.
    pub consolidation_ml: f64,
}

impl Ground {
    /// Makes one variant of the scan: varies it and adds lesions of `class` (none for normal). All
    /// draws come from `seed`. The same arguments give the same voxels on any number of threads.
    ///
    /// If no voxel is labelled, for example because there is no room for lesions, the class is
    /// normal.
    ///
    /// # Errors
    /// `Config` as [`ImplantConfig::validate`]; `Geometry` if the variant's grid is unusable.
    pub fn implant(
        &self,
        config: &ImplantConfig,
        class: Diagnosis,
        seed: u64,
    ) -> Result<Implanted> {
        config.validate()?;
        let variation = Variation::draw(&config.background, self, seed);
        let mut stage = Stage::new(self, &variation, seed)?;
        let noise = ScanNoise::measure(&stage);
        let r = &mut Random::new(seed, 45);
        let textures = Textures {
            noise: Noise::new(r),
            lobules: Lobules::new(r),
        };
        let [low, high] = config.consolidation_hu;
        let consolidation_hu = r.uniform(low, high).round() as f32;
        let lobes = Lobes::new(&stage, seed);
        let (lung_hu, base) = parenchyma(&stage);
        let (mut pattern, mut planned) =
            Planner::new(&stage, &lobes, &textures, config, lung_hu, seed).draw(class);
        let lumens = bronchi::grow(&planned, &lobes, seed);
        let painted = Painted::new(&stage, &planned, &lumens, &textures, &lobes);
        let contrast = config.contrast_hu as f32;
        let lesions = truth::labels(&stage, &painted, &base, consolidation_hu, contrast)?;
        let ml = |label: u8, of: &[u8]| {
            let n = of.iter().filter(|&&v| v == label).count();
            n as f64 * stage.geometry.voxel_mm3() / 1000.0
        };
        let [glass, dense] = [1, 2].map(|label| ml(label, lesions.data()));
        let lungs_ml = ml(1, &stage.lungs) + ml(2, &stage.lungs);
        let class = if glass + dense > 0.0 {
            painted.mix_into(&mut stage, consolidation_hu, &noise, seed);
            class
        } else {
            (pattern, planned) = (Pattern::Clear, Vec::new());
            Diagnosis::Normal
        };
        stage.finish(&variation, seed);
        let tidy = |v: f64| (v * 1000.0).round() / 1000.0;
        Ok(Implanted {
            ct: Volume::new(stage.hu, stage.geometry)?,
            lungs: Volume::new(stage.lungs, stage.geometry)?,
            lesions,
            class,
            record: ImplantRecord {
                seed,
                class,
                pattern,
                variation,
                consolidation_hu,
                own_noise_hu: (noise.sd_hu * 10.0).round() / 10.0,
                lesions: planned,
                lungs_ml: tidy(lungs_ml),
                ground_glass_ml: tidy(glass),
                consolidation_ml: tidy(dense),
            },
        })
    }
}

/// Mean HU of aerated lung: over both lungs, and local over about 6 mm.
fn parenchyma(stage: &Stage) -> (f32, Coarse) {
    let aerated = |i: usize| {
        let v = stage.hu[i];
        (stage.lungs[i] > 0 && v < -450.0 && stage.depth[i] > 1.0).then_some(v)
    };
    let (mut sum, mut n) = (0.0f64, 0.0f64);
    for v in (0..stage.hu.len()).filter_map(aerated) {
        sum += f64::from(v);
        n += 1.0;
    }
    let mean = if n > 0.0 { (sum / n) as f32 } else { -850.0 };
    (
        mean,
        Coarse::mean(stage.shape(), stage.spacing_mm, 6.0, mean, aerated),
    )
}
