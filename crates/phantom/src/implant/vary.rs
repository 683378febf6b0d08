//! Variation of the scan itself: grid, shape, breathing level, kernel and noise.

use super::config::BackgroundConfig;
use super::ground::Ground;
use crate::Result;
use crate::noise::{Noise, lerp, smooth};
use crate::scanner::{Grain, Kernel};
use multirnet_base::random::{Random, mix};
use multirnet_volume::morphology::bounds;
use multirnet_volume::{Geometry, Volume};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// How one variant's background differs from the scan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variation {
    /// Stretching per axis `(z, y, x)`.
    pub scale: [f64; 3],
    /// Rotation in degrees about the axes `(z, y, x)`.
    pub rotation_deg: [f64; 3],
    /// Amplitude of the elastic deformation in mm.
    pub elastic_mm: f64,
    /// Millimetres between voxels `(z, y, x)`.
    pub spacing_mm: [f64; 3],
    /// Margin around the lungs in mm; `None` keeps the whole scan.
    pub margin_mm: Option<f64>,
    /// Target mean HU of aerated lung; `None` keeps the scan's own.
    pub lung_hu: Option<f64>,
    /// HU added at the lungs' back.
    pub dependent_hu: f64,
    /// −1 smooths, 1 sharpens.
    pub kernel: f64,
    /// Standard deviation of the added noise in HU.
    pub noise_hu: f64,
}

impl Variation {
    pub(super) fn draw(config: &BackgroundConfig, ground: &Ground, seed: u64) -> Self {
        let own = ground.geometry().spacing_mm();
        if !config.vary {
            return Self {
                scale: [1.0; 3],
                rotation_deg: [0.0; 3],
                elastic_mm: 0.0,
                spacing_mm: own,
                margin_mm: None,
                lung_hu: None,
                dependent_hu: 0.0,
                kernel: 0.0,
                noise_hu: 0.0,
            };
        }
        let r = &mut Random::new(seed, 40);
        let mut from = |[low, high]: [f64; 2]| (r.uniform(low, high) * 1000.0).round() / 1000.0;
        let size = from(config.scale);
        let narrow = [
            config.scale[0].max(size - 0.06),
            config.scale[1].min(size + 0.06),
        ];
        let turn = config.rotation_deg;
        let pixel = from(config.pixel_mm);
        let thin = config.slice_mm[0].max(0.6 * own[0]).min(config.slice_mm[1]);
        Self {
            scale: [size, from(narrow), from(narrow)],
            rotation_deg: [turn, 0.5 * turn, 0.5 * turn].map(|t| from([-t, t])),
            elastic_mm: from([0.0, config.elastic_mm]),
            spacing_mm: [
                from([thin.ln(), config.slice_mm[1].ln()]).exp(),
                pixel,
                pixel,
            ]
            .map(|v| (v * 1000.0).round() / 1000.0),
            margin_mm: Some(from(config.margin_mm)),
            lung_hu: Some(from(config.lung_hu)),
            dependent_hu: from(config.dependent_hu),
            kernel: from(config.kernel),
            noise_hu: from(config.noise_hu),
        }
    }
}

/// A varied scan, ready for lesions; all fields lie on one grid.
pub(super) struct Stage {
    pub geometry: Geometry,
    pub spacing_mm: [f32; 3],
    pub hu: Vec<f32>,
    pub lungs: Vec<u8>,
    pub depth: Vec<f32>,
    pub free: Vec<f32>,
    pub lumen: Vec<f32>,
}

impl Stage {
    pub fn shape(&self) -> [usize; 3] {
        self.geometry.shape()
    }

    /// Position of voxel `i` in mm from the first voxel's centre.
    #[inline]
    pub fn point(&self, i: usize) -> [f32; 3] {
        let [_, ny, nx] = self.shape();
        let index = [i / (ny * nx), i / nx % ny, i % nx];
        std::array::from_fn(|a| index[a] as f32 * self.spacing_mm[a])
    }

