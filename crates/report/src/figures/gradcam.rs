//! Class activation (Grad-CAM) of right and wrong cases, with the check by randomised weights.

use super::Slice;
use super::overlay::{TRUTH, key, place, rimmed};
use crate::axes::{SMALL, decimal, heading};
use crate::pixels::{blend, heat_colour, lung_window};
use crate::svg::{ONE_COLUMN, TWO_COLUMNS, break_lines, document, fit, picture_over, text};
use crate::{Result, Theme};
use maud::{Markup, html};

/// The map of the same net with randomised weights (Adebayo et al., Sanity Checks for Saliency
/// Maps, 2018). A map that explains the trained net must differ from it.
#[derive(Debug, Clone, PartialEq)]
pub struct RandomisedCheck {
    /// The map on the case's slice, in `[0, 1]`.
    pub heat: Slice<f32>,
    /// Rank correlation of both maps, in `[−1, 1]`; NaN if undefined.
    pub correlation: f64,
    /// Structural similarity of both maps; NaN if undefined.
    pub similarity: f64,
}

/// One case.
#[derive(Debug, Clone, PartialEq)]
pub struct GradCamCase {
    /// Name of the case.
    pub name: String,
    /// Its true class.
    pub truth: String,
    /// The class that the net predicted. The map explains this class.
    pub predicted: String,
    /// That class's probability, in `[0, 1]`.
    pub probability: f64,
    /// The scan in HU.
    pub scan: Slice<f32>,
    /// The map on the same pixels, in `[0, 1]`; NaN is drawn as 0.
    pub heat: Slice<f32>,
    /// The reference lesion on the same pixels.
    pub lesion: Slice<u8>,
    /// Share of the map's sum that lies inside the lesion, in `[0, 1]`; `None` without lesion or
    /// where the map is 0 everywhere.
    pub share_in_lesion: Option<f64>,
    /// The check by randomised weights.
    pub randomised: Option<RandomisedCheck>,
}

impl GradCamCase {
    fn right(&self) -> bool {
        self.truth == self.predicted
    }
}

/// Panels of several cases.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GradCam {
    /// Heading; may be empty.
    pub title: String,
    /// The cases.
    pub cases: Vec<GradCamCase>,
    /// Note below the figure, such as over what the shares are taken; may be empty.
    pub note: String,
}

const GAP: f64 = 6.0;

/// Draws right cases on the left and wrong ones on the right, across two columns, or in one column
/// if there is only one kind. Each case is a row: scan, map, map of randomised weights, all with
/// the outline of the lesion, and the figures of the case below them.
///
/// # Errors
/// `Mismatch` if maps do not lie on their scan's pixels; `Draw` if a picture cannot be made.
pub fn gradcam_svg(figure: &GradCam, theme: &Theme) -> Result<String> {
    let (right, wrong): (Vec<_>, Vec<_>) = figure.cases.iter().partition(|c| c.right());
    let both = !right.is_empty() && !wrong.is_empty();
    let width = if both { TWO_COLUMNS } else { ONE_COLUMN };
    let (heading, top) = heading(&figure.title, width, theme);
    let mut parts = vec![];
    let columns: Vec<_> = [("Right", &right), ("Wrong", &wrong)]
        .into_iter()
        .filter(|c| !c.1.is_empty())
        .collect();
    let left = |k: usize| k as f64 * (TWO_COLUMNS - ONE_COLUMN);
    for (k, (name, cases)) in columns.iter().enumerate() {
        let title = format!("{name} ({} of {})", cases.len(), figure.cases.len());
        let style = theme.style(SMALL + 1.0).bold();
        parts.push(text(left(k) + 16.0, top + 14.0, style, &title));
    }
    let mut bottom = top + 26.0;
    for i in 0..right.len().max(wrong.len()) {
        let mut tallest = 0.0f64;
        for (k, (_, cases)) in columns.iter().enumerate() {
            if let Some(case) = cases.get(i) {
                let (markup, tall) = case_row(case, [left(k), bottom], theme)?;
                parts.push(markup);
                tallest = tallest.max(tall);
            }
        }
        bottom += tallest + 10.0;
    }
    let note = break_lines(&figure.note, SMALL, false, width - 32.0);
    let y = bottom + 16.0;
    let body = html! {
        (heading)
        @for part in &parts { (part) }
        (key(16.0, y, "lesion (reference)", theme, true))
        (text(204.0, y, theme.style(SMALL), "activation 0"))
        @for i in 0..50 {
            @let c = heat_colour(f64::from(i) / 49.0);
            rect x=(290.0 + 2.0 * f64::from(i)) y=(y - 13.0) width="2.3" height="17"
                fill=(format!("#{:02x}{:02x}{:02x}", c[0], c[1], c[2])) {}
        }
        (text(396.0, y, theme.style(SMALL), "1"))
        @for (i, part) in note.iter().enumerate() {
            (text(16.0, y + 22.0 + 17.0 * i as f64, theme.style(SMALL).faint(), part))
        }
    };
    let height = y + 16.0 + 17.0 * note.len() as f64;
    Ok(document(width, height, theme.ground, &body))
}

