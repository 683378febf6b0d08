//! Measurement groups (PS3.16 TID 1411 and TID 1501).

use super::content::{
    Relation, above, code, container, number, ratio, segment, text, uid_reference,
};
use super::input::{Classification, MeasurementGroup, Report};
use crate::write::codes;
use crate::write::context::{Algorithm, ResultContext};
use crate::write::dataset::Dataset;

/// The measurements of one finding.
pub(crate) fn measurements(
    context: &ResultContext,
    report: &Report,
    group: &MeasurementGroup,
) -> Dataset {
    let mut items = tracking(context, &group.tracking_id);
    items.push(code(Relation::Contains, codes::FINDING, group.finding));
    let mut references = Vec::new();
    if let (Some(n), Some(object)) = (group.segment, report.segmentation) {
        references = vec![
            segment(
                codes::REFERENCED_SEGMENT,
                object.role.sop_class_uid(),
                &object.instance_uid,
                n,
            ),
            uid_reference(
                Relation::Contains,
                codes::SOURCE_SERIES,
                &context.source.series_uid,
            ),
        ];
    }
    let template = if references.is_empty() {
        "1501"
    } else {
        "1411"
    };
    items.extend(references);
    if let Some(site) = group.site {
        let side = group
            .laterality
            .map(|side| code(Relation::HasConceptModifier, codes::LATERALITY, side));
        items.push(above(
            code(Relation::HasConceptModifier, codes::FINDING_SITE, site),
            side.into_iter().collect(),
        ));
    }
    let by = identify(report.algorithm);
    items.push(above(
        number(codes::VOLUME, group.volume_cm3, codes::CUBIC_CENTIMETER),
        by.clone(),
    ));
    if let Some(hu) = group.mean_hu {
        let mean = code(Relation::HasConceptModifier, codes::DERIVATION, codes::MEAN);
        items.push(above(
            number(codes::ATTENUATION_COEFFICIENT, hu, codes::HOUNSFIELD_UNIT),
            [vec![mean], by.clone()].concat(),
        ));
    }
    if let Some(share) = &group.share_percent {
        let mut by = by;
        // The template has no place for a comment on a number, so a parameter says what the ratio is.
        by.push(parameter(&format!("ratio: {}", share.of)));
        items.push(above(
            number(codes::VOLUME_RATIO, share.percent, codes::PERCENT),
            by,
        ));
    }
    container(codes::MEASUREMENT_GROUP, Some(template), items)
}

/// The probabilities of the classes. Each names its class in a modifier. The group itself has no
/// finding, so no reader takes an unlikely class for one.
pub(crate) fn classification(
    context: &ResultContext,
    algorithm: &Algorithm,
    classes: &Classification,
) -> Dataset {
    let mut items = tracking(context, "classification");
    for &(class, p) in &classes.probabilities {
        let mut below = vec![code(Relation::HasConceptModifier, codes::FINDING, class)];
        below.extend(identify(algorithm));
        items.push(above(ratio(codes::PROBABILITY, p), below));
    }
    items.push(text(Relation::Contains, codes::COMMENT, &in_words(classes)));
    container(codes::MEASUREMENT_GROUP, Some("1501"), items)
}

fn in_words(classes: &Classification) -> String {
    let each: Vec<String> = classes
        .probabilities
        .iter()
        .map(|(class, p)| format!("{} {:.1} %", class.meaning, 100.0 * p))
        .collect();
    format!("{}. {}", each.join(", "), classes.statement)
}

fn tracking(context: &ResultContext, id: &str) -> Vec<Dataset> {
    vec![
        text(
            Relation::HasObservationContext,
            codes::TRACKING_IDENTIFIER,
            id,
        ),
        uid_reference(
            Relation::HasObservationContext,
            codes::TRACKING_UNIQUE_IDENTIFIER,
            &context.tracking_uid(id),
        ),
    ]
}

/// The algorithm that measured a number (TID 4019).
fn identify(algorithm: &Algorithm) -> Vec<Dataset> {
    let modifier = |name, value: &str| text(Relation::HasConceptModifier, name, value);
    let mut items = vec![
        modifier(codes::ALGORITHM_NAME, &algorithm.name),
        modifier(codes::ALGORITHM_VERSION, &algorithm.version),
    ];
    items.extend(algorithm.parameters.iter().map(|p| parameter(p)));
    items
}

fn parameter(value: &str) -> Dataset {
    text(
        Relation::HasConceptModifier,
        codes::ALGORITHM_PARAMETERS,
        value,
    )
}
