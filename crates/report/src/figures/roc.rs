//! Receiver operating characteristics, one class against the rest.

use super::unit_square::{UnitSquare, unit_square_svg};
use crate::Theme;
use crate::axes::decimal;

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
    let curves = figure
        .curves
        .iter()
        .map(|c| (c.points.as_slice(), entry(c)));
    let square = UnitSquare {
        title: &figure.title,
        axes: ["1 − specificity", "Sensitivity"],
        diagonal: "chance",
        curves: curves.collect(),
        every: 8,
        note: figure.level_percent.map(|level| {
            format!(
                "Areas under the curves (AUC) with {} % intervals; n: cases of the class / others",
                decimal(level, 0)
            )
        }),
    };
    unit_square_svg(&square, theme)
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
