//! SVG building blocks and the way from SVG to PNG.

use crate::{Error, ErrorKind, Result};
use base64::Engine;
use maud::{Markup, PreEscaped, html};
use multirnet_base::text::for_markup;
use resvg::{tiny_skia, usvg};
use std::sync::{Arc, OnceLock};

pub(crate) use crate::font::{break_lines, fit, text_width};

/// Colours of anatomy on dark pictures. Colour-blind readers can distinguish them (Okabe–Ito), and
/// they are never the only carrier of meaning.
pub(crate) mod colour {
    pub const LESION: &str = "#f0a020";
    pub const GROUND_GLASS: &str = "#f0e442";
    pub const CONSOLIDATION: &str = "#e8601c";
    pub const RIGHT: &str = "#56b4e9";
    pub const LEFT: &str = "#2fbf94";
    pub const BAR: &str = "#56b4e9";
}

/// The embedded font, followed by fonts of the same widths for browsers without it.
const FONTS: &str = "DejaVu Sans, Bitstream Vera Sans, Verdana, sans-serif";

/// The size, weight, colours and anchor of a text. [`crate::Theme`] makes it.
#[derive(Clone, Copy)]
pub(crate) struct Style {
    pub size: f64,
    pub bold: bool,
    pub fill: &'static str,
    pub faint: &'static str,
    pub anchor: &'static str,
}

impl Style {
    pub const fn bold(mut self) -> Self {
        self.bold = true;
        self
    }
    pub const fn faint(mut self) -> Self {
        self.fill = self.faint;
        self
    }
    pub const fn fill(mut self, fill: &'static str) -> Self {
        self.fill = fill;
        self
    }
    pub const fn anchor(mut self, anchor: &'static str) -> Self {
        self.anchor = anchor;
        self
    }
    pub const fn middle(self) -> Self {
        self.anchor("middle")
    }
    pub const fn end(self) -> Self {
        self.anchor("end")
    }
}

/// One line of text with its baseline at `y`.
pub(crate) fn text(x: f64, y: f64, style: Style, content: &str) -> Markup {
    let weight = if style.bold { "bold" } else { "normal" };
    html! {
        text x=(num(x)) y=(num(y)) font-size=(style.size) font-weight=(weight)
            fill=(style.fill) text-anchor=(style.anchor) { (content) }
    }
}

/// [`text`] with a dark rim that keeps it legible on any picture.
pub(crate) fn text_on_picture(x: f64, y: f64, style: Style, content: &str) -> Markup {
    html! {
        g stroke="#000000" stroke-width="3" stroke-linejoin="round" paint-order="stroke" {
            (text(x, y, style, content))
        }
    }
}

/// A filled rectangle with rounded corners.
pub(crate) fn rect(x: f64, y: f64, w: f64, h: f64, fill: &str) -> Markup {
    html! { rect x=(num(x)) y=(num(y)) width=(num(w.max(0.0))) height=(num(h.max(0.0))) rx="3" fill=(fill) {} }
}

/// A straight line.
pub(crate) fn line(from: [f64; 2], to: [f64; 2], stroke: &str, width: f64) -> Markup {
    html! {
        line x1=(num(from[0])) y1=(num(from[1])) x2=(num(to[0])) y2=(num(to[1]))
            stroke=(stroke) stroke-width=(width) {}
    }
}

/// An unfilled path.
pub(crate) fn path(d: &str, stroke: &str, width: f64) -> Markup {
    html! { path d=(d) fill="none" stroke=(stroke) stroke-width=(width) stroke-linejoin="round" {} }
}

/// An RGB picture as an embedded PNG.
pub(crate) fn picture(x: f64, y: f64, width: usize, height: usize, rgb: &[u8]) -> Result<Markup> {
    let data = data_uri(&encode_png(width, height, png::ColorType::Rgb, rgb)?);
    Ok(html! { image x=(num(x)) y=(num(y)) width=(width) height=(height) href=(data) {} })
}

/// An RGB picture of `pixels` (width, height) stretched over `size`.
pub(crate) fn picture_over(
    at: [f64; 2],
    size: [f64; 2],
    pixels: [usize; 2],
    rgb: &[u8],
) -> Result<Markup> {
    let data = data_uri(&encode_png(pixels[0], pixels[1], png::ColorType::Rgb, rgb)?);
    Ok(html! {
        image x=(num(at[0])) y=(num(at[1])) width=(num(size[0])) height=(num(size[1]))
            preserveAspectRatio="none" href=(data) {}
    })
}

/// A whole figure.
pub(crate) fn document(width: f64, height: f64, ground: &str, body: &Markup) -> String {
    // With whole units, a picture ends at the edge of a pixel.
    let (width, height) = (width.ceil(), height.ceil());
    let view = format!("0 0 {width} {height}");
    let figure = html! {
        svg xmlns="http://www.w3.org/2000/svg" width=(width) height=(height) viewBox=(view)
            font-family=(FONTS) {
            rect width=(width) height=(height) fill=(ground) {}
            (PreEscaped(&body.0))
        }
    }
    .into_string();
    // XML does not allow most control characters, not even escaped.
    for_markup(&figure).into_owned()
}

