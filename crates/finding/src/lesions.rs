//! The single lesions of a map, largest first, and what a reader changed in it.

use crate::involvement::check_masks;
use crate::{LesionKind, Result};
use multirnet_anatomy::zones;
use multirnet_volume::Volume;
use multirnet_volume::components::{ComponentRuns, Connectivity, Run};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most lesions of a list. The smaller ones are left out.
pub const MOST_LESIONS: usize = 500;

/// A connected lesion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lesion {
    /// Number in the list, from 1.
    pub id: usize,
    /// What it is made of.
    pub kind: LesionMaterial,
    /// Its volume in millilitres, parts outside the lungs included.
    pub ml: f64,
    /// Its volume as a share of both lungs'.
    pub share_of_lungs: f64,
    /// The lung that holds most of it; absent if no voxel of it lies in a lung.
    pub lung: Option<Lung>,
    /// The zone that holds most of it, 1 to 6 as in [`multirnet_anatomy::ZONE_NAMES`].
    pub zone: Option<u8>,
    /// Mean radiodensity in HU.
    pub mean_hu: f64,
    /// Longest distance in millimetres between the centres of two of its voxels in one slice.
    pub longest_mm: f64,
    /// Voxel `[z, y, x]` of the lesion that lies next to its centre of mass.
    pub centre_voxel: [usize; 3],
    /// World coordinates of that voxel, LPS millimetres `[x, y, z]`.
    pub centre_lps_mm: [f64; 3],
}

/// What a lesion is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LesionMaterial {
    /// The model does not distinguish kinds.
    Lesion,
    /// At least nine tenths are ground glass.
    GroundGlass,
    /// At least nine tenths are consolidation.
    Consolidation,
    /// Neither kind has nine tenths.
    Mixed,
}

/// A lung.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lung {
    /// The patient's right lung.
    Right,
    /// The patient's left lung.
    Left,
}

#[derive(Clone, Default)]
struct Tally {
    voxels: usize,
    ground_glass: usize,
    hu: f64,
    sum: [f64; 3],
    zones: [usize; 7],
    /// Slice and the ends of its rows, as `[y, x]`, of the slice that is read.
    slice: usize,
    ends: Vec<[f64; 2]>,
    longest_mm: f64,
    centre: [usize; 3],
    distance: f64,
}

/// The connected lesions (26 neighbours) of `lesions`, largest first, at most [`MOST_LESIONS`].
///
/// `scan` is in HU, `lungs` has 1 for the right and 2 for the left lung, and all lie on one grid.
/// `has_kinds` tells whether the labels are those of [`LesionKind`].
///
/// # Errors
/// `Mismatch` if the grids differ.
pub fn lesions(
    scan: &Volume<f32>,
    lungs: &Volume<u8>,
    lesions: &Volume<u8>,
    has_kinds: bool,
) -> Result<Vec<Lesion>> {
    check_masks(lungs, lesions)?;
    lungs.check_same_grid(scan)?;
    let runs = ComponentRuns::of(lesions, Connectivity::Corners, |v| v != 0);
    if runs.sizes.is_empty() {
        return Ok(Vec::new());
    }
    let zones = zones(lungs);
    let grid = lesions.geometry();
    let [_, ny, nx] = grid.shape();
    let spacing = grid.spacing_mm();
    let mut tallies = vec![Tally::default(); runs.sizes.len()];
    for (row, found) in runs.rows().enumerate() {
        let (z, y) = (row / ny, row % ny);
        for run in found {
            let tally = &mut tallies[run.component as usize - 1];
            tally.begin_slice(z, spacing);
            tally.add_run(run, [z, y], row * nx, (scan, lesions, &zones));
        }
    }
    for tally in &mut tallies {
        tally.end_slice(spacing);
        tally.distance = f64::INFINITY;
    }
    for (row, found) in runs.rows().enumerate() {
        for run in found {
            tallies[run.component as usize - 1].approach(run, [row / ny, row % ny], spacing);
        }
    }
    let ml = grid.voxel_mm3() / 1000.0;
    let lung_voxels = zones.data().iter().filter(|z| **z != 0).count().max(1);
    tallies.sort_by_key(|t| std::cmp::Reverse(t.voxels));
    tallies.truncate(MOST_LESIONS);
    let lesion = |(i, t): (usize, &Tally)| {
        let most = (1..=6u8).max_by_key(|z| (t.zones[usize::from(*z)], std::cmp::Reverse(*z)));
        let side = |first: usize| t.zones[first..first + 3].iter().sum::<usize>();
        let lung = match (side(1), side(4)) {
            (0, 0) => None,
            (right, left) if right >= left => Some(Lung::Right),
            _ => Some(Lung::Left),
        };
        Lesion {
            id: i + 1,
            kind: t.material(has_kinds),
            ml: t.voxels as f64 * ml,
            share_of_lungs: t.voxels as f64 / lung_voxels as f64,
            lung,
            zone: most.filter(|z| t.zones[usize::from(*z)] > 0),
            mean_hu: t.hu / t.voxels as f64,
            longest_mm: t.longest_mm,
            centre_voxel: t.centre,
            centre_lps_mm: grid.index_to_world(t.centre.map(|v| v as f64)),
        }
    };
    Ok(tallies.iter().enumerate().map(lesion).collect())
}

