//! A parsed data set and the values of its attributes.

use crate::guard::guard;
use crate::stream::Container;
use crate::{Error, ErrorKind, Result};
use dicom_core::VR;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry, VirtualVr};
use dicom_dictionary_std::StandardDataDictionary;
use dicom_object::{InMemDicomObject, Tag};
use dicom_transfer_syntax_registry::entries;

/// Parses the elements before the pixel data of the file whose parts are in `container`.
pub(crate) fn parse(container: &Container) -> Result<InMemDicomObject> {
    let encoding = container.encoding;
    let syntax = match (encoding.explicit, encoding.big_endian) {
        (true, true) => entries::EXPLICIT_VR_BIG_ENDIAN.erased(),
        (true, false) => entries::EXPLICIT_VR_LITTLE_ENDIAN.erased(),
        (false, _) => entries::IMPLICIT_VR_LITTLE_ENDIAN.erased(),
    };
    let bytes = &container.dataset[..container.header_end];
    guard(|| InMemDicomObject::read_dataset_with_ts(bytes, &syntax))
        .and_then(|r| {
            r.map_err(|e| Error::new(ErrorKind::Malformed, format!("the header is damaged: {e}")))
        })
        .map_err(|e| e.hint("fetch the file again"))
}

/// Reads the values of a data set. A value that is missing or of another type counts as not given.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(pub &'a InMemDicomObject);

impl<'a> Reader<'a> {
    /// The value as text without padding; empty if it is not given.
    pub fn text(&self, tag: Tag) -> String {
        self.0
            .get(tag)
            .and_then(|e| e.to_str().ok())
            .map(|s| s.trim_matches(['\0', ' ']).to_owned())
            .unwrap_or_default()
    }

    /// The values in upper case.
    pub fn words(&self, tag: Tag) -> Vec<String> {
        self.text(tag)
            .split('\\')
            .map(|s| s.trim().to_ascii_uppercase())
            .filter(|s| !s.is_empty())
            .collect()
    }

    /// The first `N` numbers of an attribute; `None` if one is missing or not finite.
    pub fn numbers<const N: usize>(&self, tag: Tag) -> Option<[f64; N]> {
        let values = self.0.get(tag)?.to_multi_float64().ok()?;
        let values: [f64; N] = values.get(..N)?.try_into().ok()?;
        values.iter().all(|v| v.is_finite()).then_some(values)
    }

    pub fn number(&self, tag: Tag) -> Option<f64> {
        self.numbers::<1>(tag).map(|[v]| v)
    }

    pub fn integer(&self, tag: Tag) -> Option<i64> {
        self.number(tag).map(|v| v as i64)
    }

    pub fn items(&self, tag: Tag) -> &'a [InMemDicomObject] {
        self.0.get(tag).and_then(|e| e.items()).unwrap_or_default()
    }

    /// The first item of a sequence.
    pub fn item(&self, tag: Tag) -> Option<Reader<'a>> {
        self.items(tag).first().map(Reader)
    }
}

/// The type of an attribute by the standard's dictionary; `None` if it does not have the attribute.
/// Pixel data count as bytes.
pub(crate) fn vr_of(tag: Tag) -> Option<VR> {
    let entry = StandardDataDictionary.by_tag(tag)?;
    Some(match entry.vr() {
        VirtualVr::Px => VR::OB,
        vr => vr.relaxed(),
    })
}
