//! Curves between shares, with the diagonal: the frame of ROC curves and of reliability diagrams.

use crate::Theme;
use crate::axes::{Axis, SMALL, drawable, heading};
use crate::legend::legend;
use crate::svg::{ONE_COLUMN, document, line, num, path, text};
use crate::theme::{dash, marker};
use maud::html;
use std::fmt::Write as _;

/// What is drawn.
pub(super) struct UnitSquare<'a> {
    /// Heading; may be empty.
    pub(super) title: &'a str,
    /// Names of the axes `x` and `y`.
    pub(super) axes: [&'a str; 2],
    /// Name of the diagonal.
    pub(super) diagonal: &'a str,
    /// Points `[x, y]` in `[0, 1]` of each curve, with its entry in the legend. Points that are not finite are left out.
    pub(super) curves: Vec<(&'a [[f64; 2]], String)>,
    /// Number of markers of a curve at about most; a curve of fewer points has one at each.
    pub(super) every: usize,
    /// A note below the legend.
    pub(super) note: Option<String>,
}

/// Draws the curves with the diagonal.
pub(super) fn unit_square_svg(square: &UnitSquare<'_>, theme: &Theme) -> String {
    let (heading, top) = heading(square.title, ONE_COLUMN, theme);
    let side = 340.0;
    let left = 78.0;
    let (right, bottom) = (left + side, top + side);
    let x = Axis::fixed((0.0, 1.0), left, right);
    let y = Axis::fixed((0.0, 1.0), bottom, top);
    let names: Vec<&str> = square.curves.iter().map(|c| c.1.as_str()).collect();
    let (legend, tall) = legend(&names, [16.0, bottom + 68.0], ONE_COLUMN - 32.0, theme);
    let [below, beside] = square.axes;
    let body = html! {
        (heading)
        (x.below([top, bottom], below, true, theme))
        (y.beside([left, right], 22.0, beside, theme))
        g stroke-dasharray="2 4" { (line([left, bottom], [right, top], theme.faint, 1.4)) }
        g transform=(format!("rotate(-45 {} {})", num(right - 40.0), num(top + 40.0))) {
            (text(right - 40.0, top + 54.0, theme.style(SMALL - 1.0).faint().middle(), square.diagonal))
        }
        @for (i, (points, _)) in square.curves.iter().enumerate() {
            @let places = places(points, &x, &y);
            @let every = places.len().div_ceil(square.every).max(1);
            g.curve {
                g stroke-dasharray=[dash(i)] { (path(&d(&places), theme.colour(i), 2.2)) }
                @for p in places.iter().skip((i * every / 3) % every).step_by(every) {
                    (marker(i, *p, 3.4, theme.colour(i), theme.ground))
                }
            }
        }
        (legend)
        @if let Some(note) = &square.note {
            (text(16.0, bottom + 68.0 + tall, theme.style(SMALL - 2.0).faint(), note))
        }
    };
    let height = bottom + 58.0 + tall + if square.note.is_some() { 20.0 } else { 0.0 };
    document(ONE_COLUMN, height, theme.ground, &body)
}

fn places(points: &[[f64; 2]], x: &Axis, y: &Axis) -> Vec<[f64; 2]> {
    points
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
