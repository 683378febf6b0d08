//! Bodies of the type `multipart/related` (RFC 2387), as DICOMweb uses them.

use std::io::{self, Read};
use std::ops::Range;

/// Longest header of a part.
const MAX_HEADER: usize = 16_384;
const BUFFER: usize = 1 << 17;
const _: () = assert!(MAX_HEADER + LONGEST_BOUNDARY + 4 < BUFFER);
/// Longest boundary. RFC 2046 allows 70 characters; Orthanc's have 73.
const LONGEST_BOUNDARY: usize = 200;

/// What stands before and after the only part of a body: a DICOM object.
pub(crate) fn frame(boundary: &str) -> (Vec<u8>, Vec<u8>) {
    let head = format!("--{boundary}\r\nContent-Type: application/dicom\r\n\r\n");
    (
        head.into_bytes(),
        format!("\r\n--{boundary}--\r\n").into_bytes(),
    )
}

/// The boundary that a content type names: `multipart/related; boundary=x`.
pub(crate) fn boundary(content_type: &str) -> Option<String> {
    let mut parts = content_type.split(';').map(str::trim);
    let is_multipart = parts.next()?.eq_ignore_ascii_case("multipart/related");
    let value = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("boundary")
            .then(|| value.trim().trim_matches('"'))
    })?;
    (is_multipart && (1..=LONGEST_BOUNDARY).contains(&value.len())).then(|| value.to_owned())
}

/// Reads the parts of a body one after the other, without holding one in memory.
pub(crate) struct Parts<R> {
    body: R,
    /// `\r\n--boundary`.
    delimiter: Vec<u8>,
    /// The bytes at `range` were read and not given yet. A small part only moves the range, so a body of
    /// many small parts takes time in proportion to its length.
    buffer: Box<[u8]>,
    range: Range<usize>,
    /// The range begins behind a delimiter.
    is_between: bool,
    is_ended: bool,
}

impl<R: Read> Parts<R> {
    pub fn new(body: R, boundary: &str) -> Self {
        let mut buffer = vec![0; BUFFER].into_boxed_slice();
        // The first delimiter has no line before it.
        buffer[..2].copy_from_slice(b"\r\n");
        Self {
            body,
            delimiter: format!("\r\n--{boundary}").into_bytes(),
            buffer,
            range: 0..2,
            is_between: false,
            is_ended: false,
        }
    }

    /// Goes to the next part; `false` after the last one.
    pub fn next_part(&mut self) -> io::Result<bool> {
        if self.is_ended {
            return Ok(false);
        }
        if !self.is_between {
            self.copy_part(&mut |_| Ok(()))?;
        }
        while self.range.len() < 2 && self.fill()? > 0 {}
        if self.held().starts_with(b"--") {
            self.is_ended = true;
            return Ok(false);
        }
        loop {
            if let Some(end) = find(self.held(), b"\r\n\r\n") {
                // A delimiter may follow at once, and it begins with the line's end.
                self.range.start += end + 4;
                self.is_between = false;
                return Ok(true);
            }
            if self.range.len() > MAX_HEADER {
                return Err(broken("the header of a part is too long"));
            }
            if self.fill()? == 0 {
                return Err(broken("the body ends within a header"));
            }
        }
    }

    /// Gives the bytes of the part to `take`, up to the delimiter that ends it.
    pub fn copy_part(&mut self, take: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        if self.is_ended || self.is_between {
            return Ok(());
        }
        loop {
            let held = self.held();
            if let Some(end) = find(held, &self.delimiter) {
                take(&held[..end])?;
                self.range.start += end + self.delimiter.len();
                self.is_between = true;
                return Ok(());
            }
            // The delimiter may have begun at the end of the buffer.
            let sure = (held.len() + 1).saturating_sub(self.delimiter.len());
            take(&held[..sure])?;
            self.range.start += sure;
            if self.fill()? == 0 {
                return Err(broken("the body ends within a part"));
            }
        }
    }

    fn held(&self) -> &[u8] {
        &self.buffer[self.range.clone()]
    }

    /// Reads more. What is held is shorter than the longest header or delimiter, so there is room.
    fn fill(&mut self) -> io::Result<usize> {
        self.buffer.copy_within(self.range.clone(), 0);
        self.range = 0..self.range.len();
        let read = self.body.read(&mut self.buffer[self.range.end..])?;
        self.range.end += read;
        Ok(read)
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|b| *b == wanted[0]) {
        let at = from + at;
        if bytes.len() - at < wanted.len() {
            return None;
        }
        if bytes[at..].starts_with(wanted) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

fn broken(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives its bytes in pieces.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = self.1.min(self.0.len()).min(buffer.len());
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    fn all(body: &[u8], piece: usize) -> io::Result<Vec<Vec<u8>>> {
        let mut parts = Parts::new(Slow(body, piece), "b0");
        let mut found = Vec::new();
        while parts.next_part()? {
            let mut part = Vec::new();
            parts.copy_part(&mut |bytes| {
                part.extend(bytes);
                Ok(())
            })?;
            found.push(part);
        }
        Ok(found)
    }

    #[test]
    fn content_types_name_their_boundary() {
        for (text, expected) in [
            (
                "multipart/related; type=\"application/dicom\"; boundary=\"x y\"",
                Some("x y"),
            ),
            ("Multipart/Related;boundary=abc", Some("abc")),
            (
                "multipart/related; boundary=63ac7159-eed0-4f9a-bf83-c5a7a16e83e4-63ac7159-eed0-4f9a-bf83-c5a7a16e83e4",
                Some("63ac7159-eed0-4f9a-bf83-c5a7a16e83e4-63ac7159-eed0-4f9a-bf83-c5a7a16e83e4"),
            ),
            ("application/json", None),
            ("multipart/related", None),
        ] {
            assert_eq!(boundary(text).as_deref(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn parts_come_out_as_they_went_in(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..4),
            piece in 1usize..50,
        ) {
            prop_assume!(parts.iter().all(|p| find(p, b"\r\n--b0").is_none()));
            let mut body = Vec::new();
            for part in &parts {
                body.extend(b"--b0\r\nContent-Type: application/dicom\r\n\r\n");
                body.extend(part);
                body.extend(b"\r\n");
            }
            body.extend(b"--b0--\r\n");
            prop_assert_eq!(all(&body, piece).unwrap(), parts);
            for cut in [body.len() / 2, body.len() - 5] {
                prop_assert!(all(&body[..cut], piece).is_err());
            }
        }
    }
}
