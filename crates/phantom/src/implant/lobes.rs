//! Position of the lobes, estimated from the lungs' extent.

use super::hilum::hilum;
use super::vary::Stage;
use crate::Lobe;
use crate::noise::Noise;
use multirnet_base::random::Random;

/// One lung's extent and the fissures that are drawn for it.
///
/// Fissures are undulating planes at usual heights of the lung's extent. They are not the scan's own
/// fissures, which cannot be found on most scans with thick slices.
pub(super) struct Lung {
    /// Extent in mm from the first voxel `(z, y, x)`; empty lungs have low > high.
    pub low: [f32; 3],
    pub high: [f32; 3],
    /// Height of the oblique fissure at the front and rise towards the back, as shares.
    oblique: [f32; 2],
    /// Height of the horizontal fissure as a share; none on the left.
    horizontal: Option<f32>,
    right: bool,
}

/// Both lungs.
pub(super) struct Lobes {
    pub lungs: [Lung; 2],
    waves: Noise,
}

impl Lobes {
    pub fn new(stage: &Stage, seed: u64) -> Self {
        let r = &mut Random::new(seed, 42);
        let mut extent = [[[f32::MAX; 3], [f32::MIN; 3]]; 2];
        let [_, ny, nx] = stage.shape();
        for (row, line) in stage.lungs.chunks_exact(nx).enumerate() {
            for (side, label) in [(0, 1u8), (1, 2)] {
                let Some(first) = line.iter().position(|&l| l == label) else {
                    continue;
                };
                let last = line.iter().rposition(|&l| l == label).unwrap_or(first);
                for x in [first, last] {
                    let p = [row / ny, row % ny, x];
                    for a in 0..3 {
                        let v = p[a] as f32 * stage.spacing_mm[a];
                        extent[side][0][a] = extent[side][0][a].min(v);
                        extent[side][1][a] = extent[side][1][a].max(v);
                    }
                }
            }
        }
        let mut lung = |side: usize| Lung {
            low: extent[side][0],
            high: extent[side][1],
            oblique: [r.uniform(0.0, 0.14) as f32, r.uniform(0.6, 0.78) as f32],
            horizontal: (side == 0).then(|| r.uniform(0.42, 0.56) as f32),
            right: side == 0,
        };
        let lungs = [lung(0), lung(1)];
        Self {
            lungs,
            waves: Noise::new(r),
        }
    }

    /// The lobe at a point of lung `side` (0 right, 1 left), and the distance in mm to the nearest
    /// fissure.
    pub fn lobe(&self, side: usize, p: [f32; 3]) -> (Lobe, f32) {
        let lung = &self.lungs[side];
        let wave = 9.0
            * self
                .waves
                .at(p[2] / 45.0, p[1] / 45.0, 3.0 * side as f32 + 0.4);
        let [h, y] = [lung.share(p, 0), lung.share(p, 1)];
        let high = lung.high[0] - lung.low[0];
        // The fissure is steep, so the distance to it is shorter than the height above it.
        let above = (h - lung.oblique[0] - lung.oblique[1] * y) * high * 0.75 + wave;
        let flat = lung.horizontal.map(|at| (h - at) * high - 0.7 * wave);
        match (above > 0.0, flat) {
            (false, _) if lung.right => (Lobe::RightLower, -above),
            (false, _) => (Lobe::LeftLower, -above),
            (true, Some(flat)) if flat > 0.0 => (Lobe::RightUpper, flat.min(above)),
            (true, Some(flat)) => (Lobe::RightMiddle, above.min(-flat)),
            (true, None) => (Lobe::LeftUpper, above),
        }
    }
}

impl Lung {
    /// Whether the scan shows this lung.
    pub fn is_there(&self) -> bool {
        self.low[0] < self.high[0]
    }

    /// Position along an axis as a share of the lung's extent: 0 bottom, front or right.
    pub fn share(&self, p: [f32; 3], axis: usize) -> f32 {
        let long = (self.high[axis] - self.low[axis]).max(1.0);
        ((p[axis] - self.low[axis]) / long).clamp(0.0, 1.0)
    }

    /// About where bronchi and vessels enter.
    pub fn hilum(&self) -> [f32; 3] {
        hilum(self.low, self.high, self.right)
    }
}
