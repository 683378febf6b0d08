//! Several figures joined into one, with letters.

use crate::svg::{document, num, text};
use crate::{Error, ErrorKind, Result, Theme};
use maud::{PreEscaped, html};

/// Joins figures of this crate into rows of `columns` with the letters a, b, c … above them.
/// Columns are as wide as the widest figure, and rows are as high as their highest figure.
///
/// # Errors
/// `Mismatch` if there are no figures or columns, `Draw` if a text is not a figure of this crate.
pub fn panels_svg(columns: usize, figures: &[String], theme: &Theme) -> Result<String> {
    if columns == 0 || figures.is_empty() {
        return Err(Error::new(
            ErrorKind::Mismatch,
            "panels need at least one figure and one column",
        ));
    }
    let sizes = figures
        .iter()
        .map(|f| size(f))
        .collect::<Result<Vec<_>>>()?;
    let columns = columns.min(figures.len());
    let (head, gap) = (24.0, 24.0);
    let width = sizes.iter().map(|s| s[0]).fold(0.0, f64::max);
    let heights: Vec<f64> = sizes
        .chunks(columns)
        .map(|row| head + row.iter().map(|s| s[1]).fold(0.0, f64::max))
        .collect();
    let tops: Vec<f64> = heights
        .iter()
        .scan(0.0, |y, h| {
            let top = *y;
            *y += h;
            Some(top)
        })
        .collect();
    let body = html! {
        @for (i, figure) in figures.iter().enumerate() {
            @let x = (width + gap) * (i % columns) as f64;
            @let y = tops[i / columns];
            (text(x + 4.0, y + 18.0, theme.style(18.0).bold(), &letter(i)))
            g.panel transform=(format!("translate({} {})", num(x), num(y + head))) { (PreEscaped(figure)) }
        }
    };
    let total = width * columns as f64 + gap * (columns - 1) as f64;
    Ok(document(
        total,
        heights.iter().sum::<f64>(),
        theme.ground,
        &body,
    ))
}

/// a to z, then aa, ab …
fn letter(i: usize) -> String {
    let last = char::from(b'a' + (i % 26) as u8);
    match i / 26 {
        0 => last.to_string(),
        more => letter(more - 1) + &last.to_string(),
    }
}

/// Width and height from a figure's opening tag.
fn size(figure: &str) -> Result<[f64; 2]> {
    let tag = figure.split('>').next().unwrap_or("");
    let attribute = |name: &str| {
        let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
        rest.split('"').next()?.parse::<f64>().ok()
    };
    match (attribute("width"), attribute("height")) {
        (Some(w), Some(h)) if tag.starts_with("<svg") => Ok([w, h]),
        _ => Err(Error::new(
            ErrorKind::Draw,
            "a panel is not a figure of this program: its size is missing",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_go_on_after_z() {
        assert_eq!(
            [letter(0), letter(25), letter(26), letter(53)],
            ["a", "z", "aa", "bb"]
        );
    }
}
