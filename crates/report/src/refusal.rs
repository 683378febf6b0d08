//! The picture that stands for the result of a scan that could not be analysed.

use crate::font::{break_some, fit_end, legible};
use crate::svg::{colour, document, line, text, to_png};
use crate::{Result, Theme};
use maud::html;
use multirnet_finding::NOTICE;

const WIDTH: f64 = 1024.0;
const HEIGHT: f64 = 768.0;
const LEFT: f64 = 48.0;
const THEME: Theme = Theme::DARK;
/// Most lines of the reason and of the remedy.
const LINES: [usize; 2] = [9, 5];

/// A picture (PNG, 8-bit RGB, 1024 × 768) that says that the scan `name` could not be analysed, why,
/// and what to do about it. A viewer shows it in place of a result, so that a reader does not wait.
///
/// Texts that are too long are cut with an ellipsis.
///
/// # Errors
/// `Draw` if the picture cannot be encoded.
pub fn refusal_picture(name: &str, reason: &str, remedy: Option<&str>) -> Result<Vec<u8>> {
    let room = WIDTH - 2.0 * LEFT;
    let name = fit_end(&legible(name), 18.0, false, room);
    let broken = |content: &str, most| break_some(&legible(content), 22.0, false, room, most);
    let reason = broken(reason, LINES[0]);
    let remedy = remedy.map_or(vec![], |remedy| broken(remedy, LINES[1]));
    let mut y = 208.0;
    let mut next = |step: f64| {
        y += step;
        y
    };
    let style = THEME.style(22.0);
    let label = THEME.style(16.0).faint();
    let body = html! {
        (text(LEFT, 84.0, THEME.style(44.0).bold(), "Could not be analysed"))
        (text(LEFT, 122.0, THEME.style(18.0).faint(), &name))
        (line([LEFT, 148.0], [WIDTH - LEFT, 148.0], colour::LESION, 3.0))
        (text(LEFT, 188.0, label, "Reason"))
        @for part in &reason { (text(LEFT, next(30.0) - 18.0, style, part)) }
        @if !remedy.is_empty() {
            (text(LEFT, next(30.0), label, "What to do"))
            @for part in &remedy { (text(LEFT, next(30.0), style, part)) }
        }
        (text(LEFT, HEIGHT - 64.0, THEME.style(18.0).bold(), "This scan has no result. The picture says nothing about the patient."))
        (text(LEFT, HEIGHT - 34.0, THEME.style(16.0).faint(), NOTICE))
    };
    to_png(&document(WIDTH, HEIGHT, THEME.ground, &body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(png: &[u8]) -> (u32, u32, png::ColorType, Vec<u8>) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(png))
            .read_info()
            .unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        (info.width, info.height, info.color_type, pixels)
    }

    #[test]
    fn a_refusal_is_drawn_in_rgb_with_its_reason_and_remedy() {
        let draw = |reason, remedy| refusal_picture("series 2", reason, remedy).unwrap();
        let plain = draw("the scan has 3 slices", None);
        let (width, height, kind, _) = pixels(&plain);
        assert_eq!((width, height, kind), (1024, 768, png::ColorType::Rgb));
        assert_ne!(plain, draw("the scan has 4 slices", None));
        let more = draw("the scan has 3 slices", Some("send the whole series"));
        assert_ne!(plain, more);
        assert_eq!(plain, draw("the scan has 3 slices", None));
    }

    #[test]
    fn no_text_leaves_the_picture_or_breaks_it() {
        let long = "x".repeat(100_000);
        let prose = "many words <&> \u{0}\u{1b} and more ".repeat(500);
        for text in ["", long.as_str(), prose.as_str(), "\u{fffe}肺"] {
            let picture = refusal_picture(text, text, Some(text)).unwrap();
            let (width, _, _, pixels) = pixels(&picture);
            let ground = &crate::theme::rgb(THEME.ground);
            let row = width as usize * 3;
            // The border of 16 pixels is empty, and so is the strip above the last two lines.
            let is_empty = |x: usize, y: usize| pixels[y * row + 3 * x..][..3] == ground[..];
            for y in 0..HEIGHT as usize {
                for x in (0..16).chain(1008..1024) {
                    assert!(is_empty(x, y), "{x} {y}");
                }
            }
            assert!((0..1024).all(|x| (670..684).all(|y| is_empty(x, y))));
        }
    }
}
