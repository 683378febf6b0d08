//! The header of one DICOM file, without its pixels.

use crate::attributes::{self, SourceAttribute};
use crate::codec::is_always_lossy;
use crate::dataset::{Reader, parse};
use crate::layout::Layout;
use crate::legal::legal;
use crate::stream::{Container, PixelElement};
use crate::{Error, ErrorKind, Result};
use dicom_core::VR;
use dicom_dictionary_std::tags;
use dicom_object::Tag;
use multirnet_base::digest::sha256;

/// Largest number of frames in one file.
const MAX_FRAMES: usize = 100_000;

/// Where one frame lies and how its values become Hounsfield units.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Frame {
    pub position: Option<[f64; 3]>,
    /// Direction along a row, then along a column.
    pub orientation: Option<[[f64; 3]; 2]>,
    /// Distance between rows, then between columns.
    pub spacing_mm: Option<[f64; 2]>,
    pub thickness_mm: Option<f64>,
    pub slope: f64,
    pub intercept: f64,
}

/// One file's header.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    pub name: String,
    /// Index of the file in the collection.
    pub source: usize,
    pub series_uid: String,
    pub study_uid: String,
    pub frame_of_reference_uid: String,
    pub position_reference: String,
    pub body_part: String,
    pub sop_class_uid: String,
    pub instance_uid: String,
    /// Attributes of the patient and the study, which results copy.
    pub attributes: Vec<SourceAttribute>,
    pub series_number: Option<i64>,
    pub acquisition: Option<i64>,
    pub instance: Option<i64>,
    pub description: String,
    pub kernel: String,
    pub modality: String,
    pub image_type: Vec<String>,
    /// Pseudonym of the patient.
    pub patient: String,
    pub syntax: String,
    pub lossy: bool,
    /// A frame lacks its rescale slope or intercept, so 1 or 0 is assumed.
    pub rescale_assumed: bool,
    pub rescale_type: String,
    pub modality_lut: bool,
    pub layout: Layout,
    pub frames: Vec<Frame>,
    pub has_pixels: bool,
    /// Bytes of the data set, unpacked.
    pub bytes: u64,
}

/// Parses the header of the file `name`, whose parts are in `container`.
pub(crate) fn read(name: &str, source: usize, container: &Container) -> Result<Header> {
    let parsed = parse(container)?;
    let r = Reader(&parsed);

    let layout = layout(&r);
    let frame_count = match r.integer(tags::NUMBER_OF_FRAMES).unwrap_or(1) {
        0 | 1 => 1,
        n if n > 0 && n as usize <= MAX_FRAMES => {
            let n = n as usize;
            let most = most_frames(container, &layout);
            // A number costs a few bytes, but each frame has a place in memory.
            if n > most && r.text(tags::MODALITY).eq_ignore_ascii_case("CT") {
                return Err(Error::new(
                    ErrorKind::Malformed,
                    format!(
                        "the number of frames (0028,0008) is {n}, but the pixel data hold at most {most}"
                    ),
                )
                .hint("the file is truncated; fetch it again"));
            }
            n.min(most)
        }
        n => {
            return Err(Error::new(
                ErrorKind::Malformed,
                format!("the number of frames (0028,0008) is {n}"),
            ));
        }
    };
    let (frames, rescale_assumed) = frames(&r, frame_count);
    let mut image_type = r.words(tags::IMAGE_TYPE);
    if let Some(shared) = r.item(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE)
        && let Some(kind) = shared.item(tags::CT_IMAGE_FRAME_TYPE_SEQUENCE)
    {
        image_type.extend(kind.words(tags::FRAME_TYPE));
    }
    Ok(Header {
        name: name.to_owned(),
        source,
        series_uid: r.text(tags::SERIES_INSTANCE_UID),
        study_uid: r.text(tags::STUDY_INSTANCE_UID),
        frame_of_reference_uid: r.text(tags::FRAME_OF_REFERENCE_UID),
        position_reference: legal(VR::LO, &r.text(tags::POSITION_REFERENCE_INDICATOR)),
        body_part: legal(VR::CS, &r.text(tags::BODY_PART_EXAMINED)),
        sop_class_uid: r.text(tags::SOP_CLASS_UID),
        instance_uid: r.text(tags::SOP_INSTANCE_UID),
        attributes: attributes::copy(&parsed),
        series_number: r.integer(tags::SERIES_NUMBER),
        acquisition: r.integer(tags::ACQUISITION_NUMBER),
        instance: r.integer(tags::INSTANCE_NUMBER),
        description: r.text(tags::SERIES_DESCRIPTION),
        kernel: r.text(tags::CONVOLUTION_KERNEL),
        modality: r.text(tags::MODALITY).to_ascii_uppercase(),
        image_type,
        patient: pseudonym(&r.text(tags::PATIENT_ID)),
        lossy: r.text(tags::LOSSY_IMAGE_COMPRESSION) == "01" || is_always_lossy(&container.syntax),
        syntax: container.syntax.clone(),
        rescale_assumed,
        rescale_type: r.text(tags::RESCALE_TYPE).to_ascii_uppercase(),
        modality_lut: !r.items(tags::MODALITY_LUT_SEQUENCE).is_empty(),
        layout,
        frames,
        bytes: container.dataset.len() as u64,
        has_pixels: match &container.pixels {
            None => false,
            Some(PixelElement::Native(range)) => !range.is_empty(),
            Some(PixelElement::Encapsulated { fragments, .. }) => !fragments.is_empty(),
        },
    })
}

