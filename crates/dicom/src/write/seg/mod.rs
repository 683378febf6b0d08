//! Segmentation objects (PS3.3 A.51 and A.86).

mod bits;
mod colour;
mod frames;
mod input;

pub(crate) use bits::even;
pub use input::{Encoding, Mask, Segment, Segmentation};

use super::codes::{ARTIFICIAL_INTELLIGENCE, BACKGROUND};
use super::context::incomplete;
use super::dataset::Dataset;
use super::modules::{common, derivation, instance_references, source_images};
use super::{Algorithm, ResultContext, ResultObject, Role, check, codes, uid};
use crate::Result;
use crate::reference::SeriesReference;
use dicom_dictionary_std::tags;
use frames::{FrameOfSegment, Frames};

/// Writes a segmentation of the source's slices.
///
/// Frames lie on the slices in their own order and pixel order, one a segment and slice (a label map:
/// one a slice). Frames without voxels are left out, unless all are asked for or no segment has voxels.
/// A segment without voxels is listed without frames.
///
/// # Errors
/// `OtherGrid` if the series was resampled or a mask lies on another grid, `IncompleteSource` if the
/// source has no frame of reference, `Invalid` for texts that DICOM cannot hold, `TooLarge` for 4 GiB of
/// pixels, `NotShown` if the self-check finds a fault.
pub fn write_segmentation(context: &ResultContext, input: &Segmentation) -> Result<ResultObject> {
    context.check()?;
    input.check()?;
    let source = context.source;
    if !uid::is_accepted(&source.frame_of_reference_uid) {
        return Err(incomplete("has no frame of reference UID"));
    }
    let frames = frames::collect(source, input)?;
    let role = match input.encoding {
        Encoding::Binary => Role::Segmentation,
        Encoding::LabelMap => Role::LabelMap,
    };
    let set = common(context, role)
        .with(references(source))
        .with(dimensions(context, input.encoding))
        .with(image(source, input, frames.frames.len()))
        .sequence(tags::SEGMENT_SEQUENCE, segments(context, input))
        .sequence(
            tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
            [shared_groups(source)],
        )
        .sequence(
            tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
            frame_groups(source, &frames),
        )
        .bytes(tags::PIXEL_DATA, frames.pixels);
    let bytes = set.encode()?;
    check::check_segmentation(&bytes, source)?;
    Ok(ResultObject::new(context, role, bytes))
}

/// References to the series and its instances, and the frame of reference.
fn references(source: &SeriesReference) -> Dataset {
    let series = Dataset::new()
        .text(tags::SERIES_INSTANCE_UID, &source.series_uid)
        .sequence(
            tags::REFERENCED_INSTANCE_SEQUENCE,
            instance_references(source),
        );
    Dataset::new()
        .sequence(tags::REFERENCED_SERIES_SEQUENCE, [series])
        .sequence(
            tags::SOURCE_IMAGE_SEQUENCE,
            source_images(source, codes::SOURCE_IMAGE),
        )
        .text(tags::FRAME_OF_REFERENCE_UID, &source.frame_of_reference_uid)
        .text(
            tags::POSITION_REFERENCE_INDICATOR,
            &source.position_reference_indicator,
        )
}

/// The dimensions that frames are ordered by: the segment (not in a label map), then the position.
fn dimensions(context: &ResultContext, encoding: Encoding) -> Dataset {
    let organization = context.uid(&["dimensions"]);
    let dimension = |pointer, group, label: &str| {
        Dataset::new()
            .text(tags::DIMENSION_ORGANIZATION_UID, &organization)
            .tag(tags::DIMENSION_INDEX_POINTER, pointer)
            .tag(tags::FUNCTIONAL_GROUP_POINTER, group)
            .text(tags::DIMENSION_DESCRIPTION_LABEL, label)
    };
    let segment = dimension(
        tags::REFERENCED_SEGMENT_NUMBER,
        tags::SEGMENT_IDENTIFICATION_SEQUENCE,
        "Referenced Segment Number",
    );
    let position = dimension(
        tags::IMAGE_POSITION_PATIENT,
        tags::PLANE_POSITION_SEQUENCE,
        "Image Position (Patient)",
    );
    let indices = match encoding {
        Encoding::Binary => vec![segment, position],
        Encoding::LabelMap => vec![position],
    };
    Dataset::new()
        .sequence(
            tags::DIMENSION_ORGANIZATION_SEQUENCE,
            [Dataset::new().text(tags::DIMENSION_ORGANIZATION_UID, &organization)],
        )
        .sequence(tags::DIMENSION_INDEX_SEQUENCE, indices)
}

