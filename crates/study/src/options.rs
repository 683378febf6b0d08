//! How a study runs, and what it tells.

use multirnet_cohort::load::Reader;
use multirnet_infer::DeviceChoice;

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
    /// Where networks run.
    pub device: DeviceChoice,
    /// Models that trainings may begin from.
    pub models: &'a multirnet_infer::Catalogue,
    /// Told of everything that happens.
    pub progress: &'a mut (dyn FnMut(Event<'_>) + Send),
}
