//! SVG building blocks and the way from SVG to PNG.

use crate::{Error, ErrorKind, Result};
use base64::Engine;
use maud::{Markup, PreEscaped, html};
use resvg::{tiny_skia, usvg};
use std::sync::{Arc, OnceLock};

/// Colours of every figure: legible on dark ground, apart also for colour-blind readers
/// (Okabe–Ito), never the only carrier of meaning.
pub(crate) mod colour {
    pub const GROUND: &str = "#101418";
    pub const PANEL: &str = "#1b2128";
    pub const TEXT: &str = "#e8edf2";
    pub const FAINT: &str = "#98a4b0";
    pub const LINE: &str = "#39434d";
    pub const LESION: &str = "#f0a020";
    pub const RIGHT: &str = "#56b4e9";
    pub const LEFT: &str = "#2fbf94";
    pub const BAR: &str = "#56b4e9";
}

/// How a text is set.
#[derive(Clone, Copy)]
pub(crate) struct Style {
    pub size: f64,
    pub bold: bool,
    pub fill: &'static str,
    pub anchor: &'static str,
}

impl Style {
    pub const fn new(size: f64) -> Self {
        Self {
            size,
            bold: false,
            fill: colour::TEXT,
            anchor: "start",
        }
    }
    pub const fn bold(mut self) -> Self {
        self.bold = true;
        self
    }
    pub const fn faint(mut self) -> Self {
        self.fill = colour::FAINT;
        self
    }
    pub const fn anchor(mut self, anchor: &'static str) -> Self {
        self.anchor = anchor;
        self
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

/// As [`text`], with a dark rim that keeps it legible on any picture.
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

/// A whole figure.
pub(crate) fn document(width: f64, height: f64, ground: &str, body: &Markup) -> String {
    let view = format!("0 0 {width} {height}");
    html! {
        svg xmlns="http://www.w3.org/2000/svg" width=(width) height=(height) viewBox=(view)
            font-family="DejaVu Sans" {
            rect width=(width) height=(height) fill=(ground) {}
            (PreEscaped(&body.0))
        }
    }
    .into_string()
}

/// A PNG as a `data:` address.
pub(crate) fn data_uri(png: &[u8]) -> String {
    format!(
        "data:image/png;base64,{}",
        base64::engine::general_purpose::STANDARD.encode(png)
    )
}

/// A coordinate with two decimals.
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
    let fail = |reason: String| Error::new(ErrorKind::Draw, reason);
    let options = usvg::Options {
        fontdb: fonts(),
        font_family: "DejaVu Sans".into(),
        ..usvg::Options::default()
    };
    let tree = usvg::Tree::from_str(svg, &options)
        .map_err(|e| fail(format!("cannot read the figure: {e}")))?;
    let size = tree.size().to_int_size();
    let mut pixmap = tiny_skia::Pixmap::new(size.width(), size.height()).ok_or_else(|| {
        fail(format!(
            "cannot allocate a picture of {} × {}",
            size.width(),
            size.height()
        ))
    })?;
    resvg::render(
        &tree,
        tiny_skia::Transform::identity(),
        &mut pixmap.as_mut(),
    );
    // The ground is opaque, so premultiplied and straight alpha agree and alpha can be dropped.
    let rgb: Vec<u8> = pixmap
        .data()
        .chunks_exact(4)
        .flat_map(|p| [p[0], p[1], p[2]])
        .collect();
    encode_png(
        size.width() as usize,
        size.height() as usize,
        png::ColorType::Rgb,
        &rgb,
    )
}

fn fonts() -> Arc<usvg::fontdb::Database> {
    static FONTS: OnceLock<Arc<usvg::fontdb::Database>> = OnceLock::new();
    FONTS
        .get_or_init(|| {
            let mut db = usvg::fontdb::Database::new();
            db.load_font_data(dejavu::sans::regular().to_vec());
            db.load_font_data(dejavu::sans::bold().to_vec());
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
        let body = text(5.0, 20.0, Style::new(16.0), "<a & b>");
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
    fn numbers_are_short() {
        assert_eq!([num(1.0), num(0.5), num(-2.256)], ["1", "0.5", "-2.26"]);
    }
}
