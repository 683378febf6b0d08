//! Decompression of one frame's stored values.

mod jpeg;
mod lossless;
mod refusal;
mod rle;
mod syntax;

pub(crate) use syntax::{check_syntax, is_always_lossy};

use crate::guard::guard;
use crate::layout::Layout;
use crate::stream::{Container, PixelElement};
use crate::{Error, ErrorKind, Result};
use std::borrow::Cow;
use syntax::{Codec, codec};

/// Bytes of frame `index` of `count`.
fn frame_bytes<'a>(
    container: &'a Container,
    offsets: &[u32],
    fragments: &[std::ops::Range<usize>],
    index: usize,
    count: usize,
) -> Result<Cow<'a, [u8]>> {
    let data = &container.dataset;
    let missing = || {
        Error::new(
            ErrorKind::Malformed,
            format!(
                "frame {} of {count} is not among the {} compressed fragments",
                index + 1,
                fragments.len()
            ),
        )
        .hint("the file is damaged; fetch it again")
    };
    let join = |parts: &[std::ops::Range<usize>]| match parts {
        [] => Err(missing()),
        [one] => Ok(Cow::Borrowed(&data[one.clone()])),
        many => Ok(Cow::Owned(
            many.iter()
                .flat_map(|r| &data[r.clone()])
                .copied()
                .collect(),
        )),
    };
    if count == 1 {
        return join(fragments);
    }
    if fragments.len() == count {
        return join(&fragments[index..=index]);
    }
    if offsets.len() != count {
        return Err(missing());
    }
    // Offsets count from the first fragment's item header, eight bytes before its content.
    let first = fragments.first().ok_or_else(missing)?.start;
    let within = |r: &std::ops::Range<usize>| {
        let at = r.start - first;
        at >= offsets[index] as usize && offsets.get(index + 1).is_none_or(|&n| at < n as usize)
    };
    let from = fragments.iter().position(within).ok_or_else(missing)?;
    let to = from + fragments[from..].iter().take_while(|r| within(r)).count();
    join(&fragments[from..to])
}

/// The stored values of frame `index` as the file keeps them. Bits above the high bit are not
/// removed.
pub(crate) fn stored_values(
    container: &Container,
    layout: &Layout,
    index: usize,
    count: usize,
) -> Result<Vec<u16>> {
    let pixels = layout.rows * layout.columns;
    let values = match container.pixels.as_ref() {
        None => Err(Error::new(ErrorKind::Malformed, "there are no pixel data")),
        Some(PixelElement::Native(range)) => {
            native(&container.dataset[range.clone()], container, layout, index)
        }
        Some(PixelElement::Encapsulated { offsets, fragments }) => {
            let bytes = frame_bytes(container, offsets, fragments, index, count)?;
            guard(|| match codec(&container.syntax) {
                Some(Codec::Rle) => rle::decode(&bytes, layout),
                Some(Codec::Jpeg) => jpeg::decode_jpeg(&bytes, layout),
                Some(Codec::JpegLs) => jpeg::decode_jpeg_ls(&bytes, layout),
                Some(Codec::Jpeg2000) => jpeg::decode_jpeg_2000(&bytes, layout),
                Some(Codec::Native) | None => Err(Error::new(
                    ErrorKind::Malformed,
                    format!(
                        "the pixel data are compressed, though the transfer syntax {} is not",
                        container.syntax
                    ),
                )),
            })
            .flatten()
        }
    }?;
    if values.len() != pixels {
        return Err(Error::new(
            ErrorKind::Malformed,
            format!("the frame has {} pixels instead of {pixels}", values.len()),
        )
        .hint("the file is damaged; fetch it again"));
    }
    Ok(values)
}

fn native(data: &[u8], container: &Container, layout: &Layout, index: usize) -> Result<Vec<u16>> {
    if codec(&container.syntax) != Some(Codec::Native) {
        return Err(Error::new(
            ErrorKind::Malformed,
            format!(
                "the pixel data are not compressed, though the transfer syntax {} is",
                container.syntax
            ),
        ));
    }
    let size = layout.rows * layout.columns * layout.allocated as usize / 8;
    let frame = data.get(index * size..(index + 1) * size).ok_or_else(|| {
        Error::new(
            ErrorKind::Malformed,
            format!(
                "the pixel data have {} bytes, but frame {} needs {}",
                data.len(),
                index + 1,
                (index + 1) * size
            ),
        )
        .hint("the file is truncated; fetch it again")
    })?;
    Ok(match (layout.allocated, container.encoding.big_endian) {
        (8, _) => frame.iter().map(|&b| u16::from(b)).collect(),
        (_, false) => frame
            .chunks_exact(2)
            .map(|b| u16::from_le_bytes([b[0], b[1]]))
            .collect(),
        (_, true) => frame
            .chunks_exact(2)
            .map(|b| u16::from_be_bytes([b[0], b[1]]))
            .collect(),
    })
}