impl Tally {
    fn add_run(
        &mut self,
        run: &Run,
        [z, y]: [usize; 2],
        row: usize,
        (scan, lesions, zones): (&Volume<f32>, &Volume<u8>, &Volume<u8>),
    ) {
        for x in run.start as usize..run.end as usize {
            self.voxels += 1;
            self.hu += f64::from(scan.data()[row + x]);
            let kind = lesions.data()[row + x];
            self.ground_glass += usize::from(kind == LesionKind::GroundGlass.value());
            self.zones[usize::from(zones.data()[row + x])] += 1;
            for (sum, at) in self.sum.iter_mut().zip([z, y, x]) {
                *sum += at as f64;
            }
        }
        let ends = [run.start, run.end - 1].map(|x| [y as f64, f64::from(x)]);
        self.ends.extend(ends);
    }

    fn begin_slice(&mut self, z: usize, spacing: [f64; 3]) {
        if self.slice != z {
            self.end_slice(spacing);
            self.slice = z;
        }
    }

    /// Measures the slice that was read: the longest distance lies between corners of the hull.
    fn end_slice(&mut self, spacing: [f64; 3]) {
        let points = self
            .ends
            .iter()
            .map(|p| [p[0] * spacing[1], p[1] * spacing[2]]);
        let hull = hull(points.collect());
        self.ends.clear();
        for (i, a) in hull.iter().enumerate() {
            for b in &hull[i + 1..] {
                self.longest_mm = self.longest_mm.max((a[0] - b[0]).hypot(a[1] - b[1]));
            }
        }
    }

    /// Takes the voxel of the run that lies next to the centre of mass.
    fn approach(&mut self, run: &Run, [z, y]: [usize; 2], spacing: [f64; 3]) {
        let mean = self.sum.map(|s| s / self.voxels as f64);
        let x = mean[2]
            .round()
            .clamp(f64::from(run.start), f64::from(run.end - 1));
        let off = [z as f64 - mean[0], y as f64 - mean[1], x - mean[2]];
        let distance: f64 = off.iter().zip(spacing).map(|(d, s)| (d * s).powi(2)).sum();
        if distance < self.distance {
            self.distance = distance;
            self.centre = [z, y, x as usize];
        }
    }

    fn material(&self, has_kinds: bool) -> LesionMaterial {
        let share = self.ground_glass as f64 / self.voxels as f64;
        match has_kinds {
            false => LesionMaterial::Lesion,
            true if share >= 0.9 => LesionMaterial::GroundGlass,
            true if share <= 0.1 => LesionMaterial::Consolidation,
            true => LesionMaterial::Mixed,
        }
    }
}

/// Corners of the convex hull of `points` (Andrew's monotone chain).
fn hull(mut points: Vec<[f64; 2]>) -> Vec<[f64; 2]> {
    points.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
    points.dedup();
    if points.len() < 3 {
        return points;
    }
    let turns = |a: [f64; 2], b: [f64; 2], c: [f64; 2]| {
        (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    };
    let chain = |points: &mut dyn Iterator<Item = [f64; 2]>| {
        let mut chain: Vec<[f64; 2]> = Vec::new();
        for p in points {
            while let [.., a, b] = chain[..]
                && turns(a, b, p) <= 0.0
            {
                chain.pop();
            }
            chain.push(p);
        }
        chain.pop();
        chain
    };
    let mut hull = chain(&mut points.iter().copied());
    hull.extend(chain(&mut points.iter().rev().copied()));
    hull
}

/// What a reader changed in a lesion map. Volumes are in millilitres.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LesionChanges {
    /// Lesions of the new map that no voxel of the old map touches: the model missed them.
    pub lesions_added: usize,
    /// Lesions of the old map of which no voxel is left: the model marked what is not a lesion.
    pub lesions_removed: usize,
    /// Lesions that gained more than they lost.
    pub lesions_grown: usize,
    /// Lesions that lost more than they gained.
    pub lesions_shrunk: usize,
    /// Volume that only the new map marks.
    pub added_ml: f64,
    /// Volume that only the old map marks.
    pub removed_ml: f64,
    /// Volume that both maps mark, as different kinds.
    pub kind_changed_ml: f64,
    /// Dice coefficient of both maps, kinds joined; absent if both are empty.
    pub dice_with_model: Option<f64>,
}

