//! The code that `compare`, `ablate` and `report` share.

use crate::context::Context;
use crate::failure::{Outcome, study_failure};
use crate::model::DeviceArguments;
use crate::output;
use crate::training_progress::TrainingProgress;
use indicatif::ProgressBar;
use multirnet::{DeviceChoice, StopToken, read_volume};
use multirnet_study::{CohortConfig, Event, Folder, Options, Part, Results, StudyConfig, figures};
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

/// Arguments that run one part of a study, so that many machines can share one.
#[derive(clap::Args)]
pub struct PartArguments {
    /// Print the study's parts (SYSTEM/DIVISION), one a line, and do nothing else
    #[arg(long)]
    list_parts: bool,

    /// Train and score only this part; when all parts are done, the command without it makes the tables
    #[arg(long, value_name = "PART", conflicts_with = "list_parts")]
    only: Option<String>,
}

impl PartArguments {
    /// Does what these arguments ask for. Returns whether that was all.
    pub fn run(
        &self,
        arguments: &StudyArguments,
        config: &StudyConfig,
        context: Context,
    ) -> Outcome<bool> {
        if self.list_parts {
            let names: Vec<String> = config.parts().iter().map(Part::to_string).collect();
            output::print(&match context.json {
                true => output::to_json(&names)?,
                false => names.join("\n") + "\n",
            })?;
            return Ok(true);
        }
        let Some(name) = &self.only else {
            return Ok(false);
        };
        let part = config.part(name).map_err(study_failure)?;
        let stop = crate::stop::saving()?;
        with_options(arguments, |options| {
            multirnet_study::run_part(config, &part, &arguments.out, options, &stop)
        })?;
        output::say(&format!("{part} is done"));
        Ok(true)
    }
}

/// Calls `work` with the options of a study's run, and shows its progress.
fn with_options<T>(
    arguments: &StudyArguments,
    work: impl FnOnce(&mut Options<'_>) -> multirnet_study::Result<T>,
) -> Outcome<T> {
    arguments.device.open()?;
    let mut shown = Shown::new(&arguments.out);
    let mut options = Options {
        read: &read_volume,
        device: arguments.device.device,
        models: &multirnet::models(),
        progress: &mut |event| shown.event(&event),
    };
    let result = work(&mut options);
    shown.finish();
    result.map_err(study_failure)
}

/// Runs a study and writes its tables.
pub fn run(
    arguments: &StudyArguments,
    config: &StudyConfig,
    stop: &StopToken,
) -> Outcome<(Folder, Results)> {
    let results = with_options(arguments, |options| {
        multirnet_study::run(config, &arguments.out, options, stop)
    })?;
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
    output::print(&format!("report: {}\n", output::path(&page)))
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
        output::set_message(&bar, what);
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
        output::set_message(&self.bar, &what);
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
