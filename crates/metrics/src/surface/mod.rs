//! Distances between the surfaces of two masks.
//!
//! There are two conventions, which give different numbers. Every result names its own.
//!
//! - [`Convention::Area`] is that of DeepMind's `surface-distance` (Nikolov et al., "Clinically
//!   applicable segmentation of head and neck anatomy", JMIR 2021): elements of the surface lie on
//!   the corners between voxels, each with the area that marching cubes gives the surface there.
//! - [`Convention::Voxel6`] is that of MONAI: voxels with a face on the outside, each counting 1;
//!   distances run between their centres.
//!
//! In both, everything beyond the volume is outside the mask. A mask that touches the border
//! therefore has a surface there. Both measure along the array's axes with its spacing; masks must
//! share a grid.
//!
//! # Empty masks
//!
//! Empty masks score as in the two libraries. Undefined is `None`.
//!
//! | value | both empty | one empty |
//! |---|---|---|
//! | mean distance, empty → other | undefined | `area`: undefined; `voxel-6`: infinite |
//! | mean distance, other → empty | – | infinite |
//! | mean of the two directions | undefined | `area`: undefined; `voxel-6`: infinite |
//! | pooled mean distance | undefined | infinite |
//! | surface overlap of the empty one | undefined | `area`: undefined; `voxel-6`: 0 |
//! | surface overlap of the other | – | 0 |
//! | surface Dice | undefined | 0 |
//! | Hausdorff distances | `area`: infinite; `voxel-6`: undefined | infinite |
//!
//! There is one exception: MONAI's *percentile* of infinite distances is NaN, because it
//! interpolates between them. Here it is infinite, as MONAI's maximum is.

mod area;
mod convention;
mod mask;

pub use convention::Convention;

use crate::{Error, ErrorKind, Result};
use mask::{Mask, Surface};
use multirnet_volume::{Volume, distance};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// How surfaces are compared.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SurfaceConfig {
    /// What counts as surface.
    pub convention: Convention,
    /// Distance in mm up to which surfaces overlap.
    pub tolerance_mm: f64,
}

impl Default for SurfaceConfig {
    fn default() -> Self {
        Self {
            convention: Convention::Area,
            tolerance_mm: 1.0,
        }
    }
}

impl SurfaceConfig {
    /// Refuses a tolerance that is negative or not finite.
    ///
    /// # Errors
    /// `Invalid` for such a tolerance.
    pub fn check(&self) -> Result<()> {
        if self.tolerance_mm.is_finite() && self.tolerance_mm >= 0.0 {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Invalid,
            format!("tolerance_mm is {}", self.tolerance_mm),
        )
        .hint("give 0 or more millimetres; 1.0 is usual"))
    }
}

/// The distances from every element of one surface to another surface.
#[derive(Debug, Clone, PartialEq)]
pub struct DirectedDistances {
    convention: Convention,
    /// Distance in mm and weight of each element, in rising order.
    elements: Vec<(f64, f64)>,
    /// Weight of all elements.
    weight: f64,
}

impl DirectedDistances {
    fn new(convention: Convention, mut elements: Vec<(f64, f64)>) -> Self {
        elements.par_sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        Self {
            weight: pairwise_sum(&elements, |e| e.1),
            convention,
            elements,
        }
    }

    /// Number of surface elements.
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Whether there is no surface.
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// Area of the surface in mm², or its number of voxels.
    pub fn weight(&self) -> f64 {
        self.weight
    }

    /// Sum of the distances, each times its element's weight.
    fn moment(&self) -> f64 {
        pairwise_sum(&self.elements, |(d, w)| d * w)
    }

    /// Weight of the elements whose distance is at most `tolerance_mm`.
    fn weight_within(&self, tolerance_mm: f64) -> f64 {
        let n = self.elements.partition_point(|e| e.0 <= tolerance_mm);
        pairwise_sum(&self.elements[..n], |e| e.1)
    }

    /// Weighted mean distance, mm; `None` without surface.
    pub fn mean_mm(&self) -> Option<f64> {
        (!self.is_empty()).then(|| self.moment() / self.weight)
    }

    /// Share of the surface within `tolerance_mm` of the other; `None` without surface.
    pub fn overlap(&self, tolerance_mm: f64) -> Option<f64> {
        (!self.is_empty()).then(|| self.weight_within(tolerance_mm) / self.weight)
    }

