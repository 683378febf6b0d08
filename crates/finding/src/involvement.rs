//! Involvement: how much of the lungs the lesions fill.

use crate::{Error, ErrorKind, Result};
use multirnet_anatomy::{LEFT, RIGHT, Thirds, ZONE_NAMES};
use multirnet_volume::Volume;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Lesion volume within one region of the lungs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ZoneInvolvement {
    /// The region, such as `right upper`.
    pub name: String,
    /// The region's volume in millilitres.
    pub lung_ml: f64,
    /// The volume of lesion in it in millilitres.
    pub lesion_ml: f64,
    /// `lesion_ml / lung_ml`, 0 for an empty region.
    pub fraction: f64,
    /// 0 without lesion, 1 below a quarter, 2 below a half, 3 below three quarters, else 4.
    pub score: u8,
}

/// Lesion volume by lung and by zone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Involvement {
    /// The right lung.
    pub right: ZoneInvolvement,
    /// The left lung.
    pub left: ZoneInvolvement,
    /// Both lungs together.
    pub both: ZoneInvolvement,
    /// The six zones in the order of [`ZONE_NAMES`].
    pub zones: [ZoneInvolvement; 6],
    /// Sum of the six zones' scores, 0..=24.
    pub severity_score: u8,
}

/// Checks that both masks lie on one grid.
///
/// # Errors
/// `Mismatch` if they do not.
pub(crate) fn check_masks(lungs: &Volume<u8>, lesions: &Volume<u8>) -> Result<()> {
    lungs.check_same_grid(lesions).map_err(|e| {
        Error::new(
            ErrorKind::Mismatch,
            format!("the lesion mask is not on the lung mask's grid: {e}"),
        )
        .hint("resample the lesion mask onto the scan first")
    })
}

/// Measures `lesions` (any value but 0) within `lungs` (1 right, 2 left), both on one grid.
///
/// Lesion voxels outside the lungs are not counted. The zone scores follow the CT severity score
/// that is used for COVID-19 (0..=4 for each of six zones). Thirds of equal height replace its
/// borders, the carina and the lower pulmonary veins.
///
/// # Errors
/// `Mismatch` if the grids differ.
pub fn involvement(lungs: &Volume<u8>, lesions: &Volume<u8>) -> Result<Involvement> {
    check_masks(lungs, lesions)?;
    let [_, ny, nx] = lungs.shape();
    let thirds = Thirds::of(lungs);
    // Voxels of lung, and of lesion in it, by zone.
    let part = |(z, (labels, marks)): (usize, (&[u8], &[u8]))| {
        let mut tally = [[0u64; 7]; 2];
        if thirds.is_level() {
            for label in [RIGHT, LEFT] {
                let zone = usize::from(thirds.zone(label, [z, 0, 0]));
                let of = |l: &u8| *l == label;
                let pairs = labels.iter().zip(marks);
                tally[0][zone] += labels.iter().filter(|l| of(l)).count() as u64;
                tally[1][zone] += pairs.filter(|(l, m)| of(l) & (**m != 0)).count() as u64;
            }
            return tally;
        }
        let voxels = labels.iter().zip(marks).enumerate();
        for (i, (&label, &mark)) in voxels.filter(|(_, (l, _))| **l != 0) {
            let zone = usize::from(thirds.zone(label, [z, i / nx, i % nx]));
            tally[0][zone] += 1;
            tally[1][zone] += u64::from(mark != 0);
        }
        tally
    };
    let join = |a: [[u64; 7]; 2], b: [[u64; 7]; 2]| {
        [0, 1].map(|i: usize| std::array::from_fn(|z| a[i][z] + b[i][z]))
    };
    let planes = lungs.data().par_chunks(ny * nx);
    let [lung, lesion] = planes
        .zip(lesions.data().par_chunks(ny * nx))
        .enumerate()
        .map(part)
        .reduce(|| [[0; 7]; 2], join);
    let ml = lungs.geometry().voxel_mm3() / 1000.0;
    let region = |name: &str, zones: std::ops::RangeInclusive<usize>| {
        let lung: u64 = lung[zones.clone()].iter().sum();
        let lesion: u64 = lesion[zones].iter().sum();
        ZoneInvolvement {
            name: name.to_owned(),
            lung_ml: lung as f64 * ml,
            lesion_ml: lesion as f64 * ml,
            fraction: lesion as f64 / lung.max(1) as f64,
            score: score(lesion, lung),
        }
    };
    let zones: [ZoneInvolvement; 6] = std::array::from_fn(|i| region(ZONE_NAMES[i], i + 1..=i + 1));
    let first = |side: u8| 1 + 3 * usize::from(side - 1);
    Ok(Involvement {
        right: region("right", first(RIGHT)..=first(RIGHT) + 2),
        left: region("left", first(LEFT)..=first(LEFT) + 2),
        both: region("both", 1..=6),
        severity_score: zones.iter().map(|z| z.score).sum(),
        zones,
    })
}

