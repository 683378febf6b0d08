//! Training curves from a run's log.

use crate::svg::{Style, document, line, num, path, text, to_png};
use crate::{Error, ErrorKind, Result};
use maud::html;
use std::fmt::Write as _;
use std::path::Path;

const GROUND: &str = "#ffffff";
const INK: &str = "#202428";
/// Okabe–Ito colours with dash patterns, so that colour is not the only mark.
const SERIES: [(&str, &str); 4] = [
    ("#0072b2", ""),
    ("#d55e00", "8 4"),
    ("#009e73", "2 3"),
    ("#cc79a7", "10 3 2 3"),
];

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

/// Curves with axes and a legend as SVG, 900 × 540.
pub fn curves_svg(title: &str, x_label: &str, y_label: &str, curves: &[Curve]) -> String {
    let (left, top, width, height) = (80.0, 50.0, 640.0, 420.0);
    let finite = |p: &&[f64; 2]| p[0].is_finite() && p[1].is_finite();
    let all: Vec<[f64; 2]> = curves
        .iter()
        .flat_map(|c| c.points.iter().filter(finite).copied())
        .collect();
    let range = |k: usize| {
        let (low, high) = all
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), p| {
                (l.min(p[k]), h.max(p[k]))
            });
        if low > high {
            (0.0, 1.0)
        } else if high - low < 1e-12 {
            (low - 0.5, high + 0.5)
        } else {
            (low, high)
        }
    };
    let (x_range, y_range) = (range(0), range(1));
    let (x_ticks, y_ticks) = (ticks(x_range), ticks(y_range));
    let y_range = (
        y_range.0.min(y_ticks[0]),
        y_range.1.max(*y_ticks.last().unwrap_or(&1.0)),
    );
    let px = |x: f64| left + (x - x_range.0) / (x_range.1 - x_range.0) * width;
    let py = |y: f64| top + height - (y - y_range.0) / (y_range.1 - y_range.0) * height;
    let ink = |size: f64, anchor: &'static str| Style {
        fill: INK,
        ..Style::new(size).anchor(anchor)
    };
    let shape = |curve: &Curve| {
        curve
            .points
            .iter()
            .filter(finite)
            .enumerate()
            .fold(String::new(), |mut d, (i, p)| {
                let _ = write!(
                    d,
                    "{}{} {}",
                    if i == 0 { "M" } else { "L" },
                    num(px(p[0])),
                    num(py(p[1]))
                );
                d
            })
    };
    let body = html! {
        (text(left, 30.0, ink(18.0, "start").bold(), title))
        @for &t in &y_ticks {
            (line([left, py(t)], [left + width, py(t)], "#d8dce0", 1.0))
            (text(left - 8.0, py(t) + 5.0, ink(13.0, "end"), &label(t, &y_ticks)))
        }
        @for &t in x_ticks.iter().filter(|t| **t >= x_range.0 && **t <= x_range.1) {
            (line([px(t), top + height], [px(t), top + height + 5.0], INK, 1.0))
            (text(px(t), top + height + 22.0, ink(13.0, "middle"), &label(t, &x_ticks)))
        }
        (line([left, top + height], [left + width, top + height], INK, 1.2))
        (text(left + width / 2.0, top + height + 48.0, ink(14.0, "middle"), x_label))
        g transform=(format!("rotate(-90 22 {})", top + height / 2.0)) {
            (text(22.0, top + height / 2.0, ink(14.0, "middle"), y_label))
        }
        @for (i, curve) in curves.iter().enumerate() {
            @let (colour, dash) = SERIES[i % SERIES.len()];
            @let y = top + 14.0 + 26.0 * i as f64;
            g stroke-dasharray=[(!dash.is_empty()).then_some(dash)] {
                (path(&shape(curve), colour, 2.0))
                (line([left + width + 16.0, y - 5.0], [left + width + 52.0, y - 5.0], colour, 2.5))
            }
            (text(left + width + 58.0, y, ink(13.0, "start"), &curve.name))
        }
    };
    document(900.0, 540.0, GROUND, &body)
}

/// Curves as PNG.
///
/// # Errors
/// `Draw` if the picture cannot be made.
pub fn curves_png(title: &str, x_label: &str, y_label: &str, curves: &[Curve]) -> Result<Vec<u8>> {
    to_png(&curves_svg(title, x_label, y_label, curves))
}

/// Five or so round values that enclose the range.
fn ticks((low, high): (f64, f64)) -> Vec<f64> {
    let raw = (high - low) / 5.0;
    let magnitude = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|m| m * magnitude)
        .find(|s| *s >= raw)
        .unwrap_or(raw);
    let (first, last) = ((low / step).floor() as i64, (high / step).ceil() as i64);
    (first..=last).map(|i| i as f64 * step).collect()
}

fn label(value: f64, all: &[f64]) -> String {
    let step = all.get(1).map_or(1.0, |b| (b - all[0]).abs());
    let decimals = (-step.log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_enclose() {
        assert_eq!(
            ticks((0.0, 1.0)),
            [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]
        );
        let t = ticks((13.0, 88.0));
        assert!(t[0] <= 13.0 && *t.last().unwrap() >= 88.0 && t.len() < 9);
        assert_eq!(label(0.4, &[0.2, 0.4]), "0.4");
    }

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
            assert!(curves_png("t", "x", "y", &[curve]).unwrap().len() > 500);
        }
    }
}
