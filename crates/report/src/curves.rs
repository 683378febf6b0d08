//! Training curves from a run's log.

use crate::axes::{Axis, drawable, heading};
use crate::legend::{legend, legend_column};
use crate::svg::{ONE_COLUMN, document, num, path, to_png};
use crate::theme::{dash, marker};
use crate::{Error, ErrorKind, Result, Theme};
use maud::{Markup, html};
use std::fmt::Write as _;
use std::path::Path;

/// A named series of points.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Name for the legend.
    pub name: String,
    /// Points `(x, y)`; values that are not finite are left out when drawn.
    pub points: Vec<[f64; 2]>,
}

/// Reads columns of a CSV log (first column: x) whose names satisfy `wanted`. Empty cells are
/// skipped.
///
/// # Errors
/// `Io` if the file cannot be read, `Malformed` with line and column if a cell is not a number.
pub fn read_log(log: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<Curve>> {
    let malformed = |reason: String| Error::new(ErrorKind::Malformed, reason).at(log);
    let mut reader = csv::Reader::from_path(log)
        .map_err(|e| Error::new(ErrorKind::Io, e.to_string()).at(log))?;
    let headers = reader
        .headers()
        .map_err(|e| malformed(e.to_string()))?
        .clone();
    let columns: Vec<usize> = (1..headers.len())
        .filter(|&c| wanted(&headers[c]))
        .collect();
    let mut curves: Vec<Curve> = columns
        .iter()
        .map(|&c| Curve {
            name: headers[c].to_owned(),
            points: vec![],
        })
        .collect();
    for (row, record) in reader.records().enumerate() {
        let record = record.map_err(|e| malformed(e.to_string()))?;
        let cell = |c: usize| -> Result<Option<f64>> {
            let raw = record.get(c).unwrap_or("").trim();
            if raw.is_empty() {
                return Ok(None);
            }
            raw.parse().map(Some).map_err(|_| {
                malformed(format!(
                    "line {}, column {:?}: {raw:?} is not a number",
                    row + 2,
                    &headers[c]
                ))
            })
        };
        let Some(x) = cell(0)? else { continue };
        for (curve, &c) in curves.iter_mut().zip(&columns) {
            if let Some(y) = cell(c)? {
                curve.points.push([x, y]);
            }
        }
    }
    Ok(curves)
}

/// Training curves of one or several systems.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CurveFigure {
    /// Heading; may be empty.
    pub title: String,
    /// Name and unit of the x axis.
    pub x_label: String,
    /// Name and unit of the y axis.
    pub y_label: String,
    /// The curves, in the order of the legend.
    pub curves: Vec<Curve>,
}

/// Curves with axes and a legend for a run's own page as SVG, 900 × 540.
pub fn curves_svg(title: &str, x_label: &str, y_label: &str, curves: &[Curve]) -> String {
    let figure = CurveFigure {
        title: title.to_owned(),
        x_label: x_label.to_owned(),
        y_label: y_label.to_owned(),
        curves: curves.to_vec(),
    };
    draw(&figure, &Theme::LIGHT, Layout::WIDE)
}

/// Curves as PNG.
///
/// # Errors
/// `Draw` if the picture cannot be made.
pub fn curves_png(title: &str, x_label: &str, y_label: &str, curves: &[Curve]) -> Result<Vec<u8>> {
    to_png(&curves_svg(title, x_label, y_label, curves))
}

/// Curves for one column of a journal, with the legend below. Each curve has its own colour, marker
/// and dash pattern, and at most twelve markers.
pub fn training_curves_svg(figure: &CurveFigure, theme: &Theme) -> String {
    draw(figure, theme, Layout::COLUMN)
}

/// The layout of a figure of curves.
struct Layout {
    width: f64,
    plot: [f64; 2],
    legend_below: bool,
}

impl Layout {
    const WIDE: Self = Self {
        width: 900.0,
        plot: [640.0, 420.0],
        legend_below: false,
    };
    const COLUMN: Self = Self {
        width: ONE_COLUMN,
        plot: [374.0, 260.0],
        legend_below: true,
    };
}

