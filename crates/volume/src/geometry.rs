//! Where a volume's voxels lie in the patient.

use crate::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// Grid of a volume in LPS world millimetres.
///
/// Array axes are ordered `(z, y, x)`; world vectors are ordered `(X, Y, Z)`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Parts")]
pub struct Geometry {
    shape: [usize; 3],
    spacing_mm: [f64; 3],
    origin_mm: [f64; 3],
    direction: [[f64; 3]; 3],
}

/// The fields as they are read from JSON and similar formats, before they are checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    shape: [usize; 3],
    spacing_mm: [f64; 3],
    origin_mm: [f64; 3],
    direction: [[f64; 3]; 3],
}

impl TryFrom<Parts> for Geometry {
    type Error = Error;

    fn try_from(parts: Parts) -> Result<Self> {
        Self::new(
            parts.shape,
            parts.spacing_mm,
            parts.origin_mm,
            parts.direction,
        )
    }
}

impl Geometry {
    /// A grid of `shape` voxels `(z, y, x)` with `spacing_mm` per array axis, the LPS position
    /// `origin_mm` of voxel `(0, 0, 0)`'s centre, and `direction[a]` the unit LPS vector along
    /// which array axis `a` grows.
    ///
    /// # Errors
    /// `Geometry` for an empty shape, spacing that is not finite and positive, a direction that is
    /// not finite, not of unit length (within 1e-3; it is renormalised) or singular. Sheared
    /// directions (axes not orthogonal) are kept as they are.
    pub fn new(
        shape: [usize; 3],
        spacing_mm: [f64; 3],
        origin_mm: [f64; 3],
        direction: [[f64; 3]; 3],
    ) -> Result<Self> {
        let bad = |reason: String| Err(Error::new(ErrorKind::Geometry, reason));
        if shape.contains(&0) {
            return bad(format!(
                "the volume has no voxels: shape {shape:?} (z, y, x)"
            ));
        }
        if shape
            .iter()
            .try_fold(1usize, |n, &s| n.checked_mul(s))
            .is_none()
        {
            return bad(format!("the shape {shape:?} (z, y, x) is too large"));
        }
        if spacing_mm.iter().any(|s| !s.is_finite() || *s <= 0.0) {
            return bad(format!(
                "the spacing {spacing_mm:?} mm (z, y, x) is not positive"
            ));
        }
        if origin_mm.iter().any(|s| !s.is_finite()) {
            return bad(format!("the origin {origin_mm:?} mm is not finite"));
        }
        let mut unit = direction;
        for axis in &mut unit {
            let length = axis.iter().map(|v| v * v).sum::<f64>().sqrt();
            if !length.is_finite() || (length - 1.0).abs() > 1e-3 {
                return bad(format!(
                    "the direction {direction:?} is not made of unit vectors"
                ));
            }
            // A length that is 1 but for rounding is kept, so a geometry rebuilt from its parts is
            // the same.
            if (length - 1.0).abs() > 1e-12 {
                axis.iter_mut().for_each(|v| *v /= length);
            }
        }
        if determinant(&unit).abs() < 1e-3 {
            return bad(format!("the direction {direction:?} is singular"));
        }
        Ok(Self {
            shape,
            spacing_mm,
            origin_mm,
            direction: unit,
        })
    }

    /// A grid from the parts of a valid one, copied bit for bit.
    pub(crate) fn from_parts(
        shape: [usize; 3],
        spacing_mm: [f64; 3],
        origin_mm: [f64; 3],
        direction: [[f64; 3]; 3],
    ) -> Self {
        Self {
            shape,
            spacing_mm,
            origin_mm,
            direction,
        }
    }

    /// A canonical axial grid at the world's origin.
    ///
    /// # Errors
    /// As [`Geometry::new`].
    pub fn axial(shape: [usize; 3], spacing_mm: [f64; 3]) -> Result<Self> {
        Self::new(shape, spacing_mm, [0.0; 3], CANONICAL)
    }

