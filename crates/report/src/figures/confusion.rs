//! Confusion matrices.

use crate::axes::{BASE, SMALL, decimal, heading, upright};
use crate::svg::{ONE_COLUMN, document, fit, num, text, text_width};
use crate::{Error, ErrorKind, Result, Theme};
use maud::html;

/// A confusion matrix.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Confusion {
    /// Heading; may be empty.
    pub title: String,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Numbers of cases, one row per true class, one column per predicted class.
    pub counts: Vec<Vec<u64>>,
}

/// Draws counts and their shares of each row; a cell's fill becomes more opaque with its share. The
/// accuracy stands below.
///
/// # Errors
/// `Mismatch` if there are no classes or `counts` is not a square matrix over them.
pub fn confusion_svg(matrix: &Confusion, theme: &Theme) -> Result<String> {
    let k = matrix.classes.len();
    if k == 0 || matrix.counts.len() != k || matrix.counts.iter().any(|row| row.len() != k) {
        return Err(Error::new(
            ErrorKind::Mismatch,
            format!(
                "a confusion matrix of {k} classes needs at least one class and {k} rows of {k} counts"
            ),
        ));
    }
    let (heading, top) = heading(&matrix.title, ONE_COLUMN, theme);
    let widest = |size, bold| {
        let widths = matrix.classes.iter().map(|c| text_width(c, size, bold));
        widths.fold(40.0, f64::max)
    };
    let left = (44.0 + widest(SMALL, false)).min(150.0);
    let right_column = 66.0;
    let cell = ((ONE_COLUMN - left - right_column - 8.0) / k as f64).min(92.0);
    let tall = cell.min(64.0);
    let (grid_top, right) = (top + 44.0, left + cell * k as f64);
    let bottom = grid_top + tall * k as f64;
    let total: u64 = matrix.counts.iter().flatten().sum();
    let correct: u64 = (0..k).map(|i| matrix.counts[i][i]).sum();
    let share = |part: u64, whole: u64| match whole {
        0 => "–".to_owned(),
        _ => format!("{} %", decimal(100.0 * part as f64 / whole as f64, 1)),
    };
    let fill = theme.series[0];
    // Above this opacity of the fill, text in the ground's colour is more legible.
    let turn = if theme.ground == Theme::LIGHT.ground {
        0.6
    } else {
        0.45
    };
    let body = html! {
        (heading)
        (text((left + right) / 2.0, top + 12.0, theme.style(BASE).middle(), "Predicted class"))
        (upright(20.0, (grid_top + bottom) / 2.0, theme, "True class"))
        (text(right + 10.0, grid_top - 9.0, theme.style(SMALL).faint(), "Cases"))
        @for (i, class) in matrix.classes.iter().enumerate() {
            @let (x, y) = (left + cell * (i as f64 + 0.5), grid_top + tall * (i as f64 + 0.5));
            @let sum = matrix.counts[i].iter().sum::<u64>();
            (text(x, grid_top - 9.0, theme.style(SMALL).middle(), &fit(class, SMALL, false, cell - 4.0)))
            (text(left - 9.0, y + 4.5, theme.style(SMALL).end(), &fit(class, SMALL, false, left - 40.0)))
            (text(right + 10.0, y + 4.5, theme.style(SMALL).faint(), &sum.to_string()))
            @for (j, &count) in matrix.counts[i].iter().enumerate() {
                @let part = if sum == 0 { 0.0 } else { count as f64 / sum as f64 };
                @let ink = if part > turn { theme.ground } else { theme.text };
                @let x = left + cell * j as f64;
                rect.cell x=(num(x)) y=(num(y - tall / 2.0)) width=(num(cell)) height=(num(tall))
                    fill=(fill) fill-opacity=(num(part)) stroke=(theme.faint)
                    stroke-width=(if i == j { 2.4 } else { 0.8 }) {}
                (text(x + cell / 2.0, y - 1.0, theme.style(16.0).bold().fill(ink).middle(), &count.to_string()))
                (text(x + cell / 2.0, y + 17.0, theme.style(SMALL).fill(ink).middle(), &share(count, sum)))
            }
        }
        (text(left, bottom + 24.0, theme.style(SMALL),
            &format!("Accuracy {} ({correct} of {total}); shares are of each row", share(correct, total))))
    };
    Ok(document(ONE_COLUMN, bottom + 38.0, theme.ground, &body))
}
