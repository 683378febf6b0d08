//! `multirnet phantom implant`: puts synthetic lesions into real scans.

use crate::context::Context;
use crate::failure::study_failure;
use crate::failure::{Failure, Outcome};
use crate::scan::ReadArguments;
use crate::{output, toml_file};
use multirnet_phantom::implant::{AvoidList, ImplantConfig};
use multirnet_study::{Error, ErrorKind, ImplantCohort};
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};

/// Put synthetic lesions into real scans of normal or nearly normal lungs
///
/// Writes NAME-VV-ct.nii.gz, -lungs.nii.gz, -lesions.nii.gz and NAME-VV.json for each variant, and
/// cohort.csv. Existing variants are kept. Implanted lesions are not lesions of patients.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  multirnet phantom implant scans/*.nii.gz -o implanted\n  multirnet phantom implant a.nii.gz b.nii.gz -o implanted --variants 20 --seed 7 --avoid avoid.toml"
)]
pub struct Implant {
    /// Scans in HU, each of a different patient
    #[arg(required = true, value_name = "SCAN")]
    scans: Vec<PathBuf>,

    /// Folder for the cohort
    #[arg(short, long, value_name = "OUT")]
    out: PathBuf,

    /// Variants of each scan
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=1000))]
    variants: u32,

    /// Seed of the cohort
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Configuration of the implants (TOML; see docs/implants.md)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Regions of the scans to leave alone (TOML; see docs/implants.md)
    #[arg(long, value_name = "FILE")]
    avoid: Option<PathBuf>,
}

impl Implant {
    /// Runs the command.
    pub fn run(self, context: Context) -> Outcome {
        let config: ImplantConfig = read_toml(self.config.as_deref())?;
        if let Some(path) = &self.config {
            config.validate().map_err(|e| Failure::input(e.at(path)))?;
        }
        let avoid: AvoidList = read_toml(self.avoid.as_deref())?;
        let cohort = ImplantCohort {
            scans: self.scans,
            variants: self.variants,
            seed: self.seed,
            config,
            avoid,
        };
        let bar = output::bar(Some(0), "variants {bar:30} {pos}/{len} (left: {eta})");
        let stop = crate::stop::saving()?;
        let mut progress = |done: usize, total: usize| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        };
        let mut read = |path: &Path| {
            ReadArguments::default()
                .open(path)
                .map(|scan| scan.volume)
                .map_err(|e| Error::new(ErrorKind::Io, e.to_string()))
        };
        let made = cohort
            .make(&self.out, &mut read, &mut progress, stop.flag())
            .map_err(study_failure)?;
        bar.finish_and_clear();
        let (done, manifest) = (made.cases.len(), self.out.join("cohort.csv"));
        if context.json {
            return output::print(&output::to_json(
                &serde_json::json!({ "written": manifest, "variants": done, "implanted": true }),
            )?);
        }
        output::print(&format!(
            "{done} scans with synthetic lesions: {}\n",
            output::path(&manifest)
        ))
    }
}

/// Reads a value from a TOML file. Without a file it is the default.
fn read_toml<T: DeserializeOwned + Default>(path: Option<&Path>) -> Outcome<T> {
    path.map_or_else(
        || Ok(T::default()),
        |path| toml_file::read(path, "configuration"),
    )
}
