//! Surfaces of reference and prediction side by side.

use super::mesh::{Detail, Mesh};
use super::raster::{Camera, Finish, Surface, View3, render};
use crate::axes::{SMALL, heading, short, upright};
use crate::svg::{ONE_COLUMN, break_lines, document, fit, picture_over, text};
use crate::theme::rgb;
use crate::{Result, Theme};
use maud::{Markup, html};
use multirnet_volume::Volume;

/// Surfaces that stand in one picture.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SurfacePanel {
    /// Heading of the picture.
    pub title: String,
    /// The surfaces.
    pub surfaces: Vec<Surface>,
    /// Note below the picture, such as volumes.
    pub note: String,
}

/// Pictures of surfaces: one column per panel, one row per view.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SurfaceFigure {
    /// Heading; may be empty.
    pub title: String,
    /// The panels, from left to right.
    pub panels: Vec<SurfacePanel>,
    /// The views, from top to bottom.
    pub views: Vec<View3>,
    /// Note below the figure; may be empty.
    pub note: String,
}

const LUNGS: [u8; 3] = [120, 128, 136];
const REFERENCE: [u8; 3] = [0x00, 0x72, 0xb2];
const PREDICTION: [u8; 3] = [0xe6, 0x9f, 0x00];
const AGREED: [u8; 3] = [0xd8, 0xdc, 0xe0];
const MISSED: [u8; 3] = [0x00, 0x72, 0xb2];
const INVENTED: [u8; 3] = [0xd5, 0x5e, 0x00];

/// Panels of reference, prediction and their difference, each in translucent lungs and with volumes
/// in ml, counted in voxels. The difference shows what both outline, what the prediction missed
/// (blue, striped) and what it invented (vermilion, dotted).
///
/// # Errors
/// `Mismatch` if the masks lie on different grids or if `detail.cell_mm` is not a positive number.
pub fn surface_panels(
    lungs: Option<&Volume<u8>>,
    truth: &Volume<u8>,
    prediction: &Volume<u8>,
    detail: &Detail,
) -> Result<Vec<SurfacePanel>> {
    truth.check_same_grid(prediction)?;
    let mut glass = vec![];
    if let Some(lungs) = lungs {
        truth.check_same_grid(lungs)?;
        glass.push(Surface {
            name: "Lungs".into(),
            mesh: Mesh::of_mask(lungs, &Detail::COARSE, |v| v != 0)?,
            colour: LUNGS,
            finish: Finish::Glass,
        });
    }
    // Bit 0: reference; bit 1: prediction.
    let mut joined = truth.map(|v| u8::from(v != 0));
    for (a, b) in joined.data_mut().iter_mut().zip(prediction.data()) {
        *a |= u8::from(*b != 0) << 1;
    }
    let ml = |inside: &dyn Fn(u8) -> bool| {
        let voxels = joined.data().iter().filter(|v| inside(**v)).count();
        voxels as f64 * truth.geometry().voxel_mm3() / 1000.0
    };
    let surface = |name: &str, colour, finish, inside: &dyn Fn(u8) -> bool| -> Result<Surface> {
        Ok(Surface {
            name: name.into(),
            mesh: Mesh::of_mask(&joined, detail, inside)?,
            colour,
            finish,
        })
    };
    let panel = |title: &str, solids: Vec<Surface>, note: String| SurfacePanel {
        title: title.into(),
        surfaces: glass.iter().cloned().chain(solids).collect(),
        note,
    };
    let (in_truth, in_prediction) = (|v: u8| v & 1 != 0, |v: u8| v & 2 != 0);
    let (missed, invented) = (|v: u8| v == 1, |v: u8| v == 2);
    Ok(vec![
        panel(
            "Reference",
            vec![surface("Reference", REFERENCE, Finish::Solid, &in_truth)?],
            format!("{} ml", short(ml(&in_truth))),
        ),
        panel(
            "Prediction",
            vec![surface(
                "Prediction",
                PREDICTION,
                Finish::Solid,
                &in_prediction,
            )?],
            format!("{} ml", short(ml(&in_prediction))),
        ),
        panel(
            "Difference",
            vec![
                surface("In both", AGREED, Finish::Solid, &|v| v == 3)?,
                surface("Missed", MISSED, Finish::Striped, &missed)?,
                surface("Invented", INVENTED, Finish::Dotted, &invented)?,
            ],
            format!(
                "missed {} ml, invented {} ml",
                short(ml(&missed)),
                short(ml(&invented))
            ),
        ),
    ])
}

