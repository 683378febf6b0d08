//! Outlines of all systems on the same slice.

use super::Slice;
use crate::axes::{SMALL, decimal, heading};
use crate::pixels::lung_window;
use crate::svg::{
    TWO_COLUMNS, break_lines, document, fit, line, picture_over, text, text_on_picture,
};
use crate::{Result, Theme};
use maud::{Markup, html};

/// The mask of one system.
#[derive(Debug, Clone, PartialEq)]
pub struct OverlayMask {
    /// Name of the system.
    pub name: String,
    /// Its mask on the case's slice.
    pub mask: Slice<u8>,
    /// Dice in percent, as the caller computed it; `None` or NaN if undefined. The figure's note
    /// should say whether it is that of the whole scan or of the slice.
    pub dice_percent: Option<f64>,
}

/// One case: a slice of its scan with the reference and the systems' masks.
#[derive(Debug, Clone, PartialEq)]
pub struct OverlayCase {
    /// Name of the case, with its class and slice if wanted.
    pub name: String,
    /// The scan in HU.
    pub scan: Slice<f32>,
    /// The reference mask.
    pub truth: Slice<u8>,
    /// The systems, in the same order for each case.
    pub systems: Vec<OverlayMask>,
}

/// Overlays of several cases.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OverlayFigure {
    /// Heading; may be empty.
    pub title: String,
    /// The cases, one row each.
    pub cases: Vec<OverlayCase>,
    /// Most pictures side by side; 0 for seven. A case with more continues in further rows.
    pub most_columns: usize,
    /// Note below the figure, such as which Dice is meant; may be empty.
    pub note: String,
}

/// Colours of the outlines, on dark pictures in every theme. The reference is solid, a system is
/// dashed.
pub(super) const TRUTH: &str = "#56b4e9";
pub(super) const SYSTEM: &str = "#ffb000";
const GAP: f64 = 6.0;

/// Draws each case as a row: the scan in the lung window (centre −600, width 1500 HU) with the
/// reference, then for each system the reference (blue, solid) and its own outline (orange,
/// dashed), with Dice. The figure is two columns wide. Pixels keep their shape in mm, and a bar
/// shows 50 mm.
///
/// # Errors
/// `Mismatch` if a mask does not lie on its scan's pixels; `Draw` if a picture cannot be made.
pub fn overlay_svg(figure: &OverlayFigure, theme: &Theme) -> Result<String> {
    let most = match figure.most_columns {
        0 => 7,
        n => n,
    };
    let panels = |case: &OverlayCase| case.systems.len() + 1;
    let widest = figure.cases.iter().map(panels).max().unwrap_or(1);
    // Makes the rows about equally long.
    let columns = widest.div_ceil(widest.div_ceil(most));
    let side = ((TWO_COLUMNS - 32.0 - GAP * (columns - 1) as f64) / columns as f64).min(300.0);
    let (heading, mut y) = heading(&figure.title, TWO_COLUMNS, theme);
    let mut rows = vec![];
    let names = |case: &OverlayCase| case.systems.iter().map(|s| s.name.clone()).collect();
    let first: Vec<String> = figure.cases.first().map(names).unwrap_or_default();
    for (i, case) in figure.cases.iter().enumerate() {
        // Names appear only in the first row if each column shows the same system in every row.
        let named = i == 0 || columns < widest || first != names(case);
        let (markup, tall) = case_row(case, y, columns, side, named, theme)?;
        rows.push(markup);
        y += tall + 4.0;
    }
    y += 14.0;
    let note = break_lines(&figure.note, SMALL, false, TWO_COLUMNS - 32.0);
    let body = html! {
        (heading)
        @for row in &rows { (row) }
        (key(16.0, y, "reference", theme, true))
        (key(136.0, y, "system", theme, false))
        (text(236.0, y, theme.style(SMALL).faint(), "Lung window: centre −600, width 1500 HU"))
        @for (i, part) in note.iter().enumerate() {
            (text(16.0, y + 20.0 + 17.0 * i as f64, theme.style(SMALL).faint(), part))
        }
    };
    let height = y + 14.0 + 17.0 * note.len() as f64;
    Ok(document(TWO_COLUMNS, height, theme.ground, &body))
}

/// A sample of an outline on a dark ground, as in the pictures.
pub(super) fn key(x: f64, y: f64, label: &str, theme: &Theme, truth: bool) -> Markup {
    html! {
        rect x=(x) y=(y - 13.0) width="38" height="17" rx="2" fill="#30363c" {}
        g stroke-dasharray=[(!truth).then_some(DASH)] {
            (line([x + 4.0, y - 4.5], [x + 34.0, y - 4.5], if truth { TRUTH } else { SYSTEM }, 2.0))
        }
        (text(x + 45.0, y, theme.style(SMALL), label))
    }
}

