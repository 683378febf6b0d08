//! `multirnet compare`: trains and scores several systems on one cohort.

use crate::context::Context;
use crate::failure::Outcome;
use crate::failure::study_failure;
use crate::study::{self, PartArguments, StudyArguments};
use multirnet_study::StudyConfig;

/// Train and score several systems on one cohort: the paper's tables 2 and 3
///
/// One TOML file names the systems, the cohort, its division and the training. A second run keeps
/// finished trainings and continues an interrupted one. The tables are the same however often the
/// study was interrupted. OUT/index.html shows everything.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  multirnet compare configs/compare/phantom.toml --out runs/phantom\n  multirnet compare configs/compare/covid-ctseg.toml --manifest cohort.csv --out runs/ctseg\n  multirnet compare configs/compare/coronacases-loo.toml --data DATA --out runs/loo"
)]
pub struct Compare {
    #[command(flatten)]
    study: StudyArguments,

    #[command(flatten)]
    parts: PartArguments,
}

impl Compare {
    /// Runs the command.
    pub fn run(self, context: Context) -> Outcome {
        let mut config = StudyConfig::read(&self.study.config).map_err(study_failure)?;
        self.study.apply(&mut config.cohort);
        if self.parts.run(&self.study, &config, context)? {
            return Ok(());
        }
        let stop = crate::stop::saving()?;
        let (_, results) = study::run(&self.study, &config, &stop)?;
        study::finish(&self.study, context, results, &stop)
    }
}
