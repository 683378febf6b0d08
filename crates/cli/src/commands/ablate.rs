//! `multirnet ablate`: trains and scores variants of one system.

use crate::context::Context;
use crate::failure::Outcome;
use crate::failure::study_failure;
use crate::study::{self, PartArguments, StudyArguments};
use multirnet_study::AblationConfig;

/// Train and score variants of one system: reverse attention, losses, iterations, classification
///
/// Works like `compare`. Variants of several axes that need the same training are trained once.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  multirnet ablate configs/ablate/phantom.toml --out runs/ablation"
)]
pub struct Ablate {
    #[command(flatten)]
    study: StudyArguments,

    #[command(flatten)]
    parts: PartArguments,
}

impl Ablate {
    /// Runs the command.
    pub fn run(self, context: Context) -> Outcome {
        let mut ablation = AblationConfig::read(&self.study.config).map_err(study_failure)?;
        self.study.apply(&mut ablation.cohort);
        let config = ablation.study().map_err(study_failure)?;
        if self.parts.run(&self.study, &config, context)? {
            return Ok(());
        }
        let stop = crate::stop::saving()?;
        let (folder, results) = study::run(&self.study, &config, &stop)?;
        ablation.write_axes(&folder).map_err(study_failure)?;
        study::finish(&self.study, context, results, &stop)
    }
}
