//! Attributes of the patient and the study.

use dicom_dictionary_std::tags;
use dicom_object::Tag;
use std::fmt;

/// An attribute of the patient or the study, as the source has it. It may name a person, so
/// `Debug` shows only the tag.
#[derive(Clone, PartialEq, Eq)]
pub struct SourceAttribute {
    /// Group and element.
    pub tag: (u16, u16),
    /// The value as text.
    pub value: String,
}

impl fmt::Debug for SourceAttribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({:04X},{:04X})", self.tag.0, self.tag.1)
    }
}

/// The attributes of the modules Patient, General Study and Patient Study (PS3.3 C.7.1.1, C.7.2.1,
/// C.7.2.2) that results in the same study must repeat.
pub(crate) const ATTRIBUTES: [Tag; 15] = [
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::ACCESSION_NUMBER,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::STUDY_DESCRIPTION,
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::ISSUER_OF_PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
    tags::PATIENT_AGE,
    tags::PATIENT_SIZE,
    tags::PATIENT_WEIGHT,
    tags::PATIENT_IDENTITY_REMOVED,
    tags::STUDY_ID,
];
