//! A part of an object under check, with its place in messages.

use crate::dataset::{Reader, parse};
use crate::stream::{Container, PixelElement};
use crate::write::uid;
use crate::{Error, ErrorKind, Result};
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use dicom_object::{InMemDicomObject, Tag};
use std::ops::Range;

/// Largest object that is checked.
const MAX_BYTES: u64 = u32::MAX as u64;

/// An object that was read back.
pub(crate) struct Opened<'a> {
    set: InMemDicomObject,
    container: Container<'a>,
    /// Where the pixel data lie; empty without.
    pixels: Range<usize>,
}

impl<'a> Opened<'a> {
    /// Parses the bytes of a file.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let container = Container::parse(bytes, MAX_BYTES)?;
        let pixels = match &container.pixels {
            None => 0..0,
            Some(PixelElement::Native(range)) => range.clone(),
            Some(PixelElement::Encapsulated { .. }) => {
                return Err(fault("the pixel data are compressed".to_owned()));
            }
        };
        Ok(Self {
            set: parse(&container)?,
            container,
            pixels,
        })
    }

    /// The pixel data; empty without.
    pub fn pixels(&self) -> &[u8] {
        &self.container.dataset[self.pixels.clone()]
    }

    pub fn root(&self) -> Part<'_> {
        Part {
            reader: Reader(&self.set),
            path: String::new(),
        }
    }
}

/// A data set or an item of it.
#[derive(Clone)]
pub(crate) struct Part<'a> {
    pub reader: Reader<'a>,
    path: String,
}

/// A fault that viewers would hide.
pub(crate) fn fault(reason: String) -> Error {
    Error::new(ErrorKind::NotShown, reason).hint("do not send this object; report this as an error")
}

/// The dictionary's name of an attribute.
fn name(tag: Tag) -> String {
    match StandardDataDictionary.by_tag(tag) {
        Some(entry) => entry.alias().to_owned(),
        None => tag.to_string(),
    }
}

impl<'a> Part<'a> {
    /// A fault of the attribute `tag`.
    pub fn fault(&self, tag: Tag, what: &str) -> Error {
        fault(format!("{}{} {what}", self.path, name(tag)))
    }

    fn child(&self, tag: Tag, index: usize, reader: Reader<'a>) -> Self {
        Self {
            reader,
            path: format!("{}{}[{}]/", self.path, name(tag), index + 1),
        }
    }

    /// The value, which must not be empty.
    pub fn text(&self, tag: Tag) -> Result<String> {
        match self.reader.text(tag) {
            text if text.is_empty() => Err(self.fault(tag, "is missing")),
            text => Ok(text),
        }
    }

    /// Requires values that are not empty.
    pub fn texts(&self, tags: &[Tag]) -> Result<()> {
        tags.iter().try_for_each(|&tag| self.text(tag).map(drop))
    }

    /// Requires the attribute, whose value may be empty.
    pub fn present(&self, tag: Tag) -> Result<()> {
        match self.reader.0.get(tag) {
            Some(_) => Ok(()),
            None => Err(self.fault(tag, "is missing")),
        }
    }

    /// Requires the value `expected`.
    pub fn equals(&self, tag: Tag, expected: &str) -> Result<()> {
        let found = self.text(tag)?;
        if found != expected {
            return Err(self.fault(tag, &format!("is {found}, not {expected}")));
        }
        Ok(())
    }

    pub fn numbers<const N: usize>(&self, tag: Tag) -> Result<[f64; N]> {
        let numbers = self.reader.numbers(tag);
        numbers.ok_or_else(|| self.fault(tag, &format!("does not have {N} numbers")))
    }

    pub fn integer(&self, tag: Tag) -> Result<i64> {
        let integer = self.reader.integer(tag);
        integer.ok_or_else(|| self.fault(tag, "is missing"))
    }

    /// Requires the number `expected`.
    pub fn counts(&self, tag: Tag, expected: usize) -> Result<()> {
        let found = self.integer(tag)?;
        if usize::try_from(found) != Ok(expected) {
            return Err(self.fault(tag, &format!("is {found}, not {expected}")));
        }
        Ok(())
    }

    /// The items of a sequence, at least one.
    pub fn items(&self, tag: Tag) -> Result<Vec<Self>> {
        let items = self.reader.items(tag);
        if items.is_empty() {
            return Err(self.fault(tag, "is missing"));
        }
        let part = |(i, item)| self.child(tag, i, Reader(item));
        Ok(items.iter().enumerate().map(part).collect())
    }

    /// The first item of a sequence.
    pub fn item(&self, tag: Tag) -> Result<Self> {
        let item = self.reader.item(tag);
        let item = item.ok_or_else(|| self.fault(tag, "is missing"))?;
        Ok(self.child(tag, 0, item))
    }

    /// Scheme and value of the code in the sequence `tag`, which must have a meaning too.
    pub fn code(&self, tag: Tag) -> Result<(String, String)> {
        let code = self.item(tag)?;
        code.text(tags::CODE_MEANING)?;
        Ok((
            code.text(tags::CODING_SCHEME_DESIGNATOR)?,
            code.text(tags::CODE_VALUE)?,
        ))
    }

    /// A UID of this program.
    pub fn uid(&self, tag: Tag) -> Result<String> {
        self.uid_by(tag, uid::is_valid)
    }

    /// A UID that may be the source's.
    pub fn source_uid(&self, tag: Tag) -> Result<String> {
        self.uid_by(tag, uid::is_accepted)
    }

    fn uid_by(&self, tag: Tag, is_uid: fn(&str) -> bool) -> Result<String> {
        let text = self.text(tag)?;
        if !is_uid(&text) {
            return Err(self.fault(tag, &format!("is not a UID: {text}")));
        }
        Ok(text)
    }
}
