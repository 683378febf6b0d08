//! Pictures of meshes: orthographic projection, depth buffer, Lambert shading.

use super::mesh::{Mesh, cross, dot, minus, plus, unit};
use crate::{Error, ErrorKind, Result};

/// The look of a surface. Patterns on the picture distinguish kinds of surfaces without colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Finish {
    /// Opaque.
    #[default]
    Solid,
    /// Opaque with diagonal stripes.
    Striped,
    /// Opaque with dots.
    Dotted,
    /// Translucent, denser where it is seen edge-on.
    Glass,
}

/// A mesh with its look.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Surface {
    /// Name for legends and switches.
    pub name: String,
    /// The mesh.
    pub mesh: Mesh,
    /// Colour (red, green, blue).
    pub colour: [u8; 3],
    /// Its look.
    pub finish: Finish,
}

/// The direction from which a body is viewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View3 {
    /// From the front.
    Anterior,
    /// From the back.
    Posterior,
    /// From the patient's left.
    Left,
    /// From the patient's right.
    Right,
    /// From above, the front up.
    Superior,
    /// From below, the front up, as axial slices are shown.
    Inferior,
    /// From the front, turned to the patient's left and a little above.
    Oblique,
}

impl View3 {
    /// Name for a heading.
    pub fn name(self) -> &'static str {
        match self {
            Self::Anterior => "Anterior",
            Self::Posterior => "Posterior",
            Self::Left => "Left",
            Self::Right => "Right",
            Self::Superior => "Superior",
            Self::Inferior => "Inferior",
            Self::Oblique => "Oblique",
        }
    }
}

/// An orthographic camera in LPS coordinates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Camera {
    /// Unit vectors to the picture's right, up, and to the viewer.
    axes: [[f64; 3]; 3],
    centre: [f64; 3],
    /// Height and width shown, in mm.
    size_mm: [f64; 2],
}

impl Camera {
    /// A camera that shows all `surfaces` from `view`, `None` if they have no vertices.
    pub fn around<'a>(surfaces: impl Iterator<Item = &'a Surface>, view: View3) -> Option<Self> {
        let bounds = surfaces.filter_map(|s| s.mesh.bounds());
        let [low, high] = bounds.reduce(|a, b| {
            [
                std::array::from_fn(|k| a[0][k].min(b[0][k])),
                std::array::from_fn(|k| a[1][k].max(b[1][k])),
            ]
        })?;
        let towards = match view {
            View3::Anterior => [0.0, -1.0, 0.0],
            View3::Posterior => [0.0, 1.0, 0.0],
            View3::Left => [1.0, 0.0, 0.0],
            View3::Right => [-1.0, 0.0, 0.0],
            View3::Superior => [0.0, 0.0, 1.0],
            View3::Inferior => [0.0, 0.0, -1.0],
            View3::Oblique => unit([0.6, -0.75, 0.3]),
        };
        let above = match view {
            View3::Superior | View3::Inferior => [0.0, -1.0, 0.0],
            _ => [0.0, 0.0, 1.0],
        };
        let right = unit(cross(above, towards));
        let axes = [right, cross(towards, right), towards];
        let extent =
            |axis: [f64; 3]| -> f64 { (0..3).map(|k| (axis[k] * (high[k] - low[k])).abs()).sum() };
        let margin = |size: f64| (1.06 * size).max(1.0);
        Some(Self {
            axes,
            centre: std::array::from_fn(|k| (low[k] + high[k]) / 2.0),
            size_mm: [margin(extent(axes[1])), margin(extent(axes[0]))],
        })
    }

    /// Letters of the directions at the picture's left and right edges, `None` where the view is
    /// not along an axis of the body.
    pub fn letters(&self) -> Option<[&'static str; 2]> {
        let pairs = [["R", "L"], ["A", "P"], ["I", "S"]];
        let axis = (0..3).find(|k| self.axes[0][*k].abs() > 0.99)?;
        let [low, high] = pairs[axis];
        Some(if self.axes[0][axis] > 0.0 {
            [low, high]
        } else {
            [high, low]
        })
    }

    /// Height and width shown, in mm.
    pub fn size_mm(&self) -> [f64; 2] {
        self.size_mm
    }
}

/// Samples per side of a pixel.
const FINE: usize = 2;

