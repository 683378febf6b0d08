//! The embedded font: widths of texts, how they are cut and broken, and their glyphs.

use multirnet_base::text::is_active;
use skrifa::instance::{LocationRef, Size};
use skrifa::{FontRef, MetadataProvider};

/// The file of one weight of the embedded font.
pub(crate) fn data(bold: bool) -> &'static [u8] {
    if bold {
        dejavu::sans::bold()
    } else {
        dejavu::sans::regular()
    }
}

/// Looks up a character's glyph and its advance width in em; `None` if the font lacks it.
fn glyph_of(bold: bool) -> impl Fn(char) -> Option<(u32, f64)> {
    let parts = FontRef::new(data(bold)).ok().map(|font| {
        // The metrics are unscaled, because scaled ones are rounded to 1/64.
        let metrics = font.glyph_metrics(Size::unscaled(), LocationRef::default());
        let em = font
            .metrics(Size::unscaled(), LocationRef::default())
            .units_per_em;
        (font.charmap(), metrics, f64::from(em.max(1)))
    });
    move |c| {
        let (map, metrics, em) = parts.as_ref()?;
        let glyph = map.map(c)?;
        let units = metrics.advance_width(glyph)?;
        Some((glyph.to_u32(), f64::from(units) / em))
    }
}

/// The advance width of a character. An unknown one counts as one em, which is about the width of
/// the widest.
fn advance_of(size: f64, bold: bool) -> impl Fn(char) -> f64 {
    let glyph = glyph_of(bold);
    move |c| glyph(c).map_or(size, |(_, em)| size * em)
}

/// The glyph of each character and its advance width in em. The font's empty box (glyph 0) stands
/// for characters that it lacks.
pub(crate) fn glyphs(content: &str, bold: bool) -> Vec<(u32, f64)> {
    let glyph = glyph_of(bold);
    let of = |c| glyph(c).unwrap_or((0, 1.0));
    content.chars().map(of).collect()
}

/// A text that both weights of the font can show and that XML and PDF allow. A space replaces
/// control characters, and U+FFFD replaces everything else that cannot be shown.
pub(crate) fn legible(content: &str) -> String {
    let (regular, bold) = (glyph_of(false), glyph_of(true));
    let of = |c: char| match c {
        c if c.is_control() => ' ',
        c if is_active(c) => char::REPLACEMENT_CHARACTER,
        // Characters for private use mean nothing outside their font; the others are not text.
        '\u{e000}'..='\u{f8ff}' | '\u{f0000}'.. | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
            char::REPLACEMENT_CHARACTER
        }
        c if regular(c).is_some() && bold(c).is_some() => c,
        _ => char::REPLACEMENT_CHARACTER,
    };
    content.chars().map(of).collect()
}

/// Width of a text as the embedded font sets it (without kerning).
pub(crate) fn text_width(content: &str, size: f64, bold: bool) -> f64 {
    content.chars().map(advance_of(size, bold)).sum()
}

/// The start of a text that fits into `width`, with an ellipsis where it was cut.
pub(crate) fn fit(content: &str, size: f64, bold: bool, width: f64) -> String {
    let advance = advance_of(size, bold);
    let beside_ellipsis = width - advance('…');
    let (mut used, mut kept) = (0.0, 0);
    for (at, c) in content.char_indices() {
        used += advance(c);
        if used > width {
            return match beside_ellipsis >= 0.0 {
                true => format!("{}…", content[..kept].trim_end()),
                false => String::new(),
            };
        }
        if used <= beside_ellipsis {
            kept = at + c.len_utf8();
        }
    }
    content.to_owned()
}

/// The end of a text that fits into `width`, with an ellipsis where it was cut. Paths differ at
/// their end.
pub(crate) fn fit_end(content: &str, size: f64, bold: bool, width: f64) -> String {
    let reversed: String = content.chars().rev().collect();
    fit(&reversed, size, bold, width).chars().rev().collect()
}

/// Breaks a text at spaces (not at non-breaking ones) into lines that fit into `width`.
pub(crate) fn break_lines(content: &str, size: f64, bold: bool, width: f64) -> Vec<String> {
    let mut lines: Vec<String> = vec![];
    for word in content.split([' ', '\n', '\t']).filter(|w| !w.is_empty()) {
        let longer = lines.last().map(|line| format!("{line} {word}"));
        match (longer, lines.last_mut()) {
            (Some(longer), Some(line)) if text_width(&longer, size, bold) <= width => {
                *line = longer;
            }
            _ => lines.push(fit(word, size, bold, width)),
        }
    }
    lines
}

/// At most `most` lines of a broken text. The last one ends with an ellipsis if text was left out.
pub(crate) fn break_some(
    content: &str,
    size: f64,
    bold: bool,
    width: f64,
    most: usize,
) -> Vec<String> {
    let mut lines = break_lines(content, size, bold, width);
    if lines.len() > most {
        lines.truncate(most);
        if let Some(last) = lines.last_mut() {
            let room = width - text_width("…", size, bold);
            *last = fit(last, size, bold, room).trim_end_matches('…').to_owned() + "…";
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_measured_cut_and_broken() {
        // Advance widths of DejaVu Sans: 1401 of 2048 units for "A", 569 for "i".
        assert!((text_width("A", 20.48, false) - 14.01).abs() < 1e-3);
        assert!((text_width("iA", 20.48, false) - 19.70).abs() < 1e-3);
        assert_eq!(fit("MultiR-Net", 10.0, false, 500.0), "MultiR-Net");
        let cut = fit("MultiR-Net without classification", 10.0, false, 80.0);
        assert!(cut.ends_with('…') && text_width(&cut, 10.0, false) <= 80.0);
        assert_eq!(fit("wide", 10.0, false, 0.0), "");
        assert_eq!(
            break_lines("one two three", 10.0, false, 48.0),
            ["one two", "three"]
        );
    }

    #[test]
    fn a_text_is_cut_at_its_start_or_after_its_last_line() {
        let tail = fit_end("/data/studies/2026/scan.nii.gz", 10.0, false, 90.0);
        assert!(
            tail.starts_with('…') && tail.ends_with("scan.nii.gz"),
            "{tail}"
        );
        assert!(text_width(&tail, 10.0, false) <= 90.0);
        let lines = break_some("one two three four", 10.0, false, 48.0, 2);
        assert_eq!(lines, ["one two", "three…"]);
        assert_eq!(break_some("one two", 10.0, false, 48.0, 1), ["one two"]);
        assert!(break_some("one two", 10.0, false, 48.0, 0).is_empty());
    }

    #[test]
    fn what_the_font_lacks_is_replaced() {
        assert_eq!(legible("Müller\t1,5 – 2 ≥ 3"), "Müller 1,5 – 2 ≥ 3");
        assert_eq!(
            legible("肺\u{0}\u{feff}\u{e000}"),
            "\u{fffd} \u{fffd}\u{fffd}"
        );
        assert!(
            glyphs(&legible("肺A"), true)
                .iter()
                .all(|(glyph, _)| *glyph != 0)
        );
    }
}
