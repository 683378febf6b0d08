//! The run of a study, from its configuration to its results.

use crate::options::{Event, Options};
use crate::{
    Division, Folder, Result, Results, StudyCohort, StudyConfig, SystemEntry, cohort, scoring,
    training,
};
use multirnet_base::StopToken;
use std::path::Path;

/// Runs the study to its end in the folder `root`. Finished parts are kept: a study that was stopped
/// continues and ends with the same scores. Raising `stop` ends early.
///
/// # Errors
/// `Folder` if the folder holds another study; `Interrupted` if `stop` was raised; the errors of
/// cohorts, trainings and scoring.
pub fn run(
    config: &StudyConfig,
    root: &Path,
    options: &mut Options<'_>,
    stop: &StopToken,
) -> Result<Results> {
    let (folder, cohort) = open(config, root, options, stop)?;
    let divisions = Division::all(config, &cohort)?;
    let systems: Vec<_> = config.systems.iter().collect();
    for division in &divisions {
        run_division(config, division, &systems, &folder, options, stop)?;
    }
    Results::read(config, &folder, &cohort)
}

/// Opens the study's folder and cohort. Makes missing phantoms.
pub(crate) fn open(
    config: &StudyConfig,
    root: &Path,
    options: &mut Options<'_>,
    stop: &StopToken,
) -> Result<(Folder, StudyCohort)> {
    config.validate()?;
    let folder = Folder::open(root, config)?;
    let progress = &mut options.progress;
    let cohort = cohort::open(
        &config.cohort,
        &folder,
        &mut |done, total| progress(Event::Phantoms { done, total }),
        stop.flag(),
    )?;
    Ok((folder, cohort))
}

/// Trains and scores `systems` in one division.
pub(crate) fn run_division(
    config: &StudyConfig,
    division: &Division,
    systems: &[&SystemEntry],
    folder: &Folder,
    options: &mut Options<'_>,
    stop: &StopToken,
) -> Result<()> {
    if !division.left_out.is_empty() {
        (options.progress)(Event::LeftOut {
            division: &division.name,
            patients: &division.left_out,
        });
    }
    for system in systems {
        training::ensure(config, system, division, folder, options, stop.flag())?;
    }
    scoring::ensure(config, systems, division, folder, options, stop)
}

/// The results of a finished study.
///
/// # Errors
/// As [`Results::read`].
pub fn results(config: &StudyConfig, folder: &Folder) -> Result<(Results, StudyCohort)> {
    let cohort = cohort::existing(&config.cohort, folder)?;
    Ok((Results::read(config, folder, &cohort)?, cohort))
}