/// A PNG as a `data:` address.
pub(crate) fn data_uri(png: &[u8]) -> String {
    format!(
        "data:image/png;base64,{}",
        base64::engine::general_purpose::STANDARD.encode(png)
    )
}

/// A coordinate with at most two decimals.
pub(crate) fn num(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Encodes 8-bit pixels.
pub(crate) fn encode_png(
    width: usize,
    height: usize,
    colour: png::ColorType,
    pixels: &[u8],
) -> Result<Vec<u8>> {
    let fail =
        |e: png::EncodingError| Error::new(ErrorKind::Draw, format!("cannot encode a PNG: {e}"));
    let size = |v: usize| {
        u32::try_from(v).map_err(|_| Error::new(ErrorKind::Draw, "a picture is too large"))
    };
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, size(width)?, size(height)?);
    encoder.set_color(colour);
    encoder.set_depth(png::BitDepth::Eight);
    encoder
        .write_header()
        .map_err(fail)?
        .write_image_data(pixels)
        .map_err(fail)?;
    Ok(bytes)
}

/// Renders a figure to PNG at its own size.
pub(crate) fn to_png(svg: &str) -> Result<Vec<u8>> {
    figure_png(svg, 1.0)
}

/// Renders a figure of this crate to PNG, `scale` pixels for each of its units.
///
/// At one column (88 mm) a figure of [`ONE_COLUMN`] units has 400 dpi with a scale of 3.
///
/// # Errors
/// `Draw` if `svg` is not SVG or the picture would have 0 or more than 20 000 pixels on a side.
pub fn figure_png(svg: &str, scale: f64) -> Result<Vec<u8>> {
    let fail = |reason: String| Error::new(ErrorKind::Draw, reason);
    let options = usvg::Options {
        fontdb: fonts(),
        font_family: "DejaVu Sans".into(),
        ..usvg::Options::default()
    };
    let tree = usvg::Tree::from_str(svg, &options)
        .map_err(|e| fail(format!("cannot read the figure: {e}")))?;
    let side = |units: f32| {
        let pixels = (f64::from(units) * scale).round();
        if (1.0..=20_000.0).contains(&pixels) {
            Ok(pixels as u32)
        } else {
            Err(fail(format!(
                "a figure of {units} units cannot be drawn at scale {scale}; choose another scale"
            )))
        }
    };
    let (width, height) = (side(tree.size().width())?, side(tree.size().height())?);
    let mut pixmap = tiny_skia::Pixmap::new(width, height)
        .ok_or_else(|| fail(format!("cannot allocate a picture of {width} × {height}")))?;
    resvg::render(
        &tree,
        tiny_skia::Transform::from_scale(scale as f32, scale as f32),
        &mut pixmap.as_mut(),
    );
    // The ground is opaque, so premultiplied and straight alpha agree and alpha can be dropped.
    let rgb: Vec<u8> = pixmap
        .data()
        .chunks_exact(4)
        .flat_map(|p| [p[0], p[1], p[2]])
        .collect();
    encode_png(width as usize, height as usize, png::ColorType::Rgb, &rgb)
}

/// Width of a figure for one column of a journal (88 mm): its texts of 13 units print at 7 points.
pub const ONE_COLUMN: f64 = 460.0;
/// Width of a figure across both columns of a journal (180 mm).
pub const TWO_COLUMNS: f64 = 944.0;

fn fonts() -> Arc<usvg::fontdb::Database> {
    static FONTS: OnceLock<Arc<usvg::fontdb::Database>> = OnceLock::new();
    FONTS
        .get_or_init(|| {
            let mut db = usvg::fontdb::Database::new();
            db.load_font_data(crate::font::data(false).to_vec());
            db.load_font_data(crate::font::data(true).to_vec());
            Arc::new(db)
        })
        .clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_drawn_and_escaped() {
        let blank = to_png(&document(80.0, 30.0, "#000", &html! {})).unwrap();
        let body = text(5.0, 20.0, crate::Theme::DARK.style(16.0), "<a & b>");
        let svg = document(80.0, 30.0, "#000", &body);
        assert!(svg.contains("&lt;a &amp; b&gt;"));
        assert_ne!(to_png(&svg).unwrap(), blank);
    }

    #[test]
    fn an_embedded_picture_keeps_its_pixels() {
        let rgb: Vec<u8> = (0..4 * 3 * 3).map(|v| (v * 7) as u8).collect();
        let body = picture(0.0, 0.0, 4, 3, &rgb).unwrap();
        let out = to_png(&document(4.0, 3.0, "#000", &body)).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(out))
            .read_info()
            .unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        assert_eq!(pixels, rgb);
    }

    #[test]
    fn a_scale_multiplies_pixels_and_has_bounds() {
        let svg = document(80.0, 30.0, "#000", &html! {});
        let png = figure_png(&svg, 2.5).unwrap();
        let info = png::Decoder::new(std::io::Cursor::new(png))
            .read_info()
            .unwrap();
        assert_eq!((info.info().width, info.info().height), (200, 75));
        for scale in [0.0, -1.0, f64::NAN, 1e9] {
            assert_eq!(figure_png(&svg, scale).unwrap_err().kind(), ErrorKind::Draw);
        }
        assert!(figure_png("no figure", 1.0).is_err());
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([num(1.0), num(0.5), num(-2.256)], ["1", "0.5", "-2.26"]);
    }
}
