//! Involvement by each kind of lesion.

use crate::Result;
use crate::involvement::check_masks;
use multirnet_anatomy::{LEFT, RIGHT};
use multirnet_volume::Volume;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// A kind of lesion. Models with two lesion channels distinguish them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LesionKind {
    /// Denser lung in which vessels can still be seen.
    GroundGlass,
    /// Airless lung in which vessels cannot be seen.
    Consolidation,
}

impl LesionKind {
    /// All kinds in the order of their labels, which is that of the networks' channels.
    pub const ALL: [Self; 2] = [Self::GroundGlass, Self::Consolidation];

    /// Label in lesion maps: 1 ground glass, 2 consolidation.
    pub fn value(self) -> u8 {
        self as u8 + 1
    }

    /// Name for people.
    pub fn label(self) -> &'static str {
        match self {
            Self::GroundGlass => "ground glass",
            Self::Consolidation => "consolidation",
        }
    }
}

impl std::fmt::Display for LesionKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.label())
    }
}

/// Volume of one kind of lesion in the lungs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct KindInvolvement {
    /// The kind.
    pub kind: LesionKind,
    /// Its volume within the lungs in millilitres.
    pub lesion_ml: f64,
    /// Its share of both lungs.
    pub fraction: f64,
    /// Its share of the right lung.
    pub right_fraction: f64,
    /// Its share of the left lung.
    pub left_fraction: f64,
}

/// Measures each kind of `lesions` (labels as [`LesionKind::value`]) within `lungs` (1 right,
/// 2 left), both on one grid, in the order of [`LesionKind::ALL`].
///
/// As in [`crate::involvement`], lesion voxels outside the lungs are not counted, and shares of an
/// empty lung are 0. The kinds' volumes add up to what [`crate::involvement`] measures on the same
/// map.
///
/// # Errors
/// `Mismatch` if the grids differ.
pub fn kind_involvement(lungs: &Volume<u8>, lesions: &Volume<u8>) -> Result<Vec<KindInvolvement>> {
    check_masks(lungs, lesions)?;
    // Voxels by lung (right, left), then by label, including 0.
    const LABELS: usize = LesionKind::ALL.len() + 1;
    type Tally = [[u64; LABELS]; 2];
    let part = |(lungs, marks): (&[u8], &[u8])| {
        let mut tally: Tally = [[0; LABELS]; 2];
        for (&lung, &mark) in lungs.iter().zip(marks) {
            if let (RIGHT | LEFT, true) = (lung, usize::from(mark) < LABELS) {
                tally[usize::from(lung - RIGHT)][usize::from(mark)] += 1;
            }
        }
        tally
    };
    let join = |a: Tally, b: Tally| {
        [0, 1].map(|side: usize| std::array::from_fn(|label| a[side][label] + b[side][label]))
    };
    const PART: usize = 1 << 18;
    let parts = lungs.data().par_chunks(PART);
    let tally = parts
        .zip(lesions.data().par_chunks(PART))
        .map(part)
        .reduce(|| [[0; LABELS]; 2], join);
    let lung = tally.map(|labels| labels.iter().sum::<u64>());
    let ml = lungs.geometry().voxel_mm3() / 1000.0;
    let share = |lesion: u64, lung: u64| lesion as f64 / lung.max(1) as f64;
    Ok(LesionKind::ALL
        .into_iter()
        .map(|kind| {
            let [right, left] = tally.map(|labels| labels[usize::from(kind.value())]);
            KindInvolvement {
                kind,
                lesion_ml: (right + left) as f64 * ml,
                fraction: share(right + left, lung[0] + lung[1]),
                right_fraction: share(right, lung[0]),
                left_fraction: share(left, lung[1]),
            }
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::involvement;
    use multirnet_volume::Geometry;

    #[test]
    fn kinds_are_measured_by_hand_and_add_up_to_the_whole() {
        // 10 voxels of 100 mm³ a lung and plane, two planes.
        let grid = Geometry::axial([2, 1, 25], [4.0, 5.0, 5.0]).expect("a valid grid");
        let lungs = Volume::from_fn(grid, |[_, _, x]| match x {
            ..=9 => RIGHT,
            10..=19 => LEFT,
            _ => 0,
        });
        // Right: 3 ground glass, 1 consolidation. Left: 6 consolidation. Outside: not counted.
        let lesions = Volume::from_fn(grid, |[z, _, x]| match (z, x) {
            (0, 0..=2) => 1,
            (1, 9..=15) => 2,
            (_, 20..) => 1,
            _ => 0,
        });
        let found = kind_involvement(&lungs, &lesions).expect("one grid");
        let want = [
            (LesionKind::GroundGlass, [0.3, 3.0 / 40.0, 3.0 / 20.0, 0.0]),
            (
                LesionKind::Consolidation,
                [0.7, 7.0 / 40.0, 1.0 / 20.0, 6.0 / 20.0],
            ),
        ];
        assert_eq!(found.len(), want.len());
        for (f, (kind, numbers)) in found.iter().zip(want) {
            assert_eq!(f.kind, kind);
            let got = [f.lesion_ml, f.fraction, f.right_fraction, f.left_fraction];
            for (a, b) in got.iter().zip(numbers) {
                assert!((a - b).abs() < 1e-12, "{f:?}");
            }
        }
        let both = involvement(&lungs, &lesions).expect("one grid").both;
        assert!((both.lesion_ml - found[0].lesion_ml - found[1].lesion_ml).abs() < 1e-12);
        assert!((both.fraction - found[0].fraction - found[1].fraction).abs() < 1e-12);
    }

    #[test]
    fn an_empty_lung_has_shares_of_0_and_another_grid_is_a_mismatch() {
        let grid = Geometry::axial([1, 2, 3], [1.0; 3]).expect("a valid grid");
        let nothing = Volume::filled(0u8, grid);
        let found = kind_involvement(&nothing, &nothing.map(|_| 2)).expect("one grid");
        assert!(
            found
                .iter()
                .all(|k| k.lesion_ml == 0.0 && k.left_fraction == 0.0)
        );
        let other = Geometry::axial([1, 3, 2], [1.0; 3]).expect("a valid grid");
        let error = kind_involvement(&nothing, &Volume::filled(0u8, other)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Mismatch);
    }

    #[test]
    fn labels_are_those_of_the_maps() {
        assert_eq!(LesionKind::ALL.map(LesionKind::value), [1, 2]);
        let json = serde_json::to_string(&LesionKind::ALL).expect("it is plain data");
        assert_eq!(json, r#"["ground_glass","consolidation"]"#);
    }
}
