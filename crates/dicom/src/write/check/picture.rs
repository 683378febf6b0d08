//! Checks of pictures and documents.

use super::common::{check_common, check_source_instance};
use super::part::{Opened, Part, fault};
use crate::Result;
use crate::reference::SeriesReference;
use dicom_dictionary_std::tags;
use dicom_object::Tag;

pub(crate) fn check(object: &Opened, source: &SeriesReference) -> Result<()> {
    let root = object.root();
    check_common(&root, source)?;
    check_sources(&root, source, tags::SOURCE_IMAGE_SEQUENCE)?;
    root.texts(&[
        tags::IMAGE_TYPE,
        tags::CONVERSION_TYPE,
        tags::DERIVATION_DESCRIPTION,
    ])?;
    root.equals(tags::BURNED_IN_ANNOTATION, "YES")?;
    root.equals(tags::PHOTOMETRIC_INTERPRETATION, "RGB")?;
    for (tag, expected) in [
        (tags::SAMPLES_PER_PIXEL, 3),
        (tags::PLANAR_CONFIGURATION, 0),
        (tags::BITS_ALLOCATED, 8),
        (tags::BITS_STORED, 8),
        (tags::HIGH_BIT, 7),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        root.counts(tag, expected)?;
    }
    let side = |tag| -> Result<usize> {
        let side = usize::try_from(root.integer(tag)?).unwrap_or(0);
        match side {
            0 => Err(root.fault(tag, "is not above 0")),
            side => Ok(side),
        }
    };
    let bytes = 3 * side(tags::ROWS)? * side(tags::COLUMNS)?;
    let found = object.pixels().len();
    if found != bytes.next_multiple_of(2) {
        return Err(fault(format!(
            "PixelData has {found} bytes, but the picture needs {bytes}"
        )));
    }
    Ok(())
}

pub(crate) fn check_pdf(object: &Opened, source: &SeriesReference) -> Result<()> {
    let root = object.root();
    check_common(&root, source)?;
    check_sources(&root, source, tags::SOURCE_INSTANCE_SEQUENCE)?;
    root.texts(&[tags::CONVERSION_TYPE, tags::DOCUMENT_TITLE])?;
    root.code(tags::CONCEPT_NAME_CODE_SEQUENCE)?;
    root.equals(tags::BURNED_IN_ANNOTATION, "YES")?;
    root.equals(tags::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT, "application/pdf")?;
    let element = root.reader.0.get(tags::ENCAPSULATED_DOCUMENT);
    let document = element.and_then(|e| e.to_bytes().ok()).unwrap_or_default();
    if !document.starts_with(b"%PDF-") {
        return Err(root.fault(tags::ENCAPSULATED_DOCUMENT, "does not begin as a PDF does"));
    }
    let length = usize::try_from(root.integer(tags::ENCAPSULATED_DOCUMENT_LENGTH)?);
    if !length.is_ok_and(|n| n <= document.len() && n.next_multiple_of(2) == document.len()) {
        return Err(root.fault(
            tags::ENCAPSULATED_DOCUMENT_LENGTH,
            "is not that of the document",
        ));
    }
    Ok(())
}

fn check_sources(root: &Part, source: &SeriesReference, tag: Tag) -> Result<()> {
    let mut items = root.items(tag)?.into_iter();
    items.try_for_each(|item| check_source_instance(&item, source, None).map(drop))
}
