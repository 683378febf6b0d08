//! Overlap of two masks on the same grid.

use crate::{Error, ErrorKind, Result};
use multirnet_volume::Volume;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Voxels that one thread counts at a time.
const CHUNK: usize = 1 << 16;

/// How a predicted mask overlaps a true one, in voxels of one grid.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Overlap {
    /// Voxels in both masks.
    pub true_positive: u64,
    /// Voxels in the prediction only.
    pub false_positive: u64,
    /// Voxels in the truth only.
    pub false_negative: u64,
    /// Volume of one voxel, mm³.
    pub voxel_mm3: f64,
}

impl Overlap {
    /// Overlap of `predicted` with `truth`; any label but 0 counts as mask.
    ///
    /// # Errors
    /// `Mismatch` if the two do not lie on the same grid.
    pub fn from_masks(truth: &Volume<u8>, predicted: &Volume<u8>) -> Result<Self> {
        Self::count(truth, predicted, |t| t != 0, |p| p != 0)
    }

    /// Overlap of one `label` (say, consolidation only).
    ///
    /// # Errors
    /// `Mismatch` if the two do not lie on the same grid.
    pub fn of_label(truth: &Volume<u8>, predicted: &Volume<u8>, label: u8) -> Result<Self> {
        Self::count(truth, predicted, |t| t == label, |p| p == label)
    }

    fn count(
        truth: &Volume<u8>,
        predicted: &Volume<u8>,
        in_truth: impl Fn(u8) -> bool + Sync,
        in_predicted: impl Fn(u8) -> bool + Sync,
    ) -> Result<Self> {
        check_same_grid(truth, predicted)?;
        // Numbers of voxels that are true, predicted, and both.
        let [truths, predictions, both] = truth
            .data()
            .par_chunks(CHUNK)
            .zip(predicted.data().par_chunks(CHUNK))
            .map(|(t, p)| {
                let pairs = t
                    .iter()
                    .zip(p)
                    .map(|(&t, &p)| (in_truth(t), in_predicted(p)));
                pairs.fold([0u32; 3], |[a, b, c], (t, p)| {
                    [a + u32::from(t), b + u32::from(p), c + u32::from(t & p)]
                })
            })
            .map(|counts| counts.map(u64::from))
            .reduce(|| [0; 3], |a, b| std::array::from_fn(|i| a[i] + b[i]));
        Ok(Self {
            true_positive: both,
            false_positive: predictions - both,
            false_negative: truths - both,
            voxel_mm3: truth.geometry().voxel_mm3(),
        })
    }

    /// Dice coefficient 2·TP / (2·TP + FP + FN) in 0..=1; `None` when both masks are empty.
    pub fn dice(&self) -> Option<f64> {
        let sum = 2 * self.true_positive + self.false_positive + self.false_negative;
        (sum > 0).then(|| 2.0 * self.true_positive as f64 / sum as f64)
    }

    /// Intersection over union TP / (TP + FP + FN) in 0..=1; `None` when both masks are empty.
    pub fn iou(&self) -> Option<f64> {
        let union = self.true_positive + self.false_positive + self.false_negative;
        (union > 0).then(|| self.true_positive as f64 / union as f64)
    }

    /// Share of the true mask that was predicted, TP / (TP + FN) in 0..=1; `None` without truth.
    pub fn recall(&self) -> Option<f64> {
        let truth = self.true_positive + self.false_negative;
        (truth > 0).then(|| self.true_positive as f64 / truth as f64)
    }

    /// Share of the prediction that is true, TP / (TP + FP) in 0..=1; `None` without prediction.
    pub fn precision(&self) -> Option<f64> {
        let predicted = self.true_positive + self.false_positive;
        (predicted > 0).then(|| self.true_positive as f64 / predicted as f64)
    }

    /// Whether the prediction holds no voxel.
    pub fn prediction_is_empty(&self) -> bool {
        self.true_positive + self.false_positive == 0
    }

