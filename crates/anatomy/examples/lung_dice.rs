//! Compares the lung mask of a scan with a reference mask.
//!
//! `lung_dice SCAN [REFERENCE RIGHT LEFT [LESION]] [--out MASK.nii.gz] [--closing MM] [--border HU]
//! [--mirror true|false]`
//!
//! RIGHT, LEFT and LESION are the reference's labels of the right lung, the left lung and lesions,
//! as comma-separated lists. Prints the Dice per lung with the lesion voxels left out, the Dice of
//! both lungs together with the lesions counted as lung, and the time.

use multirnet_anatomy::{LungConfig, segment_lungs};
use multirnet_volume::{Volume, io};
use std::error::Error;
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let mut option = |name: &str| {
        args.iter().position(|a| a == name).map(|i| {
            let pair: Vec<String> = args.drain(i..(i + 2).min(args.len())).collect();
            pair.last().cloned().unwrap_or_default()
        })
    };
    let out = option("--out");
    let mut config = LungConfig::default();
    if let Some(text) = option("--closing") {
        config.closing_mm = text.parse()?;
    }
    if let Some(text) = option("--mirror") {
        config.mirror = text.parse()?;
    }
    if let Some(text) = option("--border") {
        config.border_hu = text.parse()?;
    }
    let Some(path) = args.first() else {
        return Err("usage: lung_dice SCAN [REFERENCE RIGHT LEFT [LESION]] [--out MASK]".into());
    };
    let scan = io::read(Path::new(path))?;
    let start = Instant::now();
    let lungs = segment_lungs(&scan, &config)?;
    let seconds = start.elapsed().as_secs_f64();
    let ml = scan.geometry().voxel_mm3() / 1000.0;
    let volume = |label: u8| lungs.data().iter().filter(|&&v| v == label).count() as f64 * ml;
    println!(
        "{path}: {seconds:.2} s, right {:.0} ml, left {:.0} ml",
        volume(1),
        volume(2)
    );
    if let Some(reference) = args.get(1) {
        let truth = io::read_labels(Path::new(reference))?;
        lungs.check_same_grid(&truth)?;
        let list = |i: usize| -> Result<Vec<u8>, Box<dyn Error>> {
            match args.get(i) {
                None => Ok(Vec::new()),
                Some(text) => Ok(text.split(',').map(str::parse).collect::<Result<_, _>>()?),
            }
        };
        let (right, left, lesion) = (list(2)?, list(3)?, list(4)?);
        let keep = |_: usize, t: u8| !lesion.contains(&t);
        let r = dice(&lungs, &truth, |l| l == 1, |t| right.contains(&t), keep);
        let l = dice(&lungs, &truth, |l| l == 2, |t| left.contains(&t), keep);
        let is_lung = |t: u8| right.contains(&t) || left.contains(&t) || lesion.contains(&t);
        let both = dice(&lungs, &truth, |l| l != 0, is_lung, |_, _| true);
        let sides = dice(&lungs, &truth, |l| l == 1, |t| left.contains(&t), keep);
        println!(
            "  Dice right {r:.4}, left {l:.4}, both with lesions {both:.4}, right on left {sides:.4}"
        );
        // Gaps are planes between the reference's first and last in which it lacks a lung.
        for (side, labels) in [(1, &right), (2, &left)] {
            let gaps = gaps(&truth, &lungs, labels, side);
            if !gaps.is_empty() {
                let [_, ny, nx] = truth.shape();
                let d = dice(
                    &lungs,
                    &truth,
                    |l| l == side,
                    |t| labels.contains(&t),
                    |i, t| keep(i, t) && !gaps.contains(&(i / (ny * nx))),
                );
                println!(
                    "  the reference lacks lung {side} in the planes {gaps:?}; without them {d:.4}"
                );
            }
        }
    }
    if let Some(out) = out {
        io::write_nifti(Path::new(&out), &lungs)?;
    }
    Ok(())
}

/// Planes in which the reference has almost nothing of a lung, although it has the lung before and
/// after them.
fn gaps(truth: &Volume<u8>, lungs: &Volume<u8>, labels: &[u8], side: u8) -> Vec<usize> {
    let count = |plane: &[u8], f: &dyn Fn(u8) -> bool| plane.iter().filter(|&&v| f(v)).count();
    let areas: Vec<usize> = (0..truth.shape()[0])
        .map(|z| count(truth.plane(z), &|v| labels.contains(&v)))
        .collect();
    let most = areas.iter().copied().max().unwrap_or(0);
    let held: Vec<usize> = (0..areas.len()).filter(|&z| areas[z] > most / 20).collect();
    let (Some(&first), Some(&last)) = (held.first(), held.last()) else {
        return Vec::new();
    };
    (first..=last)
        .filter(|&z| 20 * areas[z] < count(lungs.plane(z), &|v| v == side))
        .collect()
}

fn dice(
    mask: &Volume<u8>,
    truth: &Volume<u8>,
    in_mask: impl Fn(u8) -> bool,
    in_truth: impl Fn(u8) -> bool,
    keep: impl Fn(usize, u8) -> bool,
) -> f64 {
    let (mut both, mut sum) = (0u64, 0u64);
    for (i, (&m, &t)) in mask.data().iter().zip(truth.data()).enumerate() {
        if keep(i, t) {
            let (m, t) = (in_mask(m), in_truth(t));
            both += u64::from(m && t);
            sum += u64::from(m) + u64::from(t);
        }
    }
    2.0 * both as f64 / sum as f64
}
