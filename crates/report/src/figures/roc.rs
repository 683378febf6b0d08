//! Receiver operating characteristics, one class against the rest.

use crate::Theme;
use crate::axes::{Axis, SMALL, decimal, drawable, heading};
use crate::legend::legend;
use crate::svg::{ONE_COLUMN, document, line, num, path, text};
use crate::theme::{dash, marker};
use maud::html;
use std::fmt::Write as _;

/// The curve of one class against the rest, or of one system.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RocCurve {
    /// Name for the legend.
    pub name: String,
    /// `[1 − specificity, sensitivity]` in `[0, 1]` for falling thresholds. Points that are not
    /// finite are left out.
    pub points: Vec<[f64; 2]>,
    /// Area under the curve; NaN if it is undefined.
    pub auc: f64,
    /// Its confidence interval.
    pub interval: Option<[f64; 2]>,
    /// Number of cases of the class and of the rest.
    pub cases: [usize; 2],
}

/// Curves in one frame.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RocFigure {
    /// Heading; may be empty.
    pub title: String,
    /// The curves, in the order of the legend.
    pub curves: Vec<RocCurve>,
    /// Level of the intervals in percent, such as 95; `None` if there are none.
    pub level_percent: Option<f64>,
}

/// Draws the curves with the diagonal of chance. The legend gives each area with its interval and
/// the numbers of cases.
pub fn roc_svg(figure: &RocFigure, theme: &Theme) -> String {
    let (heading, top) = heading(&figure.title, ONE_COLUMN, theme);
    let side = 340.0;
    let left = 78.0;
    let (right, bottom) = (left + side, top + side);
    let x = Axis::fixed((0.0, 1.0), left, right);
    let y = Axis::fixed((0.0, 1.0), bottom, top);
    let entries: Vec<String> = figure.curves.iter().map(entry).collect();
    let names: Vec<&str> = entries.iter().map(String::as_str).collect();
    let (legend, tall) = legend(&names, [16.0, bottom + 68.0], ONE_COLUMN - 32.0, theme);
    let note = figure.level_percent.map(|level| {
        format!(
            "Areas under the curves (AUC) with {} % intervals; n: cases of the class / others",
            decimal(level, 0)
        )
    });
    let body = html! {
        (heading)
        (x.below([top, bottom], "1 − specificity", true, theme))
        (y.beside([left, right], 22.0, "Sensitivity", theme))
        g stroke-dasharray="2 4" { (line([left, bottom], [right, top], theme.faint, 1.4)) }
        g transform=(format!("rotate(-45 {} {})", num(right - 40.0), num(top + 40.0))) {
            (text(right - 40.0, top + 54.0, theme.style(SMALL - 1.0).faint().middle(), "chance"))
        }
        @for (i, curve) in figure.curves.iter().enumerate() {
            @let places = places(curve, &x, &y);
            @let every = places.len().div_ceil(8).max(1);
            g.curve {
                g stroke-dasharray=[dash(i)] { (path(&d(&places), theme.colour(i), 2.2)) }
                @for p in places.iter().skip((i * every / 3) % every).step_by(every) {
                    (marker(i, *p, 3.4, theme.colour(i), theme.ground))
                }
            }
        }
        (legend)
        @if let Some(note) = &note {
            (text(16.0, bottom + 68.0 + tall, theme.style(SMALL - 2.0).faint(), note))
        }
    };
    let height = bottom + 58.0 + tall + if note.is_some() { 20.0 } else { 0.0 };
    document(ONE_COLUMN, height, theme.ground, &body)
}

fn places(curve: &RocCurve, x: &Axis, y: &Axis) -> Vec<[f64; 2]> {
    curve
        .points
        .iter()
        .filter(|p| drawable(p[0]) && drawable(p[1]))
        .map(|p| [x.at(p[0].clamp(0.0, 1.0)), y.at(p[1].clamp(0.0, 1.0))])
        .collect()
}

fn d(places: &[[f64; 2]]) -> String {
    places
        .iter()
        .enumerate()
        .fold(String::new(), |mut d, (k, p)| {
            let step = if k == 0 { "M" } else { "L" };
            let _ = write!(d, "{step}{} {}", num(p[0]), num(p[1]));
            d
        })
}

fn entry(curve: &RocCurve) -> String {
    let area = if curve.auc.is_finite() {
        decimal(curve.auc, 3)
    } else {
        "undefined".to_owned()
    };
    let interval = curve.interval.map_or_else(String::new, |[low, high]| {
        format!(" [{}, {}]", decimal(low, 3), decimal(high, 3))
    });
    let [class, rest] = curve.cases;
    format!("{}: AUC {area}{interval}, n = {class}/{rest}", curve.name)
}
