//! Bland–Altman plots: how far a measured quantity agrees with its reference.

use crate::Theme;
use crate::axes::{Axis, SMALL, drawable, heading, short};
use crate::legend::marks_legend;
use crate::svg::{ONE_COLUMN, document, line, text};
use crate::theme::marker;
use maud::html;
use multirnet_metrics::stats::BlandAltman;

/// Pairs that share a marker, such as the cases of one class.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AgreementGroup {
    /// Name for the legend.
    pub name: String,
    /// `[reference, measured]` of each case, in the figure's unit.
    pub pairs: Vec<[f64; 2]>,
}

/// A Bland–Altman plot.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AgreementPlot {
    /// Heading; may be empty.
    pub title: String,
    /// What is measured, such as `lesion volume`.
    pub quantity: String,
    /// Its unit, such as `ml`.
    pub unit: String,
    /// The pairs. Those that are not finite are counted in the figure and left out.
    pub groups: Vec<AgreementGroup>,
}

/// Draws measured minus reference over the mean of both, with bias, limits of agreement and their
/// values.
pub fn bland_altman_svg(plot: &AgreementPlot, theme: &Theme) -> String {
    let (heading, top) = heading(&plot.title, ONE_COLUMN, theme);
    let (left, right, bottom) = (74.0, 362.0, top + 270.0);
    let all = || plot.groups.iter().flat_map(|g| g.pairs.iter().copied());
    let finite = |p: &[f64; 2]| drawable(p[0]) && drawable(p[1]);
    let (reference, measured): (Vec<f64>, Vec<f64>) =
        all().filter(finite).map(|[r, m]| (r, m)).unzip();
    let lines: Vec<(f64, &str, Option<&str>)> = match BlandAltman::from_pairs(&measured, &reference)
    {
        Ok(a) => vec![
            (a.upper.value, "+1.96 SD", Some("7 4")),
            (a.lower.value, "−1.96 SD", Some("7 4")),
            (a.bias.value, "bias", None),
        ],
        // Limits need two pairs; the difference of a single one is the bias.
        Err(_) => measured
            .iter()
            .zip(&reference)
            .map(|(m, r)| (m - r, "bias", None))
            .collect(),
    };
    let mean = |p: [f64; 2]| (p[0] + p[1]) / 2.0;
    let x = Axis::around(all().filter(finite).map(mean), left, right);
    let differences = all().filter(finite).map(|p| p[1] - p[0]);
    let marks = lines.iter().map(|l| l.0).chain([0.0]);
    let y = Axis::around(differences.chain(marks), bottom, top);
    // Labels of close lines are moved apart: a line's name stands above its value.
    let mut places: Vec<(usize, f64)> = lines.iter().map(|l| y.at(l.0)).enumerate().collect();
    places.sort_by(|a, b| a.1.total_cmp(&b.1));
    for k in 1..places.len() {
        places[k].1 = places[k].1.max(places[k - 1].1 + 34.0);
    }
    if let Some(over) = places
        .last()
        .map(|p| p.1 - bottom + 4.0)
        .filter(|o| *o > 0.0)
    {
        places.iter_mut().for_each(|p| p.1 -= over);
    }
    let left_out = all().filter(|p| !finite(p)).count();
    let count = measured.len();
    let mut note = format!("n = {count}");
    if left_out > 0 {
        note += &format!("; {left_out} not finite, left out");
    }
    let names: Vec<&str> = plot.groups.iter().map(|g| g.name.as_str()).collect();
    let (legend, tall) = marks_legend(&names, [16.0, bottom + 66.0], ONE_COLUMN - 32.0, theme);
    let body = html! {
        (heading)
        (x.below([top, bottom], &format!("Mean of measured and reference {}, {}", plot.quantity, plot.unit), false, theme))
        (y.beside([left, right], 18.0, &format!("Measured − reference, {}", plot.unit), theme))
        (line([left, y.at(0.0)], [right, y.at(0.0)], theme.faint, 1.2))
        @for (i, group) in plot.groups.iter().enumerate() {
            @for p in group.pairs.iter().copied().filter(finite) {
                (marker(i, [x.at(mean(p)), y.at(p[1] - p[0])], 3.6, theme.colour(i), theme.ground))
            }
        }
        @for (value, _, dash) in &lines {
            g.limit stroke-dasharray=[*dash] { (line([left, y.at(*value)], [right, y.at(*value)], theme.text, 1.8)) }
        }
        @for (k, at) in &places {
            (text(right + 8.0, at - 3.0, theme.style(SMALL), lines[*k].1))
            (text(right + 8.0, at + 13.0, theme.style(SMALL).bold(), &format!("{} {}", short(lines[*k].0), plot.unit)))
        }
        (text(left + 8.0, top + 14.0, theme.style(SMALL), &note))
        (legend)
    };
    document(ONE_COLUMN, bottom + 54.0 + tall, theme.ground, &body)
}
