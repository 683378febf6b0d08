//! Detection of single lesions.

use crate::{Error, ErrorKind, Result};
use multirnet_volume::Volume;
use multirnet_volume::components::{ComponentRuns, Connectivity};
use serde::{Deserialize, Serialize};

/// What a lesion is and when it counts as found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LesionConfig {
    /// Which voxels belong to one lesion: `corners` (26 neighbours) or `faces` (6).
    pub connectivity: Connectivity,
    /// Share of a lesion's voxels that the other mask must cover. With 0, one voxel is enough.
    pub min_overlap: f64,
}

impl Default for LesionConfig {
    /// 26 neighbours; one common voxel is enough.
    fn default() -> Self {
        Self {
            connectivity: Connectivity::Corners,
            min_overlap: 0.0,
        }
    }
}

/// Lesions found, missed and invented in one scan, or in many ([`LesionDetection::pool`]).
///
/// A lesion is a connected component. A true lesion is *found* if the predicted mask covers at
/// least one of its voxels and at least `min_overlap` of them, otherwise *missed*. A predicted
/// lesion is *invented* unless the true mask covers it in the same way. One prediction may find
/// several lesions, and several predictions may find one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LesionDetection {
    /// What a lesion is and when it counts as found.
    #[serde(flatten)]
    pub config: LesionConfig,
    /// True lesions.
    pub truth: usize,
    /// True lesions that were not found.
    pub missed: usize,
    /// Predicted lesions.
    pub predicted: usize,
    /// Predicted lesions that were invented.
    pub invented: usize,
}

impl LesionDetection {
    /// Compares the lesions of `label` (`None`: any label but 0).
    ///
    /// # Errors
    /// `Mismatch` if the two do not lie on the same grid, `Invalid` if `min_overlap` is not in
    /// 0..=1.
    pub fn from_masks(
        truth: &Volume<u8>,
        predicted: &Volume<u8>,
        label: Option<u8>,
        config: &LesionConfig,
    ) -> Result<Self> {
        crate::overlap::check_same_grid(truth, predicted)?;
        if !(0.0..=1.0).contains(&config.min_overlap) {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("min_overlap is {}", config.min_overlap),
            )
            .hint("give a share from 0 to 1"));
        }
        let runs = |v: &Volume<u8>| match label {
            None => ComponentRuns::of(v, config.connectivity, |v| v != 0),
            Some(l) => ComponentRuns::of(v, config.connectivity, |v| v == l),
        };
        let (t, p) = rayon::join(|| runs(truth), || runs(predicted));
        let mut covered = [vec![0usize; t.sizes.len()], vec![0; p.sizes.len()]];
        for (a, b) in t.rows().zip(p.rows()) {
            let (mut i, mut j) = (0, 0);
            while let (Some(a), Some(b)) = (a.get(i), b.get(j)) {
                let common = a.end.min(b.end).saturating_sub(a.start.max(b.start)) as usize;
                covered[0][a.component as usize - 1] += common;
                covered[1][b.component as usize - 1] += common;
                if a.end < b.end {
                    i += 1;
                } else {
                    j += 1;
                }
            }
        }
        let uncovered = |covered: &[usize], sizes: &[usize]| {
            let pairs = covered.iter().zip(sizes);
            pairs
                .filter(|&(&c, &n)| c == 0 || (c as f64) < config.min_overlap * n as f64)
                .count()
        };
        Ok(Self {
            config: *config,
            truth: t.sizes.len(),
            missed: uncovered(&covered[0], &t.sizes),
            predicted: p.sizes.len(),
            invented: uncovered(&covered[1], &p.sizes),
        })
    }

    /// The counts of several scans together; `None` without scans or if their configurations
    /// differ.
    pub fn pool(scans: &[Self]) -> Option<Self> {
        let config = scans.first()?.config;
        scans.iter().all(|s| s.config == config).then(|| Self {
            config,
            truth: scans.iter().map(|s| s.truth).sum(),
            missed: scans.iter().map(|s| s.missed).sum(),
            predicted: scans.iter().map(|s| s.predicted).sum(),
            invented: scans.iter().map(|s| s.invented).sum(),
        })
    }

    /// Share of the true lesions that were found; `None` without true lesions.
    pub fn sensitivity(&self) -> Option<f64> {
        share(self.truth, self.missed)
    }

    /// Share of the predicted lesions that are not invented; `None` without predicted lesions.
    pub fn precision(&self) -> Option<f64> {
        share(self.predicted, self.invented)
    }

    /// Harmonic mean of sensitivity and precision; 0 if both are 0 or only one of them is defined,
    /// `None` if there are neither true nor predicted lesions.
    pub fn f1(&self) -> Option<f64> {
        match (self.sensitivity(), self.precision()) {
            (None, None) => None,
            (Some(s), Some(p)) if s + p > 0.0 => Some(2.0 * s * p / (s + p)),
            _ => Some(0.0),
        }
    }
}

