//! Builds data sets and encodes them as files.

use super::codes::Code;
use super::uid;
use crate::attributes::SourceAttribute;
use crate::dataset::vr_of;
use crate::{Error, ErrorKind, Result};
use dicom_core::value::{DataSetSequence, Value};
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject, Tag};

/// Explicit VR little endian, which every archive reads.
const TRANSFER_SYNTAX: &str = "1.2.840.10008.1.2.1";

/// Room for the elements of an object besides its pixels.
const OTHER_BYTES: usize = 1 << 20;

/// A data set under construction. Every attribute gets its type from the dictionary.
#[derive(Debug, Clone)]
pub(crate) struct Dataset(InMemDicomObject);

impl Dataset {
    pub fn new() -> Self {
        Self(InMemDicomObject::new_empty())
    }

    fn put(mut self, tag: Tag, value: impl Into<Value<InMemDicomObject>>) -> Self {
        let vr = vr_of(tag).unwrap_or(VR::UN);
        self.0.put(DataElement::new(tag, vr, value));
        self
    }

    pub fn text(self, tag: Tag, value: impl Into<String>) -> Self {
        self.put(tag, PrimitiveValue::from(value.into()))
    }

    pub fn empty(self, tag: Tag) -> Self {
        self.put(tag, PrimitiveValue::Empty)
    }

    /// Numbers as text (DS).
    pub fn decimals(self, tag: Tag, values: &[f64]) -> Self {
        let texts: Vec<String> = values.iter().map(|&v| decimal(v)).collect();
        self.text(tag, texts.join("\\"))
    }

    pub fn shorts(self, tag: Tag, values: &[u16]) -> Self {
        self.put(tag, PrimitiveValue::U16(values.into()))
    }

    pub fn longs(self, tag: Tag, values: &[u32]) -> Self {
        self.put(tag, PrimitiveValue::U32(values.into()))
    }

    pub fn tag(self, tag: Tag, value: Tag) -> Self {
        self.put(tag, PrimitiveValue::Tags([value].as_slice().into()))
    }

    pub fn bytes(self, tag: Tag, value: Vec<u8>) -> Self {
        self.put(tag, PrimitiveValue::U8(value.into()))
    }

    /// 16-bit words (OW), given as their bytes in little endian.
    pub fn words(mut self, tag: Tag, value: Vec<u8>) -> Self {
        let value = PrimitiveValue::U8(value.into());
        self.0.put(DataElement::new(tag, VR::OW, value));
        self
    }

    pub fn sequence(self, tag: Tag, items: impl IntoIterator<Item = Dataset>) -> Self {
        let items: Vec<InMemDicomObject> = items.into_iter().map(|d| d.0).collect();
        self.put(tag, DataSetSequence::from(items))
    }

    /// A sequence of one item, the code.
    pub fn code(self, tag: Tag, code: Code) -> Self {
        self.sequence(tag, [Self::from_code(code)])
    }

    /// The attributes of a code.
    pub fn from_code(code: Code) -> Self {
        Self::new()
            .text(tags::CODE_VALUE, code.value)
            .text(tags::CODING_SCHEME_DESIGNATOR, code.scheme)
            .text(tags::CODE_MEANING, code.meaning)
    }

    /// Attributes as the source has them.
    pub fn source(self, attributes: &[SourceAttribute]) -> Self {
        attributes.iter().fold(self, |set, attribute| {
            let tag = Tag(attribute.tag.0, attribute.tag.1);
            match &attribute.items {
                Some(items) => set.sequence(tag, items.iter().map(|item| Self::new().source(item))),
                None if attribute.value.is_empty() => set.empty(tag),
                None => set.text(tag, attribute.value.clone()),
            }
        })
    }

    /// `empty` for each of `tags` that is not there.
    pub fn or_empty(self, tags: &[Tag]) -> Self {
        tags.iter().fold(self, |set, &tag| match set.0.get(tag) {
            Some(_) => set,
            None => set.empty(tag),
        })
    }

    /// All attributes of `other` as well.
    pub fn with(mut self, other: Self) -> Self {
        for element in other.0 {
            self.0.put(element);
        }
        self
    }

    /// The bytes of a DICOM file.
    ///
    /// # Errors
    /// `Unsupported` if the library cannot encode the data set.
    pub fn encode(self) -> Result<Vec<u8>> {
        let failed = |e: &dyn std::fmt::Display| {
            Error::new(
                ErrorKind::Unsupported,
                format!("the object cannot be encoded: {e}"),
            )
        };
        let meta = FileMetaTableBuilder::new()
            .transfer_syntax(TRANSFER_SYNTAX)
            .implementation_class_uid(uid::derive(&["multirnet", "implementation"]))
            .implementation_version_name("MULTIRNET");
        // Most of an object is pixels or a document, which are then copied once.
        let large = [tags::PIXEL_DATA, tags::ENCAPSULATED_DOCUMENT];
        let values = large
            .iter()
            .filter_map(|tag| self.0.get(*tag)?.to_bytes().ok());
        let capacity = OTHER_BYTES + values.map(|v| v.len()).sum::<usize>();
        let file = self.0.with_meta(meta).map_err(|e| failed(&e))?;
        let mut bytes = Vec::with_capacity(capacity);
        file.write_all(&mut bytes).map_err(|e| failed(&e))?;
        Ok(bytes)
    }
}

/// The decimal text nearest to `value` that a decimal string holds: at most 16 characters.
pub(crate) fn decimal(value: f64) -> String {
    const MOST: usize = 16;
    let plain = value.to_string();
    if plain.len() <= MOST {
        return plain;
    }
    // The candidates of 16 characters or fewer, in falling precision.
    let candidates = (0..MOST).rev().flat_map(|digits| {
        let fixed = format!("{value:.digits$}");
        let fixed = match fixed.contains('.') {
            true => fixed.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => fixed,
        };
        [fixed, format!("{value:.digits$e}")]
    });
    let error = |text: &String| {
        text.parse::<f64>()
            .map_or(f64::INFINITY, |v| (v - value).abs())
    };
    candidates
        .filter(|text| text.len() <= MOST)
        .min_by(|a, b| error(a).total_cmp(&error(b)))
        .unwrap_or(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_have_at_most_16_characters_and_the_least_error() {
        for (value, text) in [
            (1.25, "1.25"),
            (-192.2, "-192.2"),
            (1.0 / 3.0, "0.33333333333333"),
            (-1.0 / 3.0, "-0.3333333333333"),
            (1.224646799147353e-16, "1.2246467991e-16"),
            (123456789012345680.0, "1.2345678901e17"),
            (0.0, "0"),
        ] {
            let found = decimal(value);
            assert!(found.len() <= 16, "{found}");
            let parsed: f64 = found.parse().unwrap();
            let expected: f64 = text.parse().unwrap();
            assert!(
                (parsed - value).abs() <= (expected - value).abs(),
                "{found} for {value}"
            );
        }
    }
}
