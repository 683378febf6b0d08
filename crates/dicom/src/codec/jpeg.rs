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

/// Decodes JPEG-LS, lossless and near-lossless.
pub(super) fn decode_jpeg_ls(bytes: &[u8], layout: &Layout) -> Result<Vec<u16>> {
    // The decoder compares this size with the stream's own before it allocates.
    let (columns, rows) = (layout.columns as u32, layout.rows as u32);
    let (values, width, height) =
        jpegls::decode(bytes, columns, rows).map_err(|e| broken("JPEG-LS", e))?;
    check_size("JPEG-LS", layout, width as usize, height as usize)?;
    Ok(values)
}

/// Decodes JPEG 2000, lossless and lossy.
pub(super) fn decode_jpeg_2000(bytes: &[u8], layout: &Layout) -> Result<Vec<u16>> {
    use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};
    let settings = DecodeSettings {
        strict: true,
        resolve_palette_indices: false,
        target_resolution: None,
    };
    let image = Image::new(bytes, &settings).map_err(|e| broken("JPEG 2000", e))?;
    check_size(
        "JPEG 2000",
        layout,
        image.width() as usize,
        image.height() as usize,
    )?;
    let mut context = DecoderContext::default();
    let decoded = image
        .decode(&mut context)
        .map_err(|e| broken("JPEG 2000", e))?;
    let [component] = decoded.components() else {
        return Err(colour());
    };
    // The decoder adds the level shift of unsigned samples to signed ones too. It is removed here.
    let shift = if is_signed(bytes) {
        1i32 << component.bit_depth().saturating_sub(1).min(30)
    } else {
        0
    };
    Ok(component
        .samples()
        .iter()
        .map(|&v| (v.round() as i32 - shift) as u16)
        .collect())
}

/// Whether the first component's samples are signed. The top bit of Ssiz says so, and Ssiz lies 40
/// bytes behind the SIZ marker.
fn is_signed(bytes: &[u8]) -> bool {
    bytes
        .windows(4)
        .position(|w| w == [0xFF, 0x4F, 0xFF, 0x51])
        .and_then(|at| bytes.get(at + 42))
        .is_some_and(|ssiz| ssiz & 0x80 != 0)
}

fn colour() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "the compressed image is in colour, but a CT slice is not",
    )
}
