//! The overview picture: three planes with outlines, the heat map, probabilities, involvement.

use crate::pixels::{blend, heat_colour};
use crate::plane::{Plane, View, WorldBox, busiest};
use crate::svg::{colour, document, line, path, picture, rect, text, text_on_picture, to_png};
use crate::{Result, Theme};
use maud::{Markup, html};
use multirnet_finding::{Finding, LesionKind, Maps, ZoneInvolvement};
use multirnet_volume::{Diagnosis, Volume};

const WIDTH: f64 = 1600.0;
const HEIGHT: f64 = 1180.0;
const PANEL: (usize, usize) = (570, 460);
const THEME: Theme = Theme::DARK;
const MARGIN_MM: f64 = 22.0;

/// What the overview shows.
pub struct Overview<'a> {
    /// The scan in HU, on its own grid.
    pub scan: &'a Volume<f32>,
    /// What was found. Its source's path names the scan in the picture.
    pub finding: &'a Finding,
    /// The maps, on the same grid.
    pub maps: &'a Maps,
}

/// The overview as PNG.
///
/// # Errors
/// `Mismatch` if scan and maps lie on different grids; `Draw` if a picture cannot be made.
pub fn overview_png(overview: &Overview) -> Result<Vec<u8>> {
    to_png(&overview_svg(overview)?)
}

/// The overview as SVG (pictures embedded).
///
/// # Errors
/// As [`overview_png`].
pub fn overview_svg(overview: &Overview) -> Result<String> {
    let finding = overview.finding;
    let body = html! {
        (header(finding))
        (planes(overview, 92.0)?)
        (column(finding, 1196.0, 92.0, 384.0))
    };
    Ok(document(WIDTH, HEIGHT, THEME.ground, &body))
}

/// The overview's planes and their legend alone, as PNG: for reports that give the numbers as text.
///
/// # Errors
/// As [`overview_png`].
pub fn planes_png(overview: &Overview) -> Result<Vec<u8>> {
    let body = planes(overview, 20.0)?;
    to_png(&document(1196.0, 1104.0, THEME.ground, &body))
}

/// The four planes from `top` on, and their legend.
fn planes(overview: &Overview, top: f64) -> Result<Markup> {
    let (scan, maps) = (overview.scan, overview.maps);
    scan.check_same_grid(&maps.lungs)?;
    scan.check_same_grid(&maps.lesions)?;
    let area = WorldBox::around(&maps.lungs, MARGIN_MM);
    let centre = busiest(&maps.lesions)
        .or_else(|| busiest(&maps.lungs))
        .unwrap_or_else(|| std::array::from_fn(|k| (area.min[k] + area.max[k]) / 2.0));
    let panels = [
        (View::Axial, Layer::Outlines, 20.0, top),
        (View::Axial, Layer::Heat, 606.0, top),
        (View::Coronal, Layer::Outlines, 20.0, top + 500.0),
        (View::Sagittal, Layer::Outlines, 606.0, top + 500.0),
    ];
    let drawn = panels
        .into_iter()
        .map(|(view, layer, x, y)| panel(overview, view, layer, &centre, &area, x, y))
        .collect::<Result<Vec<_>>>()?;
    let lines = lesion_lines(overview.finding);
    Ok(html! {
        @for panel in &drawn { (panel) }
        (legend(&lines, maps.heatmap.is_some(), top + 1036.0))
    })
}

#[derive(Clone, Copy, PartialEq)]
enum Layer {
    Outlines,
    Heat,
}

fn header(finding: &Finding) -> Markup {
    let notice = format!(
        "{} {}",
        finding.notice, "Every result needs a radiologist's reading."
    );
    html! {
        (text(20.0, 40.0, THEME.style(24.0).bold(), "Pneumonia CT overview"))
        (text(20.0, 68.0, THEME.style(15.0).faint(), &shorten(&finding.source.path, 50)))
        (text(WIDTH - 20.0, 36.0, THEME.style(16.0).bold().anchor("end"), &notice))
        @if let Some(notice) = finding.validated_on.notice() {
            (text(WIDTH / 2.0, 68.0, THEME.style(16.0).bold().fill(colour::LESION).anchor("middle"), notice))
        }
        (text(WIDTH - 20.0, 64.0, THEME.style(14.0).faint().anchor("end"),
            &format!("multirnet {} · model {}", finding.provenance.version, finding.provenance.model)))
    }
}

