//! Content items of structured reports (PS3.3 C.17.3).

use crate::write::codes::{Code, NO_UNITS};
use crate::write::dataset::Dataset;
use crate::write::modules::reference;
use dicom_dictionary_std::tags;

/// How an item relates to the one above it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Relation {
    Contains,
    HasConceptModifier,
    HasObservationContext,
}

impl Relation {
    fn name(self) -> &'static str {
        match self {
            Self::Contains => "CONTAINS",
            Self::HasConceptModifier => "HAS CONCEPT MOD",
            Self::HasObservationContext => "HAS OBS CONTEXT",
        }
    }
}

fn item(relation: Relation, value_type: &str, name: Code) -> Dataset {
    Dataset::new()
        .text(tags::RELATIONSHIP_TYPE, relation.name())
        .text(tags::VALUE_TYPE, value_type)
        .code(tags::CONCEPT_NAME_CODE_SEQUENCE, name)
}

/// Puts `children` below an item, if there are any.
pub(crate) fn above(item: Dataset, children: Vec<Dataset>) -> Dataset {
    if children.is_empty() {
        return item;
    }
    item.sequence(tags::CONTENT_SEQUENCE, children)
}

pub(crate) fn code(relation: Relation, name: Code, value: Code) -> Dataset {
    item(relation, "CODE", name).code(tags::CONCEPT_CODE_SEQUENCE, value)
}

pub(crate) fn text(relation: Relation, name: Code, value: &str) -> Dataset {
    item(relation, "TEXT", name).text(tags::TEXT_VALUE, value)
}

pub(crate) fn uid_reference(relation: Relation, name: Code, value: &str) -> Dataset {
    item(relation, "UIDREF", name).text(tags::UID, value)
}

pub(crate) fn number(name: Code, value: f64, unit: Code) -> Dataset {
    let measured = Dataset::new()
        .decimals(tags::NUMERIC_VALUE, &[value])
        .code(tags::MEASUREMENT_UNITS_CODE_SEQUENCE, unit);
    item(Relation::Contains, "NUM", name).sequence(tags::MEASURED_VALUE_SEQUENCE, [measured])
}

/// A number without a unit.
pub(crate) fn ratio(name: Code, value: f64) -> Dataset {
    number(name, value, NO_UNITS)
}

/// A reference to the segment `number` of a segmentation.
pub(crate) fn segment(name: Code, sop_class_uid: &str, instance_uid: &str, number: u16) -> Dataset {
    let object =
        reference(sop_class_uid, instance_uid).shorts(tags::REFERENCED_SEGMENT_NUMBER, &[number]);
    item(Relation::Contains, "IMAGE", name).sequence(tags::REFERENCED_SOP_SEQUENCE, [object])
}

/// A container; `template` is the number of its template, if it has one.
pub(crate) fn container(name: Code, template: Option<&str>, children: Vec<Dataset>) -> Dataset {
    let set =
        item(Relation::Contains, "CONTAINER", name).text(tags::CONTINUITY_OF_CONTENT, "SEPARATE");
    above(with_template(set, template), children)
}

/// The container that a document is.
pub(crate) fn root(name: Code, template: &str, children: Vec<Dataset>) -> Dataset {
    let set = Dataset::new()
        .text(tags::VALUE_TYPE, "CONTAINER")
        .code(tags::CONCEPT_NAME_CODE_SEQUENCE, name)
        .text(tags::CONTINUITY_OF_CONTENT, "SEPARATE");
    above(with_template(set, Some(template)), children)
}

fn with_template(set: Dataset, template: Option<&str>) -> Dataset {
    let Some(number) = template else {
        return set;
    };
    let template = Dataset::new()
        .text(tags::MAPPING_RESOURCE, "DCMR")
        .text(tags::TEMPLATE_IDENTIFIER, number);
    set.sequence(tags::CONTENT_TEMPLATE_SEQUENCE, [template])
}
