//! The outer structure of a DICOM file: file meta, transfer syntax, and where the pixel data lie.
//!
//! This module checks every length against the size of the file before the general parser sees the
//! data set. That parser allocates as much as a length says, so one flipped bit would cost
//! gigabytes.

use crate::{Error, ErrorKind, Result};
use dicom_core::Tag;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry, VirtualVr};
use dicom_dictionary_std::StandardDataDictionary;
use std::borrow::Cow;
use std::cell::Cell;
use std::io::Read;
use std::ops::Range;

const IMPLICIT_LITTLE: &str = "1.2.840.10008.1.2";
const EXPLICIT_LITTLE: &str = "1.2.840.10008.1.2.1";
const EXPLICIT_BIG: &str = "1.2.840.10008.1.2.2";
const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
const UNDEFINED: u32 = u32::MAX;
const PIXEL_DATA: (u16, u16) = (0x7FE0, 0x0010);
const ITEM: (u16, u16) = (0xFFFE, 0xE000);
const ITEM_END: (u16, u16) = (0xFFFE, 0xE00D);
const SEQUENCE_END: (u16, u16) = (0xFFFE, 0xE0DD);
/// Deepest nesting of sequences. A few levels are usual; the limit keeps hostile files from
/// exhausting the stack.
const MAX_DEPTH: usize = 32;

/// Most elements of a data set, items and fragments of pixel data counted too. An enhanced CT has about
/// 40 for each frame. The general parser takes some 200 bytes for each, whatever its length.
const MAX_ELEMENTS: usize = 1 << 20;

/// How the data set's elements are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Encoding {
    pub explicit: bool,
    pub big_endian: bool,
}

impl Encoding {
    /// How a data set in the transfer syntax `uid` is written, once it is inflated.
    pub fn of_syntax(uid: &str) -> Self {
        Self {
            explicit: uid != IMPLICIT_LITTLE,
            big_endian: uid == EXPLICIT_BIG,
        }
    }

    /// Whether data sets in the transfer syntax `uid` are deflated.
    pub fn is_deflated(uid: &str) -> bool {
        uid == DEFLATED
    }
}

/// Where the pixel data lie, in offsets into the data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PixelElement {
    /// Plain values.
    Native(Range<usize>),
    /// Compressed: offsets of the frames (may be empty) and the fragments.
    Encapsulated {
        offsets: Vec<u32>,
        fragments: Vec<Range<usize>>,
    },
}

/// The parts of a DICOM file, with checked lengths.
#[derive(Debug)]
pub(crate) struct Container<'a> {
    pub syntax: String,
    pub encoding: Encoding,
    /// The data set without file meta, inflated where it was deflated.
    pub dataset: Cow<'a, [u8]>,
    /// End of the elements before the pixel data.
    pub header_end: usize,
    pub pixels: Option<PixelElement>,
}

/// Whether the first bytes of a file (at least 132, or the whole file) look like DICOM.
pub(crate) fn looks_like_dicom(head: &[u8]) -> bool {
    start_of_meta(head).is_some() || bare_encoding(head).is_some()
}

/// Offset of the file meta group. The preamble, or the preamble and the magic code, may be missing.
pub(crate) fn start_of_meta(head: &[u8]) -> Option<usize> {
    if head.get(128..132) == Some(b"DICM") {
        Some(132)
    } else if head.starts_with(b"DICM") {
        Some(4)
    } else if head.starts_with(&[2, 0, 0, 0, b'U', b'L']) {
        Some(0)
    } else {
        None
    }
}

/// Encoding of a data set without file meta, as very old software writes it.
fn bare_encoding(head: &[u8]) -> Option<Encoding> {
    let [8, 0, element, 0, a, b, c, d] = *head.first_chunk::<8>()? else {
        return None;
    };
    let explicit = matches!(
        &[a, b],
        b"UL" | b"CS" | b"UI" | b"DA" | b"TM" | b"SH" | b"LO"
    );
    let length = u32::from_le_bytes([a, b, c, d]);
    // The first element is a group length, a character set, an image type, a UID or a date.
    let known = matches!(element, 0x00 | 0x01 | 0x05 | 0x08 | 0x12..=0x18 | 0x20);
    (known && (explicit || length < 256)).then_some(Encoding {
        explicit,
        big_endian: false,
    })
}

