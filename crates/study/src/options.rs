//! The options of a study's run, and its events.

use multirnet_cohort::load::Reader;
use multirnet_infer::DeviceChoice;

/// An event of a running study.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Phantoms are made.
    Phantoms {
        /// Number of finished phantoms.
        done: usize,
        /// Number of all phantoms.
        total: usize,
    },
    /// A division leaves out scans that are only trained on, because it tests or validates on their
    /// patients.
    LeftOut {
        /// The division's name.
        division: &'a str,
        /// The patients with their numbers of scans.
        patients: &'a std::collections::BTreeMap<String, usize>,
    },
    /// A training starts or continues.
    Training {
        /// The system's id.
        system: &'a str,
        /// The division's name.
        division: &'a str,
    },
    /// An event of that training.
    Train(&'a multirnet_train::Event),
    /// Test scans are scored.
    Scoring {
        /// The division's name.
        division: &'a str,
        /// Number of scored scans.
        done: usize,
        /// Number of all scans.
        total: usize,
    },
}

/// Reader, device, models and observer of a study's run.
pub struct Options<'a> {
    /// Reads a scan.
    pub read: &'a Reader<'a>,
    /// The device that networks run on.
    pub device: DeviceChoice,
    /// Models that trainings may begin from.
    pub models: &'a multirnet_infer::Catalogue,
    /// Receives every event.
    pub progress: &'a mut (dyn FnMut(Event<'_>) + Send),
}