/// Image pixel, multi-frame and segmentation image modules without the segments.
fn image(source: &SeriesReference, input: &Segmentation, frames: usize) -> Dataset {
    let size = |n: usize| [u16::try_from(n).unwrap_or(u16::MAX)];
    let set = Dataset::new()
        .text(tags::IMAGE_TYPE, "DERIVED\\PRIMARY")
        .text(tags::CONTENT_LABEL, "SEGMENTATION")
        .text(tags::CONTENT_DESCRIPTION, input.description)
        .text(tags::CONTENT_CREATOR_NAME, creator(input))
        .shorts(tags::SAMPLES_PER_PIXEL, &[1])
        .text(tags::PHOTOMETRIC_INTERPRETATION, "MONOCHROME2")
        .text(tags::NUMBER_OF_FRAMES, frames.to_string())
        .shorts(tags::ROWS, &size(source.rows))
        .shorts(tags::COLUMNS, &size(source.columns))
        .shorts(tags::PIXEL_REPRESENTATION, &[0])
        .text(tags::LOSSY_IMAGE_COMPRESSION, "00")
        .text(tags::PRESENTATION_LUT_SHAPE, "IDENTITY");
    let (kind, overlap, bits) = match input.encoding {
        Encoding::Binary => ("BINARY", "YES", 1),
        Encoding::LabelMap => ("LABELMAP", "NO", 8),
    };
    let set = set
        .text(tags::SEGMENTATION_TYPE, kind)
        .text(tags::SEGMENTS_OVERLAP, overlap)
        .shorts(tags::BITS_ALLOCATED, &[bits])
        .shorts(tags::BITS_STORED, &[bits])
        .shorts(tags::HIGH_BIT, &[bits - 1]);
    match input.encoding {
        Encoding::Binary => set,
        Encoding::LabelMap => set.shorts(tags::PIXEL_PADDING_VALUE, &[0]),
    }
}

fn segments(context: &ResultContext, input: &Segmentation) -> Vec<Dataset> {
    let described = |(index, segment): (usize, &Segment)| {
        let mut kind = Dataset::from_code(segment.property_type);
        if let Some(side) = segment.laterality {
            kind = kind.code(tags::SEGMENTED_PROPERTY_TYPE_MODIFIER_CODE_SEQUENCE, side);
        }
        let set = describe(index + 1, &segment.label, segment.colour)
            .code(
                tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE,
                segment.category,
            )
            .sequence(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, [kind])
            .with(identify(
                input.algorithm,
                input.edited_by.is_some() && segment.laterality.is_none(),
            ))
            .text(tags::TRACKING_ID, &segment.tracking_id)
            .text(
                tags::TRACKING_UID,
                context.tracking_uid(&segment.tracking_id),
            );
        match segment.region {
            Some(region) => set.code(tags::ANATOMIC_REGION_SEQUENCE, region),
            None => set,
        }
    };
    let background = (input.encoding == Encoding::LabelMap).then(|| {
        describe(0, "Background", [0; 3])
            .code(tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE, BACKGROUND)
            .code(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, BACKGROUND)
            .with(identify(input.algorithm, false))
    });
    let segments = input.segments.iter().enumerate().map(described);
    background.into_iter().chain(segments).collect()
}

/// Number, label and colour of a segment.
fn describe(number: usize, label: &str, colour: [u8; 3]) -> Dataset {
    Dataset::new()
        .shorts(
            tags::SEGMENT_NUMBER,
            &[u16::try_from(number).unwrap_or(u16::MAX)],
        )
        .text(tags::SEGMENT_LABEL, label)
        .shorts(
            tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE,
            &colour::cielab(colour),
        )
}

