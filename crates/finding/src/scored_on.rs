//! The content of scans: phantoms, implanted lesions or patients.

use serde::{Deserialize, Serialize};

/// The content of scans on which a model was scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScoredOn {
    /// Scans drawn by a program.
    #[serde(rename = "phantoms")]
    Phantoms,
    /// Drawn lesions in real scans of lungs without lesions.
    #[serde(rename = "implanted lesions")]
    ImplantedLesions,
    /// Real scans with real lesions.
    #[serde(rename = "patients")]
    Patients,
}

impl ScoredOn {
    /// The name in model cards, in plain English.
    pub fn label(self) -> &'static str {
        match self {
            Self::Phantoms => "phantoms",
            Self::ImplantedLesions => "implanted lesions",
            Self::Patients => "patients",
        }
    }
}