    /// The scan `ground` under `variation`, without kernel and noise.
    pub fn new(ground: &Ground, variation: &Variation, seed: u64) -> Result<Self> {
        let way = Way::new(ground, variation, seed)?;
        let geometry = way.geometry;
        let [_, ny, nx] = geometry.shape();
        let plane = ny * nx;
        let blank = || vec![0.0f32; geometry.len()];
        let (mut hu, mut depth, mut free, mut lumen) = (blank(), blank(), blank(), blank());
        let mut lungs = vec![0u8; geometry.len()];
        hu.par_chunks_exact_mut(plane)
            .zip(depth.par_chunks_exact_mut(plane))
            .zip(free.par_chunks_exact_mut(plane))
            .zip(lumen.par_chunks_exact_mut(plane))
            .zip(lungs.par_chunks_exact_mut(plane))
            .enumerate()
            .for_each_init(
                Vec::new,
                |row, (k, ((((hu, depth), free), lumen), lungs))| {
                    for y in 0..ny {
                        way.row(k, y, nx, row);
                        for (x, p) in row.iter().enumerate() {
                            let i = y * nx + x;
                            hu[i] = way.averaged(&ground.hu, *p);
                            depth[i] = linear(&ground.depth, *p) * way.size;
                            lungs[i] = nearest(&ground.lungs, *p);
                            if depth[i] > -6.0 {
                                free[i] = linear(&ground.free, *p);
                                lumen[i] = linear(&ground.lumen, *p);
                            }
                        }
                    }
                },
            );
        let mut stage = Self {
            geometry,
            spacing_mm: geometry.spacing_mm().map(|s| s as f32),
            hu,
            lungs,
            depth,
            free,
            lumen,
        };
        stage.breathe(variation);
        Ok(stage)
    }

    /// Shifts aerated lung to the breathing level and adds the dependent density.
    fn breathe(&mut self, variation: &Variation) {
        let [_, ny, nx] = self.shape();
        let (mut sum, mut n, mut front, mut back) = (0.0f64, 0.0f64, usize::MAX, 0);
        for (i, (&v, &l)) in self.hu.iter().zip(&self.lungs).enumerate() {
            if l > 0 && v < -500.0 {
                sum += f64::from(v);
                n += 1.0;
                let y = i / nx % ny;
                front = front.min(y);
                back = back.max(y);
            }
        }
        let shift = match variation.lung_hu {
            Some(aim) if n > 0.0 => (aim - sum / n).clamp(-110.0, 110.0) as f32,
            _ => 0.0,
        };
        let dependent = variation.dependent_hu as f32;
        if shift == 0.0 && dependent == 0.0 {
            return;
        }
        let long = (back.saturating_sub(front)).max(1) as f32;
        let lungs = &self.lungs;
        self.hu
            .par_chunks_exact_mut(ny * nx)
            .enumerate()
            .for_each(|(k, plane)| {
                for (i, v) in plane.iter_mut().enumerate() {
                    if lungs[k * ny * nx + i] > 0 && *v < -500.0 {
                        let y = ((i / nx).saturating_sub(front) as f32 / long).min(1.0);
                        *v += (shift + dependent * y * y) * smooth(-500.0, -750.0, *v);
                    }
                }
            });
    }

    /// Applies the kernel, adds noise and rounds to whole HU.
    pub fn finish(&mut self, variation: &Variation, seed: u64) {
        let [_, ny, nx] = self.shape();
        let pixel = self.spacing_mm[2];
        let kernel = variation.kernel as f32;
        let blur = (kernel < 0.0)
            .then(|| Kernel::gaussian(-kernel * 0.9 / pixel))
            .flatten();
        let sharp = (kernel > 0.0)
            .then(|| Kernel::gaussian((1.1 / pixel).max(0.6)))
            .flatten();
        let grain = Grain::new(lerp(0.8, 0.4, 0.5 + 0.5 * kernel) / pixel);
        let sd = variation.noise_hu as f32;
        self.hu
            .par_chunks_exact_mut(ny * nx)
            .enumerate()
            .for_each_init(
                || (Vec::new(), [Vec::new(), Vec::new()]),
                |(copy, work), (k, plane)| {
                    if let Some(blur) = &blur {
                        blur.apply(plane, nx, &mut work[0]);
                    }
                    if let Some(sharp) = &sharp {
                        copy.clear();
                        copy.extend_from_slice(plane);
                        sharp.apply(copy, nx, &mut work[0]);
                        for (p, c) in plane.iter_mut().zip(copy.iter()) {
                            *p += kernel * (*p - c);
                        }
                    }
                    if sd > 0.0 {
                        let seed = mix(seed ^ mix(k as u64 + 4077));
                        grain.fill(seed, copy, ny * nx, nx, work);
                        for (p, n) in plane.iter_mut().zip(copy.iter()) {
                            *p += sd * n;
                        }
                    }
                    for p in plane {
                        *p = p.round().clamp(-1024.0, 3071.0);
                    }
                },
            );
    }
}

