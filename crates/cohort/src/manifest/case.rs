//! One scan of a cohort.

use crate::Known;
use multirnet_anatomy::Intensity;
use multirnet_volume::{Diagnosis, io};
use std::path::PathBuf;

/// The word for a class or a lesion mask that is not known.
pub(super) const UNKNOWN: &str = "unknown";

/// One scan of a cohort.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// The CT: a volume file, a folder of DICOM, or a picture.
    pub scan: PathBuf,
    /// Lesion labels on the scan's grid; `None` if it has no lesion or its lesions are unknown.
    pub mask: Option<PathBuf>,
    /// Whether lesions were outlined. If not, nothing is known about them.
    pub lesions_known: bool,
    /// The scan's class; `None` if it is unknown.
    pub class: Option<Diagnosis>,
    /// Name of the scan's patient.
    pub patient: String,
    /// Cross-validation fold, from 0.
    pub fold: Option<usize>,
    /// Name of the scan's data set; may be empty.
    pub source: String,
    /// What the scan's values mean.
    pub intensity: Intensity,
    /// Factor of HU = slope · value + intercept.
    pub slope: f64,
    /// Summand of HU = slope · value + intercept.
    pub intercept: f64,
    /// Spacing `(z, y, x)` of the array in millimetres. It replaces the file's.
    pub spacing_mm: Option<[f64; 3]>,
    /// Table of the slices' numbers, for stacks with gaps.
    pub slices: Option<PathBuf>,
    /// Values of the mask that are lesion, in the order of the labels 1, 2. If the list is empty,
    /// any value but 0 is lesion.
    pub mask_values: Vec<u8>,
    /// A lung mask that replaces the lung segmentation.
    pub lungs: Option<PathBuf>,
    /// Whether the whole scan counts as lung.
    pub lungs_all: bool,
    /// Values of the lung mask that are lung. If the list is empty, any value but 0 is lung.
    pub lungs_values: Vec<u8>,
    /// Identifier of the scan's study.
    pub study_uid: Option<String>,
    /// Line of the manifest that it was read from, from 1; 0 if it is not from a manifest.
    pub line: u64,
}

impl Case {
    /// A case in Hounsfield units. Any value but 0 of `mask` is lesion; without a mask the scan has
    /// no lesion.
    pub fn new(
        scan: impl Into<PathBuf>,
        mask: Option<PathBuf>,
        class: impl Into<Option<Diagnosis>>,
        patient: impl Into<String>,
    ) -> Self {
        Self {
            scan: scan.into(),
            mask,
            lesions_known: true,
            class: class.into(),
            patient: patient.into(),
            fold: None,
            source: String::new(),
            intensity: Intensity::Hu,
            slope: 1.0,
            intercept: 0.0,
            spacing_mm: None,
            slices: None,
            mask_values: vec![],
            lungs: None,
            lungs_all: false,
            lungs_values: vec![],
            study_uid: None,
            line: 0,
        }
    }

    /// The scan's file name, for messages.
    pub fn name(&self) -> String {
        self.scan.file_name().map_or_else(
            || self.scan.display().to_string(),
            |n| n.to_string_lossy().into_owned(),
        )
    }

    /// The class as manifests write it: `normal`, `cap`, `covid19` or `unknown`.
    pub fn class_name(&self) -> &'static str {
        self.class.map_or(UNKNOWN, Diagnosis::name)
    }

    /// What is known of the scan: whether its lesion labels are truth, whether they tell ground
    /// glass from consolidation (two mask values, or no lesion at all), and whether it has a class.
    pub fn known(&self) -> Known {
        Known {
            lesion: self.lesions_known,
            kinds: self.lesions_known && (self.mask.is_none() || self.mask_values.len() > 1),
            class: self.class.is_some(),
        }
    }

    /// Whether the scan is a picture of a single slice.
    pub fn is_picture(&self) -> bool {
        io::is_picture(&self.scan)
    }

    /// Whether the scan is declared to be less than a whole chest: a picture, or a stack whose
    /// slices are listed. The input gate then asks for less.
    pub fn is_part(&self) -> bool {
        self.is_picture() || self.slices.is_some()
    }
}