/// Compares the lesion map `after` with the map `before`, which lies on the same grid.
///
/// Lesions are connected by 26 neighbours. A new lesion that overlaps several old ones counts for
/// the one that it shares most voxels with.
///
/// # Errors
/// `Mismatch` if the grids differ.
pub fn lesion_changes(before: &Volume<u8>, after: &Volume<u8>) -> Result<LesionChanges> {
    before.check_same_grid(after)?;
    let on = |v: u8| v != 0;
    let old = ComponentRuns::of(before, Connectivity::Corners, on);
    let new = ComponentRuns::of(after, Connectivity::Corners, on);
    // Voxels that an old and a new lesion share.
    let mut shared: BTreeMap<(u32, u32), usize> = BTreeMap::new();
    for (a, b) in old.rows().zip(new.rows()) {
        for x in a {
            for y in b {
                let common = x.end.min(y.end).saturating_sub(x.start.max(y.start));
                if common > 0 {
                    *shared.entry((x.component, y.component)).or_default() += common as usize;
                }
            }
        }
    }
    let mut kept = vec![0usize; old.sizes.len()];
    let mut gained = vec![0usize; old.sizes.len()];
    let mut owner: Vec<Option<(usize, u32)>> = vec![None; new.sizes.len()];
    let mut common = vec![0usize; new.sizes.len()];
    for (&(o, n), &voxels) in &shared {
        kept[o as usize - 1] += voxels;
        common[n as usize - 1] += voxels;
        let own = &mut owner[n as usize - 1];
        if own.is_none_or(|(most, _)| voxels > most) {
            *own = Some((voxels, o));
        }
    }
    for ((own, size), common) in owner.iter().zip(&new.sizes).zip(&common) {
        if let Some((_, o)) = own {
            gained[*o as usize - 1] += size - common;
        }
    }
    let changed = |is: fn(usize, usize) -> bool| {
        let all = old.sizes.iter().zip(&kept).zip(&gained);
        all.filter(|((size, kept), gained)| **kept > 0 && is(**gained, *size - *kept))
            .count()
    };
    let (old_voxels, new_voxels) = (
        old.sizes.iter().sum::<usize>(),
        new.sizes.iter().sum::<usize>(),
    );
    let both: usize = shared.values().sum();
    let pairs = before.data().iter().zip(after.data());
    let kind_changed = pairs
        .filter(|(a, b)| **a != 0 && **b != 0 && a != b)
        .count();
    let ml = before.geometry().voxel_mm3() / 1000.0;
    let all = old_voxels + new_voxels;
    Ok(LesionChanges {
        lesions_added: owner.iter().filter(|o| o.is_none()).count(),
        lesions_removed: kept.iter().filter(|k| **k == 0).count(),
        lesions_grown: changed(|gained, lost| gained > lost),
        lesions_shrunk: changed(|gained, lost| gained < lost),
        added_ml: (new_voxels - both) as f64 * ml,
        removed_ml: (old_voxels - both) as f64 * ml,
        kind_changed_ml: kind_changed as f64 * ml,
        dice_with_model: (all > 0).then(|| 2.0 * both as f64 / all as f64),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use multirnet_anatomy::{LEFT, RIGHT};
    use multirnet_volume::Geometry;

    fn grid() -> Geometry {
        Geometry::axial([3, 20, 40], [5.0, 1.0, 2.0]).expect("a valid grid")
    }

    fn lungs() -> Volume<u8> {
        Volume::from_fn(grid(), |[_, _, x]| if x < 20 { RIGHT } else { LEFT })
    }

    #[test]
    fn lesions_are_measured_by_hand() {
        // A block of 4 × 3 voxels in one slice of the right lung, and one voxel in the left lung.
        let map = Volume::from_fn(grid(), |[z, y, x]| match (z, y, x) {
            (1, 5..=7, 2..=5) => 1,
            (2, 10, 30) => 2,
            _ => 0,
        });
        let scan = Volume::from_fn(grid(), |[_, _, x]| if x < 20 { -500.0 } else { 30.0 });
        let found = lesions(&scan, &lungs(), &map, true).expect("one grid");
        assert_eq!(found.len(), 2);
        let first = &found[0];
        assert_eq!((first.id, first.kind), (1, LesionMaterial::GroundGlass));
        assert!((first.ml - 12.0 * 10.0 / 1000.0).abs() < 1e-12);
        assert!((first.share_of_lungs - 12.0 / 2400.0).abs() < 1e-12);
        assert_eq!((first.lung, first.zone), (Some(Lung::Right), Some(2)));
        assert_eq!(first.mean_hu, -500.0);
        // Three columns of 2 mm and two rows of 1 mm between the outermost centres.
        assert!((first.longest_mm - 6f64.hypot(2.0)).abs() < 1e-12);
        assert_eq!(first.centre_voxel[..2], [1, 6]);
        assert!([3, 4].contains(&first.centre_voxel[2]));
        assert_eq!(first.centre_lps_mm[1..], [6.0, 5.0]);
        let second = &found[1];
        assert_eq!(
            (second.kind, second.lung),
            (LesionMaterial::Consolidation, Some(Lung::Left))
        );
        assert_eq!((second.longest_mm, second.centre_voxel), (0.0, [2, 10, 30]));
        let joined = lesions(&scan, &lungs(), &map, false).expect("one grid");
        assert_eq!(joined[0].kind, LesionMaterial::Lesion);
    }

    #[test]
    fn the_centre_of_a_ring_is_a_voxel_of_it_and_its_diameter_is_the_longest() {
        let map = Volume::from_fn(grid(), |[z, y, x]| {
            let r = (y as f64 - 10.0).hypot(2.0 * (x as f64 - 10.0));
            u8::from(z == 1 && (6.0..=8.0).contains(&r))
        });
        let scan = map.map(|_| 0f32);
        let found = lesions(&scan, &lungs(), &map, false).expect("one grid");
        assert_eq!(found.len(), 1);
        assert_eq!(map.at(found[0].centre_voxel), 1);
        // All pairs, the slow way.
        let mut longest: f64 = 0.0;
        let mut points = Vec::new();
        for y in 0..20 {
            for x in 0..40 {
                if map.at([1, y, x]) == 1 {
                    points.push([y as f64, 2.0 * x as f64]);
                }
            }
        }
        for a in &points {
            for b in &points {
                longest = longest.max((a[0] - b[0]).hypot(a[1] - b[1]));
            }
        }
        assert!((found[0].longest_mm - longest).abs() < 1e-12);
    }

    #[test]
    fn changes_tell_missed_false_grown_and_shrunk_lesions_apart() {
        let row = |spans: &[(usize, usize, u8)]| {
            let spans = spans.to_vec();
            Volume::from_fn(grid(), move |[z, y, x]| {
                let hit = spans
                    .iter()
                    .find(|(a, b, _)| z == 0 && y == 3 && (*a..*b).contains(&x));
                hit.map_or(0, |s| s.2)
            })
        };
        let before = row(&[(0, 4, 1), (6, 10, 1), (12, 16, 1), (18, 22, 1)]);
        // The first stays, the second goes, the third grows by two, the fourth loses one and changes
        // its kind, and a fifth is new.
        let after = row(&[(0, 4, 1), (12, 18, 1), (19, 22, 2), (30, 33, 1)]);
        let found = lesion_changes(&before, &after).expect("one grid");
        let ml = 0.01;
        assert_eq!((found.lesions_added, found.lesions_removed), (1, 1));
        assert_eq!((found.lesions_grown, found.lesions_shrunk), (1, 1));
        assert!((found.added_ml - 5.0 * ml).abs() < 1e-12, "{found:?}");
        assert!((found.removed_ml - 5.0 * ml).abs() < 1e-12, "{found:?}");
        assert!((found.kind_changed_ml - 3.0 * ml).abs() < 1e-12);
        let dice = 2.0 * 11.0 / (16.0 + 16.0);
        assert!((found.dice_with_model.expect("not empty") - dice).abs() < 1e-12);
        let none = lesion_changes(&before, &before).expect("one grid");
        assert_eq!(
            none,
            LesionChanges {
                dice_with_model: Some(1.0),
                ..LesionChanges::default()
            }
        );
        let nothing = row(&[]);
        let empty = lesion_changes(&nothing, &nothing).expect("one grid");
        assert_eq!(empty, LesionChanges::default());
    }

    #[test]
    fn another_grid_is_a_mismatch() {
        let other = Geometry::axial([3, 20, 41], [5.0, 1.0, 2.0]).expect("a valid grid");
        let other = Volume::filled(1u8, other);
        assert!(lesion_changes(&lungs(), &other).is_err());
        assert!(lesions(&lungs().map(f32::from), &lungs(), &other, false).is_err());
        assert!(lesions(&other.map(f32::from), &lungs(), &lungs(), false).is_err());
    }
}