/// The mapping from the variant's voxels to the scan's.
struct Way {
    geometry: Geometry,
    /// Voxel of the scan at the variant's first voxel, and per step along each axis.
    origin: [f32; 3],
    step: [[f32; 3]; 3],
    elastic: Option<Elastic>,
    spacing: [f32; 3],
    /// Offsets in the scan's slices over which a slice is averaged.
    slab: Vec<f32>,
    size: f32,
}

/// A smooth random displacement.
struct Elastic {
    noise: Noise,
    phase: [f32; 3],
    /// Amplitude per axis in the scan's voxels.
    amount: [f32; 3],
}

/// Pixels between the points where the elastic deformation is computed.
const KNOT: usize = 8;
/// Wavelength scale of the elastic deformation in mm.
const WAVE_MM: f32 = 55.0;

impl Way {
    fn new(ground: &Ground, v: &Variation, seed: u64) -> Result<Self> {
        let own = ground.geometry();
        let (shape, spacing) = (own.shape(), own.spacing_mm());
        let (low, high) = match v.margin_mm.and_then(|m| Some((m, bounds(&ground.lungs)?))) {
            None => ([0.0; 3], shape.map(|n| n as f64 - 1.0)),
            Some((margin, (low, high))) => (
                std::array::from_fn(|a| (low[a] as f64 - margin / spacing[a]).max(0.0)),
                std::array::from_fn(|a| {
                    (high[a] as f64 + margin / spacing[a]).min(shape[a] as f64 - 1.0)
                }),
            ),
        };
        let centre: [f64; 3] = std::array::from_fn(|a| 0.5 * (low[a] + high[a]));
        let new: [usize; 3] = std::array::from_fn(|a| {
            let long = (high[a] - low[a] + 1.0) * spacing[a] * v.scale[a];
            ((long / v.spacing_mm[a]).round() as usize).max(8)
        });
        // Rotations about z, y and x; columns are the directions of the variant's axes (z, y, x).
        let [a, b, c] = v.rotation_deg.map(|d| d.to_radians().sin_cos());
        let spin = |p: [f64; 3]| {
            let [z, y, x] = p;
            let (y, x) = (a.1 * y - a.0 * x, a.0 * y + a.1 * x);
            let (z, x) = (b.1 * z - b.0 * x, b.0 * z + b.1 * x);
            let (z, y) = (c.1 * z - c.0 * y, c.0 * z + c.1 * y);
            [z, y, x]
        };
        let mut step = [[0.0f64; 3]; 3];
        for axis in 0..3 {
            let mut unit = [0.0; 3];
            unit[axis] = v.spacing_mm[axis] / v.scale[axis];
            let turned = spin(unit);
            step[axis] = std::array::from_fn(|k| turned[k] / spacing[k]);
        }
        let origin: [f64; 3] = std::array::from_fn(|k| {
            centre[k]
                - (0..3)
                    .map(|axis| 0.5 * (new[axis] as f64 - 1.0) * step[axis][k])
                    .sum::<f64>()
        });
        let middle = own.index_to_world(centre);
        let direction = own.direction();
        let first: [f64; 3] = std::array::from_fn(|k| {
            middle[k]
                - (0..3)
                    .map(|axis| {
                        0.5 * (new[axis] as f64 - 1.0) * v.spacing_mm[axis] * direction[axis][k]
                    })
                    .sum::<f64>()
        });
        let geometry = Geometry::new(new, v.spacing_mm, first, direction)?;
        let layers = (v.spacing_mm[0] / v.scale[0] / spacing[0])
            .round()
            .clamp(1.0, 6.0);
        let slab = (0..layers as usize)
            .map(|j| ((j as f64 + 0.5) / layers - 0.5) * v.spacing_mm[0] / v.scale[0] / spacing[0])
            .map(|offset| offset as f32)
            .collect();
        let r = &mut Random::new(seed, 41);
        let phase: [f32; 3] = std::array::from_fn(|_| r.uniform(0.0, 30.0) as f32);
        let amplitude = v.elastic_mm as f32;
        let elastic = (amplitude > 0.0).then(|| Elastic {
            noise: Noise::new(r),
            phase,
            amount: spacing.map(|s| amplitude / s as f32),
        });
        Ok(Self {
            geometry,
            origin: origin.map(|v| v as f32),
            step: step.map(|s| s.map(|v| v as f32)),
            elastic,
            spacing: v.spacing_mm.map(|s| s as f32),
            slab,
            size: v.scale.iter().product::<f64>().cbrt() as f32,
        })
    }
    /// Fills `out` with the continuous positions in the scan of the variant's row `(z, y)`.
    fn row(&self, z: usize, y: usize, nx: usize, out: &mut Vec<[f32; 3]>) {
        out.clear();
        let at = |x: usize| -> [f32; 3] {
            std::array::from_fn(|k| {
                self.origin[k]
                    + z as f32 * self.step[0][k]
                    + y as f32 * self.step[1][k]
                    + x as f32 * self.step[2][k]
            })
        };
        out.extend((0..nx).map(at));
        let Some(elastic) = &self.elastic else {
            return;
        };
        let knot = |j: usize| -> [f32; 3] {
            let p = [z, y, j * KNOT].map(|v| v as f32);
            let q: [f32; 3] =
                std::array::from_fn(|a| p[a] * self.spacing[a] / WAVE_MM + elastic.phase[a]);
            std::array::from_fn(|k| {
                // Each axis reads a distant part of the same field.
                let far = 10.3 * k as f32;
                elastic.amount[k] * elastic.noise.at(q[2] + far, q[1] + far, q[0])
            })
        };
        let mut ends = [knot(0), knot(1)];
        for (x, p) in out.iter_mut().enumerate() {
            if x > 0 && x % KNOT == 0 {
                ends = [ends[1], knot(x / KNOT + 1)];
            }
            let t = (x % KNOT) as f32 / KNOT as f32;
            for k in 0..3 {
                p[k] += lerp(ends[0][k], ends[1][k], t);
            }
        }
    }

