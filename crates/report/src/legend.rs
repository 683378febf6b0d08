//! Legends: a sample of each series' line and marker with its name.

use crate::Theme;
use crate::axes::SMALL;
use crate::svg::{fit, line, text, text_width};
use crate::theme::{dash, marker};
use maud::{Markup, html};

const SAMPLE: f64 = 34.0;
const ROW: f64 = 21.0;

/// Entries in as many columns as fit into `width`; the markup and its height. `at` is the first
/// entry's baseline.
pub(crate) fn legend(names: &[&str], at: [f64; 2], width: f64, theme: &Theme) -> (Markup, f64) {
    entries(names, at, width, true, theme)
}

/// [`legend`] with markers only.
pub(crate) fn marks_legend(
    names: &[&str],
    at: [f64; 2],
    width: f64,
    theme: &Theme,
) -> (Markup, f64) {
    entries(names, at, width, false, theme)
}

fn entries(names: &[&str], at: [f64; 2], width: f64, lines: bool, theme: &Theme) -> (Markup, f64) {
    let sample = if lines { SAMPLE } else { 12.0 };
    let widths: Vec<f64> = names
        .iter()
        .map(|n| sample + 8.0 + text_width(n, SMALL, false) + 18.0)
        .collect();
    // As many columns as fit, each as wide as its widest entry.
    let layout = |columns: usize| {
        let rows = names.len().div_ceil(columns).max(1);
        let cells = widths
            .chunks(rows)
            .map(|c| c.iter().copied().fold(0.0, f64::max));
        (rows, cells.collect::<Vec<f64>>())
    };
    let most = names.len().clamp(1, 4);
    let (rows, cells) = (1..=most)
        .rev()
        .map(layout)
        .find(|(_, cells)| cells.iter().sum::<f64>() <= width + 18.0)
        .unwrap_or((names.len(), vec![width]));
    let markup = html! {
        @for (i, name) in names.iter().enumerate() {
            @let before = cells.iter().take(i / rows).sum::<f64>();
            @let place = [at[0] + before, at[1] + ROW * (i % rows) as f64];
            (entry(i, name, place, [sample, cells[i / rows] - sample - 8.0], theme))
        }
    };
    (markup, ROW * rows.max(1) as f64)
}

/// Entries below each other; the markup and its height.
pub(crate) fn legend_column(
    names: &[&str],
    at: [f64; 2],
    width: f64,
    theme: &Theme,
) -> (Markup, f64) {
    let markup = html! {
        @for (i, name) in names.iter().enumerate() {
            (entry(i, name, [at[0], at[1] + (ROW + 3.0) * i as f64], [SAMPLE, width - SAMPLE - 8.0], theme))
        }
    };
    (markup, (ROW + 3.0) * names.len() as f64)
}

fn entry(
    i: usize,
    name: &str,
    [x, y]: [f64; 2],
    [sample, room]: [f64; 2],
    theme: &Theme,
) -> Markup {
    let colour = theme.colour(i);
    html! {
        g.key {
            @if sample > 20.0 {
                g stroke-dasharray=[dash(i)] {
                    (line([x, y - 4.5], [x + sample, y - 4.5], colour, 2.2))
                }
            }
            (marker(i, [x + sample / 2.0, y - 4.5], 3.8, colour, theme.ground))
            (text(x + sample + 8.0, y, theme.style(SMALL), &fit(name, SMALL, false, room)))
        }
    }
}
