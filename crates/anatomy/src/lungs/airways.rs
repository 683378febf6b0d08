//! Trachea and main bronchi.

use super::body::grow_within;
use crate::components::{Connectivity, components};
use multirnet_volume::{Geometry, Volume};
use rayon::prelude::*;

/// Highest density of an airway lumen. Lung can be below it as well.
const LUMEN_HU: f32 = -800.0;
/// The lumen of the bronchi is at most this much denser than the trachea's.
const BRONCHUS_HU: f32 = 70.0;
/// Lowest density of an airway's wall.
const WALL_HU: f32 = -500.0;
/// Least share of wall around the trachea, and around a bronchus. A region of lung that is emptier
/// than its surroundings does not have a wall.
const WALLED: [f64; 2] = [0.6, 0.3];
/// Smallest cross section of a bronchus that is followed, in mm². A smaller region is a gap in the
/// lung.
const BRONCHUS_MM2: f64 = 25.0;
/// How far below the carina main bronchi are followed, in millimetres.
const BELOW_CARINA_MM: f64 = 60.0;
/// Smallest and largest cross section of a trachea in mm². The main bronchi that follow it may be
/// smaller.
const TRACHEA_MM2: [f64; 2] = [40.0, 900.0];
/// Shortest track that counts as an airway, in millimetres.
const SHORTEST_MM: f64 = 18.0;
/// Length in millimetres of the trachea's upper part in which the lumen's density is measured.
const TOP_MM: f64 = 25.0;
/// How far from the body's middle a trachea may lie, in millimetres.
const OFF_MIDDLE_MM: f64 = 45.0;

/// A region of lumen within one axial plane.
struct Region {
    area_mm2: f64,
    /// Share of tissue among the voxels around the region.
    walled: f64,
    /// Centre column, in voxels.
    x: f64,
}

/// One axial plane's lumen regions.
struct Plane {
    labels: Vec<u32>,
    regions: Vec<Region>,
}

/// The lumen of the trachea and the main bronchi with their inner rim, followed plane by plane from
/// above. A region that widens as lung does is not followed. The mask is empty if no trachea is
/// found.
///
/// Also returns the density that the scanner measures for air, or `None` if the trachea is too
/// small to show it.
pub(super) fn airways(
    hu: &Volume<f32>,
    air: &Volume<u8>,
    body: &Volume<u8>,
) -> (Volume<u8>, Option<f32>) {
    let none = || (air.map(|_| 0u8), None);
    let planes = lumen_planes(hu, air, LUMEN_HU);
    let Some(trachea) = best_track(&planes, hu.geometry(), body) else {
        return none();
    };
    // The second pass takes its limit from the lumen of the trachea's upper part. This limit
    // excludes lung.
    let top = (TOP_MM / hu.geometry().spacing_mm()[0]).ceil() as usize;
    let upper = paint(&planes, &trachea[..top.clamp(1, trachea.len())], air);
    let lumen = lumen_hu(hu, &upper);
    let limit = lumen.map_or(LUMEN_HU, |v| (v + BRONCHUS_HU).min(LUMEN_HU));
    let planes = lumen_planes(hu, air, limit);
    let Some(track) = best_track(&planes, hu.geometry(), body) else {
        return none();
    };
    let painted = paint(&planes, &track, air);
    (grow_within(&grow_within(&painted, air), air), lumen)
}

/// Regions of lumen per plane, downwards.
type Track = Vec<(usize, Vec<u32>)>;