/// Most frames that the pixel data can hold; 1 if there are none.
fn most_frames(container: &Container, layout: &Layout) -> usize {
    let frame_bits = [layout.columns, layout.samples, layout.allocated as usize]
        .iter()
        .fold(layout.rows, |bits, &n| bits.saturating_mul(n));
    match &container.pixels {
        None => 1,
        Some(PixelElement::Native(range)) => {
            (range.len().saturating_mul(8) / frame_bits.max(1)).max(1)
        }
        Some(PixelElement::Encapsulated { fragments, .. }) => fragments.len().max(1),
    }
}

fn layout(r: &Reader) -> Layout {
    let small = |tag| r.integer(tag).and_then(|v| u16::try_from(v).ok());
    let allocated = u32::from(small(tags::BITS_ALLOCATED).unwrap_or(0));
    let stored = small(tags::BITS_STORED).map_or(allocated, u32::from);
    let signed = small(tags::PIXEL_REPRESENTATION) == Some(1);
    // Implicit VR does not record whether these two values are signed, so the pixels' sign decides.
    let value = |tag| {
        r.integer(tag).map(|v| {
            if signed {
                i32::from(v as u16 as i16)
            } else {
                i32::from(v as u16)
            }
        })
    };
    let padding = value(tags::PIXEL_PADDING_VALUE).map(|a| {
        let b = value(tags::PIXEL_PADDING_RANGE_LIMIT).unwrap_or(a);
        (a.min(b), a.max(b))
    });
    Layout {
        rows: small(tags::ROWS).map_or(0, usize::from),
        columns: small(tags::COLUMNS).map_or(0, usize::from),
        samples: small(tags::SAMPLES_PER_PIXEL).map_or(1, usize::from),
        allocated,
        stored,
        high: small(tags::HIGH_BIT).map_or(stored.saturating_sub(1), u32::from),
        signed,
        padding,
    }
}

/// Geometry and rescale values of every frame. Enhanced CT has them in functional groups, where a
/// frame's own group comes before the shared one. The flag is true if a frame lacks its slope or
/// intercept.
fn frames(r: &Reader, count: usize) -> (Vec<Frame>, bool) {
    let shared = r.item(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
    let own = r.items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    let mut assumed = false;
    let frames = (0..count)
        .map(|i| {
            let own = own.get(i).map(Reader);
            let groups = [own.as_ref(), shared.as_ref()];
            let group = |sequence: Tag| groups.into_iter().flatten().find_map(|g| g.item(sequence));
            let measures = group(tags::PIXEL_MEASURES_SEQUENCE);
            let plane = group(tags::PLANE_POSITION_SEQUENCE);
            let turn = group(tags::PLANE_ORIENTATION_SEQUENCE);
            let values = group(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE);
            let values = values.as_ref().unwrap_or(r);
            // A plain file with many frames has one position, which cannot be that of all frames.
            let root_position = if count == 1 {
                r.numbers::<3>(tags::IMAGE_POSITION_PATIENT)
            } else {
                None
            };
            let slope = values.number(tags::RESCALE_SLOPE);
            let intercept = values.number(tags::RESCALE_INTERCEPT);
            assumed |= slope.is_none() || intercept.is_none();
            Frame {
                position: plane
                    .and_then(|p| p.numbers::<3>(tags::IMAGE_POSITION_PATIENT))
                    .or(root_position),
                orientation: turn
                    .as_ref()
                    .unwrap_or(r)
                    .numbers::<6>(tags::IMAGE_ORIENTATION_PATIENT)
                    .map(|[a, b, c, d, e, f]| [[a, b, c], [d, e, f]]),
                spacing_mm: measures
                    .as_ref()
                    .unwrap_or(r)
                    .numbers::<2>(tags::PIXEL_SPACING),
                thickness_mm: measures.as_ref().unwrap_or(r).number(tags::SLICE_THICKNESS),
                slope: slope.unwrap_or(1.0),
                intercept: intercept.unwrap_or(0.0),
            }
        })
        .collect();
    (frames, assumed)
}

/// First 16 hexadecimal digits of a hash of the patient's identifier; empty if there is none.
fn pseudonym(patient_id: &str) -> String {
    if patient_id.is_empty() {
        return String::new();
    }
    let mut digest = sha256(format!("multirnet patient {patient_id}").as_bytes());
    digest.truncate(16);
    digest
}

/// Why a file is not a slice of a CT volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Obstacle {
    pub reason: String,
    /// Whether the file is of another kind (for example a localizer) instead of a damaged slice.
    pub foreign: bool,
}

