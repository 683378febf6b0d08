//! The parts of the air in the body that are lungs, and their sides.

use super::airways::middle_columns;
use crate::components::{Connectivity, components};
use crate::distance::{distance_to_background, squared_distance};
use crate::{LEFT, RIGHT};
use multirnet_volume::Volume;
use multirnet_volume::morphology::bounds;

/// Smallest part that is considered, in millilitres.
const SMALLEST_ML: f64 = 0.3;
/// Smallest aerated part that counts as a lung by itself, in millilitres.
const LUNG_ML: f64 = 60.0;
/// A part this large relative to the largest is a lung whatever its density (emphysema).
const LUNG_SHARE: f64 = 0.15;
/// A smaller part belongs to a lung if it lies within this distance of it, in millimetres: above
/// the lungs' base, and at their base, where stomach and bowel are neighbours.
const NEAR_MM: [f64; 2] = [20.0, 8.0];
/// A part that has more than this share on either side of the middle is both lungs joined.
const BOTH_SHARE: f64 = 0.12;
/// A part whose median density is below this is gas and not a lung, unless it is larger than
/// `EMPHYSEMA_ML`.
const GAS_HU: f32 = -945.0;
/// Volume in millilitres that only an emphysematous lung exceeds at so low a density.
const EMPHYSEMA_ML: f64 = 1500.0;
/// Width of a histogram's bins, which start at −1024 HU.
const BIN_HU: f32 = 4.0;

/// Measurements of one part of the air.
#[derive(Clone, Default)]
struct Part {
    voxels: usize,
    /// Voxels on the patient's left of the middle.
    left: usize,
    /// Sums of the z index and of the distance from the middle (positive to the left), in voxels.
    z: f64,
    off: f64,
}

impl Part {
    fn left_share(&self) -> f64 {
        self.left as f64 / self.voxels as f64
    }

    fn straddles(&self) -> bool {
        let share = self.left_share();
        share.min(1.0 - share) > BOTH_SHARE
    }

    fn side(&self) -> u8 {
        if self.left_share() > 0.5 { LEFT } else { RIGHT }
    }
}

/// All parts of the air with what is needed to judge them.
struct Air<'a> {
    labels: &'a Volume<u32>,
    parts: Vec<Part>,
    /// Histograms of the parts that are large enough to be considered.
    histograms: Vec<Option<Box<[u32; 256]>>>,
    ml: f64,
}

impl Air<'_> {
    fn size_ml(&self, part: usize) -> f64 {
        self.parts[part].voxels as f64 * self.ml
    }

    /// The bin below which `share` of the part's voxels lie.
    fn quantile(&self, part: usize, share: f64) -> usize {
        let Some(bins) = &self.histograms[part] else {
            return 0;
        };
        let limit = (share * self.parts[part].voxels as f64) as u32;
        let mut sum = 0;
        bins.iter()
            .position(|n| {
                sum += n;
                sum > limit
            })
            .unwrap_or(255)
    }

    /// Whether a part is bowel gas: its 10th percentile lies below the 2nd percentile of the lung.
    /// Gas is emptier than nearly all of the lung, whatever the scanner measures for air. A
    /// separate part of lung is denser, because a lesion separates it.
    fn gassy(&self, part: usize, lung: usize) -> bool {
        self.quantile(part, 0.10) < self.quantile(lung, 0.02)
    }
}

/// The aerated lungs, 1 right, 2 left, and the patient's middle column; `None` without lungs.
pub(super) fn lungs(
    hu: &Volume<f32>,
    air: &Volume<u8>,
    airways: &Volume<u8>,
    body: &Volume<u8>,
) -> Option<(Volume<u8>, f64)> {
    let mut open = air.clone();
    open.data_mut()
        .iter_mut()
        .zip(airways.data())
        .for_each(|(o, &a)| *o &= 1 - a);
    let found = components(&open, Connectivity::Faces);
    let middle = smooth_middle(&open, body);
    let [sz, sy, sx] = hu.geometry().spacing_mm();
    let ml = sz * sy * sx / 1000.0;
    let parts = measure(found.labels.data(), found.sizes.len(), hu.shape(), middle);
    let mut histograms: Vec<Option<Box<[u32; 256]>>> = parts
        .iter()
        .map(|p| (p.voxels as f64 * ml >= SMALLEST_ML).then(|| Box::new([0; 256])))
        .collect();
    for (&n, &v) in found.labels.data().iter().zip(hu.data()) {
        if n != 0
            && let Some(bins) = &mut histograms[n as usize - 1]
        {
            bins[bin(v)] += 1;
        }
    }
    let air = Air {
        labels: &found.labels,
        parts,
        histograms,
        ml,
    };

    let largest = (0..air.parts.len())
        .filter(|&i| air.size_ml(i) >= LUNG_ML)
        .filter(|&i| air.quantile(i, 0.5) > bin(GAS_HU) || air.size_ml(i) > EMPHYSEMA_ML)
        .max_by_key(|&i| air.parts[i].voxels)?;
    let base = base_plane(&found.labels.map(|n| u8::from(n as usize == largest + 1))) as f64;
    let is_main = |&i: &usize| {
        let part = &air.parts[i];
        let high = part.z / part.voxels as f64 > base;
        i == largest
            || air.size_ml(i) >= LUNG_SHARE * air.size_ml(largest)
            || (air.size_ml(i) >= LUNG_ML && high && !air.gassy(i, largest))
    };
    let main: Vec<usize> = (0..air.parts.len()).filter(is_main).collect();
    let mut side = vec![0u8; air.parts.len() + 1];
    for &i in &main {
        side[i + 1] = air.parts[i].side();
    }
    let mut out = found.labels.map(|n| side[n as usize]);
    for &i in &main {
        if air.parts[i].straddles() && air.size_ml(i) > 2.0 * LUNG_ML {
            split(hu, found.labels.data(), i as u32 + 1, middle, &mut out);
        }
    }
    add_small(&mut out, &air, &main, largest, base);
    Some((out, middle))
}