fn share(all: usize, without: usize) -> Option<f64> {
    (all > 0).then(|| (all - without) as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use multirnet_volume::Geometry;

    fn row(values: &[u8]) -> Volume<u8> {
        let grid = Geometry::axial([1, 1, values.len()], [1.0; 3]).unwrap();
        Volume::new(values.to_vec(), grid).unwrap()
    }

    fn counts(truth: &[u8], predicted: &[u8], min_overlap: f64) -> [usize; 4] {
        let config = LesionConfig {
            min_overlap,
            ..LesionConfig::default()
        };
        let d = LesionDetection::from_masks(&row(truth), &row(predicted), None, &config).unwrap();
        [d.truth, d.missed, d.predicted, d.invented]
    }

    #[test]
    fn found_missed_and_invented_by_hand() {
        let truth = [1, 1, 0, 1, 1, 1, 1, 0, 1, 0, 0, 0];
        let predicted = [0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1];
        assert_eq!(counts(&truth, &predicted, 0.0), [3, 1, 2, 1]);
        // The prediction covers only a quarter of the second lesion.
        assert_eq!(counts(&truth, &predicted, 0.3), [3, 2, 2, 1]);
        assert_eq!(counts(&truth, &predicted, 0.25), [3, 1, 2, 1]);
    }

    #[test]
    fn scores_by_hand_and_without_lesions() {
        let d = |truth, missed, predicted, invented| LesionDetection {
            config: LesionConfig::default(),
            truth,
            missed,
            predicted,
            invented,
        };
        let one = d(4, 1, 2, 1);
        assert_eq!(
            (one.sensitivity(), one.precision()),
            (Some(0.75), Some(0.5))
        );
        assert!((one.f1().unwrap() - 0.6).abs() < 1e-12);
        assert_eq!(d(0, 0, 0, 0).f1(), None);
        assert_eq!(d(3, 3, 0, 0).f1(), Some(0.0));
        assert_eq!(d(0, 0, 2, 2).f1(), Some(0.0));
        let pooled = LesionDetection::pool(&[one, d(1, 1, 0, 0)]).unwrap();
        assert_eq!(pooled.sensitivity(), Some(0.6));
        assert_eq!(LesionDetection::pool(&[]), None);
    }

    #[test]
    fn diagonal_neighbours_follow_the_connectivity() {
        let grid = Geometry::axial([2, 2, 2], [1.0; 3]).unwrap();
        let mask = Volume::from_fn(grid, |i| u8::from(i == [0, 0, 0] || i == [1, 1, 1]));
        for (connectivity, n) in [(Connectivity::Corners, 1), (Connectivity::Faces, 2)] {
            let config = LesionConfig {
                connectivity,
                min_overlap: 1.0,
            };
            let d = LesionDetection::from_masks(&mask, &mask, Some(1), &config).unwrap();
            assert_eq!((d.truth, d.missed, d.predicted), (n, 0, n));
        }
    }
}
