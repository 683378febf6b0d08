//! Checks of segmentations.

use super::common::{check_common, check_source_instance};
use super::part::{Opened, Part, fault};
use crate::Result;
use crate::reference::SeriesReference;
use dicom_dictionary_std::{tags, uids};
use std::collections::{BTreeMap, HashSet};

/// Largest difference of a frame's position from that of its slice, in millimetres, and of the shared
/// orientation and spacing from those of the first slice. Decimal strings round less.
const TOLERANCE: f64 = 1e-4;

/// Segments by number, with their tracking UIDs.
pub(crate) type Segments = BTreeMap<i64, String>;

pub(crate) fn check(object: &Opened, source: &SeriesReference) -> Result<()> {
    let root = object.root();
    let is_binary = root.text(tags::SOP_CLASS_UID)? == uids::SEGMENTATION_STORAGE;
    check_common(&root, source)?;
    root.equals(tags::FRAME_OF_REFERENCE_UID, &source.frame_of_reference_uid)?;
    root.present(tags::POSITION_REFERENCE_INDICATOR)?;
    check_references(&root, source)?;
    check_image(&root, source, is_binary)?;
    let segments = segments(&root)?;
    check_numbers(&root, &segments, is_binary)?;
    check_shared(&root, source)?;
    let frames = check_frames(&root, source, &segments, is_binary)?;
    check_pixels(
        object,
        frames,
        source.rows * source.columns,
        is_binary,
        &segments,
    )
}

/// The source's series with all its instances, and the source images.
fn check_references(root: &Part, source: &SeriesReference) -> Result<()> {
    let series = root.item(tags::REFERENCED_SERIES_SEQUENCE)?;
    series.equals(tags::SERIES_INSTANCE_UID, &source.series_uid)?;
    let lists = [
        (&series, tags::REFERENCED_INSTANCE_SEQUENCE),
        (root, tags::SOURCE_IMAGE_SEQUENCE),
    ];
    for (part, tag) in lists {
        let mut seen = HashSet::new();
        for item in part.items(tag)? {
            let place = check_source_instance(&item, source, None)?;
            seen.insert(&source.instances[place].instance_uid);
        }
        let missing = |i: &&crate::InstanceReference| !seen.contains(&i.instance_uid);
        if let Some(missing) = source.instances.iter().find(missing) {
            let what = format!("does not have the slice {}", missing.instance_uid);
            return Err(part.fault(tag, &what));
        }
    }
    Ok(())
}

fn check_image(root: &Part, source: &SeriesReference, is_binary: bool) -> Result<()> {
    let (kind, overlap, bits) = match is_binary {
        true => ("BINARY", "YES", 1),
        false => ("LABELMAP", "NO", 8),
    };
    root.equals(tags::IMAGE_TYPE, "DERIVED\\PRIMARY")?;
    root.equals(tags::SEGMENTATION_TYPE, kind)?;
    root.equals(tags::SEGMENTS_OVERLAP, overlap)?;
    root.equals(tags::PHOTOMETRIC_INTERPRETATION, "MONOCHROME2")?;
    root.equals(tags::LOSSY_IMAGE_COMPRESSION, "00")?;
    root.texts(&[
        tags::CONTENT_LABEL,
        tags::CONTENT_DESCRIPTION,
        tags::CONTENT_CREATOR_NAME,
    ])?;
    root.counts(tags::SAMPLES_PER_PIXEL, 1)?;
    root.counts(tags::BITS_ALLOCATED, bits)?;
    root.counts(tags::BITS_STORED, bits)?;
    root.counts(tags::HIGH_BIT, bits - 1)?;
    root.counts(tags::PIXEL_REPRESENTATION, 0)?;
    root.counts(tags::ROWS, source.rows)?;
    root.counts(tags::COLUMNS, source.columns)?;
    if !is_binary {
        root.counts(tags::PIXEL_PADDING_VALUE, 0)?;
    }
    Ok(())
}