    /// The mean over the slice's thickness.
    fn averaged(&self, volume: &Volume<f32>, p: [f32; 3]) -> f32 {
        let sum: f32 = self
            .slab
            .iter()
            .map(|offset| linear(volume, [p[0] + offset, p[1], p[2]]))
            .sum();
        sum / self.slab.len() as f32
    }
}

/// Trilinear interpolation. The edge is repeated beyond the volume.
fn linear(volume: &Volume<f32>, p: [f32; 3]) -> f32 {
    let shape = volume.shape();
    let mut low = [0usize; 3];
    let mut high = [0usize; 3];
    let mut share = [0.0f32; 3];
    for a in 0..3 {
        let t = p[a].clamp(0.0, (shape[a] - 1) as f32);
        low[a] = t as usize;
        high[a] = (low[a] + 1).min(shape[a] - 1);
        share[a] = t - low[a] as f32;
    }
    let data = volume.data();
    let row = |z: usize, y: usize| {
        let base = (z * shape[1] + y) * shape[2];
        lerp(data[base + low[2]], data[base + high[2]], share[2])
    };
    let plane = |z: usize| lerp(row(z, low[1]), row(z, high[1]), share[1]);
    lerp(plane(low[0]), plane(high[0]), share[0])
}

fn nearest(volume: &Volume<u8>, p: [f32; 3]) -> u8 {
    let shape = volume.shape();
    volume.at(std::array::from_fn(|a| {
        (p[a].round().max(0.0) as usize).min(shape[a] - 1)
    }))
}
