//! Which parts of the air in the body are lungs, and on which side.

use super::airways::middle_columns;
use crate::components::{Connectivity, components};
use crate::distance::distance_to_background;
use crate::morphology::{bounds, dilate};
use crate::{LEFT, RIGHT};
use multirnet_volume::Volume;

/// Smallest part that is looked at, in millilitres.
const SMALLEST_ML: f64 = 0.3;
/// Smallest aerated part that counts as a lung by itself, in millilitres.
const LUNG_ML: f64 = 60.0;
/// A part at least this large is lung even if it is as empty as gas (emphysema).
const LARGE_ML: f64 = 800.0;
/// Gas in the bowel is emptier than this nearly throughout; lung tissue is not.
const GAS_HU: f32 = -965.0;
/// A smaller part belongs to a lung if it lies within this distance of it, in millimetres.
const NEAR_MM: f64 = 20.0;
/// A part that reaches over the middle with more than this share is taken for both lungs joined.
const BOTH_SHARE: f64 = 0.12;

/// What is known of one part of the air.
#[derive(Clone, Default)]
struct Part {
    voxels: usize,
    /// Voxels as empty as gas.
    gas: usize,
    /// Voxels on the patient's left of the middle.
    left: usize,
    /// Sums of the z index and of the distance from the middle (positive to the left), in voxels.
    z: f64,
    off: f64,
}

/// The aerated lungs: 1 right, 2 left; `None` if there are none.
pub(super) fn lungs(
    hu: &Volume<f32>,
    air: &Volume<u8>,
    airways: &Volume<u8>,
    body: &Volume<u8>,
) -> Option<Volume<u8>> {
    let mut open = air.clone();
    open.data_mut()
        .iter_mut()
        .zip(airways.data())
        .for_each(|(o, &a)| *o &= 1 - a);
    let found = components(&open, Connectivity::Faces);
    let middle = smooth_middle(&open, body);
    let [sz, sy, sx] = hu.geometry().spacing_mm();
    let ml = sz * sy * sx / 1000.0;
    let parts = measure(found.labels.data(), found.sizes.len(), hu, &middle);

    let size = |p: &Part| p.voxels as f64 * ml;
    let gassy = |p: &Part| 10 * p.gas >= p.voxels;
    let main: Vec<usize> = (0..parts.len())
        .filter(|&i| {
            size(&parts[i]) >= LUNG_ML && (!gassy(&parts[i]) || size(&parts[i]) >= LARGE_ML)
        })
        .collect();
    let largest = main
        .iter()
        .copied()
        .max_by(|&a, &b| parts[a].voxels.cmp(&parts[b].voxels))?;
    let mut side = vec![0u8; parts.len() + 1];
    let mut joined = Vec::new();
    for &i in &main {
        let part = &parts[i];
        let share = part.left as f64 / part.voxels as f64;
        if share.min(1.0 - share) > BOTH_SHARE && size(part) > 2.0 * LUNG_ML {
            joined.push(i as u32 + 1);
        }
        side[i + 1] = if share > 0.5 { LEFT } else { RIGHT };
    }
    let mut out = found.labels.map(|n| side[n as usize]);
    for &label in &joined {
        split(hu, found.labels.data(), label, &middle, &mut out);
    }

    add_small(&mut out, &found.labels, &parts, &main, largest, [ml, sx]);
    Some(out)
}

/// Adds the smaller parts that lie near a lung on their side and are not bowel or gullet.
fn add_small(
    out: &mut Volume<u8>,
    labels: &Volume<u32>,
    parts: &[Part],
    main: &[usize],
    largest: usize,
    [ml, sx]: [f64; 2],
) {
    let lung_z = parts[largest].z / parts[largest].voxels as f64;
    let candidate: Vec<u8> = std::iter::once(0)
        .chain(parts.iter().enumerate().map(|(i, p)| {
            let n = p.voxels as f64;
            let off_mm = (p.off / n * sx).abs();
            let above = p.z / n > lung_z;
            let gassy = 10 * p.gas >= p.voxels;
            let fits = n * ml >= SMALLEST_ML
                && (!gassy || (above && off_mm > 40.0))
                && off_mm > 15.0
                && !main.contains(&i);
            match fits {
                false => 0,
                true if p.off > 0.0 => LEFT,
                true => RIGHT,
            }
        }))
        .collect();
    if candidate.iter().all(|&c| c == 0) {
        return;
    }
    for side in [RIGHT, LEFT] {
        let near = dilate(&out.map(|v| u8::from(v == side)), NEAR_MM);
        let mut inside = vec![0usize; parts.len() + 1];
        for (&n, &m) in labels.data().iter().zip(near.data()) {
            inside[n as usize] += usize::from(m != 0);
        }
        let take: Vec<bool> = (0..candidate.len())
            .map(|n| n > 0 && candidate[n] == side && 2 * inside[n] >= parts[n - 1].voxels)
            .collect();
        for (o, &n) in out.data_mut().iter_mut().zip(labels.data()) {
            if take[n as usize] {
                *o = side;
            }
        }
    }
}

