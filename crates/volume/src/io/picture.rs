//! PNG and JPEG pictures of a single axial slice.
//!
//! A picture does not state its place in the world. The caller gives the size of its pixels. The
//! slice is assumed to be shown as radiologists do, with the patient's right on the left and the
//! front at the top. That is the canonical orientation: rows are `y`, columns are `x`.

use super::source::ByteSource;
use crate::{Error, ErrorKind, Geometry, Result, Volume};
use jpeg_decoder::PixelFormat;
use png::{BitDepth, ColorType};
use std::io::Read;
use std::path::Path;

/// Maximum number of pixels along a side. Eight times a CT's 512 leaves room and bounds memory.
const MOST_PIXELS: u32 = 4096;
/// Maximum bytes of a file. The largest allowed picture takes less, even unpacked.
const MOST_BYTES: u64 = 64 << 20;
/// Largest difference between red, green and blue of a grey pixel. JPEG's rounding causes such
/// differences.
const MOST_COLOUR: u8 = 4;

/// Whether the name of `path` ends in `.png`, `.jpg` or `.jpeg`.
pub fn is_picture(path: &Path) -> bool {
    path.extension().is_some_and(|e| {
        let e = e.to_string_lossy().to_ascii_lowercase();
        matches!(e.as_str(), "png" | "jpg" | "jpeg")
    })
}

/// Reads a picture in 8-bit grey as a volume of one slice, with the grey values as they are.
///
/// # Errors
/// `Io`; `Malformed`; `Unsupported` (colours other than grey, a palette, more or less than 8 bits,
/// more than 4096 pixels along a side, another kind of file); `Geometry` for a spacing that is not
/// positive. Each names the file.
pub fn read_picture(path: &Path, spacing_mm: [f64; 3]) -> Result<Volume<f32>> {
    let picture = read(path, Use::Grey)?;
    Ok(picture.volume(path, spacing_mm)?.map(f32::from))
}

/// Reads a PNG as a label map of one slice. A label is the pixel's palette index, or its grey
/// value if the picture has no palette.
///
/// # Errors
/// As [`read_picture`]; `Unsupported` for JPEG too, whose compression changes values.
pub fn read_picture_labels(path: &Path, spacing_mm: [f64; 3]) -> Result<Volume<u8>> {
    read(path, Use::Labels)?.volume(path, spacing_mm)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Grey,
    Labels,
}

struct Picture {
    width: usize,
    height: usize,
    values: Vec<u8>,
}

impl Picture {
    fn volume(self, path: &Path, spacing_mm: [f64; 3]) -> Result<Volume<u8>> {
        let geometry = Geometry::axial([1, self.height, self.width], spacing_mm);
        geometry
            .and_then(|geometry| Volume::new(self.values, geometry))
            .map_err(|e| e.at(path))
    }
}

fn read(path: &Path, what: Use) -> Result<Picture> {
    let source = ByteSource::open(path)?;
    if source.len() > MOST_BYTES {
        let reason = format!(
            "the picture has {} MiB, at most {} are taken",
            source.len() >> 20,
            MOST_BYTES >> 20
        );
        return Err(Error::new(ErrorKind::Unsupported, reason).at(path));
    }
    let mut bytes = Vec::with_capacity(source.len() as usize);
    source
        .raw()
        .take(MOST_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|e| Error::io(path, "read the file", e))?;
    // The content decides, because pictures with the other format's extension are common.
    let picture = if bytes.starts_with(b"\x89PNG") {
        from_png(&bytes, what)
    } else if bytes.starts_with(&[0xff, 0xd8]) {
        from_jpeg(&bytes, what)
    } else {
        Err(
            Error::new(ErrorKind::Malformed, "this is neither a PNG nor a JPEG")
                .hint("copy or download it again"),
        )
    };
    picture.map_err(|e| e.at(path))
}

