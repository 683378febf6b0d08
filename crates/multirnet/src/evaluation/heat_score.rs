//! Where the heat of a Grad-CAM lies, and how much it depends on what the net has learned.

use multirnet_finding::NativeMap;
use multirnet_metrics::maps::rank_correlation;
use multirnet_volume::{Diagnosis, Planes as _, Volume};
use serde::{Deserialize, Serialize};

/// Seed of the weights of the untrained net whose map stands beside that of the trained one.
pub const RANDOM_SEED: u64 = 0x5EED;

/// Number of voxels that two maps are compared on at most.
const COMPARED: usize = 100_000;

/// Where the heat of a class lies on one scan.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HeatScore {
    /// The explained class.
    pub class: Diagnosis,
    /// Share of the heat inside the lesions, 0..=1; `None` without heat or lesions.
    pub in_lesions: Option<f64>,
    /// Share of the heat inside the lungs, 0..=1; `None` without heat.
    pub in_lungs: Option<f64>,
    /// The lesions' share of the lungs' volume. Heat that is spread evenly over the lungs would have
    /// this share of its part in the lungs in the lesions. `None` without lungs.
    pub lesions_of_lungs: Option<f64>,
    /// Whether the hottest voxel is a lesion voxel (the pointing game of Zhang et al., ECCV 2016); `None` as
    /// `in_lesions`.
    pub peak_in_lesions: Option<bool>,
    /// Spearman's rank correlation with the heat of the same net with random weights, over the lungs' voxels
    /// (Adebayo et al., Sanity Checks for Saliency Maps, NeurIPS 2018). Near 0: the map depends on what the net
    /// has learned. `None` without such a map, or if one of the two is constant.
    #[serde(default)]
    pub like_random: Option<f64>,
}

impl HeatScore {
    /// Measures `heat`, the map of `class`. `lesions` are the true or the predicted ones, `random` is the map of the same
    /// net with random weights. All lie on one grid.
    pub fn from_maps(
        class: Diagnosis,
        heat: &NativeMap,
        lungs: &Volume<u8>,
        lesions: &Volume<u8>,
        random: Option<&NativeMap>,
    ) -> Self {
        let [nz, ny, nx] = lungs.shape();
        let of_lungs = lungs.data().iter().filter(|l| **l != 0).count();
        let every = of_lungs.div_ceil(COMPARED).max(1);
        let (mut total, mut in_lesions, mut in_lungs) = (0.0, 0.0, 0.0);
        let (mut peak, mut peak_in_lesions) = (0.0, false);
        let (mut seen, mut of_lesions) = (0usize, 0usize);
        let (mut own, mut others) = (Vec::new(), Vec::new());
        let (mut plane, mut other) = (vec![0.0f32; ny * nx], vec![0.0f32; ny * nx]);
        for z in 0..nz {
            heat.read_plane(z, &mut plane);
            if let Some(random) = random {
                random.read_plane(z, &mut other);
            }
            let masks = lesions.plane(z).iter().zip(lungs.plane(z));
            for (i, (&v, (&lesion, &lung))) in plane.iter().zip(masks).enumerate() {
                let value = f64::from(v);
                total += value;
                if lesion != 0 {
                    in_lesions += value;
                    of_lesions += 1;
                }
                if value > peak {
                    (peak, peak_in_lesions) = (value, lesion != 0);
                }
                if lung != 0 {
                    in_lungs += value;
                    if random.is_some() && seen.is_multiple_of(every) {
                        own.push(v);
                        others.push(other[i]);
                    }
                    seen += 1;
                }
            }
        }
        let share = |part: f64| (total > 0.0).then(|| part / total);
        let any = of_lesions > 0 && total > 0.0;
        let alike = random.map(|_| rank_correlation(&own, &others));
        Self {
            class,
            in_lesions: share(in_lesions).filter(|_| any),
            in_lungs: share(in_lungs),
            lesions_of_lungs: (of_lungs > 0).then(|| of_lesions as f64 / of_lungs as f64),
            peak_in_lesions: any.then_some(peak_in_lesions),
            like_random: alike.filter(|r| r.is_finite()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use multirnet_volume::Geometry;

    #[test]
    fn shares_and_peak_by_hand() {
        let grid = Geometry::axial([2, 1, 3], [1.0; 3]).unwrap();
        let map = |values: [f32; 6]| NativeMap::from(Volume::new(values.to_vec(), grid).unwrap());
        let mask = |values: [u8; 6]| Volume::new(values.to_vec(), grid).unwrap();
        let heat = map([0.5, 0.0, 0.25, 0.75, 0.25, 0.25]);
        let (lungs, lesions) = (mask([1, 1, 1, 2, 0, 0]), mask([0, 0, 1, 1, 0, 0]));
        let random = map([0.25, 0.75, 0.5, 0.0, 9.0, 9.0]);
        let found = HeatScore::from_maps(Diagnosis::Cap, &heat, &lungs, &lesions, Some(&random));
        assert_eq!((found.in_lesions, found.in_lungs), (Some(0.5), Some(0.75)));
        assert_eq!(found.lesions_of_lungs, Some(0.5));
        assert_eq!(found.peak_in_lesions, Some(true));
        // Ranks 3, 1, 2, 4 and 2, 4, 3, 1 in the lungs are each other's reverse.
        assert!((found.like_random.unwrap() + 1.0).abs() < 1e-12);
        let none = HeatScore::from_maps(Diagnosis::Cap, &heat, &lungs, &mask([0; 6]), None);
        assert_eq!((none.in_lesions, none.peak_in_lesions), (None, None));
        assert_eq!((none.lesions_of_lungs, none.like_random), (Some(0.0), None));
        let cold = HeatScore::from_maps(Diagnosis::Cap, &map([0.0; 6]), &lungs, &lesions, None);
        assert_eq!((cold.in_lesions, cold.in_lungs), (None, None));
    }
}
