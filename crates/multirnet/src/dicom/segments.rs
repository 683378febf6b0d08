//! The segments of a segmentation.

use multirnet_dicom::write::codes::{self, Code};
use multirnet_dicom::write::{Mask, Segment};
use multirnet_finding::LesionKind;
use multirnet_volume::Volume;

/// Tracking identifiers, which the measurements share with the segments.
pub(super) const RIGHT_LUNG: &str = "right lung";
pub(super) const LEFT_LUNG: &str = "left lung";
pub(super) const LESION: &str = "lesion";

/// Right lung, left lung, lesion, and the kinds of lesion if the model knows them.
pub(super) fn segments<'a>(
    lungs: &'a Volume<u8>,
    lesions: &'a Volume<u8>,
    kinds: &[LesionKind],
) -> Vec<Segment<'a>> {
    let lung = |id: &str, label: &str, side: Code, value: &'static [u8], colour| Segment {
        label: label.to_owned(),
        category: codes::ANATOMICAL_STRUCTURE,
        property_type: codes::LUNG,
        laterality: Some(side),
        region: None,
        colour,
        tracking_id: id.to_owned(),
        mask: Mask {
            planes: lungs,
            values: value,
        },
    };
    let lesion = |id: &str, label: &str, kind: Code, values: &'static [u8], colour| Segment {
        label: label.to_owned(),
        category: codes::MORPHOLOGICALLY_ABNORMAL_STRUCTURE,
        property_type: kind,
        laterality: None,
        region: Some(codes::LUNG),
        colour,
        tracking_id: id.to_owned(),
        mask: Mask {
            planes: lesions,
            values,
        },
    };
    let mut segments = vec![
        lung(
            RIGHT_LUNG,
            "Right lung",
            codes::RIGHT,
            &[1],
            [120, 180, 220],
        ),
        lung(LEFT_LUNG, "Left lung", codes::LEFT, &[2], [120, 220, 180]),
        lesion(LESION, "Lesion", codes::LESION, &[1, 2], [220, 60, 60]),
    ];
    for kind in kinds {
        segments.push(match kind {
            LesionKind::GroundGlass => lesion(
                kind.label(),
                "Ground glass",
                codes::GROUND_GLASS_OPACITY,
                &[1],
                [240, 180, 60],
            ),
            LesionKind::Consolidation => lesion(
                kind.label(),
                "Consolidation",
                codes::LUNG_CONSOLIDATION,
                &[2],
                [170, 70, 200],
            ),
        });
    }
    segments
}