impl<'a> Container<'a> {
    /// Splits `bytes` into the parts of a file. A deflated data set is inflated to at most `limit`
    /// bytes.
    pub fn parse(bytes: &'a [u8], limit: u64) -> Result<Self> {
        Self::parse_counted(bytes, limit, &mut 0)
    }

    /// [`Container::parse`], which also gives the number of bytes that it has inflated. This holds for
    /// refused files too.
    pub fn parse_counted(bytes: &'a [u8], limit: u64, inflated: &mut u64) -> Result<Self> {
        let (syntax, dataset) = match start_of_meta(bytes) {
            Some(start) => {
                let (syntax, end) = read_meta(bytes, start)?;
                (syntax, &bytes[end..])
            }
            None => match bare_encoding(bytes) {
                Some(e) if e.explicit => (EXPLICIT_LITTLE.to_owned(), bytes),
                Some(_) => (IMPLICIT_LITTLE.to_owned(), bytes),
                None => return Err(Error::new(ErrorKind::NotDicom, "this is not a DICOM file")),
            },
        };
        let dataset = if Encoding::is_deflated(&syntax) {
            Cow::Owned(inflate(dataset, limit, inflated)?)
        } else {
            Cow::Borrowed(dataset)
        };
        let encoding = Encoding::of_syntax(&syntax);
        let (header_end, pixels) = Walk::new(&dataset, encoding, &Cell::new(0)).top()?;
        Ok(Self {
            syntax,
            encoding,
            header_end,
            pixels,
            dataset,
        })
    }
}

fn inflate(data: &[u8], limit: u64, inflated: &mut u64) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let read = flate2::read::DeflateDecoder::new(data)
        .take(limit + 1)
        .read_to_end(&mut out);
    *inflated = out.len() as u64;
    read.map_err(|e| malformed(format!("the deflated data set cannot be inflated: {e}")))?;
    if out.len() as u64 > limit {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!("the deflated data set inflates to more than {limit} bytes"),
        ));
    }
    Ok(out)
}

/// What can be inflated of the beginning of a deflated data set, at most `limit` bytes.
pub(crate) fn inflate_prefix(data: &[u8], limit: u64) -> Vec<u8> {
    let mut out = Vec::new();
    // The end is missing, so inflating fails there. What came before is kept.
    let _ = flate2::read::DeflateDecoder::new(data)
        .take(limit)
        .read_to_end(&mut out);
    out
}

/// Transfer syntax and end of the file meta group (always explicit little endian).
pub(crate) fn read_meta(bytes: &[u8], start: usize) -> Result<(String, usize)> {
    let encoding = Encoding {
        explicit: true,
        big_endian: false,
    };
    let count = Cell::new(0);
    let walk = Walk::new(bytes, encoding, &count);
    let (mut at, mut syntax) = (start, None);
    while bytes.get(at..at + 2) == Some(&[2, 0]) {
        let element = walk.element(at)?;
        let end = walk.defined_end(&element)?;
        if element.tag == (2, 0x10) {
            let value = String::from_utf8_lossy(&bytes[element.value..end]);
            syntax = Some(value.trim_matches(['\0', ' ']).to_owned());
        }
        at = end;
    }
    match syntax {
        Some(syntax) if !syntax.is_empty() => Ok((syntax, at)),
        _ => Err(malformed(
            "the file meta information names no transfer syntax (0002,0010)",
        )),
    }
}

fn malformed(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::Malformed, reason)
        .hint("the file is damaged or was not copied completely; fetch it again")
}

pub(crate) struct Element {
    pub tag: (u16, u16),
    /// The element is written as unknown (UN). Its content is implicit VR if its length is undefined.
    unknown: bool,
    sequence: bool,
    length: u32,
    /// Bytes of one number, if the value is a list of numbers.
    unit: u32,
    /// Where the value begins.
    pub value: usize,
}

/// Bytes of one number of a value of type `vr`; 1 for texts and bytes.
fn unit_of(vr: [u8; 2]) -> u32 {
    match &vr {
        b"OW" | b"SS" | b"US" => 2,
        b"AT" | b"FL" | b"OF" | b"OL" | b"SL" | b"UL" => 4,
        b"FD" | b"OD" | b"OV" | b"SV" | b"UV" => 8,
        _ => 1,
    }
}