    /// Voxels per array axis `(z, y, x)`.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Number of voxels.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Never true: a geometry has at least one voxel.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Millimetres between voxel centres per array axis `(z, y, x)`.
    pub fn spacing_mm(&self) -> [f64; 3] {
        self.spacing_mm
    }

    /// LPS position in millimetres of the centre of voxel `(0, 0, 0)`.
    pub fn origin_mm(&self) -> [f64; 3] {
        self.origin_mm
    }

    /// Unit LPS vectors along the array axes `z`, `y`, `x`.
    pub fn direction(&self) -> [[f64; 3]; 3] {
        self.direction
    }

    /// Volume of one voxel in cubic millimetres (shear taken into account).
    pub fn voxel_mm3(&self) -> f64 {
        self.spacing_mm.iter().product::<f64>() * determinant(&self.direction).abs()
    }

    /// LPS millimetres of a continuous index `(z, y, x)`.
    pub fn index_to_world(&self, index: [f64; 3]) -> [f64; 3] {
        let mut world = self.origin_mm;
        for ((i, spacing), axis) in index.iter().zip(self.spacing_mm).zip(self.direction) {
            for (w, d) in world.iter_mut().zip(axis) {
                *w += i * spacing * d;
            }
        }
        world
    }

    /// Continuous index `(z, y, x)` of a point in LPS millimetres.
    pub fn world_to_index(&self, world: [f64; 3]) -> [f64; 3] {
        let rel = std::array::from_fn::<f64, 3, _>(|k| world[k] - self.origin_mm[k]);
        let inverse = invert_axes(&self.direction);
        std::array::from_fn(|a| {
            (0..3).map(|k| inverse[a][k] * rel[k]).sum::<f64>() / self.spacing_mm[a]
        })
    }

    /// Row-major 4 × 4 matrix that takes `(x, y, z, 1)` voxel indices to LPS millimetres
    /// (note the index order, that of NIfTI and ITK).
    pub fn affine_lps(&self) -> [[f64; 4]; 4] {
        let mut m = [[0.0; 4]; 4];
        for (column, a) in [2usize, 1, 0].into_iter().enumerate() {
            for (row, line) in m.iter_mut().enumerate().take(3) {
                line[column] = self.direction[a][row] * self.spacing_mm[a];
            }
        }
        for (row, line) in m.iter_mut().enumerate().take(3) {
            line[3] = self.origin_mm[row];
        }
        m[3][3] = 1.0;
        m
    }

    /// The geometry of `shape` voxels `(z, y, x)` under a matrix as in [`Geometry::affine_lps`].
    ///
    /// # Errors
    /// As [`Geometry::new`].
    pub fn from_affine_lps(shape: [usize; 3], m: &[[f64; 4]; 4]) -> Result<Self> {
        let mut spacing = [0.0; 3];
        let mut direction = [[0.0; 3]; 3];
        for (column, a) in [2usize, 1, 0].into_iter().enumerate() {
            let v = [m[0][column], m[1][column], m[2][column]];
            spacing[a] = v.iter().map(|c| c * c).sum::<f64>().sqrt();
            if !spacing[a].is_finite() || spacing[a] <= 0.0 {
                return Err(Error::new(
                    ErrorKind::Geometry,
                    format!("column {column} of the affine {m:?} has no finite length"),
                ));
            }
            direction[a] = v.map(|c| c / spacing[a]);
        }
        Self::new(shape, spacing, [m[0][3], m[1][3], m[2][3]], direction)
    }

    /// The same grid moved to start at the (possibly negative) voxel `start` with `shape` voxels.
    ///
    /// # Errors
    /// `Geometry` if `shape` is empty.
    pub fn window(&self, start: [i64; 3], shape: [usize; 3]) -> Result<Self> {
        let origin = self.index_to_world(start.map(|s| s as f64));
        Self::new(shape, self.spacing_mm, origin, self.direction)
    }

