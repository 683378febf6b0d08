//! Segments the lungs of phantoms and compares them with the truth.
//!
//! `phantom_dice FIRST_SEED COUNT [MATRIX] [--out FOLDER]` prints per phantom the class, the Dice
//! per lung, the share of the lesions that lies within the mask, and the time. `--out` writes the
//! scans and masks of phantoms with a Dice below 0.96 as NIfTI.

use multirnet_anatomy::{LungConfig, segment_lungs};
use multirnet_phantom::PhantomConfig;
use multirnet_volume::{Diagnosis, Volume, io};
use std::error::Error;
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let out = args.iter().position(|a| a == "--out").map(|i| {
        let pair: Vec<String> = args.drain(i..(i + 2).min(args.len())).collect();
        pair.last().cloned().unwrap_or_default()
    });
    let number = |i: usize, default: u64| args.get(i).map_or(Ok(default), |a| a.parse());
    let (first, count, matrix) = (number(0, 0)?, number(1, 3)?, number(2, 256)?);
    for seed in first..first + count {
        let class = Diagnosis::ALL[seed as usize % 3];
        let phantom = PhantomConfig::sample(seed, class, matrix as usize).generate()?;
        let start = Instant::now();
        let lungs = match segment_lungs(&phantom.ct, &LungConfig::default()) {
            Ok(lungs) => lungs,
            Err(e) => {
                println!("{seed} {class}: {e}");
                continue;
            }
        };
        let seconds = start.elapsed().as_secs_f64();
        let (right, left) = (
            dice(&lungs, &phantom.lungs, 1),
            dice(&lungs, &phantom.lungs, 2),
        );
        let lesion = phantom.lesions.data().iter().filter(|&&v| v != 0).count();
        let inside = phantom
            .lesions
            .data()
            .iter()
            .zip(lungs.data())
            .filter(|(l, m)| **l != 0 && **m != 0)
            .count();
        println!(
            "{seed} {class} {:?} {:?}: right {right:.4} left {left:.4}, lesion {lesion} inside \
             {:.4}, {seconds:.2} s; {}",
            phantom.ct.shape(),
            phantom.ct.geometry().spacing_mm(),
            inside as f64 / lesion.max(1) as f64,
            phantom.notes.join("; ")
        );
        if let Some(folder) = out.as_ref().filter(|_| right.min(left) < 0.96) {
            let write = |name: &str| Path::new(folder).join(format!("{seed}-{name}.nii.gz"));
            io::write_nifti(&write("ct"), &phantom.ct.map(|v| v as i16))?;
            io::write_nifti(&write("lungs"), &lungs)?;
            io::write_nifti(&write("truth"), &phantom.lungs)?;
        }
    }
    Ok(())
}

fn dice(mask: &Volume<u8>, truth: &Volume<u8>, label: u8) -> f64 {
    let (mut both, mut sum) = (0u64, 0u64);
    for (&m, &t) in mask.data().iter().zip(truth.data()) {
        both += u64::from(m == label && t == label);
        sum += u64::from(m == label) + u64::from(t == label);
    }
    2.0 * both as f64 / sum as f64
}
