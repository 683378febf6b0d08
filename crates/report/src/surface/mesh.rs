//! Meshes of masks.

use super::cubes::{Field, march};
use crate::{Error, ErrorKind, Result};
use multirnet_volume::Volume;
use std::collections::HashMap;

/// The fineness and smoothness of a mesh.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detail {
    /// Size of a cell in mm. Along each axis, a cell averages as many voxels as make up about this
    /// size (at least one). Structures thinner than half a cell vanish.
    pub cell_mm: f64,
    /// Number of smoothing steps (Taubin, 1995), which remove the steps of slices and hardly change
    /// the volume; 0 for none.
    pub smoothing: usize,
}

impl Detail {
    /// For lesions.
    pub const FINE: Self = Self {
        cell_mm: 1.5,
        smoothing: 12,
    };
    /// For lungs.
    pub const COARSE: Self = Self {
        cell_mm: 3.0,
        smoothing: 20,
    };
}

impl Default for Detail {
    fn default() -> Self {
        Self::FINE
    }
}

/// A closed surface: vertices in LPS millimetres and triangles that run counter-clockwise seen from
/// outside.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mesh {
    /// Vertices `(x, y, z)` in mm (left, posterior, superior).
    pub vertices: Vec<[f64; 3]>,
    /// Triangles as indices of vertices.
    pub triangles: Vec<[u32; 3]>,
}

impl Mesh {
    /// The surface of the voxels for which `inside` holds: averaged into cells, meshed by marching
    /// cubes and smoothed. A mask without such voxels has a mesh without triangles.
    ///
    /// # Errors
    /// `Mismatch` if the cell size is not a positive number.
    pub fn of_mask(
        mask: &Volume<u8>,
        detail: &Detail,
        inside: impl Fn(u8) -> bool,
    ) -> Result<Self> {
        if !(detail.cell_mm.is_finite() && detail.cell_mm > 0.0) {
            return Err(Error::new(
                ErrorKind::Mismatch,
                format!(
                    "a mesh cannot have cells of {} mm; give a positive size",
                    detail.cell_mm
                ),
            ));
        }
        let spacing = mask.geometry().spacing_mm();
        let stride: [usize; 3] = std::array::from_fn(|a| {
            ((detail.cell_mm / spacing[a]).round() as usize).clamp(1, mask.shape()[a])
        });
        let (vertices, mut triangles) = march(&occupancy(mask, stride, inside));
        let vertices: Vec<[f64; 3]> = vertices
            .into_iter()
            .map(|v| {
                // A cell's value stands at its middle; cell 0 of the field lies outside the mask.
                let index = std::array::from_fn(|a| (v[a] - 1.0 + 0.5) * stride[a] as f64 - 0.5);
                mask.geometry().index_to_world(index)
            })
            .collect();
        // Index axes that form a left-handed frame in the world turn triangles inside out.
        let [z, y, x] = mask.geometry().direction();
        if dot(cross(x, y), z) < 0.0 {
            triangles.iter_mut().for_each(|t| t.swap(1, 2));
        }
        let mut mesh = Self {
            vertices,
            triangles,
        };
        mesh.smooth(detail.smoothing);
        Ok(mesh)
    }

    /// Area in mm².
    pub fn area_mm2(&self) -> f64 {
        self.corners()
            .map(|[a, b, c]| norm(cross(minus(b, a), minus(c, a))) / 2.0)
            .sum()
    }

    /// Enclosed volume in ml; negative if triangles run the wrong way round.
    pub fn volume_ml(&self) -> f64 {
        self.corners()
            .map(|[a, b, c]| dot(a, cross(b, c)) / 6.0)
            .sum::<f64>()
            / 1000.0
    }

    /// Whether triangles pass every edge equally often in both directions. Such a surface has no
    /// holes and a consistent outside.
    pub fn is_closed(&self) -> bool {
        let mut edges: HashMap<(u32, u32), i64> = HashMap::new();
        for t in &self.triangles {
            for k in 0..3 {
                let (a, b) = (t[k], t[(k + 1) % 3]);
                *edges.entry((a.min(b), a.max(b))).or_default() += if a < b { 1 } else { -1 };
            }
        }
        edges.values().all(|n| *n == 0)
    }