    /// The `percent`-th percentile of the distances, mm. By area, it is the smallest distance
    /// within which that share of the surface lies. By voxels, it is interpolated between the two
    /// voxels around it.
    pub fn percentile_mm(&self, percent: f64) -> Option<f64> {
        let share = (percent / 100.0).clamp(0.0, 1.0);
        let last = self.elements.len().checked_sub(1)?;
        match self.convention {
            Convention::Area => {
                let mut sum = 0.0;
                let reached = self.elements.iter().find(|e| {
                    sum += e.1;
                    sum / self.weight >= share
                });
                Some(reached.unwrap_or(&self.elements[last]).0)
            }
            Convention::Voxel6 => {
                let at = share * last as f64;
                let below = self.elements[at.floor() as usize].0;
                let above = self.elements[at.ceil() as usize].0;
                // Interpolation between infinite distances would give NaN.
                Some(if above == below {
                    below
                } else {
                    below + (above - below) * at.fract()
                })
            }
        }
    }
}

/// The distances between two surfaces, from each to the other.
#[derive(Debug, Clone, PartialEq)]
pub struct SurfaceDistances {
    /// From the true surface to the predicted one.
    pub truth_to_predicted: DirectedDistances,
    /// From the predicted surface to the true one.
    pub predicted_to_truth: DirectedDistances,
    convention: Convention,
}

impl SurfaceDistances {
    /// Measures the distances between the surfaces of `label` (`None`: any label but 0).
    ///
    /// The work is done on the smallest block that holds both masks. It needs two bytes per voxel
    /// of the block and 16 per surface element.
    ///
    /// # Errors
    /// `Mismatch` if the two do not lie on the same grid, `Invalid` if they have more planes than
    /// can be measured in (65,533).
    pub fn from_masks(
        truth: &Volume<u8>,
        predicted: &Volume<u8>,
        label: Option<u8>,
        convention: Convention,
    ) -> Result<Self> {
        crate::overlap::check_same_grid(truth, predicted)?;
        let masks = [Mask::new(truth, label), Mask::new(predicted, label)];
        let spacing = truth.geometry().spacing_mm();
        let [truth_to_predicted, predicted_to_truth] = match masks[0].joint_block(&masks[1]) {
            None => [Vec::new(), Vec::new()],
            Some(block) => {
                let surfaces = masks.map(|m| Surface::new(m, block, convention));
                let weights = Surface::weights(convention, spacing);
                let [t, p] = &surfaces;
                [
                    directed(t, p, spacing, &weights)?,
                    directed(p, t, spacing, &weights)?,
                ]
            }
        };
        let mut distances = Self {
            truth_to_predicted: DirectedDistances::new(convention, truth_to_predicted),
            predicted_to_truth: DirectedDistances::new(convention, predicted_to_truth),
            convention,
        };
        if convention == Convention::Voxel6 {
            distances.empty_as_in_monai();
        }
        Ok(distances)
    }

    /// In MONAI an empty mask is infinitely far from each voxel of the other's surface.
    fn empty_as_in_monai(&mut self) {
        let (t, p) = (&mut self.truth_to_predicted, &mut self.predicted_to_truth);
        if t.is_empty() {
            t.clone_from(p);
        } else if p.is_empty() {
            p.clone_from(t);
        }
    }

    /// What counted as surface.
    pub fn convention(&self) -> Convention {
        self.convention
    }

    /// Mean of the two directions' mean distances, mm: the headline average surface distance.
    pub fn mean_mm(&self) -> Option<f64> {
        Some((self.truth_to_predicted.mean_mm()? + self.predicted_to_truth.mean_mm()?) / 2.0)
    }

    /// Weighted mean over the elements of both surfaces, mm.
    pub fn pooled_mean_mm(&self) -> Option<f64> {
        let (t, p) = (&self.truth_to_predicted, &self.predicted_to_truth);
        (!t.is_empty() || !p.is_empty()).then(|| (t.moment() + p.moment()) / (t.weight + p.weight))
    }

    /// Mean of the two directions' overlaps at a tolerance, 0..=1.
    pub fn overlap(&self, tolerance_mm: f64) -> Option<f64> {
        let t = self.truth_to_predicted.overlap(tolerance_mm)?;
        Some((t + self.predicted_to_truth.overlap(tolerance_mm)?) / 2.0)
    }

    /// Share of both surfaces together that lies within a tolerance of the other, 0..=1.
    pub fn surface_dice(&self, tolerance_mm: f64) -> Option<f64> {
        let (t, p) = (&self.truth_to_predicted, &self.predicted_to_truth);
        let within = t.weight_within(tolerance_mm) + p.weight_within(tolerance_mm);
        (!t.is_empty() || !p.is_empty()).then(|| within / (t.weight + p.weight))
    }

    /// The larger of the two directions' `percent`-th percentiles, mm; 100 is the Hausdorff
    /// distance.
    pub fn hausdorff_mm(&self, percent: f64) -> Option<f64> {
        let directions = [&self.truth_to_predicted, &self.predicted_to_truth];
        let [t, p] = directions.map(|d| match self.convention {
            // `surface-distance` gives infinity for a mask without surface.
            Convention::Area => d.percentile_mm(percent).or(Some(f64::INFINITY)),
            Convention::Voxel6 => d.percentile_mm(percent),
        });
        Some(t?.max(p?))
    }
}

