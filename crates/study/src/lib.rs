//! Studies: several systems, trained alike on one cohort and scored alike on its test scans.
//!
//! A [`StudyConfig`] names the cohort, its division, the training and the systems. [`run`] trains
//! what is missing, resumes what was stopped, scores every test scan, and leaves everything in a
//! [`Folder`], from which [`Results`] are computed: the paper's tables 2 and 3 with its own figures
//! beside ours, tests between systems, and the figures of [`figures`]. An [`AblationConfig`] is a
//! study whose systems are variants of one configuration.
//!
//! [`evaluation`] scores one model on the scans of manifests, source by source, with the same scorer
//! ([`CaseScore`]).

#![recursion_limit = "256"]

mod ablation;
mod case_score;
mod cohort;
mod config;
mod error;
pub mod evaluation;
pub mod figures;
mod folder;
mod implants;
mod intervals;
pub mod paper;
pub mod parts;
pub mod published;
mod results;
mod scoring;
mod seeds;
mod tables;
mod training;

pub use ablation::{AblationConfig, Axis, Variant};
pub use case_score::{CaseScore, Said};
pub use cohort::{StudyCohort, scan_seed, write_phantom};
pub use config::{
    CohortConfig, MoreScans, PhantomCohort, ScoreConfig, StudyConfig, SystemEntry, overlaid,
};
pub use error::{Error, ErrorKind, Result};
pub use evaluation::{EvaluatedCase, Evaluation};
pub use folder::{Division, Folder};
pub use implants::{ImplantCohort, ImplantFile, ImplantRequest};
pub use parts::{CasePrediction, predict_case};
pub use results::Compared;
pub use results::{Comparison, Results, SystemResult};
pub use scoring::{TestAnswer, TestScan, load_system, read_scores};
pub use seeds::{SeedGroup, SeedSpread};
pub use tables::{markdown, tables, tables_text, write_tables};
pub use training::Trained;

use multirnet_nn::device::Device;
use multirnet_train::load::Reader;
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// What a study is doing.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Phantoms are made.
    Phantoms {
        /// Done.
        done: usize,
        /// In all.
        total: usize,
    },
    /// Scans that were to be trained on are left out of a division, because it tests or validates
    /// on their patients.
    LeftOut {
        /// The division's name.
        division: &'a str,
        /// The patients with their numbers of scans.
        patients: &'a std::collections::BTreeMap<String, usize>,
    },
    /// A training begins or goes on.
    Training {
        /// The system's id.
        system: &'a str,
        /// The division's name.
        division: &'a str,
    },
    /// What that training does.
    Train(&'a multirnet_train::Event),
    /// Test scans are scored.
    Scoring {
        /// The division's name.
        division: &'a str,
        /// Scans done.
        done: usize,
        /// Scans in all.
        total: usize,
    },
}

/// How a study runs.
pub struct Options<'a> {
    /// Reads a scan.
    pub read: &'a Reader<'a>,
    /// Where networks run, without autodiff.
    pub device: Device,
    /// Whether that is the processor.
    pub on_cpu: bool,
    /// Models that trainings may begin from.
    pub models: &'a multirnet_infer::Catalogue,
    /// Told of everything that happens.
    pub progress: &'a mut (dyn FnMut(Event<'_>) + Send),
}

/// Runs the study to its end in the folder `root`: what is there already is kept, so that a study
/// that was stopped goes on and ends with the same scores. Raising `stop` ends early.
///
/// # Errors
/// `Folder` if the folder holds another study; `Interrupted`; what cohorts, trainings and scans
/// may refuse.
pub fn run(
    config: &StudyConfig,
    root: &Path,
    options: &mut Options<'_>,
    stop: &AtomicBool,
) -> Result<Results> {
    config.validate()?;
    let folder = Folder::open(root, config)?;
    let progress = &mut options.progress;
    let cohort = cohort::open(
        &config.cohort,
        &folder,
        &mut |done, total| progress(Event::Phantoms { done, total }),
        stop,
    )?;
    let divisions = Division::all(config, &cohort)?;
    for division in &divisions {
        if !division.left_out.is_empty() {
            (options.progress)(Event::LeftOut {
                division: &division.name,
                patients: &division.left_out,
            });
        }
        for system in &config.systems {
            training::ensure(config, system, division, &folder, options, stop)?;
        }
        scoring::ensure(config, division, &folder, options, stop)?;
    }
    Results::read(config, &folder, &cohort)
}

/// The results of a study that was run to its end.
///
/// # Errors
/// As [`Results::read`].
pub fn results(config: &StudyConfig, folder: &Folder) -> Result<(Results, StudyCohort)> {
    let cohort = cohort::existing(&config.cohort, folder)?;
    Ok((Results::read(config, folder, &cohort)?, cohort))
}
