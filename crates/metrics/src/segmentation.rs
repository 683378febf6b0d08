//! What is predicted in scans without lesions.

use crate::{Aggregate, EmptyPolicy, Overlap};
use serde::{Deserialize, Serialize};

/// Lesions that were predicted in scans that truly have none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FalsePositives {
    /// Scans without any true lesion.
    pub n: usize,
    /// Those in which a lesion was predicted.
    pub n_with_prediction: usize,
    /// Their share; undefined without such scans.
    #[serde(with = "crate::number")]
    pub rate: Option<f64>,
    /// Falsely predicted volume per scan, ml (all `n` scans, 0 where nothing was predicted).
    pub volume_ml: Aggregate,
}

impl FalsePositives {
    /// Counts what was predicted in scans without true lesion. All volumes are defined and finite,
    /// so the policy does not matter.
    pub fn of<'a>(scans: impl IntoIterator<Item = &'a Overlap>) -> Self {
        let volumes: Vec<_> = scans
            .into_iter()
            .map(|o| Some(o.false_positive_ml()))
            .collect();
        let (n, n_with_prediction) = (
            volumes.len(),
            volumes
                .iter()
                .filter(|v| v.is_some_and(|v| v > 0.0))
                .count(),
        );
        Self {
            n,
            n_with_prediction,
            rate: (n > 0).then(|| n_with_prediction as f64 / n as f64),
            volume_ml: Aggregate::from_values(&volumes, EmptyPolicy::Propagate, f64::INFINITY),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn false_lesions_are_counted_over_all_scans_without_lesions() {
        let scan = |false_positive: u64| Overlap {
            true_positive: 0,
            false_positive,
            false_negative: 0,
            voxel_mm3: 500.0,
        };
        let found = FalsePositives::of(&[scan(0), scan(4)]);
        assert_eq!((found.n, found.n_with_prediction), (2, 1));
        assert_eq!((found.rate, found.volume_ml.mean), (Some(0.5), Some(1.0)));
        assert_eq!(FalsePositives::of(&[]).rate, None);
    }
}