/// Compares whole numbers of voxels, so a share of exactly a quarter scores 2.
fn score(lesion: u64, lung: u64) -> u8 {
    match lesion {
        0 => 0,
        _ if 4 * lesion < lung => 1,
        _ if 2 * lesion < lung => 2,
        _ if 4 * lesion < 3 * lung => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use multirnet_volume::Geometry;

    /// 12 planes of 10 voxels of 100 mm³ a lung: each zone has 40 voxels, 4 ml.
    fn lungs() -> Volume<u8> {
        let geometry = Geometry::axial([12, 1, 20], [4.0, 5.0, 5.0]).expect("a valid grid");
        Volume::from_fn(geometry, |[_, _, x]| if x < 10 { RIGHT } else { LEFT })
    }

    #[test]
    fn volumes_and_scores_are_those_of_a_hand_calculation() {
        let lungs = lungs();
        // Right upper (planes 8..12): 10 of 40, a quarter; right lower (0..4): 9; left middle
        // (4..8): 30, three quarters; left lower: 20, a half.
        let lesions = Volume::from_fn(*lungs.geometry(), |[z, _, x]| match (z, x) {
            (8, ..=9) | (0, ..=8) | (4..=6, 10..) => 1,
            (..=1, 10..) => 2,
            _ => 0,
        });
        let found = involvement(&lungs, &lesions).expect("one grid");
        let ml: Vec<f64> = found.zones.iter().map(|z| z.lesion_ml).collect();
        for (zone, expected) in ml.iter().zip([1.0, 0.0, 0.9, 0.0, 3.0, 2.0]) {
            assert!((zone - expected).abs() < 1e-12, "{ml:?}");
        }
        assert!(found.zones.iter().all(|z| (z.lung_ml - 4.0).abs() < 1e-12));
        let scores: Vec<u8> = found.zones.iter().map(|z| z.score).collect();
        assert_eq!(scores, [2, 0, 1, 0, 4, 3]);
        assert_eq!(found.severity_score, 10);
        assert!((found.right.fraction - 19.0 / 120.0).abs() < 1e-12);
        assert!((found.left.fraction - 50.0 / 120.0).abs() < 1e-12);
        assert!((found.both.lesion_ml - 6.9).abs() < 1e-12);
        assert!((found.both.lung_ml - 24.0).abs() < 1e-12);
        assert_eq!(
            [found.right.score, found.left.score, found.both.score],
            [1, 2, 2]
        );
        let names: Vec<&str> = found.zones.iter().map(|z| z.name.as_str()).collect();
        assert_eq!(names, ZONE_NAMES);
    }

    #[test]
    fn lesions_outside_the_lungs_do_not_count_and_an_empty_lung_has_a_share_of_0() {
        let lungs = lungs().map(|v| if v == LEFT { 0 } else { v });
        let lesions = lungs.map(|v| u8::from(v == 0));
        let found = involvement(&lungs, &lesions).expect("one grid");
        assert_eq!(found.both.lesion_ml, 0.0);
        assert_eq!(found.left.fraction, 0.0);
        assert_eq!(found.severity_score, 0);
    }

    #[test]
    fn another_grid_is_a_mismatch() {
        let lungs = lungs();
        let other = Geometry::axial([12, 1, 20], [4.0, 5.0, 6.0]).expect("a valid grid");
        let lesions = Volume::filled(0, other);
        let error = involvement(&lungs, &lesions).expect_err("the grids differ");
        assert_eq!(error.kind(), ErrorKind::Mismatch);
    }
}