/// Draws panels × views. All pictures of a row have one scale and centre, which makes them
/// comparable. The light comes from the viewer's upper left.
///
/// # Errors
/// `Draw` if a picture cannot be made.
pub fn surfaces_svg(figure: &SurfaceFigure, theme: &Theme) -> Result<String> {
    let (gap, left) = (6.0, 36.0);
    let columns = figure.panels.len().max(1) as f64;
    let side = (ONE_COLUMN - left - 12.0 - gap * (columns - 1.0)) / columns;
    let (heading, top) = heading(&figure.title, ONE_COLUMN, theme);
    let names = figure
        .panels
        .iter()
        .map(|p| break_lines(&p.title, SMALL, true, side));
    let names: Vec<Vec<String>> = names.collect();
    let lines = names.iter().map(Vec::len).max().unwrap_or(1) as f64;
    let mut y = top + 16.0 * lines;
    let mut pictures: Vec<Markup> = vec![];
    let ground = rgb(theme.ground);
    for view in &figure.views {
        let all = figure.panels.iter().flat_map(|p| &p.surfaces);
        let Some(camera) = Camera::around(all, *view) else {
            continue;
        };
        let [tall_mm, wide_mm] = camera.size_mm();
        let tall = (side * tall_mm / wide_mm).clamp(40.0, 1.4 * side);
        // Three pixels per unit, as `figure_png` has at the scale of print.
        let pixels = [side, tall].map(|v| (3.0 * v).round().max(1.0) as usize);
        let letters = camera.letters();
        pictures.push(upright(22.0, y + tall / 2.0, theme, view.name()));
        for (k, panel) in figure.panels.iter().enumerate() {
            let x = left + (side + gap) * k as f64;
            let data = render(&panel.surfaces, &camera, pixels, ground)?;
            pictures.push(html! {
                g.panel {
                    (picture_over([x, y], [side, tall], pixels, &data)?)
                    @if let Some([from, to]) = letters {
                        (text(x + 2.0, y + 12.0, theme.style(SMALL - 1.0).faint(), from))
                        (text(x + side - 2.0, y + 12.0, theme.style(SMALL - 1.0).faint().end(), to))
                    }
                }
            });
        }
        y += tall + 8.0;
    }
    let below = figure
        .panels
        .iter()
        .map(|p| break_lines(&p.note, SMALL - 1.0, false, side));
    let below: Vec<Vec<String>> = below.collect();
    let below_lines = below.iter().map(Vec::len).max().unwrap_or(0) as f64;
    let keys_at = y + 15.0 * below_lines + 24.0;
    let (keys, keys_tall) = keys(&figure.panels, keys_at, theme);
    let note = break_lines(&figure.note, SMALL - 1.0, false, ONE_COLUMN - 32.0);
    let note_at = keys_at + keys_tall;
    let body = html! {
        (heading)
        @for (k, (name, note)) in names.iter().zip(&below).enumerate() {
            @let x = left + (side + gap) * k as f64 + side / 2.0;
            @for (i, part) in name.iter().enumerate() {
                (text(x, top + 11.0 + 16.0 * i as f64, theme.style(SMALL).bold().middle(), part))
            }
            @for (i, part) in note.iter().enumerate() {
                (text(x, y + 12.0 + 15.0 * i as f64, theme.style(SMALL - 1.0).middle(), part))
            }
        }
        @for picture in &pictures { (picture) }
        @if pictures.is_empty() {
            (text(left, y + 20.0, theme.style(SMALL).faint(), "There is no surface to draw."))
        }
        (keys)
        @for (i, part) in note.iter().enumerate() {
            (text(16.0, note_at + 17.0 * i as f64, theme.style(SMALL - 1.0).faint(), part))
        }
    };
    let height = note_at + 17.0 * note.len() as f64 - 4.0;
    Ok(document(ONE_COLUMN, height, theme.ground, &body))
}

/// A sample of each look with its name; the markup and its height.
fn keys(panels: &[SurfacePanel], top: f64, theme: &Theme) -> (Markup, f64) {
    let mut looks: Vec<&Surface> = vec![];
    for surface in panels.iter().flat_map(|p| &p.surfaces) {
        if looks.iter().all(|s| s.name != surface.name) {
            looks.push(surface);
        }
    }
    let columns = 4;
    let cell = (ONE_COLUMN - 32.0) / columns as f64;
    let markup = html! {
        @for (i, s) in looks.iter().enumerate() {
            @let (x, y) = (16.0 + cell * (i % columns) as f64, top + 21.0 * (i / columns) as f64);
            @let [r, g, b] = s.colour;
            @let colour = format!("#{r:02x}{g:02x}{b:02x}");
            g.key {
                rect x=(x) y=(y - 12.0) width="22" height="15" fill=(colour) stroke=(theme.faint)
                    fill-opacity=(if s.finish == Finish::Glass { "0.35" } else { "1" }) {}
                @match s.finish {
                    Finish::Striped => path d=(format!("M{x} {}l9 -9M{} {}l14 -14M{} {}l8 -8", y - 1.0, x + 3.0, y + 2.5, x + 13.0, y + 2.5))
                        stroke="#00273d" stroke-width="2" {}
                    Finish::Dotted => @for k in 0..6 {
                        circle cx=(x + 4.0 + 7.0 * f64::from(k % 3)) cy=(y - 8.0 + 7.0 * f64::from(k / 3)) r="1.8" fill="#4a2000" {}
                    }
                    Finish::Solid | Finish::Glass => {}
                }
                (text(x + 28.0, y, theme.style(SMALL), &fit(&s.name, SMALL, false, cell - 32.0)))
            }
        }
    };
    (markup, 21.0 * looks.len().div_ceil(columns) as f64 + 4.0)
}