/// The same for an element of a data set without types, whose type the dictionary gives.
fn unit_of_tag(tag: (u16, u16)) -> u32 {
    let entry = StandardDataDictionary.by_tag(Tag(tag.0, tag.1));
    unit_of(match entry.map(|e| e.vr()) {
        Some(VirtualVr::Exact(vr)) => vr.to_bytes(),
        Some(_) => *b"US",
        None => *b"UN",
    })
}

/// Steps from element to element of a data set.
pub(crate) struct Walk<'a> {
    bytes: &'a [u8],
    encoding: Encoding,
    /// Number of elements so far, of all walks over one data set.
    count: &'a Cell<usize>,
}

impl<'a> Walk<'a> {
    pub fn new(bytes: &'a [u8], encoding: Encoding, count: &'a Cell<usize>) -> Self {
        Self {
            bytes,
            encoding,
            count,
        }
    }

    fn take<const N: usize>(&self, at: usize) -> Result<[u8; N]> {
        self.bytes
            .get(at..)
            .and_then(|rest| rest.first_chunk::<N>())
            .copied()
            .ok_or_else(|| malformed(format!("the file ends inside an element (byte {at})")))
    }

    fn u16(&self, at: usize) -> Result<u16> {
        let b = self.take::<2>(at)?;
        Ok(if self.encoding.big_endian {
            u16::from_be_bytes(b)
        } else {
            u16::from_le_bytes(b)
        })
    }

    fn u32(&self, at: usize) -> Result<u32> {
        let b = self.take::<4>(at)?;
        Ok(if self.encoding.big_endian {
            u32::from_be_bytes(b)
        } else {
            u32::from_le_bytes(b)
        })
    }

    /// The element whose tag stands at `at`.
    pub fn element(&self, at: usize) -> Result<Element> {
        self.count.set(self.count.get() + 1);
        if self.count.get() > MAX_ELEMENTS {
            return Err(malformed(format!(
                "the data set has more than {MAX_ELEMENTS} elements"
            )));
        }
        let tag = (self.u16(at)?, self.u16(at + 2)?);
        if tag.0 == 0xFFFE || !self.encoding.explicit {
            return Ok(Element {
                tag,
                unknown: false,
                sequence: false,
                length: self.u32(at + 4)?,
                unit: if tag.0 == 0xFFFE { 1 } else { unit_of_tag(tag) },
                value: at + 8,
            });
        }
        let vr = self.take::<2>(at + 4)?;
        // Unknown types count as long ones, as in the general parser (PS3.5, 7.1.2).
        const SHORT: [&[u8; 2]; 21] = [
            b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT",
            b"PN", b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US",
        ];
        let long = !SHORT.contains(&&vr);
        if long && !vr.iter().all(u8::is_ascii_uppercase) {
            return Err(malformed(format!(
                "the element ({:04X},{:04X}) at byte {at} has no valid type",
                tag.0, tag.1
            )));
        }
        let (length, value) = if long {
            (self.u32(at + 8)?, at + 12)
        } else {
            (u32::from(self.u16(at + 6)?), at + 8)
        };
        Ok(Element {
            tag,
            unknown: &vr == b"UN",
            sequence: &vr == b"SQ",
            length,
            unit: unit_of(vr),
            value,
        })
    }

    /// End of an element of defined length, checked to lie in the file.
    fn defined_end(&self, element: &Element) -> Result<usize> {
        let end = element.value.saturating_add(element.length as usize);
        if element.length == UNDEFINED || end > self.bytes.len() {
            let (group, number) = element.tag;
            return Err(malformed(format!(
                "the file is truncated: element ({group:04X},{number:04X}) needs {} bytes, {} are left",
                element.length,
                self.bytes.len() - element.value.min(self.bytes.len())
            )));
        }
        // The general parser reads whole numbers, but steps on by the length. It would then take the bytes
        // of a value for an element and allocate as much as they say, which may be gigabytes.
        if !element.length.is_multiple_of(element.unit) {
            let (group, number) = element.tag;
            return Err(malformed(format!(
                "element ({group:04X},{number:04X}) has {} bytes, but its numbers have {} bytes each",
                element.length, element.unit
            )));
        }
        Ok(end)
    }