fn bin(hu: f32) -> usize {
    (((hu + 1024.0) / BIN_HU).max(0.0) as usize).min(255)
}

/// The plane below which `mask` has less than half of its largest cross section.
pub(super) fn base_plane(mask: &Volume<u8>) -> usize {
    let areas: Vec<usize> = (0..mask.shape()[0])
        .map(|z| mask.plane(z).iter().filter(|&&v| v != 0).count())
        .collect();
    let most = areas.iter().copied().max().unwrap_or(0);
    areas.iter().position(|&a| 2 * a >= most).unwrap_or(0)
}

/// Adds the smaller parts that lie near a lung on their side and are neither bowel nor oesophagus.
fn add_small(out: &mut Volume<u8>, air: &Air<'_>, main: &[usize], largest: usize, base: f64) {
    let lung_z = air.parts[largest].z / air.parts[largest].voxels as f64;
    let sx = out.geometry().spacing_mm()[2];
    // Per part: its side (0: not a candidate) and whether it lies at the lungs' base.
    let candidate: Vec<(u8, usize)> = std::iter::once((0, 0))
        .chain(air.parts.iter().enumerate().map(|(i, p)| {
            let n = p.voxels as f64;
            let off_mm = (p.off / n * sx).abs();
            // No bowel lies beside the upper lungs, so an empty part there is emphysema.
            let upper = p.z / n > lung_z && off_mm > 40.0;
            let fits = air.histograms[i].is_some()
                && !main.contains(&i)
                && off_mm > 15.0
                && (upper || !air.gassy(i, largest));
            let low = usize::from(p.z / n <= base);
            (if fits { p.side() } else { 0 }, low)
        }))
        .collect();
    for side in [RIGHT, LEFT] {
        if candidate.iter().all(|c| c.0 != side) {
            continue;
        }
        let reach = squared_distance(&out.map(|v| u8::from(v == side)), |v| v != 0);
        let mut inside = vec![0usize; candidate.len()];
        for (&n, &d) in air.labels.data().iter().zip(reach.data()) {
            let limit = NEAR_MM[candidate[n as usize].1];
            inside[n as usize] += usize::from(f64::from(d) <= limit * limit);
        }
        let take: Vec<bool> = (0..candidate.len())
            .map(|n| n > 0 && candidate[n].0 == side && 2 * inside[n] >= air.parts[n - 1].voxels)
            .collect();
        for (o, &n) in out.data_mut().iter_mut().zip(air.labels.data()) {
            if take[n as usize] {
                *o = side;
            }
        }
    }
}

/// The patient's middle column: that of the body, averaged over the planes that show much air. An
/// arm or the couch in one plane hardly moves it.
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

fn measure(labels: &[u32], count: usize, shape: [usize; 3], middle: f64) -> Vec<Part> {
    let [_, ny, nx] = shape;
    let mut parts = vec![Part::default(); count];
    for (i, &label) in labels.iter().enumerate() {
        if label != 0 {
            let part = &mut parts[label as usize - 1];
            let off = (i % nx) as f64 - middle;
            part.voxels += 1;
            part.left += usize::from(off > 0.0);
            part.off += off;
            part.z += (i / (ny * nx)) as f64;
        }
    }
    parts
}

/// Divides the part `label`, which holds both lungs, along its densest or narrowest seam. An
/// erosion separates the sides into cores, which then grow back from the emptiest voxels to the
/// densest.
fn split(hu: &Volume<f32>, labels: &[u32], label: u32, middle: f64, out: &mut Volume<u8>) {
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
        cores(&core, middle, voxels)
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
fn cores(core: &Volume<u8>, middle: f64, voxels: usize) -> Option<Volume<u8>> {
    let found = components(core, Connectivity::Faces);
    let parts = measure(found.labels.data(), found.sizes.len(), core.shape(), middle);
    let mut side = vec![0u8; parts.len() + 1];
    let mut most = [0usize; 2];
    for (i, part) in parts
        .iter()
        .enumerate()
        .filter(|(_, p)| 200 * p.voxels >= voxels)
    {
        if part.straddles() {
            return None;
        }
        side[i + 1] = part.side();
        let left = usize::from(part.side() == LEFT);
        most[left] = most[left].max(part.voxels);
    }
    (most[0].min(most[1]) * 50 > voxels).then(|| found.labels.map(|n| side[n as usize]))
}

/// Grows the labels of `seeds` over `within`, emptiest voxels first. The labels then meet on the
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