fn draw(figure: &CurveFigure, theme: &Theme, layout: Layout) -> String {
    let [width, height] = layout.plot;
    let left = 70.0;
    let (heading, top) = heading(&figure.title, layout.width, theme);
    let bottom = top + height;
    let shown = |p: &&[f64; 2]| drawable(p[0]) && drawable(p[1]);
    let values = |k: usize| {
        figure
            .curves
            .iter()
            .flat_map(move |c| c.points.iter().filter(shown).map(move |p| p[k]))
    };
    let x = Axis::snug(values(0), left, left + width);
    let y = Axis::around(values(1), bottom, top);
    let places: Vec<Vec<[f64; 2]>> = figure
        .curves
        .iter()
        .map(|c| {
            let points = c.points.iter().filter(shown);
            points.map(|p| [x.at(p[0]), y.at(p[1])]).collect()
        })
        .collect();
    let names: Vec<&str> = figure.curves.iter().map(|c| c.name.as_str()).collect();
    let (legend, total) = if layout.legend_below {
        let (markup, tall) = legend(&names, [16.0, bottom + 66.0], layout.width - 32.0, theme);
        (markup, bottom + 56.0 + tall)
    } else {
        let at = [left + width + 16.0, top + 14.0];
        let room = layout.width - at[0] - 8.0;
        let (markup, tall) = legend_column(&names, at, room, theme);
        (markup, (bottom + 70.0).max(top + 14.0 + tall))
    };
    let body = html! {
        (heading)
        (x.below([top, bottom], &figure.x_label, false, theme))
        (y.beside([left, left + width], 18.0, &figure.y_label, theme))
        @for (i, points) in places.iter().enumerate() {
            (curve(i, points, theme))
        }
        (legend)
    };
    document(layout.width, total, theme.ground, &body)
}

fn curve(i: usize, points: &[[f64; 2]], theme: &Theme) -> Markup {
    let d = points
        .iter()
        .enumerate()
        .fold(String::new(), |mut d, (k, p)| {
            let step = if k == 0 { "M" } else { "L" };
            let _ = write!(d, "{step}{} {}", num(p[0]), num(p[1]));
            d
        });
    // Markers of different curves stand at different places. This distinguishes curves that run
    // close together.
    let every = points.len().div_ceil(12).max(1);
    html! {
        g.curve {
            g stroke-dasharray=[dash(i)] { (path(&d, theme.colour(i), 2.0)) }
            @for p in points.iter().skip((i * every / 3) % every).step_by(every) {
                (marker(i, *p, 3.6, theme.colour(i), theme.ground))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_gives_its_columns() {
        let dir = std::env::temp_dir().join(format!("multirnet-curves-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let log = dir.join("log.csv");
        std::fs::write(&log, "epoch,train_loss,note\n1,0.5,7\n2,,8\n3,0.25,9\n").unwrap();
        let curves = read_log(&log, |c| c.ends_with("loss")).unwrap();
        assert_eq!(
            curves,
            [Curve {
                name: "train_loss".into(),
                points: vec![[1.0, 0.5], [3.0, 0.25]]
            }]
        );
        std::fs::write(&log, "epoch,loss\n1,abc\n").unwrap();
        let error = read_log(&log, |_| true).unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn drawing_survives_empty_constant_and_infinite_curves() {
        for points in [
            vec![],
            vec![[1.0, 2.0]],
            vec![[0.0, f64::NAN], [1.0, f64::INFINITY], [2.0, 0.3]],
        ] {
            let curve = Curve {
                name: "loss".into(),
                points,
            };
            assert!(
                curves_png("t", "x", "y", std::slice::from_ref(&curve))
                    .unwrap()
                    .len()
                    > 500
            );
            let figure = CurveFigure {
                curves: vec![curve],
                ..CurveFigure::default()
            };
            let svg = training_curves_svg(&figure, &Theme::DARK);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