    /// The grid of other `shape` that covers the same extent, voxel edge to voxel edge
    /// ("align corners = false" of PyTorch; the extent is `shape · spacing`).
    ///
    /// # Errors
    /// `Geometry` if `shape` is empty.
    pub fn with_shape(&self, shape: [usize; 3]) -> Result<Self> {
        if shape.contains(&0) {
            return Err(Error::new(
                ErrorKind::Geometry,
                format!("empty shape {shape:?}"),
            ));
        }
        let ratio = std::array::from_fn::<f64, 3, _>(|a| self.shape[a] as f64 / shape[a] as f64);
        let first = ratio.map(|r| (r - 1.0) / 2.0);
        let spacing = std::array::from_fn(|a| self.spacing_mm[a] * ratio[a]);
        Self::new(shape, spacing, self.index_to_world(first), self.direction)
    }

    /// The grid of exactly `spacing_mm` that covers nearly the same extent. The number of voxels
    /// is rounded, with a minimum of one. The first voxel's outer edge stays in place.
    ///
    /// # Errors
    /// `Geometry` if the spacing is not positive.
    pub fn with_spacing(&self, spacing_mm: [f64; 3]) -> Result<Self> {
        if spacing_mm.iter().any(|s| !s.is_finite() || *s <= 0.0) {
            return Err(Error::new(
                ErrorKind::Geometry,
                format!("bad spacing {spacing_mm:?} mm"),
            ));
        }
        let shape = std::array::from_fn(|a| {
            ((self.shape[a] as f64 * self.spacing_mm[a] / spacing_mm[a]).round() as usize).max(1)
        });
        let first = std::array::from_fn(|a| (spacing_mm[a] / self.spacing_mm[a] - 1.0) / 2.0);
        Self::new(
            shape,
            spacing_mm,
            self.index_to_world(first),
            self.direction,
        )
    }

    /// Whether both grids have the same shape and their voxels lie within `tolerance_mm` of each
    /// other, checked at the eight corners.
    pub fn matches(&self, other: &Self, tolerance_mm: f64) -> bool {
        self.shape == other.shape
            && (0..8).all(|corner| {
                let index = std::array::from_fn(|a| {
                    if corner >> a & 1 == 1 {
                        (self.shape[a] - 1) as f64
                    } else {
                        0.0
                    }
                });
                let (p, q) = (self.index_to_world(index), other.index_to_world(index));
                (0..3).all(|k| (p[k] - q[k]).abs() <= tolerance_mm)
            })
    }
}

/// Distance in millimetres up to which voxels count as lying in the same place: file formats round.
const SAME_PLACE_MM: f64 = 1e-2;

impl Geometry {
    /// In what this grid and `other` differ, for an error message; `None` if their voxels lie within
    /// a hundredth of a millimetre of each other.
    pub fn difference(&self, other: &Self) -> Option<String> {
        if self.matches(other, SAME_PLACE_MM) {
            return None;
        }
        let differ = |a: [f64; 3], b: [f64; 3], least: f64| {
            a.iter().zip(b).any(|(a, b)| (a - b).abs() > least)
        };
        let list = |v: [f64; 3]| v.map(|x| format!("{x:.3}")).join(", ");
        let both = |what: &str, a: [f64; 3], b: [f64; 3]| {
            format!("their {what} are ({}) and ({})", list(a), list(b))
        };
        Some(if self.shape != other.shape {
            let [a, b] = [self.shape, other.shape].map(|s| s.map(|n| n.to_string()).join(" × "));
            format!("they have {a} and {b} voxels (z, y, x)")
        } else if differ(self.spacing_mm, other.spacing_mm, 1e-4) {
            let (a, b) = (self.spacing_mm, other.spacing_mm);
            both("spacings in millimetres (z, y, x)", a, b)
        } else if differ(self.origin_mm, other.origin_mm, SAME_PLACE_MM) {
            let (a, b) = (self.origin_mm, other.origin_mm);
            both(
                "first voxels in millimetres (left, posterior, superior)",
                a,
                b,
            )
        } else {
            "their axes point in different directions".to_owned()
        })
    }
}

/// Direction matrix of the canonical orientation: z → superior, y → posterior, x → left.
pub(crate) const CANONICAL: [[f64; 3]; 3] = [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]];

fn determinant(m: &[[f64; 3]; 3]) -> f64 {
    m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
        - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
        + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
}

