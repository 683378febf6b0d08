//! Box plots: one metric, one box per system.

use crate::Theme;
use crate::axes::{Axis, SMALL, drawable, heading, short};
use crate::svg::{ONE_COLUMN, break_lines, document, fit, line, num, text, text_width};
use crate::theme::marker;
use maud::{Markup, html};
use multirnet_metrics::stats::BoxSummary;

/// The values of one system.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BoxGroup {
    /// Name of the system.
    pub name: String,
    /// One value per case, in the unit of the figure's axis. The figure counts NaN as undefined and
    /// counts infinite values, and draws neither.
    pub values: Vec<f64>,
}

/// A test's result between two groups, drawn as a bracket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Significance {
    /// Index of one group.
    pub first: usize,
    /// Index of the other.
    pub second: usize,
    /// What stands at the bracket, such as `**` or `n.s.`.
    pub stars: String,
}

/// A box plot.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BoxPlot {
    /// Heading; may be empty.
    pub title: String,
    /// Name and unit of the metric, such as `Average surface distance, mm`.
    pub axis: String,
    /// The groups, from top to bottom.
    pub groups: Vec<BoxGroup>,
    /// Brackets. If there are more than two and all name one common group, their stars stand in a
    /// column under that group's name instead. Marks with an index beyond the groups are left out.
    pub marks: Vec<Significance>,
    /// Ends of the axis, such as 0 and 100 for percentages; `None` for ends around the values. The
    /// label counts values outside.
    pub range: Option<[f64; 2]>,
    /// Note below the figure, such as the test and its correction; may be empty.
    pub note: String,
}

const ROW: f64 = 46.0;
const LANE: f64 = 24.0;
const LINE: f64 = 15.0;
/// Width that names and counts may take before they are broken into lines.
const LABEL: f64 = 150.0;

/// Draws a box plot with one row per group: a box from the first to the third quartile, a line at
/// the median with its value, whiskers to the last values within 1.5 interquartile ranges, and
/// every value as a point. Each label gives the numbers of finite, undefined and infinite values.
/// The height grows with the number of groups.
pub fn box_plot_svg(plot: &BoxPlot, theme: &Theme) -> String {
    let labels: Vec<[Vec<String>; 2]> = plot.groups.iter().map(|g| label(g, plot.range)).collect();
    let names = labels
        .iter()
        .flat_map(|l| &l[0])
        .map(|t| text_width(t, SMALL, true));
    let counts = labels
        .iter()
        .flat_map(|l| &l[1])
        .map(|t| text_width(t, SMALL - 1.0, false));
    let left = names.chain(counts).fold(60.0, f64::max) + 24.0;
    let heights: Vec<f64> = labels
        .iter()
        .map(|l| ROW.max(14.0 + LINE * (l[0].len() + l[1].len()) as f64))
        .collect();
    let marks: Vec<&Significance> = plot
        .marks
        .iter()
        .filter(|m| m.first.max(m.second) < plot.groups.len() && m.first != m.second)
        .collect();
    let reference = common(&marks);
    let lanes = lanes(&marks);
    let marks_width = match reference {
        Some(_) => 62.0,
        None => LANE * lanes.iter().max().map_or(0.0, |l| *l as f64 + 1.0),
    };
    let right = (ONE_COLUMN - 16.0 - marks_width).max(left + 80.0);
    let (heading, mut top) = heading(&plot.title, ONE_COLUMN, theme);
    if reference.is_some() {
        top += 30.0;
    }
    let bottom = top + heights.iter().sum::<f64>().max(ROW);
    let axis = match plot.range {
        Some([low, high]) => Axis::fixed((low, high), left, right),
        None => {
            let values = plot.groups.iter().flat_map(|g| g.values.iter().copied());
            Axis::around(values, left, right)
        }
    };
    let row = |i: usize| top + heights[..i].iter().sum::<f64>() + heights[i] / 2.0;
    let body = html! {
        (heading)
        (axis.below([top, bottom], &plot.axis, true, theme))
        @for (i, (group, label)) in plot.groups.iter().zip(&labels).enumerate() {
            @let lines = label[0].len() + label[1].len();
            @for (k, part) in label.iter().flatten().enumerate() {
                @let style = if k < label[0].len() { theme.style(SMALL).bold() } else { theme.style(SMALL - 1.0).faint() };
                (text(left - 10.0, row(i) + 12.0 + LINE * (k as f64 - lines as f64 / 2.0), style.end(), part))
            }
            (one_box(i, group, &axis, row(i), theme))
        }
        @match reference {
            Some(r) => { (column(&marks, r, plot, [right, top], &row, theme)) }
            None => {
                @for (mark, lane) in marks.iter().zip(&lanes) {
                    (bracket(mark, right + 8.0 + LANE * *lane as f64, &row, theme))
                }
            }
        }
        @for (i, part) in note_lines(&plot.note).iter().enumerate() {
            (text(16.0, bottom + 62.0 + 17.0 * i as f64, theme.style(SMALL - 1.0).faint(), part))
        }
    };
    let height = bottom + 54.0 + 17.0 * note_lines(&plot.note).len() as f64;
    document(ONE_COLUMN, height, theme.ground, &body)
}

