//! Trachea and main bronchi.

use super::body::grow_within;
use crate::components::{Connectivity, components};
use multirnet_volume::{Geometry, Volume};

/// Denser than this is no airway lumen.
const LUMEN_HU: f32 = -800.0;
/// Cross section of a trachea in mm²; a smaller region may follow it, as a main bronchus does.
const TRACHEA_MM2: [f64; 2] = [40.0, 900.0];
/// Shortest trachea or pair of bronchi that is taken for one, in millimetres.
const SHORTEST_MM: f64 = 18.0;
/// How far from the body's middle a trachea may lie, in millimetres.
const OFF_MIDDLE_MM: f64 = 45.0;

/// A region of lumen within one axial plane.
struct Region {
    area_mm2: f64,
    /// Centre column, in voxels.
    x: f64,
}

/// One axial plane's lumen regions.
struct Plane {
    labels: Vec<u32>,
    regions: Vec<Region>,
}

/// The lumen of the trachea and the main bronchi with their inner rim, followed plane by plane
/// from above; empty if there is none. Once a region widens as lung does, it is left.
pub(super) fn airways(hu: &Volume<f32>, air: &Volume<u8>, body: &Volume<u8>) -> Volume<u8> {
    let planes = lumen_planes(hu, air);
    let middle = middle_columns(body);
    let [sz, _, sx] = hu.geometry().spacing_mm();
    let mut best: (f64, Vec<(usize, Vec<u32>)>) = (0.0, Vec::new());
    let mut seen: Vec<Vec<bool>> = planes
        .iter()
        .map(|p| vec![false; p.regions.len()])
        .collect();
    for z in (0..planes.len()).rev() {
        for (index, region) in planes[z].regions.iter().enumerate() {
            let off = (region.x - middle[z]).abs() * sx;
            let is_start = (TRACHEA_MM2[0]..=TRACHEA_MM2[1]).contains(&region.area_mm2);
            if seen[z][index] || !is_start || off > OFF_MIDDLE_MM {
                continue;
            }
            let track = follow(&planes, z, index as u32 + 1, hu.geometry(), &mut seen);
            let length = track.len() as f64 * sz;
            // A gas-filled gullet or bowel may be long too: the middle wins over the length.
            let score = length.min(80.0) - off;
            if length >= SHORTEST_MM && (best.1.is_empty() || score > best.0) {
                best = (score, track);
            }
        }
    }

    let mut lumen = air.map(|_| 0u8);
    let plane_len = hu.shape()[1] * hu.shape()[2];
    for (z, regions) in &best.1 {
        let target = &mut lumen.data_mut()[z * plane_len..(z + 1) * plane_len];
        for (t, label) in target.iter_mut().zip(&planes[*z].labels) {
            *t = u8::from(*label != 0 && regions.contains(label));
        }
    }
    grow_within(&lumen, air)
}

/// The regions, plane by plane downwards, that continue the region `label` of plane `z`.
fn follow(
    planes: &[Plane],
    z: usize,
    label: u32,
    geometry: &Geometry,
    seen: &mut [Vec<bool>],
) -> Vec<(usize, Vec<u32>)> {
    let [_, ny, nx] = geometry.shape();
    let [sz, _, sx] = geometry.spacing_mm();
    // A bronchus runs sideways: about as far per plane as the planes are apart.
    let reach = ((sz / sx).round() as usize).clamp(1, 4);
    let mut widest = planes[z].regions[label as usize - 1].area_mm2;
    let mut track = vec![(z, vec![label])];
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
                area <= TRACHEA_MM2[1] && area <= (2.0 * from).max(120.0) && area <= 2.0 * widest
            })
            .map(|(n, _)| n)
            .collect();
        if next.is_empty() {
            break;
        }
        for &n in &next {
            seen[below][n as usize - 1] = true;
            // The trachea's width is known after a few planes; bronchi do not widen it.
            if z - below < 10 {
                widest = widest.max(plane.regions[n as usize - 1].area_mm2);
            }
        }
        track.push((below, next));
    }
    track
}

fn lumen_planes(hu: &Volume<f32>, air: &Volume<u8>) -> Vec<Plane> {
    let [nz, ny, nx] = hu.shape();
    let [_, sy, sx] = hu.geometry().spacing_mm();
    let grid = hu.geometry().window([0; 3], [1, ny, nx]);
    (0..nz)
        .map(|z| {
            let on = hu
                .plane(z)
                .iter()
                .zip(air.plane(z))
                .map(|(&v, &a)| u8::from(a != 0 && v < LUMEN_HU))
                .collect();
            let Some(mask) = grid.as_ref().ok().and_then(|g| Volume::new(on, *g).ok()) else {
                return Plane {
                    labels: vec![0; ny * nx],
                    regions: Vec::new(),
                };
            };
            let found = components(&mask, Connectivity::Faces);
            let mut sums = vec![[0usize; 2]; found.sizes.len()];
            for (i, &label) in found.labels.data().iter().enumerate() {
                if label != 0 {
                    sums[label as usize - 1][0] += i / nx;
                    sums[label as usize - 1][1] += i % nx;
                }
            }
            let regions = sums
                .iter()
                .zip(&found.sizes)
                .map(|(sum, &size)| Region {
                    area_mm2: size as f64 * sy * sx,
                    x: sum[1] as f64 / size as f64,
                })
                .collect();
            Plane {
                labels: found.labels.into_data(),
                regions,
            }
        })
        .collect()
}

/// The body's middle column per plane, in voxels; the volume's middle where there is no body.
pub(super) fn middle_columns(body: &Volume<u8>) -> Vec<f64> {
    let [nz, _, nx] = body.shape();
    (0..nz)
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
