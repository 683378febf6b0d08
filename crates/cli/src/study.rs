//! The code that `compare`, `ablate` and `report` share.

use crate::context::Context;
use crate::failure::{Outcome, study_failure};
use crate::model::DeviceArguments;
use crate::output;
use crate::training_progress::TrainingProgress;
use indicatif::ProgressBar;
use multirnet::{DeviceChoice, StopToken, read_volume};
use multirnet_study::{CohortConfig, Event, Folder, Options, Results, StudyConfig, figures};
use std::path::{Path, PathBuf};

/// Arguments of the commands that run a study.
#[derive(clap::Args)]
pub struct StudyArguments {
    /// The study's configuration (TOML)
    pub config: PathBuf,

    /// Folder of the study; a second run continues an interrupted one
    #[arg(short, long, value_name = "OUT")]
    pub out: PathBuf,

    /// Cohort manifest that replaces the configuration's cohort
    #[arg(long, value_name = "FILE")]
    pub manifest: Option<PathBuf>,

    /// Folder that paths in manifests are relative to (default: each manifest's own)
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Do not draw the report's figures (`multirnet report OUT` draws them later)
    #[arg(long)]
    pub no_figures: bool,

    #[command(flatten)]
    pub device: DeviceArguments,
}

impl StudyArguments {
    /// Replaces the configuration's manifest and data folder by those of the command line.
    pub fn apply(&self, cohort: &mut CohortConfig) {
        if let Some(manifest) = &self.manifest {
            cohort.set_manifest(manifest);
        }
        if let Some(data) = &self.data {
            cohort.set_data(data);
        }
    }
}

/// Runs a study and writes its tables.
pub fn run(
    arguments: &StudyArguments,
    config: &StudyConfig,
    stop: &StopToken,
) -> Outcome<(Folder, Results)> {
    arguments.device.open()?;
    let mut shown = Shown::new(&arguments.out);
    let mut options = Options {
        read: &read_volume,
        device: arguments.device.device,
        models: &multirnet::models(),
        progress: &mut |event| shown.event(&event),
    };
    let results = multirnet_study::run(config, &arguments.out, &mut options, stop);
    shown.finish();
    let results = results.map_err(study_failure)?;
    let (folder, _) = Folder::existing(&arguments.out).map_err(study_failure)?;
    multirnet_study::write_tables(&folder, &results).map_err(study_failure)?;
    Ok((folder, results))
}

/// Prints the results of a study (its tables, or everything as JSON) and draws its report.
pub fn finish(
    arguments: &StudyArguments,
    context: Context,
    results: Results,
    stop: &StopToken,
) -> Outcome {
    output::print(&if context.json {
        output::to_json(&results)?
    } else {
        multirnet_study::tables_text(&results)
    })?;
    if arguments.no_figures {
        return Ok(());
    }
    let page = report(&arguments.out, arguments.device.device, Some(results), stop)?;
    if context.json {
        return Ok(());
    }
    output::print(&format!("report: {}\n", page.display()))
}

/// Draws the report of a finished study. Uses `results` if they are given.
pub fn report(
    root: &Path,
    device: DeviceChoice,
    results: Option<Results>,
    stop: &StopToken,
) -> Outcome<PathBuf> {
    let bar = output::bar(None, "{spinner} {msg}");
    let mut progress = |what: &str| {
        bar.set_message(what.to_owned());
        bar.tick();
    };
    let page = figures::report(root, &read_volume, device, results, &mut progress, stop);
    bar.finish_and_clear();
    page.map_err(study_failure)
}

/// Shows the progress of a study on the terminal.
struct Shown {
    out: PathBuf,
    training: Option<TrainingProgress>,
    bar: ProgressBar,
}

impl Shown {
    fn new(out: &Path) -> Self {
        Self {
            out: out.to_owned(),
            training: None,
            bar: output::bar(Some(0), "{bar:30} {pos}/{len} {msg}"),
        }
    }

    fn show(&self, what: String, done: usize, total: usize) {
        self.bar.set_length(total as u64);
        self.bar.set_position(done as u64);
        self.bar.set_message(what);
    }

    fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Phantoms { done, total } => self.show("making phantoms".into(), *done, *total),
            Event::LeftOut { division, patients } => {
                let names: Vec<String> = patients
                    .iter()
                    .map(|(patient, scans)| format!("{patient} ({scans})"))
                    .collect();
                self.bar.suspend(|| {
                    output::say(&format!(
                        "{division}: left out of the training, because it tests or validates on \
                         these patients (scans): {}",
                        names.join(", ")
                    ));
                });
            }
            Event::Training { system, division } => {
                self.bar
                    .suspend(|| output::say(&format!("training {system}, {division}")));
                let run = self.out.join("runs").join(system).join(division);
                self.training = Some(TrainingProgress::new(&run));
            }
            Event::Train(event) => {
                if let Some(training) = &mut self.training {
                    training.event(event);
                }
            }
            Event::Scoring {
                division,
                done,
                total,
            } => {
                self.end_training();
                self.show(format!("scoring, {division}"), *done, *total);
            }
            _ => {}
        }
    }

    fn end_training(&mut self) {
        if let Some(training) = self.training.take() {
            training.finish();
        }
    }

    fn finish(&mut self) {
        self.end_training();
        self.bar.finish_and_clear();
    }
}
