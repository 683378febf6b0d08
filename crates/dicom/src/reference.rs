//! References from a result to its series.

use crate::attributes::SourceAttribute;
use crate::header::Header;
use crate::stack::Slice;
use multirnet_volume::Geometry;

/// Identifiers and attributes of the series that a volume was read from. DICOM results refer to
/// them or copy them.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SeriesReference {
    /// Study instance UID.
    pub study_uid: String,
    /// Series instance UID.
    pub series_uid: String,
    /// Frame of reference UID, empty if not given.
    pub frame_of_reference_uid: String,
    /// Position reference indicator, empty if not given.
    pub position_reference_indicator: String,
    /// Body part examined, empty if not given.
    pub body_part_examined: String,
    /// Rows of a slice.
    pub rows: usize,
    /// Columns of a slice.
    pub columns: usize,
    /// The volume's grid, if its planes are the slices of `instances` in order. `None` if the series
    /// was resampled.
    pub grid: Option<Geometry>,
    /// The slices' instances in the order of the volume's planes. A resampled irregular series has
    /// other planes; its instances are the original slices in order.
    pub instances: Vec<InstanceReference>,
    /// Attributes of the patient and the study that the first slice has, in the order of their tags.
    pub attributes: Vec<SourceAttribute>,
}

/// The DICOM instance of a slice, with the slice's place as the file states it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct InstanceReference {
    /// SOP class UID.
    pub sop_class_uid: String,
    /// SOP instance UID.
    pub instance_uid: String,
    /// The frame's number, from 1, in an instance of several frames.
    pub frame: Option<u32>,
    /// Position of the first pixel's centre in LPS millimetres (Image Position (Patient)). Here and
    /// below, not a number if the file does not state it; [`refused_series`](crate::refused_series)
    /// gives such references.
    pub position_mm: [f64; 3],
    /// Directions along a row, then along a column (Image Orientation (Patient)).
    pub orientation: [[f64; 3]; 2],
    /// Distance between rows, then between columns (Pixel Spacing).
    pub spacing_mm: [f64; 2],
    /// Slice thickness, if given.
    pub thickness_mm: Option<f64>,
}

impl SeriesReference {
    pub(crate) fn new(headers: &[Header], slices: &[Slice], grid: Option<Geometry>) -> Self {
        let first = slices.first().map(|s| &headers[s.header]);
        let instance = |slice: &Slice| {
            let header = &headers[slice.header];
            let frame = &header.frames[slice.frame];
            let several = header.frames.len() > 1;
            InstanceReference {
                sop_class_uid: header.sop_class_uid.clone(),
                instance_uid: header.instance_uid.clone(),
                frame: several.then_some(slice.frame as u32 + 1),
                position_mm: slice.position,
                orientation: frame.orientation.unwrap_or(slice.orientation),
                spacing_mm: slice.spacing_mm,
                thickness_mm: frame.thickness_mm,
            }
        };
        let instances = slices.iter().map(instance).collect();
        Self::of_first(first, grid, instances)
    }

    /// A reference to files that need not make up a volume, the file with the lowest instance number
    /// first.
    pub(crate) fn of_files(mut headers: Vec<&Header>) -> Self {
        headers.sort_by_key(|h| h.instance);
        let unknown = f64::NAN;
        let instance = |header: &&Header| {
            let frame = header.frames.first();
            InstanceReference {
                sop_class_uid: header.sop_class_uid.clone(),
                instance_uid: header.instance_uid.clone(),
                frame: None,
                position_mm: frame.and_then(|f| f.position).unwrap_or([unknown; 3]),
                orientation: frame
                    .and_then(|f| f.orientation)
                    .unwrap_or([[unknown; 3]; 2]),
                spacing_mm: frame.and_then(|f| f.spacing_mm).unwrap_or([unknown; 2]),
                thickness_mm: frame.and_then(|f| f.thickness_mm),
            }
        };
        let instances = headers.iter().map(instance).collect();
        Self::of_first(headers.first().copied(), None, instances)
    }

    /// The reference whose identifiers and attributes are those of the file `first`.
    fn of_first(
        first: Option<&Header>,
        grid: Option<Geometry>,
        instances: Vec<InstanceReference>,
    ) -> Self {
        let text = |get: fn(&Header) -> &String| first.map(|h| get(h).clone()).unwrap_or_default();
        Self {
            study_uid: text(|h| &h.study_uid),
            series_uid: text(|h| &h.series_uid),
            frame_of_reference_uid: text(|h| &h.frame_of_reference_uid),
            position_reference_indicator: text(|h| &h.position_reference),
            body_part_examined: text(|h| &h.body_part),
            rows: first.map_or(0, |h| h.layout.rows),
            columns: first.map_or(0, |h| h.layout.columns),
            grid,
            instances,
            attributes: first.map(|h| h.attributes.clone()).unwrap_or_default(),
        }
    }
}
