//! Decompression of one frame's stored values.

mod codestream;
mod jpeg;
mod jpeg2000;
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

/// Most pixels of a compressed frame (2048 × 2048), as many as CT scanners write. A few bytes can claim any
/// size, so this bounds the time and the memory that a frame takes.
const MAX_FRAME_PIXELS: usize = 1 << 22;

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
    // The fragments ascend, so a search by halves finds a frame's first one. A search from the start
    // would take the square of the number of frames.
    let begins_before =
        |offset: u32| move |r: &std::ops::Range<usize>| r.start - first < offset as usize;
    let from = fragments.partition_point(begins_before(offsets[index]));
    let to = match offsets.get(index + 1) {
        Some(&next) => fragments.partition_point(begins_before(next)),
        None => fragments.len(),
    };
    if from >= to {
        return Err(missing());
    }
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
            if pixels > MAX_FRAME_PIXELS {
                return Err(Error::new(
                    ErrorKind::TooLarge,
                    format!("a compressed frame has {pixels} pixels, more than {MAX_FRAME_PIXELS}"),
                ));
            }
            let bytes = frame_bytes(container, offsets, fragments, index, count)?;
            guard(|| match codec(&container.syntax) {
                Some(Codec::Rle) => rle::decode(&bytes, layout),
                Some(Codec::Jpeg) => jpeg::decode_jpeg(&bytes, layout),
                Some(Codec::JpegLs) => jpeg::decode_jpeg_ls(&bytes, layout),
                Some(Codec::Jpeg2000) => jpeg2000::decode(&bytes, layout),
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