    /// The least and greatest coordinates, `None` without vertices.
    pub fn bounds(&self) -> Option<[[f64; 3]; 2]> {
        let first = *self.vertices.first()?;
        Some(self.vertices.iter().fold([first; 2], |[low, high], v| {
            [
                std::array::from_fn(|k| low[k].min(v[k])),
                std::array::from_fn(|k| high[k].max(v[k])),
            ]
        }))
    }

    /// Outward unit normals of the vertices, from the triangles around each, weighted by area.
    pub fn normals(&self) -> Vec<[f64; 3]> {
        let mut normals = vec![[0.0; 3]; self.vertices.len()];
        for (t, [a, b, c]) in self.triangles.iter().zip(self.corners()) {
            let n = cross(minus(b, a), minus(c, a));
            for &v in t {
                normals[v as usize] = plus(normals[v as usize], n, 1.0);
            }
        }
        normals.into_iter().map(unit).collect()
    }

    fn corners(&self) -> impl Iterator<Item = [[f64; 3]; 3]> {
        self.triangles
            .iter()
            .map(|t| t.map(|v| self.vertices[v as usize]))
    }

    /// Moves each vertex towards the mean of its neighbours and then a little further back, which
    /// removes roughness without shrinking (G. Taubin, A signal processing approach to fair surface
    /// design, SIGGRAPH 1995; pass band 0.1).
    fn smooth(&mut self, steps: usize) {
        let (towards, pass_band) = (0.5, 0.1);
        let back = 1.0 / (pass_band - 1.0 / towards);
        for _ in 0..steps {
            for amount in [towards, back] {
                let mut sums = vec![([0.0; 3], 0.0); self.vertices.len()];
                for t in &self.triangles {
                    for k in 0..3 {
                        // In a closed mesh each neighbour is met as often as any other.
                        let (a, b) = (t[k] as usize, self.vertices[t[(k + 1) % 3] as usize]);
                        sums[a] = (plus(sums[a].0, b, 1.0), sums[a].1 + 1.0);
                    }
                }
                for (v, (sum, n)) in self.vertices.iter_mut().zip(sums) {
                    if n > 0.0 {
                        let mean = sum.map(|s| s / n);
                        *v = plus(*v, minus(mean, *v), amount);
                    }
                }
            }
        }
    }
}

/// Share of each cell of `stride` voxels that is inside, with one empty cell around them all.
fn occupancy(mask: &Volume<u8>, stride: [usize; 3], inside: impl Fn(u8) -> bool) -> Field {
    let source = mask.shape();
    let shape: [usize; 3] = std::array::from_fn(|a| source[a].div_ceil(stride[a]) + 2);
    let mut values = vec![0.0f32; shape.iter().product()];
    let part = 1.0 / stride.iter().product::<usize>() as f32;
    for z in 0..source[0] {
        for y in 0..source[1] {
            let row = &mask.data()[mask.offset([z, y, 0])..][..source[2]];
            let cell_row = ((z / stride[0] + 1) * shape[1] + y / stride[1] + 1) * shape[2] + 1;
            for (x, v) in row.iter().enumerate() {
                if inside(*v) {
                    values[cell_row + x / stride[2]] += part;
                }
            }
        }
    }
    Field { shape, values }
}

pub(super) fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(super) fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]
}

pub(super) fn minus(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    plus(a, b, -1.0)
}

pub(super) fn plus(a: [f64; 3], b: [f64; 3], times: f64) -> [f64; 3] {
    std::array::from_fn(|k| a[k] + times * b[k])
}

pub(super) fn norm(a: [f64; 3]) -> f64 {
    dot(a, a).sqrt()
}

