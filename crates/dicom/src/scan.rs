//! The reader's options and its result.

use crate::{MAX_VOXELS, SeriesInfo, SeriesReference};
use multirnet_volume::Volume;
use serde::{Deserialize, Serialize};

/// Options of [`read`](fn@crate::read).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReadOptions {
    /// The series to read: its UID, or its number in the listing (from 1). If unset, the reader
    /// chooses by the crate's rules.
    pub series: Option<String>,
    /// Whether to mend irregular series and warn, instead of refusing them.
    pub allow_irregular: bool,
    /// Largest number of voxels of a volume, at most [`MAX_VOXELS`]. A small compressed file can claim a
    /// volume of many GiB, so this bounds the memory that reading takes: about eight bytes a voxel, and
    /// four more if an irregular series is resampled.
    pub max_voxels: usize,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            series: None,
            allow_irregular: false,
            max_voxels: MAX_VOXELS,
        }
    }
}

/// A series read as a volume.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Scan {
    /// The volume in Hounsfield units. No value is below [`AIR_HU`](crate::AIR_HU).
    pub volume: Volume<f32>,
    /// The series that was read.
    pub series: SeriesInfo,
    /// All series that were found, with the reason why each was or was not taken.
    pub listing: Vec<SeriesInfo>,
    /// Reasons to trust the scan less. The caller copies them into the result.
    pub warnings: Vec<String>,
    /// Other facts for the user: which files were skipped, how a single file was understood.
    pub notes: Vec<String>,
    /// Identifiers and attributes of the series, which DICOM results refer to or copy.
    pub reference: SeriesReference,
    /// Pseudonym of the patient: equal for scans with the same patient identifier, empty without
    /// one. It is a short hash, so anyone who knows an identifier can test for it.
    pub patient_key: String,
    /// Files of the volume's slices in order, relative to the path that was read.
    pub files: Vec<String>,
}