    /// End of the elements before the pixel data, and the pixel data.
    pub fn top(&self) -> Result<(usize, Option<PixelElement>)> {
        let mut at = 0;
        while at < self.bytes.len() {
            // Trailing zeros after the last element are common padding.
            if self.bytes[at..].iter().take(8).all(|&b| b == 0) {
                return Ok((at, None));
            }
            let element = self.element(at)?;
            if element.tag == PIXEL_DATA {
                let pixels = if element.length == UNDEFINED {
                    self.fragments(element.value)?
                } else {
                    PixelElement::Native(element.value..self.defined_end(&element)?)
                };
                return Ok((at, Some(pixels)));
            }
            if element.tag > PIXEL_DATA {
                return Ok((at, None));
            }
            at = self.skip(&element, 0)?;
        }
        Ok((at, None))
    }

    /// End of an element of any kind; the lengths inside sequences are checked too.
    pub fn skip(&self, element: &Element, depth: usize) -> Result<usize> {
        if depth >= MAX_DEPTH {
            return Err(malformed("sequences are nested too deeply"));
        }
        let (bytes, end) = if element.length == UNDEFINED {
            (self.bytes, None)
        } else {
            let end = self.defined_end(element)?;
            let starts_item = self.bytes[element.value..end].starts_with(&self.item_bytes());
            // Without explicit types, a value that starts with an item is a sequence.
            if !(element.sequence || !self.encoding.explicit && starts_item) {
                return Ok(end);
            }
            (&self.bytes[..end], Some(end))
        };
        let encoding = Encoding {
            explicit: self.encoding.explicit && !element.unknown,
            ..self.encoding
        };
        let inner = Walk::new(bytes, encoding, self.count);
        inner.skip_items(element.value, end, depth)
    }

    fn item_bytes(&self) -> [u8; 4] {
        if self.encoding.big_endian {
            [0xFF, 0xFE, 0xE0, 0x00]
        } else {
            [0xFE, 0xFF, 0x00, 0xE0]
        }
    }

    fn skip_items(&self, mut at: usize, end: Option<usize>, depth: usize) -> Result<usize> {
        while end.is_none_or(|end| at < end) {
            let item = self.element(at)?;
            at = match item.tag {
                SEQUENCE_END => return Ok(end.unwrap_or(item.value)),
                ITEM if item.length != UNDEFINED => {
                    let end = self.defined_end(&item)?;
                    let inner = Walk::new(&self.bytes[..end], self.encoding, self.count);
                    let mut at = item.value;
                    while at < end {
                        at = inner.skip(&inner.element(at)?, depth + 1)?;
                    }
                    end
                }
                ITEM => {
                    let mut at = item.value;
                    loop {
                        let element = self.element(at)?;
                        if element.tag == ITEM_END {
                            break element.value;
                        }
                        at = self.skip(&element, depth + 1)?;
                    }
                }
                _ => return Err(malformed(format!("a sequence is broken at byte {at}"))),
            };
        }
        Ok(at)
    }

    fn fragments(&self, mut at: usize) -> Result<PixelElement> {
        let mut items = Vec::new();
        loop {
            // Some writers leave out the delimiter at the very end of the file.
            if at == self.bytes.len() && items.len() > 1 {
                break;
            }
            let item = self.element(at)?;
            match item.tag {
                SEQUENCE_END => break,
                ITEM => {
                    let end = self.defined_end(&item)?;
                    items.push(item.value..end);
                    at = end;
                }
                _ => {
                    return Err(malformed(format!(
                        "the compressed pixel data are broken at byte {at}"
                    )));
                }
            }
        }
        let mut items = items.into_iter();
        let offsets = items.next().map_or_else(Vec::new, |table| {
            self.bytes[table]
                .chunks_exact(4)
                .map(|c| u32::from_le_bytes([c[0], c[1], c[2], c[3]]))
                .collect()
        });
        Ok(PixelElement::Encapsulated {
            offsets,
            fragments: items.collect(),
        })
    }
}
