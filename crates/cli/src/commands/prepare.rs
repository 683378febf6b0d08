//! `multirnet prepare`: makes a manifest from folders, and checks and prepares a manifest's scans.

use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::output;
use multirnet::read_volume;
use multirnet_cohort::{Cache, Cohort, Entry, manifest};
use multirnet_train::TrainConfig;
use multirnet_train::sampler::sources_of_one_class;
use multirnet_volume::Diagnosis;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Make a cohort manifest from folders, or check and preprocess the scans of a manifest
///
/// A folder holds one subfolder per class (normal, cap, covid19) with the scans and, beside each
/// NAME.nii.gz, its lesion mask NAME_mask.nii.gz (or _seg, _label).
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  multirnet prepare hospital/ -o cohort.csv\n  multirnet prepare cohort.csv --cache cache\n  multirnet prepare configs/data/coronacases-hu.csv configs/data/medseg98-train.csv --data data --cache cache"
)]
pub struct Prepare {
    /// A folder of class folders, or manifests (CSV or TOML), which are joined
    #[arg(required = true, value_name = "FOLDER|MANIFEST")]
    inputs: Vec<PathBuf>,

    /// Folder that paths in the manifests are relative to (default: each manifest's own)
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Manifest to write (from a folder)
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Preprocess every scan into this folder, which `train` can use
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,

    /// Training configuration whose table `prepare` applies
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Scans prepared at the same time
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,
}

/// A source's name in messages.
fn named(source: &str) -> &str {
    match source {
        "" => "without a name",
        name => name,
    }
}

impl Prepare {
    /// Runs the command.
    pub fn run(self, context: Context) -> Outcome {
        let folder = self.inputs.iter().find(|p| p.is_dir());
        let cohort = if let Some(folder) = folder {
            if self.inputs.len() > 1 || self.data.is_some() {
                return Err(Failure::new(
                    Exit::Usage,
                    "a folder of class folders cannot be joined with manifests or --data",
                ));
            }
            let cohort = manifest::from_folders(folder).map_err(Failure::input)?;
            if self.out.is_none() && self.cache.is_none() {
                return Err(Failure::new(
                    Exit::Usage,
                    "nothing would be written (give -o for the manifest or --cache for the scans)",
                ));
            }
            cohort
        } else {
            Cohort::read_all(&self.inputs, self.data.as_deref()).map_err(Failure::input)?
        };
        if let Some(out) = &self.out {
            cohort.write(out).map_err(Failure::output)?;
        }
        let [normal, cap, covid19] = cohort.class_counts();
        let unknown = cohort.cases.iter().filter(|c| c.class.is_none()).count();
        let all: Vec<usize> = (0..cohort.cases.len()).collect();
        let single = sources_of_one_class(&cohort, &all);
        let failed = match &self.cache {
            None => vec![],
            Some(cache) => self.preprocess(&cohort, cache)?,
        };
        if context.json {
            let value = json!({
                "scans": cohort.cases.len(), "normal": normal, "cap": cap, "covid19": covid19,
                "unknown": unknown, "sources": cohort.sources(),
                "sources_of_one_class": single.iter().map(|(source, class)| json!({ "source": source, "class": class })).collect::<Vec<_>>(),
                "manifest": self.out, "cache": self.cache,
                "failed": failed.iter().map(|(scan, reason)| json!({ "scan": scan, "reason": reason })).collect::<Vec<_>>(),
            });
            output::print(&output::to_json(&value)?)?;
        } else {
            let counts = Diagnosis::ALL.iter().zip([normal, cap, covid19]);
            let mut counts: Vec<String> = counts.map(|(c, n)| format!("{n} {c}")).collect();
            if unknown > 0 {
                counts.push(format!("{unknown} of unknown class"));
            }
            output::print(&format!(
                "{} scans: {}\n",
                cohort.cases.len(),
                counts.join(", ")
            ))?;
            let sources = cohort.sources();
            if sources.len() > 1 {
                let list = sources
                    .iter()
                    .map(|(name, n)| format!("{n} {}", named(name)));
                let list: Vec<String> = list.collect();
                output::print(&format!("sources: {}\n", list.join(", ")))?;
            }
            for (source, class) in &single {
                output::print(&format!(
                    "the source {} holds only {class}: a network that classifies may learn the \
                     source instead of the class\n",
                    named(source)
                ))?;
            }
            for (_, reason) in &failed {
                output::print(&format!("refused: {reason}\n"))?;
            }
        }
        match failed.len() {
            0 => Ok(()),
            n if n == cohort.cases.len() => Err(Failure::input("no scan could be prepared")),
            n => Err(Failure::new(
                Exit::Partial,
                format!("{n} of {} scans refused", cohort.cases.len()),
            )),
        }
    }

    fn preprocess(&self, cohort: &Cohort, folder: &Path) -> Outcome<Vec<(String, String)>> {
        let config = match &self.config {
            Some(path) => TrainConfig::read(path).map_err(Failure::input)?,
            None => TrainConfig::recipe(),
        };
        let stages = config.stages();
        let bar = output::bar(
            Some((cohort.cases.len() * stages.len()) as u64),
            "preparing {bar:30} {pos}/{len} (left: {eta})",
        );
        let mut progress = |_: usize, result: &multirnet_cohort::Result<Entry>| {
            if let Ok(entry) = result {
                for warning in &entry.warnings {
                    tracing::info!("{warning}");
                }
            }
            bar.inc(1);
        };
        let mut failed = std::collections::BTreeMap::new();
        let stop = crate::stop::saving()?;
        // Each stage of a training has its own preparation of the scans.
        for stage in &stages {
            let cache = Cache::new(folder, &stage.prepare, 0, &read_volume);
            let jobs = usize::from(self.jobs);
            let results = cache
                .ensure_all(cohort, jobs, &mut progress, stop.flag())
                .map_err(|e| {
                    bar.finish_and_clear();
                    Failure::from(e)
                })?;
            for (case, result) in cohort.cases.iter().zip(results) {
                if let Err(e) = result {
                    failed.insert(case.scan.display().to_string(), e.to_string());
                }
            }
        }
        bar.finish_and_clear();
        Ok(failed.into_iter().collect())
    }
}
