//! Under which identifiers an object is filed, read from the beginning of its data set.

use crate::limits::MAX_FILE_BYTES;
use crate::stream::{Container, Encoding, Walk, inflate_prefix, read_meta, start_of_meta};
use crate::{Error, ErrorKind, Result};
use std::borrow::Cow;
use std::cell::Cell;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Bytes of a data set that are searched for its identifiers.
const LONGEST_HEAD: u64 = 16 << 20;
const SOP_CLASS: (u16, u16) = (0x0008, 0x0016);
const SOP_INSTANCE: (u16, u16) = (0x0008, 0x0018);
const STUDY: (u16, u16) = (0x0020, 0x000D);
const SERIES: (u16, u16) = (0x0020, 0x000E);

/// The unique identifiers of an object. Each is a valid UID: digits and dots, 1 to 64 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectIdentity {
    /// SOP Class UID (0008,0016).
    pub sop_class_uid: String,
    /// SOP Instance UID (0008,0018).
    pub sop_instance_uid: String,
    /// Study Instance UID (0020,000D).
    pub study_uid: String,
    /// Series Instance UID (0020,000E).
    pub series_uid: String,
}

/// What a file says of its object before the pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileIdentity {
    /// The object's identifiers.
    pub object: ObjectIdentity,
    /// Transfer Syntax UID (0002,0010).
    pub transfer_syntax: String,
    /// Where the data set begins, in bytes from the start of the file.
    pub data_set_start: u64,
}

impl ObjectIdentity {
    /// The identifiers of the data set that begins with `head` and is written in `transfer_syntax`.
    ///
    /// # Errors
    /// `Malformed` if `head` ends before all are found, or one is missing or not a UID.
    pub fn read(head: &[u8], transfer_syntax: &str) -> Result<Self> {
        let bytes = if Encoding::is_deflated(transfer_syntax) {
            Cow::Owned(inflate_prefix(head, LONGEST_HEAD))
        } else {
            Cow::Borrowed(head)
        };
        let count = Cell::new(0);
        let walk = Walk::new(&bytes, Encoding::of_syntax(transfer_syntax), &count);
        let mut found: [Option<String>; 4] = Default::default();
        let mut at = 0;
        while found[3].is_none() && at < bytes.len() {
            let element = walk.element(at)?;
            if element.tag > SERIES {
                break;
            }
            let end = walk.skip(&element, 0)?;
            let tags = [SOP_CLASS, SOP_INSTANCE, STUDY, SERIES];
            if let Some(which) = tags.iter().position(|tag| *tag == element.tag) {
                let value = String::from_utf8_lossy(&bytes[element.value..end]);
                found[which] = Some(value.trim_matches(['\0', ' ']).to_owned());
            }
            at = end;
        }
        let [sop_class_uid, sop_instance_uid, study_uid, series_uid] = found;
        Ok(Self {
            sop_class_uid: checked(sop_class_uid, "SOP Class UID (0008,0016)")?,
            sop_instance_uid: checked(sop_instance_uid, "SOP Instance UID (0008,0018)")?,
            study_uid: checked(study_uid, "Study Instance UID (0020,000D)")?,
            series_uid: checked(series_uid, "Series Instance UID (0020,000E)")?,
        })
    }
}

impl FileIdentity {
    /// Reads the beginning of the file `path`.
    ///
    /// # Errors
    /// `Io`; `NotDicom` for a file without file meta information; `Malformed` as
    /// [`ObjectIdentity::read`].
    pub fn read(path: &Path) -> Result<Self> {
        // Nearly every file has its identifiers in the first few kilobytes.
        let mut last = None;
        for length in [1 << 14, LONGEST_HEAD] {
            let mut head = Vec::new();
            let file = File::open(path).map_err(|e| Error::io(path, "open the file", e))?;
            file.take(length)
                .read_to_end(&mut head)
                .map_err(|e| Error::io(path, "read the file", e))?;
            match Self::parse(&head) {
                Ok(identity) => return Ok(identity),
                Err(e) => last = Some(e),
            }
            if (head.len() as u64) < length {
                break;
            }
        }
        let missing = || Error::new(ErrorKind::NotDicom, "this is not a DICOM file");
        Err(last.unwrap_or_else(missing).at(path))
    }

    fn parse(head: &[u8]) -> Result<Self> {
        let Some(start) = start_of_meta(head) else {
            return Err(Error::new(
                ErrorKind::NotDicom,
                "this is not a DICOM file with file meta information",
            ));
        };
        let (transfer_syntax, end) = read_meta(head, start)?;
        Ok(Self {
            object: ObjectIdentity::read(&head[end..], &transfer_syntax)?,
            transfer_syntax,
            data_set_start: end as u64,
        })
    }
}

/// Checks every length of a DICOM file before a general parser, which allocates what a length says,
/// sees it.
///
/// # Errors
/// `NotDicom`, `Malformed` or `TooLarge`.
pub fn check_lengths(file: &[u8]) -> Result<()> {
    Container::parse(file, MAX_FILE_BYTES).map(|_| ())
}

/// Checks every length of a data set in `transfer_syntax`, which must not be a deflated one.
///
/// # Errors
/// `Malformed`.
pub fn check_data_set(bytes: &[u8], transfer_syntax: &str) -> Result<()> {
    let encoding = Encoding::of_syntax(transfer_syntax);
    Walk::new(bytes, encoding, &Cell::new(0)).top().map(|_| ())
}

/// Whether `text` is a UID: 1 to 64 digits and dots (PS3.5, 9.1). Leading zeros and empty components,
/// which old software writes, pass.
pub fn is_uid(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_digit() || b == b'.';
    (1..=64).contains(&text.len())
        && text.bytes().all(allowed)
        && text.bytes().any(|b| b.is_ascii_digit())
}

fn checked(uid: Option<String>, name: &str) -> Result<String> {
    let refuse = |reason: String| Err(Error::new(ErrorKind::Malformed, reason));
    match uid {
        Some(uid) if is_uid(&uid) => Ok(uid),
        Some(_) => refuse(format!("the {name} is not a valid UID")),
        None => refuse(format!("the object has no {name}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(tag: (u16, u16), value: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(tag.0.to_le_bytes());
        bytes.extend(tag.1.to_le_bytes());
        bytes.extend((value.len() as u32).to_le_bytes());
        bytes.extend(value.as_bytes());
        bytes
    }

    #[test]
    fn identifiers_are_read_or_their_lack_is_named() {
        let parts = [
            element(SOP_CLASS, "1.2.3\0"),
            element(SOP_INSTANCE, "1.4"),
            element((0x0010, 0x0010), "A^B "),
            element(STUDY, "1.5"),
            element(SERIES, "1.6"),
        ];
        let implicit = "1.2.840.10008.1.2";
        let identity = ObjectIdentity::read(&parts.concat(), implicit).unwrap();
        assert_eq!(identity.sop_class_uid, "1.2.3");
        assert_eq!(identity.series_uid, "1.6");
        for end in 0..parts.concat().len() {
            assert!(ObjectIdentity::read(&parts.concat()[..end], implicit).is_err());
        }
        let error = ObjectIdentity::read(&parts[..4].concat(), implicit).unwrap_err();
        assert!(error.reason().contains("no Series Instance UID"), "{error}");
        let bad = [
            &parts[0][..],
            &element(SOP_INSTANCE, "../x"),
            &parts[3],
            &parts[4],
        ]
        .concat();
        let error = ObjectIdentity::read(&bad, implicit).unwrap_err();
        assert!(error.reason().contains("not a valid UID"), "{error}");
    }
}