/// Checks each segment's description.
pub(crate) fn segments(root: &Part) -> Result<Segments> {
    let mut segments = Segments::new();
    for segment in root.items(tags::SEGMENT_SEQUENCE)? {
        let number = segment.integer(tags::SEGMENT_NUMBER)?;
        segment.texts(&[
            tags::SEGMENT_LABEL,
            tags::SEGMENT_ALGORITHM_TYPE,
            tags::SEGMENT_ALGORITHM_NAME,
        ])?;
        segment.code(tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE)?;
        segment.code(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE)?;
        let algorithm = segment.item(tags::SEGMENTATION_ALGORITHM_IDENTIFICATION_SEQUENCE)?;
        algorithm.code(tags::ALGORITHM_FAMILY_CODE_SEQUENCE)?;
        algorithm.texts(&[
            tags::ALGORITHM_NAME,
            tags::ALGORITHM_VERSION,
            tags::ALGORITHM_SOURCE,
            tags::ALGORITHM_PARAMETERS,
        ])?;
        segment.numbers::<3>(tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE)?;
        let tracking = match number {
            // The background is not tracked.
            0 => String::new(),
            _ => {
                segment.text(tags::TRACKING_ID)?;
                segment.uid(tags::TRACKING_UID)?
            }
        };
        if segments.insert(number, tracking).is_some() {
            return Err(segment.fault(tags::SEGMENT_NUMBER, "is that of another segment"));
        }
    }
    Ok(segments)
}

/// Segments are numbered from 1 (a label map: from 0) by 1.
fn check_numbers(root: &Part, segments: &Segments, is_binary: bool) -> Result<()> {
    let first = i64::from(is_binary);
    if !segments
        .keys()
        .copied()
        .eq(first..first + segments.len() as i64)
    {
        let what = format!("is not numbered from {first} by 1");
        return Err(root.fault(tags::SEGMENT_SEQUENCE, &what));
    }
    Ok(())
}

fn check_shared(root: &Part, source: &SeriesReference) -> Result<()> {
    let shared = root.item(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE)?;
    let measures = shared.item(tags::PIXEL_MEASURES_SEQUENCE)?;
    let plane = shared.item(tags::PLANE_ORIENTATION_SEQUENCE)?;
    let Some(first) = source.instances.first() else {
        return Err(fault("the source has no instances".to_owned()));
    };
    let spacing = measures.numbers::<2>(tags::PIXEL_SPACING)?;
    if far(&spacing, &first.spacing_mm) {
        return Err(measures.fault(tags::PIXEL_SPACING, "is not that of the source"));
    }
    for tag in [tags::SLICE_THICKNESS, tags::SPACING_BETWEEN_SLICES] {
        if measures.numbers::<1>(tag)?[0] <= 0.0 {
            return Err(measures.fault(tag, "is not above 0"));
        }
    }
    let orientation = plane.numbers::<6>(tags::IMAGE_ORIENTATION_PATIENT)?;
    if far(&orientation, first.orientation.as_flattened()) {
        return Err(plane.fault(tags::IMAGE_ORIENTATION_PATIENT, "is not that of the source"));
    }
    Ok(())
}

fn far(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).any(|(a, b)| (a - b).abs() > TOLERANCE)
}

