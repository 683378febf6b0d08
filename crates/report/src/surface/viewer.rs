//! An interactive page of surfaces in one file.

use super::raster::{Finish, Surface};
use crate::page::{shell, warnings};
use crate::svg::data_uri;
use crate::{Error, ErrorKind, Result};
use base64::Engine;
use maud::{PreEscaped, html};
use std::fmt::Write as _;

/// An interactive page.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SurfacePage {
    /// Title of the page.
    pub title: String,
    /// What the surfaces show, in words, for readers who cannot see the picture.
    pub description: String,
    /// The surfaces, each with whether it is shown at first.
    pub surfaces: Vec<(Surface, bool)>,
    /// A picture (PNG) for browsers without WebGL or scripts.
    pub picture: Vec<u8>,
    /// Whether the scan is a synthetic phantom.
    pub synthetic: bool,
}

const SCRIPT: &str = include_str!("viewer.js");
const STYLE: &str = "\
#view{display:block;width:100%;height:min(72vh,760px);background:#fff;border:1px solid #8888;touch-action:none;cursor:grab}\
#view:active{cursor:grabbing}#view:focus-visible{outline:3px solid #0072b2;outline-offset:2px}\
fieldset{border:1px solid #8886;margin:.5rem 0;padding:.3rem .8rem}fieldset label{margin-right:1.2rem;white-space:nowrap}\
.swatch{display:inline-block;width:1.1em;height:.8em;border:1px solid #444;margin:0 .35em}button{font:inherit;margin:.15rem .3rem .15rem 0;padding:.25rem .7rem}";

/// A page on which surfaces can be turned and enlarged by mouse, touch and keyboard and switched on
/// and off. It is one file and requests nothing from a network (its content security policy forbids
/// it). Vertices are rounded to 1/65535 of the extent.
///
/// # Errors
/// `Draw` if no surface has vertices, a vertex is not finite, or a triangle names a vertex that its
/// mesh lacks.
pub fn surface_page(page: &SurfacePage) -> Result<String> {
    let data = data(page)?;
    let body = html! {
        h1 { (page.title) }
        (warnings(page.synthetic))
        p #description { (page.description) }
        div #interactive {
            fieldset {
                legend { "Shown" }
                @for (i, (s, shown)) in page.surfaces.iter().enumerate() {
                    @let [r, g, b] = s.colour;
                    label {
                        input type="checkbox" data-surface=(i) checked[*shown];
                        span.swatch style=(format!("background:{}", swatch(s.finish, [r, g, b]))) {}
                        (s.name)
                    }
                }
            }
            p {
                @for view in ["anterior", "posterior", "left", "right", "superior", "inferior", "oblique"] {
                    button type="button" data-view=(view) { "From " (if view == "oblique" { "the front, obliquely" } else { from(view) }) }
                }
            }
            canvas #view tabindex="0" role="img" aria-label=(format!("{}: surfaces that can be turned", page.title))
                aria-describedby="description keys status" {}
            p #keys { "Drag or use the arrow keys to turn. Use the wheel (after a click into the picture), two fingers, + or − to zoom. Press 0 to reset the view." }
            p #status role="status" {}
        }
        div #fallback hidden {
            p { "Turning the surfaces needs scripts and WebGL, which this browser lacks. This picture shows them instead." }
            @if !page.picture.is_empty() { img src=(data_uri(&page.picture)) alt=(page.description); }
        }
        noscript {
            style { "#interactive{display:none}#fallback[hidden]{display:block}" }
        }
        script #surfaces type="application/json" { (PreEscaped(data)) }
        script { (PreEscaped(SCRIPT)) }
    };
    Ok(shell(&page.title, STYLE, &body))
}

fn from(view: &str) -> &str {
    match view {
        "anterior" => "the front",
        "posterior" => "the back",
        "superior" => "above",
        "inferior" => "below",
        "left" => "the patient's left",
        _ => "the patient's right",
    }
}

fn swatch(finish: Finish, [r, g, b]: [u8; 3]) -> String {
    let colour = format!("rgb({r} {g} {b})");
    match finish {
        Finish::Solid => colour,
        Finish::Striped => {
            format!("repeating-linear-gradient(135deg,#0008 0 2px,transparent 2px 5px),{colour}")
        }
        Finish::Dotted => {
            format!("radial-gradient(#0009 28%,transparent 32%) 0 0/5px 5px,{colour}")
        }
        Finish::Glass => format!("rgb({r} {g} {b} / .35)"),
    }
}

/// The surfaces as JSON. Names are left out, so nothing in it needs escaping.
fn data(page: &SurfacePage) -> Result<String> {
    let fail = |reason: String| Error::new(ErrorKind::Draw, reason);
    let bounds = page.surfaces.iter().filter_map(|(s, _)| s.mesh.bounds());
    let [low, high] = bounds
        .reduce(|a, b| {
            [
                std::array::from_fn(|k| a[0][k].min(b[0][k])),
                std::array::from_fn(|k| a[1][k].max(b[1][k])),
            ]
        })
        .ok_or_else(|| fail("there is no surface to show: all meshes are empty".into()))?;
    let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let mut surfaces = String::new();
    for (i, (s, shown)) in page.surfaces.iter().enumerate() {
        let mesh = &s.mesh;
        if mesh.vertices.iter().flatten().any(|v| !v.is_finite()) {
            return Err(fail(format!(
                "the mesh of {:?} has a vertex that is not finite",
                s.name
            )));
        }
        if mesh
            .triangles
            .iter()
            .flatten()
            .any(|v| *v as usize >= mesh.vertices.len())
        {
            return Err(fail(format!(
                "the mesh of {:?} names vertices that it lacks",
                s.name
            )));
        }
        let steps = |v: &[f64; 3]| -> [u16; 3] {
            std::array::from_fn(|k| {
                let part = (v[k] - low[k]) / (high[k] - low[k]).max(1e-6);
                (part * 65535.0).round() as u16
            })
        };
        let positions = mesh
            .vertices
            .iter()
            .flat_map(steps)
            .flat_map(u16::to_le_bytes);
        let triangles = mesh
            .triangles
            .iter()
            .flatten()
            .flat_map(|v| v.to_le_bytes());
        let finish = match s.finish {
            Finish::Solid => "solid",
            Finish::Striped => "striped",
            Finish::Dotted => "dotted",
            Finish::Glass => "glass",
        };
        let _ = write!(
            surfaces,
            "{}{{\"finish\":\"{finish}\",\"shown\":{shown},\"colour\":{:?},\"positions\":\"{}\",\"triangles\":\"{}\"}}",
            if i == 0 { "" } else { "," },
            s.colour,
            encode(&positions.collect::<Vec<u8>>()),
            encode(&triangles.collect::<Vec<u8>>()),
        );
    }
    Ok(format!(
        "{{\"box\":[{low:?},{high:?}],\"surfaces\":[{surfaces}]}}"
    ))
}