/// The person's name (PN) of who made the content.
fn creator(input: &Segmentation) -> String {
    let Some(name) = input.edited_by else {
        return "multirnet^".to_owned();
    };
    // Delimiters of names and values have no place in a family name.
    let clean = name
        .chars()
        .filter(|c| !c.is_control() && !"\\^=".contains(*c));
    let text: String = clean.take(64).collect();
    match text.trim() {
        "" => "unnamed".to_owned(),
        text => text.to_owned(),
    }
}

/// The algorithm that made a segment. `is_edited` tells whether a person changed it.
fn identify(algorithm: &Algorithm, is_edited: bool) -> Dataset {
    let identification = Dataset::new()
        .code(
            tags::ALGORITHM_FAMILY_CODE_SEQUENCE,
            ARTIFICIAL_INTELLIGENCE,
        )
        .text(tags::ALGORITHM_NAME, &algorithm.name)
        .text(tags::ALGORITHM_VERSION, &algorithm.version)
        .text(tags::ALGORITHM_SOURCE, &algorithm.source)
        .text(tags::ALGORITHM_PARAMETERS, algorithm.parameters_text());
    Dataset::new()
        .text(
            tags::SEGMENT_ALGORITHM_TYPE,
            if is_edited {
                "SEMIAUTOMATIC"
            } else {
                "AUTOMATIC"
            },
        )
        .text(tags::SEGMENT_ALGORITHM_NAME, &algorithm.name)
        .sequence(
            tags::SEGMENTATION_ALGORITHM_IDENTIFICATION_SEQUENCE,
            [identification],
        )
}

/// Orientation and size of the pixels, as the first slice states them.
fn shared_groups(source: &SeriesReference) -> Dataset {
    let [first, ..] = source.instances.as_slice() else {
        return Dataset::new();
    };
    let distance = source.grid.map_or(0.0, |grid| grid.spacing_mm()[0]);
    let orientation = Dataset::new().decimals(
        tags::IMAGE_ORIENTATION_PATIENT,
        first.orientation.as_flattened(),
    );
    // The distance of the slices is measured, so it stands in for a thickness that is not given.
    let measures = Dataset::new()
        .decimals(
            tags::SLICE_THICKNESS,
            &[first.thickness_mm.unwrap_or(distance)],
        )
        .decimals(tags::SPACING_BETWEEN_SLICES, &[distance])
        .decimals(tags::PIXEL_SPACING, &first.spacing_mm);
    Dataset::new()
        .sequence(tags::PLANE_ORIENTATION_SEQUENCE, [orientation])
        .sequence(tags::PIXEL_MEASURES_SEQUENCE, [measures])
}

fn frame_groups(source: &SeriesReference, frames: &Frames) -> Vec<Dataset> {
    // Indices of positions count the positions that have a frame, from 1.
    let mut planes: Vec<usize> = frames.frames.iter().map(|f| f.plane).collect();
    planes.sort_unstable();
    planes.dedup();
    let group = |frame: &FrameOfSegment| {
        let instance = source.instances.get(frame.plane)?;
        let position = planes.binary_search(&frame.plane).ok()? as u32 + 1;
        let mut index: Vec<u32> = frame.segment.map(u32::from).into_iter().collect();
        index.push(position);
        let content = Dataset::new().longs(tags::DIMENSION_INDEX_VALUES, &index);
        let plane = Dataset::new().decimals(tags::IMAGE_POSITION_PATIENT, &instance.position_mm);
        let set = Dataset::new()
            .sequence(tags::DERIVATION_IMAGE_SEQUENCE, [derivation(instance)])
            .sequence(tags::FRAME_CONTENT_SEQUENCE, [content])
            .sequence(tags::PLANE_POSITION_SEQUENCE, [plane]);
        Some(match frame.segment {
            None => set,
            Some(number) => {
                let segment = Dataset::new().shorts(tags::REFERENCED_SEGMENT_NUMBER, &[number]);
                set.sequence(tags::SEGMENT_IDENTIFICATION_SEQUENCE, [segment])
            }
        })
    };
    frames.frames.iter().filter_map(group).collect()
}
