//! Axes of figures: round ticks, labels, grid lines.

use crate::Theme;
use crate::svg::{break_lines, line, text};
use maud::{Markup, html};

/// Size of texts on axes, in units of the figure.
pub(crate) const SMALL: f64 = 13.0;
/// Size of titles and labels.
pub(crate) const BASE: f64 = 14.0;

/// Whether a value can be placed on an axis. Ticks cannot number values of 1e15 and more.
pub(crate) fn drawable(value: f64) -> bool {
    value.is_finite() && value.abs() < 1e15
}

/// A linear axis between two places of the figure.
#[derive(Debug, Clone)]
pub(crate) struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    ticks: Vec<f64>,
}

impl Axis {
    /// An axis around all drawable values that ends at round ones; 0 to 1 if there are none.
    pub fn around(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (low, high) = range(values);
        let ticks = ticks((low, high));
        Self {
            low: low.min(ticks[0]),
            high: high.max(*ticks.last().unwrap_or(&high)),
            from,
            to,
            ticks,
        }
    }

    /// An axis that ends at the least and the greatest value.
    pub fn snug(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        Self::fixed(range(values), from, to)
    }

    /// An axis over a range, or over 0 to 1 if the range is not valid.
    pub fn fixed((low, high): (f64, f64), from: f64, to: f64) -> Self {
        let (low, high) = if drawable(low) && drawable(high) && low < high {
            range([low, high].into_iter())
        } else {
            (0.0, 1.0)
        };
        let slack = 1e-9 * (high - low);
        let ticks = ticks((low, high))
            .into_iter()
            .filter(|t| (low - slack..=high + slack).contains(t))
            .collect();
        Self {
            low,
            high,
            from,
            to,
            ticks,
        }
    }

    /// Where a value lies in the figure.
    pub fn at(&self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    /// Whether a value lies on the axis.
    pub fn holds(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// Ends of the axis, in units of the data.
    pub fn ends(&self) -> [f64; 2] {
        [self.low, self.high]
    }

    /// A tick's number with as many decimals as the ticks need.
    fn label(&self, value: f64) -> String {
        label(value, &self.ticks)
    }

    /// Draws the axis below an area from `top` to `bottom`, with vertical grid lines if `grid`.
    pub fn below(&self, [top, bottom]: [f64; 2], name: &str, grid: bool, theme: &Theme) -> Markup {
        let style = theme.style(SMALL).middle();
        html! {
            @for &t in &self.ticks {
                @let x = self.at(t);
                @if grid { (line([x, top], [x, bottom], theme.line, 1.0)) }
                (line([x, bottom], [x, bottom + 5.0], theme.text, 1.0))
                (text(x, bottom + 20.0, style, &self.label(t)))
            }
            (line([self.from, bottom], [self.to, bottom], theme.text, 1.2))
            (text((self.from + self.to) / 2.0, bottom + 42.0, theme.style(BASE).middle(), name))
        }
    }

    /// Draws the axis left of an area from `left` to `right`, with horizontal grid lines. The name
    /// stands upright with its baseline at `name_at`.
    pub fn beside(
        &self,
        [left, right]: [f64; 2],
        name_at: f64,
        name: &str,
        theme: &Theme,
    ) -> Markup {
        let style = theme.style(SMALL).end();
        html! {
            @for &t in &self.ticks {
                @let y = self.at(t);
                (line([left, y], [right, y], theme.line, 1.0))
                (text(left - 7.0, y + 4.5, style, &self.label(t)))
            }
            (line([left, self.from], [left, self.to], theme.text, 1.2))
            (upright(name_at, (self.from + self.to) / 2.0, theme, name))
        }
    }
}

/// A figure's heading, which is also its accessible name, and the height at which the figure
/// continues below it.
pub(crate) fn heading(title: &str, width: f64, theme: &Theme) -> (Markup, f64) {
    if title.is_empty() {
        return (html! {}, 14.0);
    }
    let size = 16.0;
    let lines = break_lines(title, size, true, width - 32.0);
    let markup = html! {
        title { (title) }
        @for (i, part) in lines.iter().enumerate() {
            (text(16.0, 25.0 + 20.0 * i as f64, theme.style(size).bold(), part))
        }
    };
    (markup, 20.0 + 20.0 * lines.len() as f64)
}

/// A text that reads upwards, centred at `y`.
pub(crate) fn upright(x: f64, y: f64, theme: &Theme, content: &str) -> Markup {
    html! {
        g transform=(format!("rotate(-90 {x} {y})")) {
            (text(x, y, theme.style(BASE).middle(), content))
        }
    }
}

/// A number with a true minus sign.
pub(crate) fn decimal(value: f64, decimals: usize) -> String {
    let plain = format!("{value:.decimals$}");
    match plain.strip_prefix('-') {
        // "-0.0" is zero.
        Some(digits) if digits.bytes().all(|b| matches!(b, b'0' | b'.')) => digits.to_owned(),
        Some(digits) => format!("−{digits}"),
        None => plain,
    }
}

/// A number with about three significant digits.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        v if !v.is_finite() || v >= 100.0 => decimal(value, 0),
        v if v >= 10.0 => decimal(value, 1),
        v if v >= 0.1 || v == 0.0 => decimal(value, 2),
        _ => decimal(value, 3),
    }
}

fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values
        .filter(|v| drawable(*v))
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| {
            (l.min(v), h.max(v))
        });
    let size = low.abs().max(high.abs());
    if low > high {
        (0.0, 1.0)
    } else if high - low <= 1e-9 * size.max(1e-3) {
        // The values are equal within the precision of an axis.
        let half = (0.1 * size).max(0.5);
        (low - half, high + half)
    } else {
        (low, high)
    }
}

/// About five round values that enclose the range.
fn ticks((low, high): (f64, f64)) -> Vec<f64> {
    let raw = (high - low) / 5.0;
    let magnitude = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|m| m * magnitude)
        .find(|s| *s >= raw * (1.0 - 1e-9))
        .unwrap_or(raw);
    let slack = 1e-9;
    let (first, last) = (
        (low / step + slack).floor() as i64,
        (high / step - slack).ceil() as i64,
    );
    (first..=last).map(|i| i as f64 * step).collect()
}

fn label(value: f64, all: &[f64]) -> String {
    let step = all.get(1).map_or(1.0, |b| (b - all[0]).abs());
    let decimals = (-(step * (1.0 + 1e-9)).log10().floor()).clamp(0.0, 6.0) as usize;
    decimal(value, decimals)
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
        assert_eq!(label(-0.4, &[0.2, 0.4]), "−0.4");
    }

    #[test]
    fn any_values_make_an_axis() {
        let nothing: [f64; 0] = [];
        for values in [
            &nothing[..],
            &[f64::NAN, f64::INFINITY],
            &[3.0],
            &[1e14, 1e14 + 1.0],
            &[1e300, -1e300, 2.0],
            &[-5e-324, 5e-324],
            &[1e-12, 3e-12],
        ] {
            for axis in [
                Axis::around(values.iter().copied(), 0.0, 100.0),
                Axis::snug(values.iter().copied(), 0.0, 100.0),
            ] {
                assert!(axis.ticks.len() < 12, "{values:?}: {:?}", axis.ticks);
                assert!(axis.low < axis.high, "{values:?}");
                assert!(axis.at(axis.low).abs() < 1e-6);
                assert!((axis.at(axis.high) - 100.0).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            [short(-3.456), short(123.4), short(0.0123), short(-0.0001)],
            ["−3.46", "123", "0.012", "0.000"]
        );
    }
}
