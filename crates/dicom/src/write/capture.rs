//! Secondary captures (PS3.3 A.8.1) and encapsulated PDF (PS3.3 A.45.1).

use super::context::check_long_text;
use super::modules::{common, source_images};
use super::seg::even;
use super::{ResultContext, ResultObject, Role, check, codes};
use crate::{Error, ErrorKind, Result};
use dicom_dictionary_std::tags;

/// Largest height and width of a picture.
const MAX_SIDE: usize = 16_384;

/// A picture, row by row, red, green and blue for each pixel.
#[derive(Debug, Clone, Copy)]
pub struct Picture<'a> {
    /// Height in pixels.
    pub rows: usize,
    /// Width in pixels.
    pub columns: usize,
    /// `rows · columns · 3` bytes.
    pub rgb: &'a [u8],
    /// What it shows and how it was made, at most 1024 characters.
    pub description: &'a str,
}

/// What a picture is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureRole {
    /// An overview of the findings.
    Overview,
    /// A text which says why the scan was not analysed.
    Refusal,
}

/// Writes a picture as a secondary capture.
///
/// # Errors
/// `Invalid` if the picture's size or description does not fit, `IncompleteSource` for a source without
/// UIDs, `NotShown` if the self-check finds a fault.
pub fn write_picture(
    context: &ResultContext,
    purpose: PictureRole,
    picture: &Picture,
) -> Result<ResultObject> {
    context.check()?;
    check_long_text("the picture's description", picture.description, 1024)?;
    let sides = [picture.rows, picture.columns];
    let sound = sides.iter().all(|s| (1..=MAX_SIDE).contains(s));
    if !sound || picture.rgb.len() != 3 * picture.rows * picture.columns {
        return Err(Error::new(
            ErrorKind::Invalid,
            format!(
                "a picture of {} × {} pixels has {} bytes",
                picture.rows,
                picture.columns,
                picture.rgb.len()
            ),
        )
        .hint(format!(
            "give three bytes a pixel and sides of 1 to {MAX_SIDE} pixels"
        )));
    }
    let role = match purpose {
        PictureRole::Overview => Role::Overview,
        PictureRole::Refusal => Role::RefusalPicture,
    };
    let set = common(context, role)
        .text(tags::IMAGE_TYPE, "DERIVED\\SECONDARY\\OTHER")
        .text(tags::CONVERSION_TYPE, "WSD")
        .text(tags::DATE_OF_SECONDARY_CAPTURE, &context.made_at.date)
        .text(tags::TIME_OF_SECONDARY_CAPTURE, &context.made_at.time)
        .empty(tags::PATIENT_ORIENTATION)
        .text(tags::BURNED_IN_ANNOTATION, "YES")
        .text(tags::DERIVATION_DESCRIPTION, picture.description)
        .sequence(
            tags::SOURCE_IMAGE_SEQUENCE,
            source_images(context.source, codes::SOURCE_IMAGE),
        )
        .shorts(tags::SAMPLES_PER_PIXEL, &[3])
        .text(tags::PHOTOMETRIC_INTERPRETATION, "RGB")
        .shorts(tags::PLANAR_CONFIGURATION, &[0])
        .shorts(tags::ROWS, &[sides[0] as u16])
        .shorts(tags::COLUMNS, &[sides[1] as u16])
        .shorts(tags::BITS_ALLOCATED, &[8])
        .shorts(tags::BITS_STORED, &[8])
        .shorts(tags::HIGH_BIT, &[7])
        .shorts(tags::PIXEL_REPRESENTATION, &[0])
        .text(tags::LOSSY_IMAGE_COMPRESSION, "00")
        .bytes(tags::PIXEL_DATA, even(picture.rgb.to_vec()));
    let bytes = set.encode()?;
    check::check_picture(&bytes, context.source)?;
    Ok(ResultObject::new(context, role, bytes))
}

/// Writes a PDF as an encapsulated document.
///
/// # Errors
/// `Invalid` if `pdf` does not begin as a PDF does or the title does not fit, `IncompleteSource` for a
/// source without UIDs, `NotShown` if the self-check finds a fault.
pub fn write_pdf(context: &ResultContext, title: &str, pdf: &[u8]) -> Result<ResultObject> {
    context.check()?;
    check_long_text("the document's title", title, 1024)?;
    let length = u32::try_from(pdf.len()).ok().filter(|n| *n < u32::MAX - 1);
    let (true, Some(length)) = (pdf.starts_with(b"%PDF-"), length) else {
        return Err(Error::new(
            ErrorKind::Invalid,
            format!("the document of {} bytes is not a PDF", pdf.len()),
        )
        .hint("give a file that begins with %PDF-"));
    };
    let role = Role::Document;
    let replaced = context.replacement_text(role);
    let title = replaced.map_or_else(|| title.to_owned(), |text| format!("{title} {text}"));
    let set = common(context, role)
        .text(tags::CONVERSION_TYPE, "WSD")
        .empty(tags::ACQUISITION_DATE_TIME)
        .text(tags::BURNED_IN_ANNOTATION, "YES")
        .sequence(
            tags::SOURCE_INSTANCE_SEQUENCE,
            source_images(context.source, codes::SOURCE_IMAGE),
        )
        .text(tags::DOCUMENT_TITLE, title)
        .code(
            tags::CONCEPT_NAME_CODE_SEQUENCE,
            codes::DIAGNOSTIC_IMAGING_REPORT,
        )
        .text(tags::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT, "application/pdf")
        .longs(tags::ENCAPSULATED_DOCUMENT_LENGTH, &[length])
        .bytes(tags::ENCAPSULATED_DOCUMENT, even(pdf.to_vec()));
    let bytes = set.encode()?;
    check::check_pdf(&bytes, context.source)?;
    Ok(ResultObject::new(context, role, bytes))
}