/// Rows `r` with `r[a] · axes[b] = δ(a, b)`: the dual basis of the axes.
fn invert_axes(axes: &[[f64; 3]; 3]) -> [[f64; 3]; 3] {
    let det = determinant(axes);
    std::array::from_fn(|a| {
        let (u, v) = (axes[(a + 1) % 3], axes[(a + 2) % 3]);
        [
            (u[1] * v[2] - u[2] * v[1]) / det,
            (u[2] * v[0] - u[0] * v[2]) / det,
            (u[0] * v[1] - u[1] * v[0]) / det,
        ]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_deserialised_is_checked() {
        let direction = [[0.0, 0.6, 0.8], [0.0, 0.8, -0.6], [1.0, 0.0, 0.0]];
        let geometry = Geometry::new([2, 3, 4], [2.5, 0.7, 0.7], [0.1, 0.2, 0.3], direction);
        let geometry = geometry.unwrap();
        let json = serde_json::to_string(&geometry).unwrap();
        assert_eq!(serde_json::from_str::<Geometry>(&json).unwrap(), geometry);
        for (from, to) in [("[2,3,4]", "[2,0,4]"), ("2.5", "-2.5"), ("0.6", "0.7")] {
            assert!(json.contains(from), "{json}");
            assert!(serde_json::from_str::<Geometry>(&json.replacen(from, to, 1)).is_err());
        }
    }

    #[test]
    fn a_difference_names_what_differs() {
        let new = |shape, spacing, origin, direction| {
            Geometry::new(shape, spacing, origin, direction).unwrap()
        };
        let own = new([4, 5, 6], [2.0, 1.0, 1.0], [0.0; 3], CANONICAL);
        let mut turned = CANONICAL;
        turned[1] = turned[1].map(|x| -x);
        for (other, expected) in [
            (
                new([4, 5, 7], [2.0, 1.0, 1.0], [0.0; 3], CANONICAL),
                "4 × 5 × 6 and 4 × 5 × 7",
            ),
            (
                new([4, 5, 6], [2.5, 1.0, 1.0], [0.0; 3], CANONICAL),
                "(2.000, 1.000, 1.000) and (2.500",
            ),
            (
                new([4, 5, 6], [2.0, 1.0, 1.0], [0.0, 0.0, 3.0], CANONICAL),
                "first voxels",
            ),
            (new([4, 5, 6], [2.0, 1.0, 1.0], [0.0; 3], turned), "axes"),
        ] {
            let difference = own.difference(&other).unwrap();
            assert!(difference.contains(expected), "{difference}");
        }
        let near = new([4, 5, 6], [2.0, 1.0, 1.0], [0.004; 3], CANONICAL);
        assert_eq!(own.difference(&near), None);
    }

    #[test]
    fn index_and_world_are_inverse_and_resized_grids_keep_their_extent() {
        // A tilted gantry gives such a sheared grid.
        let direction = [[0.0, 0.28, 0.96], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]];
        let geometry =
            Geometry::new([9, 8, 7], [2.5, 0.7, 0.8], [10.0, -20.0, 30.0], direction).unwrap();
        let index = [1.25, -3.5, 6.0];
        let back = geometry.world_to_index(geometry.index_to_world(index));
        assert!((0..3).all(|a| (back[a] - index[a]).abs() < 1e-12));
        assert!((geometry.voxel_mm3() - 2.5 * 0.7 * 0.8 * 0.96).abs() < 1e-12);
        let m = geometry.affine_lps();
        assert!(
            Geometry::from_affine_lps([9, 8, 7], &m)
                .unwrap()
                .matches(&geometry, 1e-9)
        );
        let resized = geometry.with_shape([5, 20, 7]).unwrap();
        for (index, edge) in [
            (resized.shape().map(|n| n as f64 - 0.5), true),
            ([-0.5; 3], false),
        ] {
            let there = geometry.world_to_index(resized.index_to_world(index));
            for (there, n) in there.into_iter().zip(geometry.shape()) {
                let expected = if edge { n as f64 - 0.5 } else { -0.5 };
                assert!((there - expected).abs() < 1e-9);
            }
        }
    }
}
