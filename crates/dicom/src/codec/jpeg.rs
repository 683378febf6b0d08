//! Decoding of the JPEG family.

use super::lossless::Stream;
use super::refusal::{broken, check_size};
use crate::layout::Layout;
use crate::{Error, ErrorKind, Result};
use jpeg_decoder::PixelFormat;

/// Decodes JPEG baseline, extended and Lossless.
pub(super) fn decode_jpeg(bytes: &[u8], layout: &Layout) -> Result<Vec<u16>> {
    if let Some(stream) = Stream::parse(bytes) {
        check_size("JPEG", layout, stream.width, stream.height)?;
        return stream.decode();
    }
    check_jpeg(bytes, layout)?;
    let bad = |e: jpeg_decoder::Error| broken("JPEG", e);
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    decoder.read_info().map_err(bad)?;
    let info = decoder
        .info()
        .ok_or_else(|| broken("JPEG", "it has no header"))?;
    check_size(
        "JPEG",
        layout,
        usize::from(info.width),
        usize::from(info.height),
    )?;
    let data = decoder.decode().map_err(bad)?;
    match info.pixel_format {
        PixelFormat::L8 => Ok(data.into_iter().map(u16::from).collect()),
        PixelFormat::L16 => Ok(data
            .chunks_exact(2)
            .map(|b| u16::from_ne_bytes([b[0], b[1]]))
            .collect()),
        _ => Err(colour()),
    }
}

/// Reads the headers of a JPEG stream before a decoder does. A progressive stream, or one of many scans,
/// costs the decoder a walk over the whole image for every few bytes. DICOM allows neither.
fn check_jpeg(bytes: &[u8], layout: &Layout) -> Result<()> {
    let truncated = || broken("JPEG", "a header is cut off");
    let mut at = 2;
    let mut scans = 0;
    let mut frame = None;
    while let Some(found) = bytes
        .get(at..)
        .and_then(|rest| rest.iter().position(|&b| b == 0xFF))
    {
        at += found + 1;
        // Zero bytes and restarts belong to entropy-coded data; further bytes FF are filling.
        let marker = match bytes.get(at) {
            Some(0xFF) => continue,
            Some(0 | 1 | 0xD0..=0xD8) => {
                at += 1;
                continue;
            }
            Some(0xD9) | None => break,
            Some(&marker) => marker,
        };
        let [high, low] = *bytes
            .get(at + 1..)
            .and_then(|b| b.first_chunk())
            .ok_or_else(truncated)?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let body = bytes.get(at + 3..at + 1 + length).ok_or_else(truncated)?;
        match (marker, body) {
            (0xC0 | 0xC1 | 0xC3, &[_, h0, h1, w0, w1, components, ..]) if frame.is_none() => {
                if components != 1 {
                    return Err(colour());
                }
                let size = |a, b| usize::from(u16::from_be_bytes([a, b]));
                frame = Some(size(w0, w1) * size(h0, h1));
                check_size("JPEG", layout, size(w0, w1), size(h0, h1))?;
            }
            (0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF, _) => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!(
                        "the JPEG process of marker FF{marker:02X} is not one that DICOM allows"
                    ),
                ));
            }
            (0xDA, _) => scans += 1,
            _ => {}
        }
        if scans > 1 {
            return Err(broken("JPEG", "a grey image has more than one scan"));
        }
        at += 1 + length;
    }
    match frame {
        // Each block of 64 samples takes two codes of at least a bit, each lossless sample one.
        Some(pixels) if pixels / 64 <= bytes.len().saturating_mul(4) => Ok(()),
        Some(_) => Err(broken("JPEG", "the data are too few for the image's size")),
        None => Err(broken("JPEG", "it has no header")),
    }
}

/// Decodes JPEG-LS, lossless and near-lossless.
pub(super) fn decode_jpeg_ls(bytes: &[u8], layout: &Layout) -> Result<Vec<u16>> {
    // The decoder compares this size with the stream's own before it allocates.
    let (columns, rows) = (layout.columns as u32, layout.rows as u32);
    let (values, width, height) =
        jpegls::decode(bytes, columns, rows).map_err(|e| broken("JPEG-LS", e))?;
    check_size("JPEG-LS", layout, width as usize, height as usize)?;
    Ok(values)
}

pub(super) fn colour() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "the compressed image is in colour, but a CT slice is not",
    )
}