/// Draws surfaces into `width` × `height` pixels (RGB) on `ground`. The camera's extent fits into
/// them.
///
/// # Errors
/// `Draw` if the picture would have 0 or more than 8192 pixels on a side, or a triangle names a
/// vertex that its mesh lacks.
pub fn render(
    surfaces: &[Surface],
    camera: &Camera,
    [width, height]: [usize; 2],
    ground: [u8; 3],
) -> Result<Vec<u8>> {
    if !(1..=8192).contains(&width) || !(1..=8192).contains(&height) {
        return Err(Error::new(
            ErrorKind::Draw,
            format!("a picture of {width} × {height} pixels cannot be drawn; use 1 to 8192"),
        ));
    }
    for s in surfaces {
        let n = s.mesh.vertices.len();
        if s.mesh.triangles.iter().flatten().any(|v| *v as usize >= n) {
            return Err(Error::new(
                ErrorKind::Draw,
                format!("the mesh of {:?} names vertices that it lacks", s.name),
            ));
        }
    }
    let (w, h) = (width * FINE, height * FINE);
    let ground = ground.map(f64::from);
    let mut colours = vec![ground; w * h];
    let mut depths = vec![f64::NEG_INFINITY; w * h];
    let solid = |s: &&Surface| s.finish != Finish::Glass;
    for surface in surfaces.iter().filter(solid) {
        fragments(&surface.mesh, camera, [w, h], |x, y, depth, normal| {
            let i = y * w + x;
            if depth > depths[i] {
                depths[i] = depth;
                colours[i] = shade(surface, camera, normal, [x, y]);
            }
        });
    }
    for surface in surfaces.iter().filter(|s| !solid(s)) {
        // All layers of a surface have one colour, so their order does not matter.
        let mut passing = vec![1.0; w * h];
        fragments(&surface.mesh, camera, [w, h], |x, y, depth, normal| {
            if depth > depths[y * w + x] {
                let facing = dot(normal, camera.axes[2]).abs().min(1.0);
                passing[y * w + x] *= 1.0 - (0.05 + 0.4 * (1.0 - facing).powi(3));
            }
        });
        for (c, t) in colours.iter_mut().zip(passing) {
            *c = std::array::from_fn(|k| c[k] * t + f64::from(surface.colour[k]) * (1.0 - t));
        }
    }
    let mut rgb = Vec::with_capacity(3 * width * height);
    for y in 0..height {
        for x in 0..width {
            let samples = (0..FINE * FINE)
                .map(|s| colours[(y * FINE + s / FINE) * w + x * FINE + s % FINE])
                .fold([0.0; 3], |sum, c| plus(sum, c, 1.0));
            rgb.extend(samples.map(|sum| (sum / (FINE * FINE) as f64).round() as u8));
        }
    }
    Ok(rgb)
}

/// Calls `draw` with column, row, depth (greater is nearer) and normal of each sample that a
/// triangle covers.
fn fragments(
    mesh: &Mesh,
    camera: &Camera,
    [w, h]: [usize; 2],
    mut draw: impl FnMut(usize, usize, f64, [f64; 3]),
) {
    let scale = (h as f64 / camera.size_mm[0]).min(w as f64 / camera.size_mm[1]);
    let normals = mesh.normals();
    let places: Vec<[f64; 3]> = mesh
        .vertices
        .iter()
        .map(|v| {
            let [right, up, near] = camera.axes.map(|a| dot(minus(*v, camera.centre), a));
            [
                w as f64 / 2.0 + scale * right,
                h as f64 / 2.0 - scale * up,
                near,
            ]
        })
        .collect();
    for t in &mesh.triangles {
        let [a, b, c] = t.map(|v| places[v as usize]);
        let twice = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
        if twice.abs() < 1e-12 || !twice.is_finite() {
            continue;
        }
        let span = |k: usize, most: usize| {
            let low = a[k].min(b[k]).min(c[k]) - 0.5;
            let high = a[k].max(b[k]).max(c[k]) - 0.5;
            // Samples lie at pixel centres. Casts saturate, so no sample outside is visited.
            (low.ceil().max(0.0) as usize)..((high.floor() + 1.0).clamp(0.0, most as f64) as usize)
        };
        for y in span(1, h) {
            for x in span(0, w) {
                let p = [x as f64 + 0.5, y as f64 + 0.5];
                let part = |q: [f64; 3], r: [f64; 3]| {
                    ((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])) / twice
                };
                let weights = [part(b, c), part(c, a), part(a, b)];
                if weights.iter().any(|k| *k < 0.0) {
                    continue;
                }
                let depth = weights[0] * a[2] + weights[1] * b[2] + weights[2] * c[2];
                let normal = t
                    .iter()
                    .zip(weights)
                    .fold([0.0; 3], |n, (v, k)| plus(n, normals[*v as usize], k));
                draw(x, y, depth, unit(normal));
            }
        }
    }
}

/// Lambert's law with a light above the viewer's left shoulder and some ambient light.
fn shade(surface: &Surface, camera: &Camera, normal: [f64; 3], [x, y]: [usize; 2]) -> [f64; 3] {
    let [right, up, near] = camera.axes;
    let light = unit(plus(plus(near, up, 0.55), right, -0.45));
    let bright = 0.34 + 0.66 * dot(normal, light).max(0.0);
    // Dark marks on stripes and dots; sizes are in samples.
    let marked = match surface.finish {
        Finish::Striped => (x + y) % 16 < 5,
        Finish::Dotted => {
            let cell = |v: usize, shift: usize| ((v + shift) % 12) as f64 - 5.5;
            let shift = if (y / 12).is_multiple_of(2) { 0 } else { 6 };
            cell(x, shift).hypot(cell(y, 0)) < 3.2
        }
        Finish::Solid | Finish::Glass => false,
    };
    let ink = if marked { 0.45 } else { 1.0 };
    surface.colour.map(|c| f64::from(c) * bright * ink)
}

