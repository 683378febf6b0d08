//! Studies: several systems, trained alike on one cohort and scored alike on its test scans.
//!
//! A [`StudyConfig`] names the cohort, its division, the training and the systems. [`run`] trains
//! the missing systems, resumes stopped trainings, scores every test scan, and writes everything to
//! a [`Folder`]. [`Results`] are computed from it: the paper's tables 2 and 3 with its own figures
//! beside ours, tests between systems, and the figures of [`figures`]. An [`AblationConfig`] is a
//! study whose systems are variants of one configuration.
//!
//! [`multirnet::evaluation`] scores one model on the scans of manifests, source by source, with the
//! same scorer ([`CaseScore`](multirnet::evaluation::CaseScore)).
//!
//! ```
//! use multirnet_study::StudyConfig;
//!
//! let study = StudyConfig::parse(r#"
//!     title = "What does reverse attention bring?"
//!     cohort.phantoms = { normal = 4, cap = 4, covid19 = 4, seed = 1, matrix = 96 }
//!     system = [{ id = "with" }, { id = "without", set.model.reverse_attention = false }]
//! "#)?;
//! // The systems are trained alike, except for the changes of `set`.
//! let [with, mut without] = [0, 1].map(|i| study.train_config(&study.systems[i]).unwrap());
//! assert_ne!(with.model, without.model);
//! without.model = with.model.clone();
//! assert_eq!(with, without);
//! // The others are tested against the first, unless `reference` names another.
//! assert_eq!(study.reference().id, "with");
//! # Ok::<(), multirnet_study::Error>(())
//! ```

#![recursion_limit = "256"]

mod ablation;
mod cohort;
mod config;
mod config_line;
mod division;
mod error;
pub mod figures;
mod folder;
mod implants;
mod options;
pub mod paper;
mod parts;
mod results;
mod run;
mod run_model;
mod scoring;
mod seeds;
mod share_intervals;
mod system_result;
mod tables;
mod training;

pub use ablation::{AblationConfig, Axis, Variant};
pub use cohort::{StudyCohort, scan_seed, write_phantom};
pub use config::{CohortConfig, MoreScans, PhantomCohort, StudyConfig, SystemEntry};
pub use division::Division;
pub use error::{Error, ErrorKind, Result};
pub use folder::Folder;
pub use implants::{ImplantCohort, ImplantFile, ImplantRequest};
pub use options::{Event, Options};
pub use parts::{Part, run_part};
pub use results::{Comparison, Results};
pub use run::{results, run};
pub use run_model::{describe_cohort, draw_curves, package_run};
pub use scoring::{TestOutput, TestScan, load_system, read_scores};
pub use seeds::{EpochLosses, SeedGroup, SeedSpread};
pub use system_result::{Compared, SystemResult};
pub use tables::{tables, tables_text, write_tables};
pub use training::Trained;