/// The track that is most like a trachea, `None` if there is none.
fn best_track(planes: &[Plane], geometry: &Geometry, body: &Volume<u8>) -> Option<Track> {
    let middle = middle_columns(body);
    let [sz, _, sx] = geometry.spacing_mm();
    let mut best: Option<(f64, Track)> = None;
    let mut seen: Vec<Vec<bool>> = planes
        .iter()
        .map(|p| vec![false; p.regions.len()])
        .collect();
    for z in (0..planes.len()).rev() {
        for (index, region) in planes[z].regions.iter().enumerate() {
            let off = (region.x - middle[z]).abs() * sx;
            let is_start = (TRACHEA_MM2[0]..=TRACHEA_MM2[1]).contains(&region.area_mm2)
                && region.walled >= WALLED[0];
            if seen[z][index] || !is_start || off > OFF_MIDDLE_MM {
                continue;
            }
            let track = follow(planes, z, index as u32 + 1, geometry, &mut seen);
            let length = track.len() as f64 * sz;
            // A gas-filled oesophagus or bowel can be long too. The score therefore counts at most
            // 80 mm of length and subtracts the distance from the body's middle.
            let score = length.min(80.0) - off;
            if length >= SHORTEST_MM && best.as_ref().is_none_or(|b| score > b.0) {
                best = Some((score, track));
            }
        }
    }
    best.map(|b| b.1)
}

/// The voxels of a track.
fn paint(planes: &[Plane], track: &[(usize, Vec<u32>)], air: &Volume<u8>) -> Volume<u8> {
    let mut lumen = air.map(|_| 0u8);
    let plane_len = air.shape()[1] * air.shape()[2];
    for (z, regions) in track {
        let target = &mut lumen.data_mut()[z * plane_len..(z + 1) * plane_len];
        for (t, label) in target.iter_mut().zip(&planes[*z].labels) {
            *t = u8::from(*label != 0 && regions.contains(label));
        }
    }
    lumen
}

/// The density that the scanner measures for air: the median over `airways`, or `None` if they have
/// fewer than 30 voxels.
fn lumen_hu(hu: &Volume<f32>, airways: &Volume<u8>) -> Option<f32> {
    let mut values: Vec<f32> = hu
        .data()
        .iter()
        .zip(airways.data())
        .filter(|(_, a)| **a != 0)
        .map(|(v, _)| *v)
        .collect();
    values.sort_by(f32::total_cmp);
    // Sharp kernels undershoot in a narrow lumen. Air is not below −1000 HU.
    (values.len() >= 30).then(|| values[values.len() / 2].max(-1000.0))
}

/// The regions, plane by plane downwards, that continue the region `label` of plane `z`.
fn follow(
    planes: &[Plane],
    z: usize,
    label: u32,
    geometry: &Geometry,
    seen: &mut [Vec<bool>],
) -> Track {
    let [_, ny, nx] = geometry.shape();
    let [sz, _, sx] = geometry.spacing_mm();
    // A bronchus also runs sideways: per plane, by about the distance between planes.
    let reach = ((sz / sx).round() as usize).clamp(1, 4);
    let mut widest = planes[z].regions[label as usize - 1].area_mm2;
    let mut track = vec![(z, vec![label])];
    let mut carina = None;
    seen[z][label as usize - 1] = true;
    for below in (0..z).rev() {
        let current = &track[track.len() - 1].1;
        let above = &planes[below + 1];
        let plane = &planes[below];
        let mut overlap: Vec<(u32, f64)> = Vec::new();
        for (i, _) in above
            .labels
            .iter()
            .enumerate()
            .filter(|(_, l)| **l != 0 && current.contains(l))
        {
            let area = above.regions[above.labels[i] as usize - 1].area_mm2;
            let (y, x) = (i / nx, i % nx);
            for y in y.saturating_sub(reach)..=(y + reach).min(ny - 1) {
                for x in x.saturating_sub(reach)..=(x + reach).min(nx - 1) {
                    let next = plane.labels[y * nx + x];
                    if next != 0 && !overlap.iter().any(|o| o.0 == next) {
                        overlap.push((next, area));
                    }
                }
            }
        }
        let next: Vec<u32> = overlap
            .into_iter()
            .filter(|&(n, from)| {
                let area = plane.regions[n as usize - 1].area_mm2;
                let narrow = (2.0 * from).max(120.0).min(2.0 * widest);
                (BRONCHUS_MM2..=TRACHEA_MM2[1].min(narrow)).contains(&area)
                    && plane.regions[n as usize - 1].walled >= WALLED[1]
            })
            .map(|(n, _)| n)
            .collect();
        if next.len() > 1 {
            carina.get_or_insert(below);
        }
        let deep = carina.is_some_and(|c: usize| (c - below) as f64 * sz > BELOW_CARINA_MM);
        if next.is_empty() || deep {
            break;
        }
        for &n in &next {
            seen[below][n as usize - 1] = true;
            // Only the first ten planes measure the trachea's width. Bronchi below must not widen
            // it.
            if z - below < 10 {
                widest = widest.max(plane.regions[n as usize - 1].area_mm2);
            }
        }
        track.push((below, next));
    }
    track
}

