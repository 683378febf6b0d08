//! What the reader is asked for and what it gives.

use crate::{SeriesInfo, SeriesReference};
use multirnet_volume::Volume;
use serde::{Deserialize, Serialize};

/// How to read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReadOptions {
    /// The series to read: its UID, or its number in the listing (from 1). Unset: chosen by rule.
    pub series: Option<String>,
    /// Mend irregular series and warn, instead of refusing them.
    pub allow_irregular: bool,
}

/// A series read as a volume.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Scan {
    /// Hounsfield units, at least [`AIR_HU`](crate::AIR_HU).
    pub volume: Volume<f32>,
    /// The series that was read.
    pub series: SeriesInfo,
    /// All series that were found, with the reason why each was or was not taken.
    pub listing: Vec<SeriesInfo>,
    /// What makes the scan less trustworthy; belongs into the result.
    pub warnings: Vec<String>,
    /// What else a user may want to know (files skipped, how a single file was understood).
    pub notes: Vec<String>,
    /// What DICOM results refer to and take over.
    pub reference: SeriesReference,
    /// Pseudonym of the patient: equal for scans with the same patient identifier, empty without
    /// one. It is a short hash; who knows an identifier can test for it.
    pub patient_key: String,
    /// Files of the volume's slices in order, relative to what was read.
    pub files: Vec<String>,
}
