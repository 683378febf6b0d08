//! Compares the lung mask of a scan with a reference mask.
//!
//! `lung_dice SCAN [REFERENCE RIGHT LEFT [LESION]] [--out MASK.nii.gz] [--closing MM]
//! [--border HU] [--mirror true|false]`: the reference's labels of
//! the right lung, the left lung and, if any, of lesions (comma-separated lists). Prints the Dice
//! per lung with the lesion voxels left out, the Dice of both lungs together with the lesions
//! counted as lung, and the time.

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
        let keep = |t: u8| !lesion.contains(&t);
        let r = dice(&lungs, &truth, |l| l == 1, |t| right.contains(&t), keep);
        let l = dice(&lungs, &truth, |l| l == 2, |t| left.contains(&t), keep);
        let is_lung = |t: u8| right.contains(&t) || left.contains(&t) || lesion.contains(&t);
        let both = dice(&lungs, &truth, |l| l != 0, is_lung, |_| true);
        let sides = dice(&lungs, &truth, |l| l == 1, |t| left.contains(&t), keep);
        println!(
            "  Dice right {r:.4}, left {l:.4}, both with lesions {both:.4}, right on left {sides:.4}"
        );
    }
    if let Some(out) = out {
        io::write_nifti(Path::new(&out), &lungs)?;
    }
    Ok(())
}

fn dice(
    mask: &Volume<u8>,
    truth: &Volume<u8>,
    in_mask: impl Fn(u8) -> bool,
    in_truth: impl Fn(u8) -> bool,
    keep: impl Fn(u8) -> bool,
) -> f64 {
    let (mut both, mut sum) = (0u64, 0u64);
    for (&m, &t) in mask.data().iter().zip(truth.data()) {
        if keep(t) {
            let (m, t) = (in_mask(m), in_truth(t));
            both += u64::from(m && t);
            sum += u64::from(m) + u64::from(t);
        }
    }
    2.0 * both as f64 / sum as f64
}