/// Checks every frame's segment, slice, position and indices. Returns the number of frames.
fn check_frames(
    root: &Part,
    source: &SeriesReference,
    segments: &Segments,
    is_binary: bool,
) -> Result<usize> {
    let dimensions = if is_binary { 2 } else { 1 };
    let indices = root.items(tags::DIMENSION_INDEX_SEQUENCE)?;
    let organization = root.item(tags::DIMENSION_ORGANIZATION_SEQUENCE)?;
    let organization = organization.uid(tags::DIMENSION_ORGANIZATION_UID)?;
    if indices.len() != dimensions {
        return Err(root.fault(
            tags::DIMENSION_INDEX_SEQUENCE,
            "has another number of items",
        ));
    }
    for index in &indices {
        index.equals(tags::DIMENSION_ORGANIZATION_UID, &organization)?;
        index.present(tags::DIMENSION_INDEX_POINTER)?;
        index.present(tags::FUNCTIONAL_GROUP_POINTER)?;
    }
    let frames = root.items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE)?;
    root.counts(tags::NUMBER_OF_FRAMES, frames.len())?;
    let mut seen = HashSet::new();
    let mut slice_of_index: BTreeMap<i64, usize> = BTreeMap::new();
    for frame in &frames {
        let slice = check_slice(frame, source)?;
        let content = frame.item(tags::FRAME_CONTENT_SEQUENCE)?;
        let values = content.reader.0.get(tags::DIMENSION_INDEX_VALUES);
        let values: Vec<i64> = values
            .and_then(|v| v.to_multi_int().ok())
            .unwrap_or_default();
        let wrong = |what: &str| content.fault(tags::DIMENSION_INDEX_VALUES, what);
        if values.len() != dimensions || values.iter().any(|&v| v < 1) {
            return Err(wrong("does not have an index from 1 for each dimension"));
        }
        let mut number = None;
        if is_binary {
            let part = frame.item(tags::SEGMENT_IDENTIFICATION_SEQUENCE)?;
            let found = part.integer(tags::REFERENCED_SEGMENT_NUMBER)?;
            if !segments.contains_key(&found) {
                return Err(part.fault(tags::REFERENCED_SEGMENT_NUMBER, "is not a segment"));
            }
            if values[0] != found {
                return Err(wrong("is not that of the frame's segment"));
            }
            number = Some(found);
        }
        if !seen.insert((number, slice)) {
            return Err(wrong(
                "is that of another frame of the same segment and slice",
            ));
        }
        if *slice_of_index
            .entry(values[dimensions - 1])
            .or_insert(slice)
            != slice
        {
            return Err(wrong("is that of another position"));
        }
    }
    let count = slice_of_index.len() as i64;
    if !slice_of_index.keys().copied().eq(1..=count) || !slice_of_index.values().is_sorted() {
        return Err(fault(
            "the indices of the positions do not count the slices in order".to_owned(),
        ));
    }
    Ok(frames.len())
}

/// The slice that a frame refers to and lies on.
fn check_slice(frame: &Part, source: &SeriesReference) -> Result<usize> {
    let derivation = frame.item(tags::DERIVATION_IMAGE_SEQUENCE)?;
    derivation.code(tags::DERIVATION_CODE_SEQUENCE)?;
    let image = derivation.item(tags::SOURCE_IMAGE_SEQUENCE)?;
    image.code(tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE)?;
    image.equals(tags::SPATIAL_LOCATIONS_PRESERVED, "YES")?;
    let number = image.reader.integer(tags::REFERENCED_FRAME_NUMBER);
    let number = number.and_then(|n| u32::try_from(n).ok());
    let slice = check_source_instance(&image, source, number)?;
    if source.instances[slice].frame != number {
        return Err(image.fault(tags::REFERENCED_FRAME_NUMBER, "is missing"));
    }
    let plane = frame.item(tags::PLANE_POSITION_SEQUENCE)?;
    let position = plane.numbers::<3>(tags::IMAGE_POSITION_PATIENT)?;
    if far(&position, &source.instances[slice].position_mm) {
        return Err(plane.fault(tags::IMAGE_POSITION_PATIENT, "is not that of the slice"));
    }
    Ok(slice)
}

fn check_pixels(
    object: &Opened,
    frames: usize,
    size: usize,
    is_binary: bool,
    segments: &Segments,
) -> Result<()> {
    let pixels = frames * size;
    let bytes = if is_binary {
        pixels.div_ceil(8)
    } else {
        pixels
    };
    let found = object.pixels().len();
    if found != bytes.next_multiple_of(2) {
        return Err(fault(format!(
            "PixelData has {found} bytes, but {frames} frames need {bytes}"
        )));
    }
    let last = object.pixels().get(bytes.saturating_sub(1)).copied();
    let tail = object.pixels().get(bytes..).unwrap_or_default();
    if is_binary && !pixels.is_multiple_of(8) && last.is_some_and(|b| b >> (pixels % 8) != 0)
        || tail.iter().any(|&b| b != 0)
    {
        return Err(fault("PixelData has bits behind the last frame".to_owned()));
    }
    let is_label = |&label: &u8| segments.contains_key(&i64::from(label));
    if !is_binary && !object.pixels().iter().all(is_label) {
        return Err(fault("PixelData has labels without a segment".to_owned()));
    }
    Ok(())
}
