//! Bar charts with confidence intervals, for ablations.

use crate::Theme;
use crate::axes::{Axis, SMALL, drawable, heading, short};
use crate::svg::{ONE_COLUMN, break_lines, document, fit, line, num, text, text_width};
use crate::theme::hatch;
use maud::{Markup, html};

/// One variant.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bar {
    /// Name of the variant.
    pub name: String,
    /// Its value in the unit of the figure's axis. The figure shows NaN as undefined.
    pub value: f64,
    /// Its confidence interval.
    pub interval: Option<[f64; 2]>,
    /// Number of cases.
    pub n: usize,
}

/// Variants that differ in one thing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BarGroup {
    /// What differs, such as `Loss`; may be empty.
    pub name: String,
    /// The variants.
    pub bars: Vec<Bar>,
}

/// A bar chart.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BarChart {
    /// Heading; may be empty.
    pub title: String,
    /// Name and unit of the value.
    pub axis: String,
    /// The groups, from top to bottom.
    pub groups: Vec<BarGroup>,
    /// Note below the figure, such as how the intervals were made; may be empty.
    pub note: String,
}

const ROW: f64 = 30.0;
const GAP: f64 = 30.0;

/// Draws one bar per variant, from zero, with interval, value and number of cases. Bars of a group
/// differ in colour and hatch.
pub fn bar_chart_svg(chart: &BarChart, theme: &Theme) -> String {
    let (heading, top) = heading(&chart.title, ONE_COLUMN, theme);
    let bars = || chart.groups.iter().flat_map(|g| &g.bars);
    let names = bars().map(|b| text_width(&b.name, SMALL, false));
    let left = (names.fold(50.0, f64::max) + 30.0).min(180.0);
    // If all bars have the same number of cases, only the note gives it.
    let common = bars()
        .next()
        .map(|b| b.n)
        .filter(|n| bars().all(|b| b.n == *n));
    let values: Vec<String> = bars().map(|b| value_text(b, common.is_none())).collect();
    let widths = values.iter().map(|v| text_width(v, SMALL, false));
    let right = (ONE_COLUMN - 24.0 - widths.fold(40.0, f64::max)).max(left + 90.0);
    let all = bars().flat_map(|b| {
        [b.value]
            .into_iter()
            .chain(b.interval.into_iter().flatten())
    });
    let axis = Axis::around(all.chain([0.0]), left, right);
    let heights = chart.groups.iter().map(|g| {
        let title = if g.name.is_empty() { 8.0 } else { GAP };
        title + ROW * g.bars.len() as f64
    });
    let bottom = top + heights.sum::<f64>().max(ROW) + 6.0;
    let count = common.map_or_else(String::new, |n| format!("n = {n} for each bar. "));
    let note = break_lines(
        &(count + &chart.note),
        SMALL - 1.0,
        false,
        ONE_COLUMN - 32.0,
    );
    let rows = rows(chart, top);
    let body = html! {
        (heading)
        (axis.below([top, bottom], &chart.axis, true, theme))
        @for (y, row) in &rows {
            @match row {
                Row::Name(_) => {}
                Row::Bar(i, bar) => {
                    (text(left - 9.0, y + 4.5, theme.style(SMALL).end(), &fit(&bar.name, SMALL, false, left - 30.0)))
                    (one_bar(*i, bar, &axis, *y, theme))
                }
            }
        }
        @for ((y, _), value) in rows.iter().filter(|r| matches!(r.1, Row::Bar(..))).zip(&values) {
            (text(right + 12.0, y + 4.5, theme.style(SMALL), value))
        }
        (line([axis.at(0.0), top], [axis.at(0.0), bottom], theme.text, 1.2))
        // A name may cross the axis; its rim interrupts the axis.
        g stroke=(theme.ground) stroke-width="5" stroke-linejoin="round" paint-order="stroke" {
            @for (y, row) in &rows {
                @if let Row::Name(name) = row {
                    (text(16.0, *y, theme.style(SMALL).bold(), &fit(name, SMALL, true, ONE_COLUMN - 32.0)))
                }
            }
        }
        @for (i, part) in note.iter().enumerate() {
            (text(16.0, bottom + 62.0 + 17.0 * i as f64, theme.style(SMALL - 1.0).faint(), part))
        }
    };
    let height = bottom + 54.0 + 17.0 * note.len() as f64;
    document(ONE_COLUMN, height, theme.ground, &body)
}

/// A row of the chart: the name of a group, with `y` as its baseline, or a bar, with `y` as its
/// middle.
enum Row<'a> {
    Name(&'a str),
    Bar(usize, &'a Bar),
}

fn rows(chart: &BarChart, top: f64) -> Vec<(f64, Row<'_>)> {
    let mut rows = vec![];
    let mut y = top;
    for group in &chart.groups {
        if group.name.is_empty() {
            y += 8.0;
        } else {
            y += GAP;
            rows.push((y - 8.0, Row::Name(&group.name)));
        }
        for (i, bar) in group.bars.iter().enumerate() {
            y += ROW;
            rows.push((y - ROW / 2.0, Row::Bar(i, bar)));
        }
    }
    rows
}

fn one_bar(i: usize, bar: &Bar, axis: &Axis, y: f64, theme: &Theme) -> Markup {
    if !drawable(bar.value) {
        return html! {};
    }
    let (definition, fill) = hatch(i, theme);
    let (zero, end) = (axis.at(0.0), axis.at(bar.value));
    html! {
        (definition)
        rect.bar x=(num(zero.min(end))) y=(num(y - 10.0)) width=(num((end - zero).abs())) height="20"
            fill=(fill) stroke=(theme.text) stroke-width="1" {}
        @if let Some(ends) = bar.interval.filter(|ends| ends.iter().all(|v| drawable(*v))) {
            @let [low, high] = ends.map(|v| axis.at(v));
            // The rim keeps the interval visible on the bar's hatch.
            g.interval {
                @for (colour, width) in [(theme.ground, 4.6), (theme.text, 1.8)] {
                    (line([low, y], [high, y], colour, width))
                    @for x in [low, high] { (line([x, y - 6.0], [x, y + 6.0], colour, width)) }
                }
            }
        }
    }
}

fn value_text(bar: &Bar, with_n: bool) -> String {
    let n = if with_n {
        format!(", n = {}", bar.n)
    } else {
        String::new()
    };
    if !bar.value.is_finite() {
        return format!("undefined{n}");
    }
    let interval = bar
        .interval
        .filter(|ends| ends.iter().all(|v| v.is_finite()))
        .map_or_else(String::new, |[low, high]| {
            format!(" [{}, {}]", short(low), short(high))
        });
    format!("{}{interval}{n}", short(bar.value))
}
