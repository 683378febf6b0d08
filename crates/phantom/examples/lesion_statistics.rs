//! Prints statistics of the number, size, shape and place of lesions in one set of masks, or in two
//! side by side:
//! `lesion_statistics FOLDER|MASK… [-- FOLDER|MASK…]`.
//!
//! In a folder the program takes all files `*-lesions.nii.gz` or, if there are none, all `*.nii.gz`.
//! If `X-lungs.nii.gz` lies beside `X-lesions.nii.gz`, it also measures the distance to the lungs'
//! surface. It only counts masks without lesion.

use multirnet_volume::components::{Connectivity, components};
use multirnet_volume::distance::distance_to_background;
use multirnet_volume::{Volume, io};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

/// Volume in ml below which a lesion is not counted.
const SMALLEST_ML: f64 = 0.1;

/// Values by the name of the measurement, in the order of printing.
type Measured = BTreeMap<(usize, &'static str), Vec<f64>>;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let sets: Vec<&[String]> = arguments.split(|a| a == "--").collect();
    if arguments.is_empty() || sets.len() > 2 {
        return Err("give folders or masks, and after -- those to compare them with".into());
    }
    let mut measured = Vec::new();
    for set in sets {
        let mut all = Measured::new();
        let (mut masks, mut empty) = (0, 0);
        for path in files(set)? {
            masks += 1;
            let mask = io::read_labels(&path)?.to_canonical();
            if mask.data().iter().all(|&v| v == 0) {
                empty += 1;
            } else {
                measure(&mask, lungs_of(&path)?.as_ref(), &mut all);
            }
        }
        println!(
            "{masks} masks, {empty} of them without lesion: {}",
            set.join(" ")
        );
        measured.push(all);
    }
    println!(
        "\n| | 10 % | 25 % | median | 75 % | 90 % |{}",
        ["", " 10 % | 25 % | median | 75 % | 90 % |"][measured.len() - 1]
    );
    println!("|---|{}", "---:|".repeat(5 * measured.len()));
    let names: BTreeMap<_, ()> = measured
        .iter()
        .flat_map(|m| m.keys().map(|k| (*k, ())))
        .collect();
    for (key, ()) in names {
        let cells: String = measured
            .iter()
            .map(|m| {
                m.get(&key)
                    .map_or_else(|| " – |".repeat(5), |v| quantiles(v))
            })
            .collect();
        println!("| {} |{cells}", key.1);
    }
    Ok(())
}

fn files(set: &[String]) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut all = Vec::new();
    for path in set.iter().map(Path::new) {
        if !path.is_dir() {
            all.push(path.to_owned());
            continue;
        }
        let mut here: Vec<PathBuf> = std::fs::read_dir(path)?
            .map(|e| e.map(|e| e.path()))
            .collect::<Result<_, _>>()?;
        here.retain(|p| p.to_string_lossy().ends_with(".nii.gz"));
        let lesions = |p: &PathBuf| p.to_string_lossy().ends_with("-lesions.nii.gz");
        if here.iter().any(lesions) {
            here.retain(lesions);
        }
        here.sort();
        all.extend(here);
    }
    Ok(all)
}

fn lungs_of(path: &Path) -> Result<Option<Volume<u8>>, Box<dyn Error>> {
    let name = path.to_string_lossy();
    let Some(stem) = name.strip_suffix("-lesions.nii.gz") else {
        return Ok(None);
    };
    let lungs = PathBuf::from(format!("{stem}-lungs.nii.gz"));
    if !lungs.exists() {
        return Ok(None);
    }
    Ok(Some(io::read_labels(&lungs)?.to_canonical()))
}