#[cfg(test)]
mod tests {
    use super::super::mesh::Detail;
    use super::*;
    use multirnet_volume::{Geometry, Volume};

    /// A block of 40 × 20 × 10 mm (x, y, z) at a place.
    fn block(start: [usize; 3], size: [usize; 3], colour: [u8; 3], finish: Finish) -> Surface {
        let grid = Geometry::axial([60; 3], [1.0; 3]).unwrap();
        let mask = Volume::from_fn(grid, |p| {
            u8::from((0..3).all(|a| (start[a]..start[a] + size[a]).contains(&p[a])))
        });
        let detail = Detail {
            cell_mm: 1.0,
            smoothing: 0,
        };
        Surface {
            name: "block".into(),
            mesh: Mesh::of_mask(&mask, &detail, |v| v != 0).unwrap(),
            colour,
            finish,
        }
    }

    fn pixel(rgb: &[u8], width: usize, x: usize, y: usize) -> [u8; 3] {
        std::array::from_fn(|k| rgb[3 * (y * width + x) + k])
    }

    #[test]
    fn a_block_covers_the_area_of_its_side() {
        let solid = block([10, 10, 10], [10, 20, 40], [200, 100, 50], Finish::Solid);
        for (view, area) in [
            (View3::Anterior, 400.0),
            (View3::Posterior, 400.0),
            (View3::Left, 200.0),
            (View3::Right, 200.0),
            (View3::Superior, 800.0),
        ] {
            let camera = Camera::around([&solid].into_iter(), view).unwrap();
            let [tall, wide] = camera.size_mm();
            let rgb = render(std::slice::from_ref(&solid), &camera, [200, 200], [255; 3]).unwrap();
            let scale = (200.0 / tall).min(200.0 / wide);
            let covered = rgb.chunks(3).filter(|p| p[0] < 250 || p[2] < 200).count() as f64;
            let measured = covered / scale.powi(2);
            assert!(
                (measured / area - 1.0).abs() < 0.04,
                "{view:?}: {measured} mm²"
            );
        }
    }

    #[test]
    fn the_nearer_surface_hides_the_other_and_the_patients_right_is_on_the_left() {
        let red = block([20, 10, 5], [10, 10, 20], [255, 0, 0], Finish::Solid);
        let blue = block([20, 30, 5], [10, 10, 50], [0, 0, 255], Finish::Solid);
        let both = [blue, red];
        let camera = Camera::around(both.iter(), View3::Anterior).unwrap();
        let rgb = render(&both, &camera, [100, 50], [255; 3]).unwrap();
        // Red is in front, at low x, which is the patient's right.
        let (left, right) = (pixel(&rgb, 100, 20, 25), pixel(&rgb, 100, 80, 25));
        assert!(left[0] > 100 && left[2] < 50, "{left:?}");
        assert!(right[2] > 100 && right[0] < 50, "{right:?}");
        let camera = Camera::around(both.iter(), View3::Posterior).unwrap();
        let rgb = render(&both, &camera, [100, 50], [255; 3]).unwrap();
        assert!(
            rgb.chunks(3).all(|p| p[0] < 80 || p[2] > 80),
            "red is hidden from behind"
        );
    }

    #[test]
    fn glass_lets_through_what_lies_behind_it() {
        let glass = block([10, 10, 10], [40, 10, 40], [120; 3], Finish::Glass);
        let solid = block([25, 30, 25], [10, 10, 10], [0, 200, 0], Finish::Solid);
        let both = [glass, solid];
        let camera = Camera::around(both.iter(), View3::Anterior).unwrap();
        let rgb = render(&both, &camera, [80, 80], [255; 3]).unwrap();
        let [r, g, b] = pixel(&rgb, 80, 40, 40);
        assert!(g > 80 && g > r + 40 && g > b + 40, "{r} {g} {b}");
        let beside = pixel(&rgb, 80, 20, 20);
        assert!((200..255).contains(&beside[0]), "{beside:?}");
    }

    #[test]
    fn bad_input_is_an_error_or_an_empty_picture() {
        let mut broken = block([1; 3], [2; 3], [0; 3], Finish::Solid);
        let camera = Camera::around([&broken].into_iter(), View3::Oblique).unwrap();
        assert!(render(&[], &camera, [0, 5], [0; 3]).is_err());
        assert_eq!(render(&[], &camera, [1, 1], [7; 3]).unwrap(), [7; 3]);
        broken.mesh.vertices[0] = [f64::NAN; 3];
        assert!(render(&[broken.clone()], &camera, [9, 9], [0; 3]).is_ok());
        broken.mesh.triangles.push([0, 1, 1_000_000]);
        assert!(render(&[broken], &camera, [9, 9], [0; 3]).is_err());
        assert_eq!(Camera::around([].into_iter(), View3::Left), None);
    }
}
