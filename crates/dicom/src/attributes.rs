//! Attributes of the patient and the study.

use crate::dataset::{Reader, vr_of};
use crate::legal::legal;
use dicom_core::VR;
use dicom_dictionary_std::tags;
use dicom_object::{InMemDicomObject, Tag};
use std::fmt;

/// Deepest nesting of copied sequences. Codes with their modifiers need two levels.
const MAX_DEPTH: usize = 4;

/// An attribute of the patient or the study, as the source has it. A value that its type does not allow
/// is cut or empty. It may name a person, so
/// `Debug` shows only the tag.
#[derive(Clone, PartialEq, Eq)]
pub struct SourceAttribute {
    /// Group and element.
    pub tag: (u16, u16),
    /// The value as text; empty for a sequence.
    pub value: String,
    /// The items of a sequence, each with its attributes; `None` for other attributes.
    pub items: Option<Vec<Vec<SourceAttribute>>>,
}

impl fmt::Debug for SourceAttribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({:04X},{:04X})", self.tag.0, self.tag.1)
    }
}

/// The attributes of the modules Patient, General Study and Patient Study (PS3.3 C.7.1.1, C.7.2.1,
/// C.7.2.2) that results in the same study must repeat.
const ATTRIBUTES: [Tag; 33] = [
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::ACCESSION_NUMBER,
    tags::ISSUER_OF_ACCESSION_NUMBER_SEQUENCE,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::STUDY_DESCRIPTION,
    tags::PROCEDURE_CODE_SEQUENCE,
    tags::REFERENCED_STUDY_SEQUENCE,
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::ISSUER_OF_PATIENT_ID,
    tags::TYPE_OF_PATIENT_ID,
    tags::ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_BIRTH_TIME,
    tags::PATIENT_SEX,
    tags::QUALITY_CONTROL_SUBJECT,
    tags::OTHER_PATIENT_I_DS_SEQUENCE,
    tags::OTHER_PATIENT_NAMES,
    tags::PATIENT_AGE,
    tags::PATIENT_SIZE,
    tags::PATIENT_WEIGHT,
    tags::PATIENT_COMMENTS,
    tags::PATIENT_IDENTITY_REMOVED,
    tags::DEIDENTIFICATION_METHOD,
    tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE,
    tags::STUDY_ID,
    tags::ADMISSION_ID,
    tags::ISSUER_OF_ADMISSION_ID_SEQUENCE,
    tags::REASON_FOR_VISIT,
    tags::SERVICE_EPISODE_ID,
    tags::ISSUER_OF_SERVICE_EPISODE_ID_SEQUENCE,
    tags::SERVICE_EPISODE_DESCRIPTION,
];

/// Those of [`ATTRIBUTES`] that `source` has.
pub(crate) fn copy(source: &InMemDicomObject) -> Vec<SourceAttribute> {
    let attribute = |&tag: &Tag| copy_one(source, tag, MAX_DEPTH);
    ATTRIBUTES.iter().filter_map(attribute).collect()
}

/// The attribute `tag` of `source`. Only attributes that the dictionary knows as text or sequences are
/// copied, down to `depth` sequences.
fn copy_one(source: &InMemDicomObject, tag: Tag, depth: usize) -> Option<SourceAttribute> {
    let element = source.get(tag)?;
    let vr = vr_of(tag)?;
    let is_sequence = vr == VR::SQ;
    // The dictionary also has an entry for the creators of private attributes, in odd groups.
    if tag.group() % 2 == 1 {
        return None;
    }
    if depth == 0 || is_sequence != (element.vr() == VR::SQ) || !(is_sequence || is_text(vr)) {
        return None;
    }
    let copy_item = |item: &InMemDicomObject| {
        let attribute = |tag| copy_one(item, tag, depth - 1);
        item.tags().filter_map(attribute).collect()
    };
    Some(SourceAttribute {
        tag: (tag.group(), tag.element()),
        value: legal(vr, &Reader(source).text(tag)),
        items: is_sequence.then(|| {
            let items = Reader(source).items(tag);
            items.iter().map(copy_item).collect()
        }),
    })
}

fn is_text(vr: VR) -> bool {
    use VR::{AE, AS, CS, DA, DS, DT, IS, LO, LT, PN, SH, ST, TM, UC, UI, UR, UT};
    let text = [
        AE, AS, CS, DA, DS, DT, IS, LO, LT, PN, SH, ST, TM, UC, UI, UR, UT,
    ];
    text.contains(&vr)
}