fn measure(mask: &Volume<u8>, lungs: Option<&Volume<u8>>, all: &mut Measured) {
    let mut put = |place: usize, name: &'static str, value: f64| {
        all.entry((place, name)).or_default().push(value);
    };
    let spacing = mask.geometry().spacing_mm();
    let ml = mask.geometry().voxel_mm3() / 1000.0;
    let [nz, ny, nx] = mask.shape();
    let found = components(mask, Connectivity::Corners);
    let depth = lungs.map(distance_to_background);
    let count = found.sizes.len();
    let mut low = vec![[usize::MAX; 3]; count];
    let mut high = vec![[0usize; 3]; count];
    let mut faces_mm2 = vec![0.0f64; count];
    let mut nearest = vec![f32::INFINITY; count];
    let labels = found.labels.data();
    let stride = [ny * nx, nx, 1];
    for z in 0..nz {
        for y in 0..ny {
            for x in 0..nx {
                let (i, p) = ((z * ny + y) * nx + x, [z, y, x]);
                let Some(c) = (labels[i] as usize).checked_sub(1) else {
                    continue;
                };
                for a in 0..3 {
                    low[c][a] = low[c][a].min(p[a]);
                    high[c][a] = high[c][a].max(p[a]);
                    let face = spacing.iter().product::<f64>() / spacing[a];
                    let last = [nz, ny, nx][a] - 1;
                    let open = u8::from(p[a] == 0 || labels[i - stride[a]] == 0)
                        + u8::from(p[a] == last || labels[i + stride[a]] == 0);
                    faces_mm2[c] += f64::from(open) * face;
                }
                if let Some(depth) = &depth {
                    nearest[c] = nearest[c].min(depth.data()[i]);
                }
            }
        }
    }
    // Per scan.
    let volumes: Vec<f64> = found.sizes.iter().map(|&n| n as f64 * ml).collect();
    let total: f64 = volumes.iter().sum();
    let kept: Vec<usize> = (0..count).filter(|&c| volumes[c] >= SMALLEST_ML).collect();
    let largest = volumes.iter().copied().fold(0.0, f64::max);
    put(0, "lesions of a scan", kept.len() as f64);
    put(1, "volume of a scan's lesions, ml", total);
    put(2, "share of the largest lesion, %", 100.0 * largest / total);
    let edge = |a: usize| {
        let from = low.iter().map(|l| l[a]).min().unwrap_or(0);
        let to = high.iter().map(|h| h[a]).max().unwrap_or(0);
        0.5 * (from + to) as f64
    };
    let middle = [edge(0), edge(1)];
    let (mut back, mut below, mut dense) = (0.0, 0.0, 0.0);
    for (i, &v) in mask.data().iter().enumerate() {
        if v > 0 {
            below += f64::from(u8::from(((i / (ny * nx)) as f64) < middle[0]));
            back += f64::from(u8::from(((i / nx % ny) as f64) > middle[1]));
            dense += f64::from(u8::from(v == 2));
        }
    }
    let voxels = total / ml;
    put(
        3,
        "in the back half of the lesions' extent, %",
        100.0 * back / voxels,
    );
    put(
        4,
        "in the lower half of the lesions' extent, %",
        100.0 * below / voxels,
    );
    if mask.data().contains(&2) {
        put(
            5,
            "consolidation in scans with any, %",
            100.0 * dense / voxels,
        );
    }
    if let Some(lungs) = lungs {
        let lung = lungs.data().iter().filter(|&&l| l > 0).count() as f64;
        put(6, "share of the lungs, %", 100.0 * voxels / lung);
    }
    // Per lesion.
    for c in kept {
        let extent = |a: usize| (high[c][a] - low[c][a] + 1) as f64 * spacing[a];
        put(7, "volume of a lesion, ml", volumes[c]);
        put(8, "its extent along z, mm", extent(0));
        put(9, "its extent along y, mm", extent(1));
        put(10, "its extent along x, mm", extent(2));
        let ball = std::f64::consts::PI.cbrt() * (6000.0 * volumes[c]).powf(2.0 / 3.0);
        put(
            11,
            "its sphericity (area of voxel faces)",
            ball / faces_mm2[c],
        );
        if nearest[c].is_finite() {
            put(
                12,
                "its distance to the lungs' surface, mm",
                f64::from(nearest[c]),
            );
        }
    }
}

/// Cells with the quantiles 10, 25, 50, 75 and 90 %.
fn quantiles(values: &[f64]) -> String {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    [0.1, 0.25, 0.5, 0.75, 0.9]
        .into_iter()
        .map(|q: f64| {
            let at = q * (sorted.len() - 1) as f64;
            let (i, t) = (at as usize, at.fract());
            let next = sorted[(i + 1).min(sorted.len() - 1)];
            let v = sorted[i] + t * (next - sorted[i]);
            let digits = if v < 3.0 { 2 } else { usize::from(v < 30.0) };
            format!(" {v:.digits$} |")
        })
        .collect()
}
