//! `multirnet phantom`: makes synthetic scans with known truth.

mod implant;

use crate::context::Context;
use crate::failure::study_failure;
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::phantoms::make;
use clap::Subcommand;
use multirnet_base::StagedFolder;
use multirnet_dicom::write::{SyntheticScan, write_synthetic_slice};
use multirnet_study::{PhantomCohort, write_phantom};
use multirnet_volume::{Diagnosis, Volume};
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
    kind: PhantomCommand,
}

#[derive(Subcommand)]
enum PhantomCommand {
    /// Make one scan: ct.nii.gz, lungs.nii.gz, lesions.nii.gz, phantom.json
    One(One),
    /// Make a cohort of scans with its manifest (cohort.csv)
    Cohort(CohortArguments),
    /// Put synthetic lesions into real scans of normal or nearly normal lungs
    Implant(implant::Implant),
}

#[derive(clap::Args)]
struct One {
    /// normal, cap or covid19
    #[arg(long, value_parser = crate::commands::explain::class)]
    class: Diagnosis,

    /// Seed that decides everything about the scan
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Voxels along x and y
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u16).range(96..=1024))]
    matrix: u16,

    /// Also write the scan as a DICOM series, to OUT/dicom, to try archives and viewers with
    #[arg(long)]
    dicom: bool,

    /// Patient ID in the DICOM series, from which its UIDs follow (default: class, seed and matrix)
    #[arg(long, value_name = "ID", requires = "dicom")]
    id: Option<String>,

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

impl Phantom {
    /// Runs the command.
    pub fn run(self, context: Context) -> Outcome {
        match self.kind {
            PhantomCommand::One(one) => {
                let (config, made) = make(one.seed, one.class, usize::from(one.matrix))?;
                let staged = StagedFolder::new(&one.out)?;
                write_phantom(staged.folder(), "", &config, &made).map_err(Failure::output)?;
                if one.dicom {
                    let usual = format!("{}-{}-{}", one.class.label(), one.seed, one.matrix);
                    let id = one.id.clone().unwrap_or_else(|| usual.to_uppercase());
                    write_series(&staged, &id, &made.ct)?;
                }
                staged.publish()?;
                say(context, &one.out, 1)
            }
            PhantomCommand::Cohort(c) => cohort(&c, context),
            PhantomCommand::Implant(i) => i.run(context),
        }
    }
}

/// Writes the slices of a scan into the folder `dicom`.
fn write_series(staged: &StagedFolder, id: &str, ct: &Volume<f32>) -> Outcome {
    let hu = ct.map(|hu| hu.round() as i16);
    let scan = SyntheticScan {
        volume: &hu,
        id,
        description: "Phantom",
    };
    for z in 0..hu.shape()[0] {
        let bytes = write_synthetic_slice(&scan, z).map_err(multirnet::Error::from)?;
        staged.write(&format!("dicom/{z:04}.dcm"), &bytes)?;
    }
    Ok(())
}

fn cohort(arguments: &CohortArguments, context: Context) -> Outcome {
    let per_class = arguments.per_class;
    let phantoms = PhantomCohort {
        normal: per_class,
        cap: per_class,
        covid19: per_class,
        seed: arguments.seed,
        matrix: arguments.matrix,
    };
    let bar = output::bar(Some(0), "phantoms {bar:30} {pos}/{len} (left: {eta})");
    let stop = crate::stop::saving()?;
    let mut progress = |done: usize, total: usize| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    };
    let made = phantoms
        .make(&arguments.out, &mut progress, stop.flag())
        .map_err(study_failure)?;
    bar.finish_and_clear();
    let manifest = arguments.out.join("cohort.csv");
    say(context, &manifest, made.cases.len() as u64)
}

fn say(context: Context, path: &Path, phantoms: u64) -> Outcome {
    if context.json {
        return output::print(&output::to_json(
            &serde_json::json!({ "written": path, "phantoms": phantoms, "synthetic": true }),
        )?);
    }
    output::print(&format!(
        "{phantoms} synthetic scans: {}\n",
        output::path(path)
    ))
}