impl Header {
    /// Why the file is not a slice of a CT volume; `None` if it is one.
    pub fn obstacle(&self) -> Option<Obstacle> {
        let obstacle = |reason, foreign| Obstacle { reason, foreign };
        if let Some(reason) = self.foreign() {
            return Some(obstacle(reason, true));
        }
        self.deficiency().map(|reason| obstacle(reason, false))
    }

    fn foreign(&self) -> Option<String> {
        const NOT_A_SLICE: [(&str, &str); 6] = [
            ("LOCALIZER", "a localizer (scout) image"),
            ("MIP", "a maximum intensity projection"),
            ("MINIP", "a minimum intensity projection"),
            ("MIN_IP", "a minimum intensity projection"),
            ("PROJECTION IMAGE", "a projection"),
            ("SCREEN SAVE", "a screen capture"),
        ];
        if self.modality != "CT" {
            let modality = match self.modality.as_str() {
                "" => "unknown",
                m => m,
            };
            return Some(format!("not CT (modality {modality})"));
        }
        if let Some((_, what)) = NOT_A_SLICE
            .iter()
            .find(|(word, _)| self.image_type.iter().any(|t| t == word))
        {
            return Some((*what).to_owned());
        }
        (self.layout.samples != 1)
            .then(|| format!("a colour image ({} samples per pixel)", self.layout.samples))
    }

    fn deficiency(&self) -> Option<String> {
        let layout = &self.layout;
        if !self.has_pixels {
            return Some("no pixel data".to_owned());
        }
        if layout.rows == 0 || layout.columns == 0 {
            return Some("no image size (0028,0010 and 0028,0011)".to_owned());
        }
        if !matches!(layout.allocated, 8 | 16) {
            return Some(format!(
                "{} bits allocated per pixel, but only 8 and 16 are supported",
                layout.allocated
            ));
        }
        if layout.stored == 0
            || layout.stored > layout.allocated
            || layout.high >= layout.allocated
            || layout.high + 1 < layout.stored
        {
            return Some(format!(
                "contradictory bits: {} allocated, {} stored, high bit {}",
                layout.allocated, layout.stored, layout.high
            ));
        }
        if self.modality_lut {
            return Some("a modality lookup table in place of rescale values".to_owned());
        }
        self.frames.iter().find_map(Frame::deficiency)
    }
}

impl Frame {
    fn deficiency(&self) -> Option<String> {
        match self.spacing_mm {
            None => return Some("no pixel spacing (0028,0030)".to_owned()),
            Some(s) if s.iter().any(|v| !(0.001..=100.0).contains(v)) => {
                return Some(format!("an impossible pixel spacing of {s:?} mm"));
            }
            _ => {}
        }
        match self.position {
            None => return Some("no image position (0020,0032)".to_owned()),
            Some(p) if p.iter().any(|v| v.abs() > 1e6) => {
                return Some(format!("an impossible image position of {p:?} mm"));
            }
            _ => {}
        }
        match self.orientation {
            None => return Some("no image orientation (0020,0037)".to_owned()),
            Some([row, column]) => {
                let length = |v: [f64; 3]| v.iter().map(|c| c * c).sum::<f64>().sqrt();
                let cosine = (0..3).map(|k| row[k] * column[k]).sum::<f64>();
                if (length(row) - 1.0).abs() > 1e-2
                    || (length(column) - 1.0).abs() > 1e-2
                    || cosine.abs() > 1e-2
                {
                    return Some(
                        "the image orientation (0020,0037) is not two perpendicular unit vectors"
                            .to_owned(),
                    );
                }
            }
        }
        if self.slope == 0.0 {
            return Some("the rescale slope (0028,1053) is zero".to_owned());
        }
        None
    }
}