pub(super) fn unit(a: [f64; 3]) -> [f64; 3] {
    let n = norm(a);
    if n > 0.0 { a.map(|v| v / n) } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;
    use multirnet_volume::{Geometry, Orientation};

    fn ball(shape: [usize; 3], spacing: [f64; 3], radius: f64) -> Volume<u8> {
        let middle: [f64; 3] = std::array::from_fn(|a| shape[a] as f64 * spacing[a] / 2.0);
        Volume::from_fn(Geometry::axial(shape, spacing).unwrap(), |p| {
            let d: f64 = (0..3)
                .map(|a| ((p[a] as f64 + 0.5) * spacing[a] - middle[a]).powi(2))
                .sum();
            u8::from(d <= radius * radius)
        })
    }

    #[test]
    fn a_ball_has_its_area_and_volume() {
        let pi = std::f64::consts::PI;
        for (shape, spacing, cell, smoothing, area_bound, volume_bound) in [
            ([48; 3], [1.0; 3], 1.0, 12, 0.03, 0.02),
            ([48; 3], [1.0; 3], 2.0, 0, 0.06, 0.02),
            ([96; 3], [0.5; 3], 2.0, 6, 0.03, 0.03),
            ([16, 64, 64], [3.0, 0.7, 0.7], 1.4, 12, 0.05, 0.04),
        ] {
            let r = 18.0;
            let detail = Detail {
                cell_mm: cell,
                smoothing,
            };
            let mesh = Mesh::of_mask(&ball(shape, spacing, r), &detail, |v| v != 0).unwrap();
            assert!(mesh.is_closed());
            let area = mesh.area_mm2() / (4.0 * pi * r * r);
            let volume = mesh.volume_ml() * 1000.0 / (4.0 / 3.0 * pi * r.powi(3));
            println!("{spacing:?} mm, cells {cell} mm: area {area:.4}, volume {volume:.4}");
            assert!((area - 1.0).abs() < area_bound, "area {area}");
            assert!((volume - 1.0).abs() < volume_bound, "volume {volume}");
            let [low, high] = mesh.bounds().unwrap();
            for k in 0..3 {
                let axis = 2 - k;
                let middle = (shape[axis] as f64 - 1.0) * spacing[axis] / 2.0;
                assert!(((low[k] + high[k]) / 2.0 - middle).abs() < 0.3);
            }
        }
    }

    #[test]
    fn any_mask_has_a_closed_surface_with_its_inside_inside() {
        // A hash of the voxel's index: all 256 patterns of a cell occur.
        let grid = Geometry::axial([14, 15, 16], [2.0, 1.0, 0.5]).unwrap();
        let mask = Volume::from_fn(grid, |[z, y, x]| {
            let h = (z * 225 + y * 16 + x) as u64;
            let h = (h ^ 0x9e37).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            u8::from((h >> 37) % 5 < 2)
        });
        let rough = Detail {
            cell_mm: 0.1,
            smoothing: 0,
        };
        for orientation in Orientation::all() {
            let mesh = Mesh::of_mask(&mask.reorient(orientation), &rough, |v| v != 0).unwrap();
            assert!(mesh.is_closed(), "{orientation}");
            assert!(mesh.volume_ml() > 0.0, "{orientation}");
        }
    }

    #[test]
    fn an_empty_mask_has_no_surface_and_a_full_one_has() {
        let grid = Geometry::axial([3, 4, 5], [1.0; 3]).unwrap();
        let empty = Volume::filled(0u8, grid);
        let mesh = Mesh::of_mask(&empty, &Detail::FINE, |v| v != 0).unwrap();
        assert!(mesh.triangles.is_empty() && mesh.bounds().is_none());
        let sharp = Detail {
            cell_mm: 1.0,
            smoothing: 0,
        };
        let full = Mesh::of_mask(&empty, &sharp, |v| v == 0).unwrap();
        assert!(full.is_closed());
        // The block's faces keep their place; edges and corners are cut off.
        assert_eq!(full.bounds().unwrap(), [[-0.5; 3], [4.5, 3.5, 2.5]]);
        assert!((0.04..0.06).contains(&full.volume_ml()));
        for cell_mm in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let bad = Detail {
                cell_mm,
                smoothing: 0,
            };
            assert!(Mesh::of_mask(&empty, &bad, |v| v != 0).is_err());
        }
    }
}