/// The regions of `air` less dense than `limit_hu`, plane by plane.
fn lumen_planes(hu: &Volume<f32>, air: &Volume<u8>, limit_hu: f32) -> Vec<Plane> {
    let [nz, ny, nx] = hu.shape();
    let [_, sy, sx] = hu.geometry().spacing_mm();
    let grid = hu.geometry().window([0; 3], [1, ny, nx]);
    (0..nz)
        .into_par_iter()
        .map(|z| {
            let on = hu
                .plane(z)
                .iter()
                .zip(air.plane(z))
                .map(|(&v, &a)| u8::from(a != 0 && v < limit_hu))
                .collect();
            let Some(mask) = grid.as_ref().ok().and_then(|g| Volume::new(on, *g).ok()) else {
                return Plane {
                    labels: vec![0; ny * nx],
                    regions: Vec::new(),
                };
            };
            let found = components(&mask, Connectivity::Faces);
            let mut sums = vec![0usize; found.sizes.len()];
            for (i, &label) in found.labels.data().iter().enumerate() {
                if label != 0 {
                    sums[label as usize - 1] += i % nx;
                }
            }
            let walls = walls(found.labels.data(), hu.plane(z), nx, found.sizes.len());
            let regions = sums
                .iter()
                .zip(walls)
                .zip(&found.sizes)
                .map(|((&sum, walled), &size)| Region {
                    area_mm2: size as f64 * sy * sx,
                    walled,
                    x: sum as f64 / size as f64,
                })
                .collect();
            Plane {
                labels: found.labels.into_data(),
                regions,
            }
        })
        .collect()
}

/// Per region, the share of tissue among the voxels two steps outside it.
fn walls(labels: &[u32], hu: &[f32], nx: usize, count: usize) -> Vec<f64> {
    let mut tally = vec![[0usize; 2]; count];
    for (i, &label) in labels.iter().enumerate().filter(|(_, l)| **l != 0) {
        for step in [2, -2, 2 * nx as isize, -2 * (nx as isize)] {
            let j = i.wrapping_add_signed(step);
            if j < labels.len() && labels[j] != label {
                let tally = &mut tally[label as usize - 1];
                tally[0] += usize::from(hu[j] > WALL_HU);
                tally[1] += 1;
            }
        }
    }
    tally
        .iter()
        .map(|&[tissue, all]| tissue as f64 / all.max(1) as f64)
        .collect()
}

/// The body's middle column per plane, in voxels; the volume's middle where there is no body.
pub(super) fn middle_columns(body: &Volume<u8>) -> Vec<f64> {
    let [nz, _, nx] = body.shape();
    (0..nz)
        .into_par_iter()
        .map(|z| {
            let (mut sum, mut count) = (0usize, 0usize);
            for (i, &v) in body.plane(z).iter().enumerate() {
                if v != 0 {
                    sum += i % nx;
                    count += 1;
                }
            }
            if count == 0 {
                (nx - 1) as f64 / 2.0
            } else {
                sum as f64 / count as f64
            }
        })
        .collect()
}
