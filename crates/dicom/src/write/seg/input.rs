//! What a segmentation is made of.

use crate::write::codes::Code;
use crate::write::context::{Algorithm, check_text};
use crate::{Error, ErrorKind, Result};
use multirnet_volume::Planes;
use std::fmt;

/// How the voxels are stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Encoding {
    /// One bit a voxel and segment. Segments may overlap. Viewers know it best.
    #[default]
    Binary,
    /// One label a voxel. Where segments overlap, the later one counts, so a lung has holes where
    /// its lesions lie. Archives and viewers before 2025 do not know it.
    LabelMap,
}

/// The voxels of a segment: those of `planes` whose value is one of `values`.
#[derive(Clone, Copy)]
pub struct Mask<'a> {
    /// A volume in memory or one that is computed plane by plane, on the scan's grid.
    pub planes: &'a dyn Planes<Value = u8>,
    /// The values that belong to the segment.
    pub values: &'a [u8],
}

impl fmt::Debug for Mask<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mask {:?} == {:?}", self.planes.geometry(), self.values)
    }
}

/// One segment. Its number is its place in [`Segmentation::segments`], from 1.
#[derive(Debug, Clone)]
pub struct Segment<'a> {
    /// Name for people, at most 64 characters.
    pub label: String,
    /// Category, for example [`ANATOMICAL_STRUCTURE`](crate::write::codes::ANATOMICAL_STRUCTURE).
    pub category: Code,
    /// Type, for example [`LUNG`](crate::write::codes::LUNG).
    pub property_type: Code,
    /// Side, as a modifier of the type.
    pub laterality: Option<Code>,
    /// Where the segment lies, if its type does not say so.
    pub region: Option<Code>,
    /// sRGB colour that viewers show.
    pub colour: [u8; 3],
    /// Tracking identifier, unlike those of the other segments. Its UID is
    /// [`ResultContext::tracking_uid`](crate::write::ResultContext::tracking_uid).
    pub tracking_id: String,
    /// The voxels. They may be none.
    pub mask: Mask<'a>,
}

/// A segmentation.
#[derive(Debug, Clone)]
pub struct Segmentation<'a> {
    /// The segments.
    pub segments: &'a [Segment<'a>],
    /// The algorithm that made them.
    pub algorithm: &'a Algorithm,
    /// Description of the content, at most 64 characters.
    pub description: &'a str,
    /// How the voxels are stored.
    pub encoding: Encoding,
    /// Whether frames without voxels are written too. Some viewers show other frames at wrong places
    /// without them.
    pub all_frames: bool,
    /// The person who edited the segments other than the lungs, if someone did. They count as
    /// semiautomatic then.
    pub edited_by: Option<&'a str>,
}

impl Segmentation<'_> {
    /// Checks the texts, the numbers of segments, and their identifiers.
    ///
    /// # Errors
    /// `Invalid` with what is wrong.
    pub(crate) fn check(&self) -> Result<()> {
        let most = match self.encoding {
            Encoding::Binary => usize::from(u16::MAX),
            Encoding::LabelMap => usize::from(u8::MAX),
        };
        if self.segments.is_empty() || self.segments.len() > most {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("the segmentation has {} segments", self.segments.len()),
            )
            .hint(format!("give 1 to {most} segments")));
        }
        self.algorithm.check()?;
        check_text("the segmentation's description", self.description, 64)?;
        let mut seen = std::collections::HashSet::new();
        for segment in self.segments {
            check_text("a segment's label", &segment.label, 64)?;
            check_text("a tracking identifier", &segment.tracking_id, 1024)?;
            if !seen.insert(&segment.tracking_id) {
                return Err(Error::new(
                    ErrorKind::Invalid,
                    format!(
                        "two segments have the tracking identifier {:?}",
                        segment.tracking_id
                    ),
                )
                .hint("give each segment an identifier of its own"));
            }
        }
        Ok(())
    }
}