    /// Whether the truth holds no voxel.
    pub fn truth_is_empty(&self) -> bool {
        self.true_positive + self.false_negative == 0
    }

    /// Volume of the true mask, ml.
    pub fn truth_ml(&self) -> f64 {
        (self.true_positive + self.false_negative) as f64 * self.voxel_mm3 / 1000.0
    }

    /// Volume of the predicted mask, ml.
    pub fn predicted_ml(&self) -> f64 {
        (self.true_positive + self.false_positive) as f64 * self.voxel_mm3 / 1000.0
    }

    /// Volume predicted where the truth has nothing, ml.
    pub fn false_positive_ml(&self) -> f64 {
        self.false_positive as f64 * self.voxel_mm3 / 1000.0
    }
}

/// Refuses masks on different grids.
pub(crate) fn check_same_grid(truth: &Volume<u8>, predicted: &Volume<u8>) -> Result<()> {
    truth.check_same_grid(predicted).map_err(|e| {
        Error::new(
            ErrorKind::Mismatch,
            format!("the prediction does not lie on the truth's grid: {e}"),
        )
        .hint("score on the scan's own grid; resample the prediction first")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use multirnet_volume::Geometry;

    fn mask(values: [u8; 4]) -> Volume<u8> {
        let grid = Geometry::axial([1, 2, 2], [10.0, 5.0, 2.0]).unwrap();
        Volume::new(values.to_vec(), grid).unwrap()
    }

    #[test]
    fn dice_by_hand() {
        let cases = [
            ([1, 1, 0, 0], [1, 1, 0, 0], Some(1.0)),
            ([1, 1, 0, 0], [0, 1, 1, 0], Some(0.5)),
            ([1, 1, 1, 0], [2, 0, 0, 0], Some(0.5)),
            ([0, 0, 0, 0], [0, 1, 0, 0], Some(0.0)),
            ([1, 0, 0, 0], [0, 0, 0, 0], Some(0.0)),
            ([0, 0, 0, 0], [0, 0, 0, 0], None),
        ];
        for (truth, predicted, dice) in cases {
            let overlap = Overlap::from_masks(&mask(truth), &mask(predicted)).unwrap();
            assert_eq!(overlap.dice(), dice, "{truth:?} {predicted:?}");
        }
    }

    #[test]
    fn recall_and_precision_by_hand() {
        let overlap = Overlap::from_masks(&mask([1, 1, 1, 0]), &mask([1, 0, 0, 1])).unwrap();
        assert_eq!(overlap.recall(), Some(1.0 / 3.0));
        assert_eq!(overlap.precision(), Some(0.5));
        let missed = Overlap::from_masks(&mask([1, 0, 0, 0]), &mask([0; 4])).unwrap();
        assert_eq!((missed.recall(), missed.precision()), (Some(0.0), None));
        let invented = Overlap::from_masks(&mask([0; 4]), &mask([1, 0, 0, 0])).unwrap();
        assert_eq!((invented.recall(), invented.precision()), (None, Some(0.0)));
    }

    #[test]
    fn volumes_are_in_millilitres() {
        let overlap = Overlap::from_masks(&mask([1, 1, 1, 0]), &mask([1, 0, 0, 1])).unwrap();
        assert!((overlap.truth_ml() - 0.3).abs() < 1e-12);
        assert!((overlap.predicted_ml() - 0.2).abs() < 1e-12);
        assert!((overlap.false_positive_ml() - 0.1).abs() < 1e-12);
    }

    #[test]
    fn one_label_alone() {
        let overlap = Overlap::of_label(&mask([1, 2, 2, 0]), &mask([2, 2, 0, 0]), 2).unwrap();
        assert_eq!(overlap.dice(), Some(0.5));
    }

    #[test]
    fn another_grid_is_refused() {
        let other = Volume::filled(1u8, Geometry::axial([1, 2, 2], [10.0, 5.0, 3.0]).unwrap());
        let error = Overlap::from_masks(&mask([1; 4]), &other).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Mismatch);
        assert!(error.to_string().contains("resample"), "{error}");
    }
}
