//! References from a result to its series.

use crate::attributes::SourceAttribute;
use crate::header::Header;
use crate::stack::Slice;

/// Identifiers and attributes of the series that a volume was read from. DICOM results refer to
/// them or copy them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesReference {
    /// Study instance UID.
    pub study_uid: String,
    /// Series instance UID.
    pub series_uid: String,
    /// Frame of reference UID, empty if not given.
    pub frame_of_reference_uid: String,
    /// The slices' instances in the order of the volume's planes. A resampled irregular series has
    /// other planes; its instances are the original slices in order.
    pub instances: Vec<InstanceReference>,
    /// Attributes of the patient and the study that the first slice has, in the order of their tags.
    pub attributes: Vec<SourceAttribute>,
}

/// The DICOM instance of a slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceReference {
    /// SOP class UID.
    pub sop_class_uid: String,
    /// SOP instance UID.
    pub instance_uid: String,
    /// The frame's number, from 1, in an instance of several frames.
    pub frame: Option<u32>,
}

impl SeriesReference {
    pub(crate) fn new(headers: &[Header], slices: &[Slice]) -> Self {
        let first = slices.first().map(|s| &headers[s.header]);
        let text = |get: fn(&Header) -> &String| first.map(|h| get(h).clone()).unwrap_or_default();
        let instance = |slice: &Slice| {
            let header = &headers[slice.header];
            let several = header.frames.len() > 1;
            InstanceReference {
                sop_class_uid: header.sop_class_uid.clone(),
                instance_uid: header.instance_uid.clone(),
                frame: several.then_some(slice.frame as u32 + 1),
            }
        };
        Self {
            study_uid: text(|h| &h.study_uid),
            series_uid: text(|h| &h.series_uid),
            frame_of_reference_uid: text(|h| &h.frame_of_reference_uid),
            instances: slices.iter().map(instance).collect(),
            attributes: first.map(|h| h.attributes.clone()).unwrap_or_default(),
        }
    }
}