fn from_png(bytes: &[u8], what: Use) -> Result<Picture> {
    let bad = |e: png::DecodingError| damaged("PNG", &e);
    let limits = png::Limits {
        bytes: MOST_BYTES as usize,
    };
    let mut decoder = png::Decoder::new_with_limits(std::io::Cursor::new(bytes), limits);
    // Decode indices and values as they are stored.
    decoder.set_transformations(png::Transformations::IDENTITY);
    let info = decoder.read_header_info().map_err(bad)?;
    let (width, height) = (info.width, info.height);
    let (colour, depth) = (info.color_type, info.bit_depth);
    check_size(width, height)?;
    match (what, colour) {
        (_, ColorType::Grayscale)
        | (Use::Labels, ColorType::Indexed)
        | (Use::Grey, ColorType::Rgb) => {}
        (Use::Grey, ColorType::Indexed) => {
            return Err(unsupported("the picture has a palette"));
        }
        _ => return Err(unsupported("the picture is in colour or transparent")),
    }
    let bits: usize = match depth {
        BitDepth::One => 1,
        BitDepth::Two => 2,
        BitDepth::Four => 4,
        BitDepth::Eight => 8,
        BitDepth::Sixteen => 16,
    };
    if bits > 8 || (what == Use::Grey && bits != 8) {
        return Err(unsupported(&format!("the picture has {bits} bits a pixel")));
    }
    let mut reader = decoder.read_info().map_err(bad)?;
    let mut packed = vec![0; reader.output_buffer_size().unwrap_or(0)];
    let frame = reader.next_frame(&mut packed).map_err(bad)?;
    let (width, height) = (width as usize, height as usize);
    if colour == ColorType::Rgb {
        return Ok(Picture {
            width,
            height,
            values: grey_of(&packed[..frame.buffer_size()])?,
        });
    }
    let mask = ((1u16 << bits) - 1) as u8;
    let mut values = Vec::with_capacity(width * height);
    for row in packed.chunks_exact(frame.line_size.max(1)).take(height) {
        // The highest bits of a byte hold its first pixel.
        values.extend((0..width).map(|x| {
            let at = x * bits;
            row[at / 8] >> (8 - bits - at % 8) & mask
        }));
    }
    Ok(Picture {
        width,
        height,
        values,
    })
}

fn from_jpeg(bytes: &[u8], what: Use) -> Result<Picture> {
    if what == Use::Labels {
        return Err(
            Error::new(ErrorKind::Unsupported, "a JPEG cannot hold labels")
                .hint("its compression changes values: give a PNG"),
        );
    }
    let bad = |e: jpeg_decoder::Error| damaged("JPEG", &e);
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    decoder.set_max_decoding_buffer_size(MOST_BYTES as usize);
    decoder.read_info().map_err(bad)?;
    let info = decoder
        .info()
        .ok_or_else(|| damaged("JPEG", &"it has no header"))?;
    check_size(info.width.into(), info.height.into())?;
    let values = match info.pixel_format {
        PixelFormat::L8 => decoder.decode().map_err(bad)?,
        PixelFormat::RGB24 => grey_of(&decoder.decode().map_err(bad)?)?,
        _ => {
            return Err(unsupported(
                "the picture does not have 8 bits, or it has four colours",
            ));
        }
    };
    Ok(Picture {
        width: info.width.into(),
        height: info.height.into(),
        values,
    })
}

/// The grey values of a picture that is stored in colour but shows only grey, as many exports do.
fn grey_of(rgb: &[u8]) -> Result<Vec<u8>> {
    let pixels = rgb.chunks_exact(3);
    let coloured = |p: &[u8]| {
        let range = p[0].max(p[1]).max(p[2]) - p[0].min(p[1]).min(p[2]);
        range > MOST_COLOUR
    };
    if pixels.clone().any(coloured) {
        return Err(unsupported("the picture is in colour"));
    }
    Ok(pixels.map(|p| p[1]).collect())
}

fn check_size(width: u32, height: u32) -> Result<()> {
    if width.max(height) > MOST_PIXELS {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("the picture has {width} x {height} pixels"),
        )
        .hint(format!("at most {MOST_PIXELS} along a side are taken")));
    }
    Ok(())
}

fn unsupported(reason: &str) -> Error {
    Error::new(ErrorKind::Unsupported, reason)
        .hint("give a slice in 8-bit grey, as PNG or JPEG; labels as PNG in grey or with a palette")
}

