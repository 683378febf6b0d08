//! Pictures as secondary captures.

use crate::{Error, ErrorKind, Result};
use multirnet_dicom::write::{Picture, PictureRole, ResultContext, ResultObject, write_picture};
use std::io::Cursor;

/// Writes the PNG `png` as a secondary capture.
///
/// # Errors
/// `Draw` if it is not a PNG of 8-bit grey or colour; `Scan` as [`write_picture`].
pub(super) fn write(
    context: &ResultContext,
    role: PictureRole,
    png: &[u8],
    description: &str,
) -> Result<ResultObject> {
    let (rows, columns, rgb) = decode(png)?;
    let picture = Picture {
        rows,
        columns,
        rgb: &rgb,
        description,
    };
    Ok(write_picture(context, role, &picture)?)
}

/// Height, width and red, green, blue of each pixel. Transparent parts show their colour.
fn decode(png: &[u8]) -> Result<(usize, usize, Vec<u8>)> {
    let bad = |reason: &dyn std::fmt::Display| {
        Error::new(
            ErrorKind::Draw,
            format!("the picture cannot be read: {reason}"),
        )
    };
    let mut decoder = png::Decoder::new(Cursor::new(png));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(|e| bad(&e))?;
    let size = reader.output_buffer_size();
    let mut data = vec![0; size.ok_or_else(|| bad(&"it is too large"))?];
    let info = reader.next_frame(&mut data).map_err(|e| bad(&e))?;
    data.truncate(info.buffer_size());
    let rgb = match info.color_type.samples() {
        1 => data.iter().flat_map(|&v| [v; 3]).collect(),
        2 => data.chunks_exact(2).flat_map(|p| [p[0]; 3]).collect(),
        3 => data,
        4 => data
            .chunks_exact(4)
            .flat_map(|p| [p[0], p[1], p[2]])
            .collect(),
        n => return Err(bad(&format!("it has {n} samples a pixel"))),
    };
    Ok((info.height as usize, info.width as usize, rgb))
}
