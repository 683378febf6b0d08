//! Colours of figures for the screen and for print, and marks that tell series apart without colour.

use crate::svg::{Style, num};
use maud::{Markup, html};

/// Colours of a figure. The same code draws on dark and on white ground.
///
/// Series colours follow Okabe and Ito (Color Universal Design, 2008). Each theme leaves out or
/// adapts those that vanish on its ground.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    /// Ground of the figure.
    pub ground: &'static str,
    /// Ground of a panel in it.
    pub panel: &'static str,
    /// Texts and axes.
    pub text: &'static str,
    /// Texts of less weight.
    pub faint: &'static str,
    /// Grid lines and borders.
    pub line: &'static str,
    /// Colours of data series, in the order of the series.
    pub series: [&'static str; 7],
}

impl Theme {
    /// White ground and dark text, for print.
    pub const LIGHT: Self = Self {
        ground: "#ffffff",
        panel: "#f3f5f7",
        text: "#15191d",
        faint: "#4a535c",
        line: "#d3d8dd",
        series: [
            "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#202428",
        ],
    };
    /// Dark ground and bright text, for the screen.
    pub const DARK: Self = Self {
        ground: "#101418",
        panel: "#1b2128",
        text: "#e8edf2",
        faint: "#98a4b0",
        line: "#39434d",
        series: [
            "#56b4e9", "#e69f00", "#2fbf94", "#cc79a7", "#f0e442", "#d55e00", "#e8edf2",
        ],
    };

    /// Text of `size` in this theme.
    pub(crate) const fn style(&self, size: f64) -> Style {
        Style {
            size,
            bold: false,
            fill: self.text,
            faint: self.faint,
            anchor: "start",
        }
    }

    /// Colour of series `i`.
    pub(crate) fn colour(&self, i: usize) -> &'static str {
        self.series[i % self.series.len()]
    }
}

impl Default for Theme {
    fn default() -> Self {
        Self::LIGHT
    }
}

/// A colour from its hexadecimal name; channels that cannot be read are 255.
pub(crate) fn rgb(hex: &str) -> [u8; 3] {
    let channel = |k: usize| {
        hex.get(1 + 2 * k..3 + 2 * k)
            .and_then(|part| u8::from_str_radix(part, 16).ok())
            .unwrap_or(255)
    };
    [channel(0), channel(1), channel(2)]
}

/// Dash patterns. Their number has no common factor with that of the colours, so many more series
/// than either have different combinations.
const DASHES: [&str; 5] = ["", "9 4", "2.5 3", "10 3 2.5 3", "18 4"];

/// Dash pattern of series `i`, `None` for a solid line.
pub(crate) fn dash(i: usize) -> Option<&'static str> {
    Some(DASHES[i % DASHES.len()]).filter(|d| !d.is_empty())
}

/// A mark of series `i` (one of eight shapes) around `at`.
pub(crate) fn marker(i: usize, at: [f64; 2], r: f64, fill: &str, rim: &str) -> Markup {
    let polygon = |points: &[[f64; 2]]| {
        let mut d = String::new();
        for (k, p) in points.iter().enumerate() {
            d.push(if k == 0 { 'M' } else { 'L' });
            d.push_str(&num(at[0] + p[0] * r));
            d.push(' ');
            d.push_str(&num(at[1] + p[1] * r));
        }
        d + "Z"
    };
    let cross = |turn: f64| {
        let (s, c) = turn.sin_cos();
        let arm = [
            [-0.36, -1.1],
            [0.36, -1.1],
            [0.36, -0.36],
            [1.1, -0.36],
            [1.1, 0.36],
            [0.36, 0.36],
            [0.36, 1.1],
            [-0.36, 1.1],
            [-0.36, 0.36],
            [-1.1, 0.36],
            [-1.1, -0.36],
            [-0.36, -0.36],
        ];
        polygon(&arm.map(|[x, y]| [c * x - s * y, s * x + c * y]))
    };
    let d = match i % 8 {
        0 => {
            let [x, y] = at;
            format!(
                "M{} {}a{r} {r} 0 1 0 {} 0a{r} {r} 0 1 0 {} 0Z",
                num(x - r),
                num(y),
                num(2.0 * r),
                num(-2.0 * r)
            )
        }
        1 => polygon(&[[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]]),
        2 => polygon(&[[0.0, -1.15], [1.1, 0.8], [-1.1, 0.8]]),
        3 => polygon(&[[0.0, -1.25], [1.0, 0.0], [0.0, 1.25], [-1.0, 0.0]]),
        4 => polygon(&[[0.0, 1.15], [1.1, -0.8], [-1.1, -0.8]]),
        5 => cross(0.0),
        6 => cross(std::f64::consts::FRAC_PI_4),
        _ => polygon(&std::array::from_fn::<_, 10, _>(|k| {
            let angle = std::f64::consts::PI * (k as f64 / 5.0 - 0.5);
            let reach = if k % 2 == 0 { 1.35 } else { 0.58 };
            [reach * angle.cos(), reach * angle.sin()]
        })),
    };
    html! { path.mark d=(d) fill=(fill) stroke=(rim) stroke-width="0.6" {} }
}

/// A fill for series `i`: its definition and the value of the attribute `fill`. The identifier
/// consists of the pattern and the colour. Equal identifiers therefore mean equal fills when
/// figures are joined.
pub(crate) fn hatch(i: usize, theme: &Theme) -> (Markup, String) {
    let colour = theme.colour(i);
    let kind = i % 5;
    if kind == 0 {
        return (html! {}, colour.to_owned());
    }
    let id = format!("hatch-{kind}-{}", &colour[1..]);
    let lines: &[&str] = match kind {
        1 => &["M-2 2L2 -2M0 8L8 0M6 10L10 6"],
        2 => &["M-2 6L2 10M0 0L8 8M6 -2L10 2"],
        3 => &["M0 2H8M0 6H8"],
        _ => &["M0 2H8M0 6H8", "M2 0V8M6 0V8"],
    };
    let markup = html! {
        defs {
            pattern id=(id) width="8" height="8" patternUnits="userSpaceOnUse" {
                rect width="8" height="8" fill=(colour) fill-opacity="0.28" {}
                @for d in lines { path d=(d) stroke=(colour) stroke-width="1.8" fill="none" {} }
            }
        }
    };
    (markup, format!("url(#{id})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_series_look_different() {
        let theme = Theme::LIGHT;
        let look = |i: usize| {
            let mark = marker(i, [0.0; 2], 3.0, theme.colour(i), "#fff").into_string();
            (theme.colour(i), dash(i), mark)
        };
        let mut seen: Vec<_> = (0..30).map(look).collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 30);
        // Lines alone differ too.
        let mut lines: Vec<_> = (0..30).map(|i| (theme.colour(i), dash(i))).collect();
        lines.sort();
        lines.dedup();
        assert_eq!(lines.len(), 30);
    }

    #[test]
    fn text_has_the_contrast_of_print_on_both_grounds() {
        let luminance = |hex: &str| {
            let channel = |at: usize| {
                let v = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
                if v <= 0.03928 {
                    v / 12.92
                } else {
                    ((v + 0.055) / 1.055).powf(2.4)
                }
            };
            0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
        };
        for theme in [Theme::LIGHT, Theme::DARK] {
            for text in [theme.text, theme.faint] {
                for ground in [theme.ground, theme.panel] {
                    let (a, b) = (luminance(text), luminance(ground));
                    // WCAG 2.2, level AA.
                    assert!((a.max(b) + 0.05) / (a.min(b) + 0.05) >= 4.5);
                }
            }
        }
    }
}