fn damaged(format: &str, reason: &dyn std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::Malformed,
        format!("the {format} is damaged: {reason}"),
    )
    .hint("copy or download it again")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn png(
        folder: &Path,
        name: &str,
        size: [u32; 2],
        kind: (ColorType, BitDepth),
        data: &[u8],
    ) -> PathBuf {
        let path = folder.join(name);
        let file = std::fs::File::create(&path).unwrap();
        let mut encoder = png::Encoder::new(file, size[0], size[1]);
        encoder.set_color(kind.0);
        encoder.set_depth(kind.1);
        if kind.0 == ColorType::Indexed {
            encoder.set_palette(vec![0, 0, 0, 255, 0, 0, 0, 255, 0, 9, 9, 9]);
        }
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(data).unwrap();
        writer.finish().unwrap();
        path
    }

    const SPACING: [f64; 3] = [2.5, 0.7, 0.8];

    #[test]
    fn rows_run_to_the_back_and_columns_to_the_left() {
        let folder = tempfile::tempdir().unwrap();
        let grey = (ColorType::Grayscale, BitDepth::Eight);
        let path = png(
            folder.path(),
            "a.PNG",
            [3, 2],
            grey,
            &[0, 10, 20, 30, 40, 255],
        );
        assert!(is_picture(&path));
        let picture = read_picture(&path, SPACING).unwrap();
        assert_eq!(picture.shape(), [1, 2, 3]);
        assert_eq!(picture.data(), [0.0, 10.0, 20.0, 30.0, 40.0, 255.0]);
        assert_eq!(picture.geometry().spacing_mm(), SPACING);
        // LPS: x grows to the patient's left, y to the back.
        assert_eq!(
            picture.geometry().index_to_world([0.0, 1.0, 2.0]),
            [1.6, 0.7, 0.0]
        );
        let labels = read_picture_labels(&path, SPACING).unwrap();
        assert_eq!(labels.data(), [0, 10, 20, 30, 40, 255]);
        labels.check_same_grid(&picture).unwrap();
    }

    #[test]
    fn grey_that_is_stored_as_colour_is_grey() {
        let folder = tempfile::tempdir().unwrap();
        let rgb = (ColorType::Rgb, BitDepth::Eight);
        let path = png(folder.path(), "a.png", [2, 1], rgb, &[7, 7, 7, 90, 91, 90]);
        assert_eq!(read_picture(&path, SPACING).unwrap().data(), [7.0, 91.0]);
        let error = read_picture_labels(&path, SPACING).unwrap_err();
        assert!(error.to_string().contains("colour"), "{error}");
    }

    #[test]
    fn palettes_give_their_indices_at_every_depth() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = [0u8, 1, 2, 3, 0, 2, 1, 0, 1, 3];
        for (depth, bits) in [
            (BitDepth::Two, 2usize),
            (BitDepth::Four, 4),
            (BitDepth::Eight, 8),
        ] {
            // Two rows of five pixels. Each row begins at a new byte.
            let mut data = vec![];
            for row in wanted.chunks(5) {
                let mut line = vec![0u8; (5 * bits).div_ceil(8)];
                for (x, v) in row.iter().enumerate() {
                    line[x * bits / 8] |= v << (8 - bits - x * bits % 8);
                }
                data.extend(line);
            }
            let kind = (ColorType::Indexed, depth);
            let path = png(folder.path(), &format!("{bits}.png"), [5, 2], kind, &data);
            let labels = read_picture_labels(&path, SPACING).unwrap();
            assert_eq!(labels.data(), wanted, "{bits} bits");
            let error = read_picture(&path, SPACING).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
        }
    }

    #[test]
    fn files_that_are_not_grey_slices_are_refused_with_their_name() {
        let folder = tempfile::tempdir().unwrap();
        let rgb = (ColorType::Rgb, BitDepth::Eight);
        let colour = png(folder.path(), "colour.png", [1, 1], rgb, &[10, 200, 30]);
        let deep = (ColorType::Grayscale, BitDepth::Sixteen);
        let deep = png(folder.path(), "deep.png", [1, 1], deep, &[1, 2]);
        let grey = (ColorType::Grayscale, BitDepth::Eight);
        let wide = png(folder.path(), "wide.png", [5000, 1], grey, &[0; 5000]);
        let good = png(folder.path(), "good.png", [30, 30], grey, &[7; 900]);
        let cut = folder.path().join("cut.png");
        let whole = std::fs::read(&good).unwrap();
        std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
        let text = folder.path().join("text.jpg");
        std::fs::write(&text, "no picture").unwrap();
        let jpeg = folder.path().join("cut.jpg");
        std::fs::write(&jpeg, [0xff, 0xd8, 0xff, 0xc0, 0, 11]).unwrap();
        for (path, word) in [
            (&colour, "colour"),
            (&deep, "16 bits"),
            (&wide, "5000"),
            (&cut, "damaged"),
            (&text, "neither"),
            (&jpeg, "damaged"),
            (&folder.path().join("none.png"), "open"),
        ] {
            let error = read_picture(path, SPACING).unwrap_err();
            assert!(error.to_string().contains(word), "{word} in {error}");
            assert_eq!(error.path(), Some(path.as_path()));
        }
        let error = read_picture_labels(&jpeg, SPACING).unwrap_err();
        assert!(error.to_string().contains("labels"), "{error}");
        assert!(read_picture(&good, [1.0, 0.0, 1.0]).is_err());
    }
}