/// Pairwise summation: sums halves of halves, down to blocks with eight running sums. Its errors
/// are small and the same as NumPy's. They decide percentiles that fall between two elements of a
/// small surface.
fn pairwise_sum(elements: &[(f64, f64)], value: impl Fn((f64, f64)) -> f64 + Copy) -> f64 {
    const BLOCK: usize = 128;
    if elements.len() > BLOCK {
        let half = elements.len() / 2;
        let (a, b) = elements.split_at(half - half % 8);
        return pairwise_sum(a, value) + pairwise_sum(b, value);
    }
    let (eights, rest) = elements.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for eight in eights {
        for (sum, &e) in sums.iter_mut().zip(eight) {
            *sum += value(e);
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    let whole = ((a + b) + (c + d)) + ((e + f) + (g + h));
    rest.iter().fold(whole, |sum, &e| sum + value(e))
}

fn directed(
    from: &Surface,
    to: &Surface,
    spacing_mm: [f64; 3],
    weights: &[f64; 256],
) -> Result<Vec<(f64, f64)>> {
    let found = distance::distances_between(
        from.shape(),
        spacing_mm,
        |z, y, row| from.row(z, y, row),
        |z, y, row| to.row(z, y, row),
    )
    .map_err(|e| Error::new(ErrorKind::Invalid, e.to_string()))?;
    Ok(found
        .into_iter()
        .map(|(kind, d)| (d, weights[usize::from(kind)]))
        .collect())
}

/// The scores that follow from the surface distances of one pair of masks; see the module's table
/// for empty masks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SurfaceScores {
    /// Convention and tolerance.
    #[serde(flatten)]
    pub config: SurfaceConfig,
    /// Average surface distance, mm: mean of the two directions.
    #[serde(with = "crate::number")]
    pub asd_mm: Option<f64>,
    /// Average distance from the true surface to the predicted one, mm.
    #[serde(with = "crate::number")]
    pub asd_truth_to_predicted_mm: Option<f64>,
    /// Average distance from the predicted surface to the true one, mm.
    #[serde(with = "crate::number")]
    pub asd_predicted_to_truth_mm: Option<f64>,
    /// Average distance over the elements of both surfaces, mm.
    #[serde(with = "crate::number")]
    pub asd_pooled_mm: Option<f64>,
    /// Surface overlap at the tolerance, 0..=1: mean of the two directions.
    #[serde(with = "crate::number")]
    pub overlap: Option<f64>,
    /// Share of the true surface within the tolerance of the predicted one.
    #[serde(with = "crate::number")]
    pub overlap_truth: Option<f64>,
    /// Share of the predicted surface within the tolerance of the true one.
    #[serde(with = "crate::number")]
    pub overlap_predicted: Option<f64>,
    /// Share of both surfaces together within the tolerance (the pooled overlap), 0..=1.
    #[serde(with = "crate::number")]
    pub surface_dice: Option<f64>,
    /// Hausdorff distance, mm.
    #[serde(with = "crate::number")]
    pub hausdorff_mm: Option<f64>,
    /// 95th percentile of the Hausdorff distance, mm.
    #[serde(with = "crate::number")]
    pub hausdorff_95_mm: Option<f64>,
}

impl SurfaceScores {
    /// Measures and scores; see [`SurfaceDistances::from_masks`].
    ///
    /// # Errors
    /// `Mismatch` if the two do not lie on the same grid, `Invalid` for an unusable tolerance or
    /// grid.
    pub fn from_masks(
        truth: &Volume<u8>,
        predicted: &Volume<u8>,
        label: Option<u8>,
        config: &SurfaceConfig,
    ) -> Result<Self> {
        config.check()?;
        let d = SurfaceDistances::from_masks(truth, predicted, label, config.convention)?;
        let tolerance = config.tolerance_mm;
        Ok(Self {
            config: *config,
            asd_mm: d.mean_mm(),
            asd_truth_to_predicted_mm: d.truth_to_predicted.mean_mm(),
            asd_predicted_to_truth_mm: d.predicted_to_truth.mean_mm(),
            asd_pooled_mm: d.pooled_mean_mm(),
            overlap: d.overlap(tolerance),
            overlap_truth: d.truth_to_predicted.overlap(tolerance),
            overlap_predicted: d.predicted_to_truth.overlap(tolerance),
            surface_dice: d.surface_dice(tolerance),
            hausdorff_mm: d.hausdorff_mm(100.0),
            hausdorff_95_mm: d.hausdorff_mm(95.0),
        })
    }
}
