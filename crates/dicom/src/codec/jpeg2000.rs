//! Decoding of JPEG 2000.

use super::codestream::{Codestream, find_codestream};
use super::jpeg::colour;
use super::refusal::{broken, check_size};
use crate::Result;
use crate::layout::Layout;

/// Decodes JPEG 2000, lossless and lossy.
pub(super) fn decode(bytes: &[u8], layout: &Layout) -> Result<Vec<u16>> {
    use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};
    let bytes = find_codestream(bytes)?;
    let header = Codestream::parse(bytes)?;
    if header.components != 1 {
        return Err(colour());
    }
    let [width, height] = header.size;
    check_size("JPEG 2000", layout, width, height)?;
    header.check_cost()?;
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
    let shift = if header.is_signed {
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