fn case_row(case: &GradCamCase, [x, y]: [f64; 2], theme: &Theme) -> Result<(Markup, f64)> {
    let about = |what: &str| format!("the {what} of {}", case.name);
    case.scan.check_same(&case.heat, &about("activation map"))?;
    case.scan.check_same(&case.lesion, &about("lesion"))?;
    if let Some(check) = &case.randomised {
        case.scan
            .check_same(&check.heat, &about("map of randomised weights"))?;
    }
    let side = (ONE_COLUMN - 32.0 - 2.0 * GAP) / 3.0;
    let [tall_mm, wide_mm] = case.scan.size_mm();
    let tall = side * (tall_mm / wide_mm).clamp(0.2, 1.5);
    let sign = if case.right() { "✔" } else { "✘" };
    let head = format!("{sign} {}", case.name);
    let classes = format!(
        "true {}, predicted {} ({})",
        case.truth,
        case.predicted,
        share(case.probability)
    );
    let in_lesion = match case.share_in_lesion {
        Some(part) => format!("{} in lesion", share(part)),
        None if case.lesion.data().iter().all(|v| *v == 0) => "no lesion".to_owned(),
        None => "no activation".to_owned(),
    };
    let check = case.randomised.as_ref().map_or_else(
        || "not computed".to_owned(),
        |c| format!("r {}, SSIM {}", number(c.correlation), number(c.similarity)),
    );
    let pictures = [
        ("Scan", String::new(), None),
        ("Activation", in_lesion, Some(&case.heat)),
        (
            "Random weights",
            check,
            case.randomised.as_ref().map(|c| &c.heat),
        ),
    ];
    let top = y + 58.0;
    let mut drawn = vec![];
    for (k, (name, below, heat)) in pictures.iter().enumerate() {
        let left = x + 16.0 + (side + GAP) * k as f64;
        let frame = if k == 2 && heat.is_none() {
            html! { rect x=(left) y=(top) width=(side) height=(tall) fill=(theme.panel) stroke=(theme.line) {} }
        } else {
            panel(case, *heat, [left, top], [side, tall])?
        };
        drawn.push(html! {
            g.panel {
                (text(left, y + 52.0, theme.style(SMALL).bold(), &fit(name, SMALL, true, side)))
                (frame)
                (text(left, top + tall + 16.0, theme.style(SMALL), below))
            }
        });
    }
    let markup = html! {
        (text(x + 16.0, y + 14.0, theme.style(SMALL), &fit(&head, SMALL, false, ONE_COLUMN - 32.0)))
        (text(x + 16.0, y + 31.0, theme.style(SMALL).faint(), &fit(&classes, SMALL, false, ONE_COLUMN - 32.0)))
        @for panel in &drawn { (panel) }
    };
    Ok((markup, 58.0 + tall + 22.0))
}

fn panel(
    case: &GradCamCase,
    heat: Option<&Slice<f32>>,
    at: [f64; 2],
    side: [f64; 2],
) -> Result<Markup> {
    let grey = case.scan.data().iter().map(|&v| lung_window(v));
    let rgb: Vec<u8> = match heat {
        Some(heat) => grey
            .zip(heat.data())
            .flat_map(|(g, &v)| blend(g, v))
            .collect(),
        None => grey.flat_map(|g| [g; 3]).collect(),
    };
    let [rows, columns] = case.scan.shape();
    let [at, size] = place(&case.scan, at, side);
    Ok(html! {
        (picture_over(at, size, [columns, rows], &rgb)?)
        (rimmed(&case.lesion.outline(at, size)?, TRUTH, false))
    })
}

fn share(part: f64) -> String {
    if part.is_finite() {
        format!("{} %", decimal(100.0 * part, 0))
    } else {
        "undefined".to_owned()
    }
}

fn number(value: f64) -> String {
    if value.is_finite() {
        decimal(value, 2)
    } else {
        "undefined".to_owned()
    }
}