fn note_lines(note: &str) -> Vec<String> {
    break_lines(note, SMALL - 1.0, false, ONE_COLUMN - 32.0)
}

fn label(group: &BoxGroup, range: Option<[f64; 2]>) -> [Vec<String>; 2] {
    let undefined = group.values.iter().filter(|v| v.is_nan()).count();
    let finite = group.values.iter().filter(|v| drawable(**v));
    let outside = range.map_or(0, |[low, high]| {
        finite
            .clone()
            .filter(|v| !(low..=high).contains(*v))
            .count()
    });
    let n = finite.count();
    let infinite = group.values.len() - n - undefined;
    let mut counts = format!("n\u{a0}=\u{a0}{n}");
    for (count, what) in [
        (undefined, "undefined"),
        (infinite, "infinite"),
        (outside, "outside"),
    ] {
        if count > 0 {
            counts += &format!(", {count}\u{a0}{what}");
        }
    }
    let mut name = break_lines(&group.name, SMALL, true, LABEL);
    if name.len() > 2 {
        let rest = name.split_off(1).join(" ");
        name.push(fit(&rest, SMALL, true, LABEL));
    }
    [name, break_lines(&counts, SMALL - 1.0, false, LABEL)]
}

fn one_box(i: usize, group: &BoxGroup, axis: &Axis, y: f64, theme: &Theme) -> Markup {
    let Some(summary) = BoxSummary::from_values(&group.values) else {
        return html! {};
    };
    let colour = theme.colour(i);
    let clamped = |v: f64| axis.at(v.clamp(axis.ends()[0], axis.ends()[1]));
    let [q1, median, q3] = summary.quartiles.map(clamped);
    let [low, high] = summary.whiskers.map(clamped);
    let half = 9.0;
    let (y, top) = (y + 5.0, y + 5.0 - half);
    let value = short(summary.quartiles[1]);
    let value_half = text_width(&value, SMALL - 1.0, false) / 2.0;
    let [from, to] = axis.ends().map(|v| axis.at(v));
    let value_at = median.clamp(from + value_half, (to - value_half).max(from + value_half));
    html! {
        g.box {
            rect x=(num(q1)) y=(num(top)) width=(num((q3 - q1).max(0.0))) height=(2.0 * half)
                fill=(colour) fill-opacity="0.22" {}
            @for (k, v) in group.values.iter().enumerate().filter(|(_, v)| axis.holds(**v)) {
                // A fixed scatter that keeps equal values apart.
                @let shift = ((k * 7 + 3) % 11) as f64 / 10.0 - 0.5;
                g opacity="0.65" { (marker(i, [axis.at(*v), y + 1.5 * half * shift], 1.9, colour, theme.ground)) }
            }
            @for (x, edge) in [(low, q1), (high, q3)] {
                (line([x, y], [edge, y], theme.text, 1.3))
                (line([x, y - 5.0], [x, y + 5.0], theme.text, 1.3))
            }
            rect x=(num(q1)) y=(num(top)) width=(num((q3 - q1).max(0.0))) height=(2.0 * half)
                fill="none" stroke=(theme.text) stroke-width="1.3" {}
            (line([median, top - 1.0], [median, top + 2.0 * half + 1.0], theme.text, 3.0))
            (text(value_at, top - 4.0, theme.style(SMALL - 1.0).middle(), &value))
        }
    }
}