fn panel(
    o: &Overview,
    view: View,
    layer: Layer,
    centre: &[f64; 3],
    area: &WorldBox,
    x: f64,
    y: f64,
) -> Result<Markup> {
    let (most_w, most_h) = PANEL;
    let plane = Plane::new(view, *centre, area, most_w, most_h)?;
    let maps = o.maps;
    let (w, h) = (plane.width as f64, plane.height as f64);
    let (x0, y0) = (x + (most_w as f64 - w) / 2.0, y + (most_h as f64 - h) / 2.0);
    let grey = plane.grey(o.scan);
    let heat = maps
        .heatmap
        .as_ref()
        .filter(|_| layer == Layer::Heat)
        .map(|m| plane.values(m))
        .transpose()?;
    let pixels = match &heat {
        Some(heat) => grey
            .iter()
            .zip(heat)
            .flat_map(|(&g, &v)| blend(g, v))
            .collect::<Vec<u8>>(),
        None => grey.iter().flat_map(|&g| [g, g, g]).collect(),
    };
    let outline = |colour: &str, width: f64, d: String| path(&d, colour, width);
    // Each kind of lesion has its own outline if the model distinguishes kinds.
    let lesions = lesion_lines(o.finding)
        .into_iter()
        .map(|line| {
            let inside = |v: u8| line.kind.map_or(v != 0, |kind| v == kind.value());
            let d = plane.outline(&maps.lesions, inside, x0, y0)?;
            Ok(html! {
                // A dark rim keeps pale dashes visible on pale tissue.
                @if line.dash.is_some() { g stroke-opacity="0.5" { (outline("#000000", 3.5, d.clone())) } }
                g stroke-dasharray=[line.dash] { (outline(line.colour, 2.0, d)) }
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let [left, right, top, bottom] = view.letters();
    let mid = THEME.style(15.0).bold().anchor("middle");
    let title = match layer {
        Layer::Outlines => view.name().to_owned(),
        Layer::Heat if heat.is_some() => {
            format!(
                "{} · class activation ({})",
                view.name(),
                o.finding.diagnosis.label()
            )
        }
        Layer::Heat => format!("{} · no class activation", view.name()),
    };
    let position = ["L", "P", "S"][view.normal()];
    let bar_px = 50.0 / plane.pixel_mm;
    Ok(html! {
        (rect(x, y, most_w as f64, most_h as f64 + 30.0, THEME.panel))
        (picture(x0, y0, plane.width, plane.height, &pixels)?)
        @if layer == Layer::Outlines {
            (outline(colour::RIGHT, 1.2, plane.outline(&maps.lungs, |v| v == 1, x0, y0)?))
            (outline(colour::LEFT, 1.2, plane.outline(&maps.lungs, |v| v == 2, x0, y0)?))
        }
        @for outline in &lesions { (outline) }
        (text_on_picture(x0 + 14.0, y0 + h / 2.0, mid, left))
        (text_on_picture(x0 + w - 14.0, y0 + h / 2.0, mid, right))
        (text_on_picture(x0 + w / 2.0, y0 + 20.0, mid, top))
        (text_on_picture(x0 + w / 2.0, y0 + h - 10.0, mid, bottom))
        (line([x0 + 15.0, y0 + h - 14.0], [x0 + 17.0 + bar_px, y0 + h - 14.0], "#000000", 6.0))
        (line([x0 + 16.0, y0 + h - 14.0], [x0 + 16.0 + bar_px, y0 + h - 14.0], THEME.text, 3.0))
        (text_on_picture(x0 + 16.0, y0 + h - 22.0, THEME.style(12.0), "50 mm"))
        (text(x + 12.0, y + most_h as f64 + 20.0, THEME.style(15.0), &title))
        (text(x + most_w as f64 - 12.0, y + most_h as f64 + 20.0, THEME.style(14.0).faint().anchor("end"),
            &format!("{position} {:.0} mm · window −600 / 1500 HU", centre[view.normal()])))
    })
}

/// An outline of lesions: the kind that it surrounds, and its look.
struct LesionLine {
    /// The kind, or `None` for all lesions.
    kind: Option<LesionKind>,
    label: &'static str,
    colour: &'static str,
    dash: Option<&'static str>,
}

/// The outlines of lesions in a picture of `finding`; dashes distinguish kinds without colour.
fn lesion_lines(finding: &Finding) -> Vec<LesionLine> {
    let of = |kind: LesionKind| {
        let (colour, dash) = match kind {
            LesionKind::GroundGlass => (colour::GROUND_GLASS, Some("6 3")),
            LesionKind::Consolidation => (colour::CONSOLIDATION, None),
        };
        LesionLine {
            kind: Some(kind),
            label: kind.label(),
            colour,
            dash,
        }
    };
    if finding.lesion_kinds.is_empty() {
        return vec![LesionLine {
            kind: None,
            label: "lesion (thick)",
            colour: colour::LESION,
            dash: None,
        }];
    }
    finding.lesion_kinds.iter().map(|k| of(k.kind)).collect()
}

fn legend(lesions: &[LesionLine], heat: bool, y: f64) -> Markup {
    // The lungs' entries follow the one or two entries of the lesions.
    let at = |i: usize| 20.0 + if lesions.len() > 1 { 152.0 } else { 170.0 } * i as f64;
    let lungs = at(lesions.len());
    let key = |x: f64, colour: &str, width: f64, label: &str| {
        html! {
            (line([x, y - 5.0], [x + 34.0, y - 5.0], colour, width))
            (text(x + 42.0, y, THEME.style(14.0), label))
        }
    };
    html! {
        @for (i, line) in lesions.iter().enumerate() {
            g stroke-dasharray=[line.dash] { (key(at(i), line.colour, 3.0, line.label)) }
        }
        (key(lungs, colour::RIGHT, 2.0, "right lung"))
        (key(lungs + 132.0, colour::LEFT, 2.0, "left lung"))
        @if heat {
            (text(606.0, y, THEME.style(14.0), "class activation  0"))
            @for i in 0..60 {
                @let c = heat_colour(f64::from(i) / 59.0);
                (rect(742.0 + 3.0 * f64::from(i), y - 14.0, 3.5, 16.0, &format!("#{:02x}{:02x}{:02x}", c[0], c[1], c[2])))
            }
            (text(930.0, y, THEME.style(14.0), "1 (largest in this scan)"))
        }
        (text(20.0, y + 28.0, THEME.style(13.0).faint(),
            "Planes pass through the levels with most lesion. Class activation (Grad-CAM) shows what moved the classifier, not where disease is proven."))
    }
}

fn column(finding: &Finding, x: f64, y: f64, width: f64) -> Markup {
    let involvement = &finding.involvement;
    let probabilities = finding.probabilities.to_array();
    let mut at = y + 30.0;
    let mut next = |step: f64| {
        at += step;
        at
    };
    let row = |y: f64, label: &str, value: &str| {
        html! {
            (text(x + 16.0, y, THEME.style(15.0).faint(), label))
            (text(x + width - 16.0, y, THEME.style(15.0).bold().anchor("end"), value))
        }
    };
    html! {
        (rect(x, y, width, HEIGHT - y - 20.0, THEME.panel))
        @if finding.validated_on.classes_on_patients() {
            (text(x + 16.0, next(0.0), THEME.style(14.0).faint(), "Most probable class"))
            (text(x + 16.0, next(32.0), THEME.style(28.0).bold(), finding.diagnosis.label()))
        } @else {
            // A class that was not validated on patients never leads a result.
            (text(x + 16.0, next(0.0), THEME.style(14.0).faint(), "Lesion share of the lungs"))
            (text(x + 16.0, next(32.0), THEME.style(28.0).bold(), &format!("{:.1} %", 100.0 * involvement.both.fraction)))
            (text(x + 16.0, next(30.0), THEME.style(14.0).faint(), "Class probabilities, not validated on patients"))
        }
        @for class in Diagnosis::ALL {
            @let p = probabilities[class.index()];
            @let yy = next(34.0);
            (text(x + 16.0, yy, THEME.style(15.0), class.label()))
            (rect(x + 116.0, yy - 14.0, 180.0, 16.0, THEME.line))
            (rect(x + 116.0, yy - 14.0, 180.0 * p, 16.0, colour::BAR))
            (text(x + width - 16.0, yy, THEME.style(15.0).anchor("end"), &format!("{:.1} %", 100.0 * p)))
        }
        (line([x + 16.0, next(22.0)], [x + width - 16.0, next(0.0)], THEME.line, 1.0))
        (row(next(28.0), "Lesion", &format!("{:.0} ml", involvement.both.lesion_ml)))
        @for k in &finding.lesion_kinds {
            (row(next(26.0), &format!("– {}", k.kind), &format!("{:.0} ml · {:.1} %", k.lesion_ml, 100.0 * k.fraction)))
        }
        (row(next(26.0), "Lungs", &format!("{:.0} ml", involvement.both.lung_ml)))
        (row(next(26.0), "Involved", &format!("{:.1} %", 100.0 * involvement.both.fraction)))
        (row(next(26.0), "Severity score", &format!("{} of 24", involvement.severity_score)))
        (line([x + 16.0, next(18.0)], [x + width - 16.0, next(0.0)], THEME.line, 1.0))
        (text(x + 16.0, next(26.0), THEME.style(14.0).faint(), "Involvement by zone (share · ml · score)"))
        (zone(x, next(30.0), width, &involvement.right))
        @for z in &involvement.zones[..3] { (zone(x + 14.0, next(27.0), width - 14.0, z)) }
        (zone(x, next(34.0), width, &involvement.left))
        @for z in &involvement.zones[3..] { (zone(x + 14.0, next(27.0), width - 14.0, z)) }
        (line([x + 16.0, next(20.0)], [x + width - 16.0, next(0.0)], THEME.line, 1.0))
        @for part in wrap(&format!("Model: {}", finding.provenance.trained_on), 50).iter().take(5) {
            (text(x + 16.0, next(20.0), THEME.style(13.0).faint(), part))
        }
        (text(x + 16.0, next(22.0), THEME.style(13.0).faint(), &format!("Computed in {:.1} s", finding.timings.iter().map(|t| t.seconds).sum::<f64>())))
        @let lines = finding.warnings.iter().flat_map(|w| wrap(&format!("Warning: {w}"), 50)).collect::<Vec<_>>();
        @let room = ((HEIGHT - 44.0 - next(10.0)) / 19.0).max(1.0) as usize;
        @for part in lines.iter().take(room) {
            (text(x + 16.0, next(19.0), THEME.style(13.0).fill(colour::LESION), part))
        }
        @if lines.len() > room {
            (text(x + 16.0, next(18.0), THEME.style(13.0).bold(), "More warnings in finding.json"))
        }
    }
}

fn zone(x: f64, y: f64, width: f64, zone: &ZoneInvolvement) -> Markup {
    let label = zone.name.replace('_', " ");
    html! {
        (text(x + 16.0, y, THEME.style(14.0), &label))
        (rect(x + 132.0, y - 12.0, 90.0, 14.0, THEME.line))
        (rect(x + 132.0, y - 12.0, 90.0 * zone.fraction.clamp(0.0, 1.0), 14.0, colour::LESION))
        (text(x + width - 16.0, y, THEME.style(14.0).anchor("end"),
            &format!("{:.1} % · {:.0} · {}", 100.0 * zone.fraction, zone.lesion_ml, zone.score)))
    }
}

/// Breaks text into lines of at most `most` characters at spaces.
fn wrap(content: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![];
    for word in content.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(shorten(word, most)),
        }
    }
    lines
}

/// The last `most` characters of a text. Paths differ at their end.
fn shorten(content: &str, most: usize) -> String {
    let count = content.chars().count();
    if count <= most {
        return content.to_owned();
    }
    std::iter::once('…')
        .chain(content.chars().skip(count + 1 - most))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_at_spaces() {
        assert_eq!(wrap("one two three four", 9), ["one two", "three", "four"]);
        assert_eq!(shorten("/a/very/long/path.nii", 9), "…path.nii");
    }
}