/// The patient's middle column per plane: that of the body, averaged over the planes that show
/// much air, so that an arm or the couch in one plane does not move it.
fn smooth_middle(air: &Volume<u8>, body: &Volume<u8>) -> f64 {
    let columns = middle_columns(body);
    let amounts: Vec<usize> = (0..columns.len())
        .map(|z| air.plane(z).iter().filter(|&&v| v != 0).count())
        .collect();
    let most = amounts.iter().copied().max().unwrap_or(0);
    let (mut sum, mut weight) = (0.0, 0.0);
    for (column, &amount) in columns.iter().zip(&amounts) {
        if 2 * amount >= most && amount > 0 {
            sum += column * amount as f64;
            weight += amount as f64;
        }
    }
    if weight > 0.0 {
        sum / weight
    } else {
        (body.shape()[2] - 1) as f64 / 2.0
    }
}

fn measure(labels: &[u32], count: usize, hu: &Volume<f32>, &middle: &f64) -> Vec<Part> {
    let [_, ny, nx] = hu.shape();
    let mut parts = vec![Part::default(); count];
    for (i, (&label, &v)) in labels.iter().zip(hu.data()).enumerate() {
        if label != 0 {
            let part = &mut parts[label as usize - 1];
            let off = (i % nx) as f64 - middle;
            part.voxels += 1;
            part.gas += usize::from(v < GAS_HU);
            part.left += usize::from(off > 0.0);
            part.off += off;
            part.z += (i / (ny * nx)) as f64;
        }
    }
    parts
}

/// Divides the part `label`, which holds both lungs, along its densest or narrowest seam: cores
/// from an erosion that parts the sides, grown back from the emptiest voxels to the densest.
fn split(hu: &Volume<f32>, labels: &[u32], label: u32, middle: &f64, out: &mut Volume<u8>) {
    let mut whole = out.map(|_| 0u8);
    for (w, &n) in whole.data_mut().iter_mut().zip(labels) {
        *w = u8::from(n == label);
    }
    let Some((low, high)) = bounds(&whole) else {
        return;
    };
    let shape = std::array::from_fn(|a| high[a] - low[a] + 1);
    let pad = [1; 3];
    let (Ok(part), Ok(density)) = (
        whole.crop(low, shape).and_then(|p| p.pad(pad, pad, 0)),
        hu.crop(low, shape).and_then(|p| p.pad(pad, pad, 0.0)),
    ) else {
        return;
    };
    let depth = distance_to_background(&part);
    let middle = middle - low[2] as f64 + 1.0;
    let voxels = part.data().iter().filter(|&&v| v != 0).count();
    let Some(mut seeds) = (1..=15).find_map(|step| {
        let core = depth.map(|d| u8::from(d > 1.5 * step as f32));
        cores(&core, &density, middle, voxels)
    }) else {
        return;
    };
    flood(&mut seeds, &part, &density);
    let [_, ny, nx] = out.shape();
    for (i, (&s, &p)) in seeds.data().iter().zip(part.data()).enumerate() {
        if p != 0 && s != 0 {
            let [_, py, px] = part.shape();
            let (z, y, x) = (i / (py * px), i / px % py, i % px);
            let at = ((z + low[0] - 1) * ny + y + low[1] - 1) * nx + x + low[2] - 1;
            out.data_mut()[at] = s;
        }
    }
}

/// Cores labelled by side, `None` while a large one reaches over the middle or a side has none.
fn cores(
    core: &Volume<u8>,
    density: &Volume<f32>,
    middle: f64,
    voxels: usize,
) -> Option<Volume<u8>> {
    let found = components(core, Connectivity::Faces);
    let parts = measure(found.labels.data(), found.sizes.len(), density, &middle);
    let mut side = vec![0u8; parts.len() + 1];
    let mut most = [0usize; 2];
    for (i, part) in parts
        .iter()
        .enumerate()
        .filter(|(_, p)| 200 * p.voxels >= voxels)
    {
        let share = part.left as f64 / part.voxels as f64;
        if share.min(1.0 - share) > BOTH_SHARE {
            return None;
        }
        let left = usize::from(share > 0.5);
        side[i + 1] = [RIGHT, LEFT][left];
        most[left] = most[left].max(part.voxels);
    }
    (most[0].min(most[1]) * 50 > voxels).then(|| found.labels.map(|n| side[n as usize]))
}

/// Grows the labels of `seeds` over `within`, emptiest voxels first, so that they meet on the
/// densest seam.
fn flood(seeds: &mut Volume<u8>, within: &Volume<u8>, density: &Volume<f32>) {
    const STEP_HU: f32 = 8.0;
    let level = |v: f32| (((v + 1024.0) / STEP_HU).max(0.0) as usize).min(255);
    let [_, ny, nx] = seeds.shape();
    let steps = [
        1isize,
        -1,
        nx as isize,
        -(nx as isize),
        (ny * nx) as isize,
        -((ny * nx) as isize),
    ];
    let mut queue: Vec<std::collections::VecDeque<usize>> = vec![Default::default(); 256];
    // `within` has a rim of zeros, so no step leaves the volume.
    let neighbours = |i: usize| steps.map(|s| i.wrapping_add_signed(s));
    for i in 0..seeds.data().len() {
        if seeds.data()[i] != 0 {
            for j in neighbours(i) {
                if within.data()[j] != 0 && seeds.data()[j] == 0 {
                    queue[0].push_back(i);
                    break;
                }
            }
        }
    }
    let mut current = 0;
    while current < queue.len() {
        let Some(i) = queue[current].pop_front() else {
            current += 1;
            continue;
        };
        let label = seeds.data()[i];
        for j in neighbours(i) {
            if within.data()[j] != 0 && seeds.data()[j] == 0 {
                seeds.data_mut()[j] = label;
                queue[level(density.data()[j]).max(current)].push_back(j);
            }
        }
    }
}
