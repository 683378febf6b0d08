//! Reliability diagrams: predicted probabilities beside how often they come true.

use super::unit_square::{UnitSquare, unit_square_svg};
use crate::Theme;
use crate::axes::decimal;

/// The bins of one system or of one source.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReliabilityCurve {
    /// Name for the legend.
    pub name: String,
    /// `[mean probability, share that came true]` of each bin with predictions, in `[0, 1]`. Points that are not finite are
    /// left out.
    pub points: Vec<[f64; 2]>,
    /// Expected calibration error; NaN if it is undefined.
    pub error: f64,
}

/// Curves in one frame.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReliabilityFigure {
    /// Heading; may be empty.
    pub title: String,
    /// Name of what comes true, such as `truly lesion`.
    pub event: String,
    /// The curves, in the order of the legend.
    pub curves: Vec<ReliabilityCurve>,
    /// A note below the legend; may be empty.
    pub note: String,
}

/// Draws the curves with the diagonal, on which a probability says how often something comes true. The legend gives each
/// calibration error.
pub fn reliability_svg(figure: &ReliabilityFigure, theme: &Theme) -> String {
    let curves = figure
        .curves
        .iter()
        .map(|c| (c.points.as_slice(), entry(c)));
    let square = UnitSquare {
        title: &figure.title,
        axes: ["Mean probability", &figure.event],
        diagonal: "calibrated",
        curves: curves.collect(),
        every: 20,
        note: Some(figure.note.clone()).filter(|n| !n.is_empty()),
    };
    unit_square_svg(&square, theme)
}

fn entry(curve: &ReliabilityCurve) -> String {
    if curve.error.is_finite() {
        format!("{}: error {}", curve.name, decimal(curve.error, 3))
    } else {
        format!("{}: error undefined", curve.name)
    }
}