pub(super) const DASH: &str = "4.5 2.5";

/// An outline with a dark rim.
pub(super) fn rimmed(d: &str, colour: &str, dashed: bool) -> Markup {
    html! {
        path d=(d) fill="none" stroke="#000000" stroke-opacity="0.55" stroke-width="3" stroke-linejoin="round" {}
        path.outline d=(d) fill="none" stroke=(colour) stroke-width="1.5" stroke-linejoin="round"
            stroke-dasharray=[dashed.then_some(DASH)] {}
    }
}

/// Place and size of a slice in a square: as large as fits, centred, its pixels in their true shape.
pub(super) fn place<T: Copy>(slice: &Slice<T>, at: [f64; 2], side: [f64; 2]) -> [[f64; 2]; 2] {
    let [tall, wide] = slice.size_mm();
    let scale = (side[0] / wide).min(side[1] / tall);
    let size = [wide * scale, tall * scale];
    [
        std::array::from_fn(|k| at[k] + (side[k] - size[k]) / 2.0),
        size,
    ]
}

fn case_row(
    case: &OverlayCase,
    top: f64,
    columns: usize,
    side: f64,
    named: bool,
    theme: &Theme,
) -> Result<(Markup, f64)> {
    case.scan
        .check_same(&case.truth, &format!("the reference of {}", case.name))?;
    let [tall_mm, wide_mm] = case.scan.size_mm();
    let tall = side * (tall_mm / wide_mm).clamp(0.2, 1.5);
    let rgb: Vec<u8> = case
        .scan
        .data()
        .iter()
        .flat_map(|&v| [lung_window(v); 3])
        .collect();
    let [rows, cols] = case.scan.shape();
    let mut names: Vec<Vec<String>> = vec![vec!["Reference".into()]];
    for system in &case.systems {
        names.push(break_lines(&system.name, SMALL, true, side));
    }
    let most_lines = names.iter().map(Vec::len).max().unwrap_or(1).min(2);
    let lines = if named { most_lines as f64 } else { 0.0 };
    let line_height = 16.0;
    let step = lines * line_height + tall + 26.0;
    let mut markup = vec![html! {
        (text(16.0, top + 14.0, theme.style(SMALL).faint(), &fit(&case.name, SMALL, false, TWO_COLUMNS - 32.0)))
    }];
    for (i, name) in names.iter().enumerate() {
        let x = 16.0 + (side + GAP) * (i % columns) as f64;
        let y = top + 22.0 + step * (i / columns) as f64;
        let [at, size] = place(&case.scan, [x, y + lines * line_height], [side, tall]);
        let truth = case.truth.outline(at, size)?;
        let system = i.checked_sub(1).map(|k| &case.systems[k]);
        let outline = match system {
            Some(s) => {
                case.scan
                    .check_same(&s.mask, &format!("{} on {}", s.name, case.name))?;
                Some(s.mask.outline(at, size)?)
            }
            None => None,
        };
        let bar = 50.0 * size[0] / wide_mm;
        markup.push(html! {
            g.panel {
                @for (k, part) in name.iter().take(if named { 2 } else { 0 }).enumerate() {
                    (text(x, y + 12.0 + line_height * k as f64 + (lines - name.len().min(2) as f64) * line_height,
                        theme.style(SMALL).bold(), part))
                }
                (picture_over(at, size, [cols, rows], &rgb)?)
                (rimmed(&truth, TRUTH, false))
                @if let Some(d) = &outline { (rimmed(d, SYSTEM, true)) }
                @else {
                    (text_on_picture(at[0] + 10.0, at[1] + 15.0, Theme::DARK.style(SMALL).bold().middle(), "R"))
                    (text_on_picture(at[0] + size[0] - 10.0, at[1] + 15.0, Theme::DARK.style(SMALL).bold().middle(), "L"))
                    @if bar < size[0] - 48.0 {
                        @let under = y + lines * line_height + tall + 11.5;
                        (line([at[0], under], [at[0] + bar, under], theme.text, 2.5))
                        (text(at[0] + bar + 6.0, under + 4.5, theme.style(SMALL), "50 mm"))
                    }
                }
                @if let Some(s) = system {
                    (text(x, y + lines * line_height + tall + 16.0, theme.style(SMALL), &dice(s.dice_percent)))
                }
            }
        });
    }
    let tall_all = 22.0 + step * names.len().div_ceil(columns) as f64;
    Ok((html! { @for m in &markup { (m) } }, tall_all))
}

fn dice(percent: Option<f64>) -> String {
    match percent.filter(|p| p.is_finite()) {
        Some(p) => format!("Dice {} %", decimal(p, 1)),
        None => "Dice undefined".to_owned(),
    }
}
