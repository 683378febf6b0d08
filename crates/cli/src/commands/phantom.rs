//! `multirnet phantom`: synthetic scans with known truth.

use crate::failure::{Exit, Failure, Outcome};
use crate::output::{Staged, make_dir};
use crate::{Context, output};
use clap::Subcommand;
use indicatif::ProgressBar;
use multirnet_phantom::{Phantom as Made, PhantomConfig};
use multirnet_train::{Case, Cohort};
use multirnet_volume::{Diagnosis, io};
use std::path::{Path, PathBuf};

/// Make synthetic chest CT scans with known lungs, lesions and class
///
/// Phantoms are drawn by a program, not taken from patients: they show that the machinery works and
/// say nothing about patients.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  multirnet phantom one --class covid19 --seed 7 -o phantom\n  multirnet phantom cohort --per-class 40 --seed 1 -o cohort"
)]
pub struct Phantom {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Subcommand)]
enum Kind {
    /// Make one scan: ct.nii.gz, lungs.nii.gz, lesions.nii.gz, phantom.json
    One(One),
    /// Make a cohort of scans with its manifest (cohort.csv)
    Cohort(CohortArguments),
}

#[derive(clap::Args)]
struct One {
    /// normal, cap or covid19
    #[arg(long, value_parser = super::explain::class)]
    class: Diagnosis,

    /// Seed that decides everything about the scan
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Voxels along x and y
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u16).range(96..=1024))]
    matrix: u16,

    /// Folder for the files
    #[arg(short, long, value_name = "OUT")]
    out: PathBuf,
}

#[derive(clap::Args)]
struct CohortArguments {
    /// Scans per class
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    per_class: u32,

    /// Seed of the cohort; cohorts of different seeds share no scan
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Voxels along x and y
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u16).range(96..=1024))]
    matrix: u16,

    /// Folder for the cohort
    #[arg(short, long, value_name = "OUT")]
    out: PathBuf,
}

/// The seed of a cohort's scan: mixes cohort seed and position (SplitMix64), so that neighbouring
/// cohorts do not share scans.
pub fn scan_seed(cohort: u64, class: Diagnosis, index: u64) -> u64 {
    let position = index * 3 + class.index() as u64;
    let mut z = cohort
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(position.wrapping_add(1).wrapping_mul(0xD1B5_4A32_D192_ED03));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Makes one phantom.
pub fn make(seed: u64, class: Diagnosis, matrix: usize) -> Outcome<(PhantomConfig, Made)> {
    let config = PhantomConfig::sample(seed, class, matrix);
    let made = config
        .generate()
        .map_err(|e| Failure::new(Exit::Internal, e))?;
    Ok((config, made))
}

/// Writes a phantom's files with `prefix` before their names.
pub fn write(staged: &Staged, prefix: &str, config: &PhantomConfig, made: &Made) -> Outcome {
    let output = |e: multirnet_volume::Error| Failure::output(e);
    let name = |n: &str| staged.path(&format!("{prefix}{n}"));
    // HU are whole numbers: 16 bits hold them in half the space.
    io::write_nifti(&name("ct.nii.gz"), &made.ct.map(|hu| hu.round() as i16)).map_err(output)?;
    io::write_nifti(&name("lungs.nii.gz"), &made.lungs).map_err(output)?;
    io::write_nifti(&name("lesions.nii.gz"), &made.lesions).map_err(output)?;
    staged.write_json(&format!("{prefix}phantom.json"), config)
}

impl Phantom {
    /// Runs the command.
    pub fn run(self, context: Context) -> Outcome {
        match self.kind {
            Kind::One(one) => {
                let (config, made) = make(one.seed, one.class, usize::from(one.matrix))?;
                let staged = Staged::new(&one.out)?;
                write(&staged, "", &config, &made)?;
                staged.publish()?;
                say(context, &one.out, 1)
            }
            Kind::Cohort(c) => cohort(&c, context),
        }
    }
}

fn cohort(arguments: &CohortArguments, context: Context) -> Outcome {
    make_dir(&arguments.out)?;
    let count = u64::from(arguments.per_class) * 3;
    let bar = ProgressBar::new(count).with_message("phantoms");
    let mut cases = vec![];
    for index in 0..u64::from(arguments.per_class) {
        for class in Diagnosis::ALL {
            let seed = scan_seed(arguments.seed, class, index);
            let id = format!("{}-{index:04}", class.name());
            let (config, made) = make(seed, class, usize::from(arguments.matrix))?;
            let staged = Staged::new(&arguments.out)?;
            write(&staged, &format!("{id}-"), &config, &made)?;
            staged.publish()?;
            let file = |name: &str| arguments.out.join(format!("{id}-{name}"));
            let patient = format!("phantom-{:x}-{id}", arguments.seed);
            cases.push(Case::new(
                file("ct.nii.gz"),
                Some(file("lesions.nii.gz")),
                class,
                patient,
            ));
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    let manifest = arguments.out.join("cohort.csv");
    Cohort::new(cases)
        .and_then(|c| c.write(&manifest))
        .map_err(Failure::output)?;
    say(context, &manifest, count)
}

fn say(context: Context, path: &Path, phantoms: u64) -> Outcome {
    if context.json {
        return output::print(&output::to_json(
            &serde_json::json!({ "written": path, "phantoms": phantoms, "synthetic": true }),
        )?);
    }
    output::print(&format!("{phantoms} synthetic scans: {}\n", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn cohorts_share_no_seed() {
        let seeds: HashSet<u64> = (0..8)
            .flat_map(|cohort| {
                (0..200).flat_map(move |i| Diagnosis::ALL.map(|c| scan_seed(cohort, c, i)))
            })
            .collect();
        assert_eq!(seeds.len(), 8 * 200 * 3);
    }
}