/// The group that all marks name, if there are more than two marks.
fn common(marks: &[&Significance]) -> Option<usize> {
    let first = marks.first().filter(|_| marks.len() > 2)?;
    [first.first, first.second]
        .into_iter()
        .find(|r| marks.iter().all(|m| m.first == *r || m.second == *r))
}

/// Assigns a lane to each bracket. Brackets in one lane do not overlap, and shorter ones lie
/// further left.
fn lanes(marks: &[&Significance]) -> Vec<usize> {
    let span = |m: &Significance| (m.first.min(m.second), m.first.max(m.second));
    let mut order: Vec<usize> = (0..marks.len()).collect();
    order.sort_by_key(|&k| {
        let (a, b) = span(marks[k]);
        (b - a, a)
    });
    let mut lanes = vec![0; marks.len()];
    let mut taken: Vec<Vec<(usize, usize)>> = vec![];
    for k in order {
        let (a, b) = span(marks[k]);
        let free = taken
            .iter()
            .position(|lane| lane.iter().all(|&(c, d)| b < c || d < a));
        let lane = free.unwrap_or_else(|| {
            taken.push(vec![]);
            taken.len() - 1
        });
        taken[lane].push((a, b));
        lanes[k] = lane;
    }
    lanes
}

fn bracket(mark: &Significance, x: f64, row: &impl Fn(usize) -> f64, theme: &Theme) -> Markup {
    let (a, b) = (mark.first.min(mark.second), mark.first.max(mark.second));
    let (a, b) = (row(a) + 6.0, row(b) + 4.0);
    let (tx, ty) = (x + 19.0, (a + b) / 2.0);
    let d = format!("M{} {}h5V{}h-5", num(x), num(a), num(b));
    html! {
        g.bracket {
            path d=(d) fill="none" stroke=(theme.text) stroke-width="1.2" {}
            g transform=(format!("rotate(-90 {} {})", num(tx), num(ty))) {
                (text(tx, ty, theme.style(SMALL).middle(), &mark.stars))
            }
        }
    }
}

fn column(
    marks: &[&Significance],
    reference: usize,
    plot: &BoxPlot,
    [right, top]: [f64; 2],
    row: &impl Fn(usize) -> f64,
    theme: &Theme,
) -> Markup {
    let x = right + 38.0;
    let name = &plot.groups[reference].name;
    let room = 2.0 * (ONE_COLUMN - 2.0 - x);
    html! {
        (text(x, top - 24.0, theme.style(SMALL - 1.0).faint().middle(), "versus"))
        (text(x, top - 9.0, theme.style(SMALL - 1.0).faint().middle(),
            &fit(name, SMALL - 1.0, false, room)))
        (text(x, row(reference) + 9.0, theme.style(SMALL).faint().middle(), "–"))
        @for mark in marks {
            @let other = if mark.first == reference { mark.second } else { mark.first };
            g.stars { (text(x, row(other) + 9.0, theme.style(SMALL).middle(), &mark.stars)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_are_those_of_numpy() {
        // numpy.percentile([7, 1, 4, 3, 40, 9], [25, 50, 75]) = 3.25, 5.5, 8.5
        let s = BoxSummary::from_values(&[7.0, 1.0, 4.0, 3.0, 40.0, 9.0, f64::NAN, f64::INFINITY])
            .unwrap();
        assert_eq!((s.n, s.quartiles), (6, [3.25, 5.5, 8.5]));
        assert_eq!(s.whiskers, [1.0, 9.0]);
        assert_eq!(BoxSummary::from_values(&[f64::NAN]), None);
        assert_eq!(
            BoxSummary::from_values(&[2.0]).unwrap().whiskers,
            [2.0, 2.0]
        );
    }

    #[test]
    fn brackets_share_lanes_only_where_they_do_not_overlap() {
        let mark = |first, second| Significance {
            first,
            second,
            stars: "*".into(),
        };
        let all = [mark(0, 3), mark(0, 1), mark(3, 2), mark(1, 2)];
        assert_eq!(lanes(&all.iter().collect::<Vec<_>>()), [2, 0, 0, 1]);
    }
}
