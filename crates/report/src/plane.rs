//! Axial, coronal and sagittal pictures of a scan with the findings on them.

use crate::Result;
use crate::outline::outline;
use crate::pixels::lung_window;
use multirnet_finding::NativeMap;
use multirnet_volume::{Geometry, Planes, Volume, Voxel};

/// The three standard planes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    Axial,
    Coronal,
    Sagittal,
}

impl View {
    /// LPS axes `[normal, down, right]` and their signs, in radiological convention: the patient's
    /// right on the picture's left, the front up in axial and left in sagittal pictures.
    fn axes(self) -> [(usize, f64); 3] {
        match self {
            Self::Axial => [(2, 1.0), (1, 1.0), (0, 1.0)],
            Self::Coronal => [(1, 1.0), (2, -1.0), (0, 1.0)],
            Self::Sagittal => [(0, 1.0), (2, -1.0), (1, 1.0)],
        }
    }

    /// Letters at the left, right, top and bottom edges.
    pub(crate) fn letters(self) -> [&'static str; 4] {
        match self {
            Self::Axial => ["R", "L", "A", "P"],
            Self::Coronal => ["R", "L", "S", "I"],
            Self::Sagittal => ["A", "P", "S", "I"],
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Axial => "Axial",
            Self::Coronal => "Coronal",
            Self::Sagittal => "Sagittal",
        }
    }

    /// LPS axis that the plane is perpendicular to.
    pub(crate) fn normal(self) -> usize {
        self.axes()[0].0
    }
}

/// A box in LPS millimetres.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WorldBox {
    pub min: [f64; 3],
    pub max: [f64; 3],
}

impl WorldBox {
    /// The box around all non-zero voxels plus `margin_mm`, or around the whole grid.
    pub(crate) fn around(mask: &Volume<u8>, margin_mm: f64) -> Self {
        let [nz, ny, nx] = mask.shape();
        let mut low = [usize::MAX; 3];
        let mut high = [0usize; 3];
        for z in 0..nz {
            for y in 0..ny {
                let row = &mask.data()[mask.offset([z, y, 0])..][..nx];
                let Some(first) = row.iter().position(|&v| v != 0) else {
                    continue;
                };
                let last = row.iter().rposition(|&v| v != 0).unwrap_or(first);
                for (a, (lo, hi)) in [(z, z), (y, y), (first, last)].into_iter().enumerate() {
                    low[a] = low[a].min(lo);
                    high[a] = high[a].max(hi);
                }
            }
        }
        let (low, high, margin) = if low[0] == usize::MAX {
            ([0; 3], [nz - 1, ny - 1, nx - 1], 0.0)
        } else {
            (low, high, margin_mm)
        };
        let mut result = Self {
            min: [f64::INFINITY; 3],
            max: [f64::NEG_INFINITY; 3],
        };
        for corner in 0..8 {
            let index = std::array::from_fn(|a| {
                (if corner >> a & 1 == 1 {
                    high[a]
                } else {
                    low[a]
                }) as f64
            });
            let world = mask.geometry().index_to_world(index);
            for (k, at) in world.into_iter().enumerate() {
                result.min[k] = result.min[k].min(at - margin);
                result.max[k] = result.max[k].max(at + margin);
            }
        }
        result
    }
}

/// The world point whose index along each array axis is that of the plane with most of the mask, or
/// `None` if the mask is empty.
pub(crate) fn busiest(mask: &Volume<u8>) -> Option<[f64; 3]> {
    let shape = mask.shape();
    let mut counts = shape.map(|n| vec![0u64; n]);
    for (i, _) in mask.data().iter().enumerate().filter(|(_, v)| **v != 0) {
        let (z, rest) = (i / (shape[1] * shape[2]), i % (shape[1] * shape[2]));
        counts[0][z] += 1;
        counts[1][rest / shape[2]] += 1;
        counts[2][rest % shape[2]] += 1;
    }
    let best = counts.map(|c| {
        c.iter()
            .enumerate()
            .rev()
            .max_by_key(|(_, n)| **n)
            .map(|(i, n)| (i, *n))
    });
    let index = [best[0]?, best[1]?, best[2]?];
    (index[0].1 > 0).then(|| mask.geometry().index_to_world(index.map(|(i, _)| i as f64)))
}

/// A single-plane grid of square pixels.
pub(crate) struct Plane {
    pub width: usize,
    pub height: usize,
    pub pixel_mm: f64,
    geometry: Geometry,
}

impl Plane {
    /// The plane of `view` through `centre` that shows `area` in at most `width` × `height` pixels.
    pub(crate) fn new(
        view: View,
        centre: [f64; 3],
        area: &WorldBox,
        width: usize,
        height: usize,
    ) -> Result<Self> {
        let [normal, down, right] = view.axes();
        let extent = |axis: usize| area.max[axis] - area.min[axis];
        let pixel_mm = (extent(right.0) / width as f64)
            .max(extent(down.0) / height as f64)
            .max(0.05);
        let count =
            |axis: usize, most: usize| ((extent(axis) / pixel_mm).round() as usize).clamp(1, most);
        let (w, h) = (count(right.0, width), count(down.0, height));
        let mut origin = [0.0; 3];
        origin[normal.0] = centre[normal.0];
        for (axis, sign) in [down, right] {
            origin[axis] = if sign > 0.0 {
                area.min[axis]
            } else {
                area.max[axis]
            } + sign * pixel_mm / 2.0;
        }
        let unit = |(axis, sign): (usize, f64)| {
            std::array::from_fn(|k| if k == axis { sign } else { 0.0 })
        };
        let geometry = Geometry::new(
            [1, h, w],
            [1.0, pixel_mm, pixel_mm],
            origin,
            [unit(normal), unit(down), unit(right)],
        )?;
        Ok(Self {
            width: w,
            height: h,
            pixel_mm,
            geometry,
        })
    }

    /// The scan in the lung window (centre −600, width 1500 HU) as grey values.
    pub(crate) fn grey(&self, scan: &Volume<f32>) -> Vec<u8> {
        scan.resample_linear(&self.geometry, -1024.0)
            .data()
            .iter()
            .map(|&v| lung_window(v))
            .collect()
    }

    /// A map's values on the plane.
    pub(crate) fn values(&self, map: &NativeMap) -> Result<Vec<f32>> {
        let [low, high] = reach(map.geometry(), &self.geometry);
        let last = map.geometry().shape()[0] as f64 - 1.0;
        let planes = |z: f64| z.clamp(0.0, last) as usize;
        let slab = map.slab(planes(low[0] - 1.0)..planes(high[0] + 2.0) + 1)?;
        Ok(slab.resample_linear(&self.geometry, 0.0).into_data())
    }

    /// The share of `inside` around each pixel, 0 to 1.
    pub(crate) fn share<T: Voxel>(
        &self,
        mask: &Volume<T>,
        inside: impl Fn(T) -> bool + Sync,
    ) -> Result<Vec<f32>> {
        near(mask, &self.geometry, inside)
    }

    /// Outlines of `mask`'s voxels for which `inside` holds, as SVG path data from `(x0, y0)`.
    pub(crate) fn outline<T: Voxel>(
        &self,
        mask: &Volume<T>,
        inside: impl Fn(T) -> bool + Sync,
        x0: f64,
        y0: f64,
    ) -> Result<String> {
        // Two extra samples on every side close outlines that leave the picture.
        let grid = self
            .geometry
            .window([0, -2, -2], [1, self.height + 4, self.width + 4])?;
        let (w, h) = (self.width + 4, self.height + 4);
        let mut values: Vec<f64> = near(mask, &grid, inside)?
            .into_iter()
            .map(f64::from)
            .collect();
        for (i, v) in values.iter_mut().enumerate() {
            let (y, x) = (i / w, i % w);
            if y == 0 || x == 0 || y == h - 1 || x == w - 1 {
                *v = 0.0;
            }
        }
        outline(&values, w, h, |x, y| [x0 + x - 2.0, y0 + y - 2.0])
    }
}

/// Fraction of `inside` around each point of `grid`. Only the block of the mask around the plane is
/// cut out and resampled, not the whole volume.
fn near<T: Voxel>(
    mask: &Volume<T>,
    grid: &Geometry,
    inside: impl Fn(T) -> bool + Sync,
) -> Result<Vec<f32>> {
    let shape = mask.shape();
    let [low, high] = reach(mask.geometry(), grid);
    let start: [usize; 3] =
        std::array::from_fn(|a| (low[a].floor() - 1.0).clamp(0.0, (shape[a] - 1) as f64) as usize);
    let end: [usize; 3] =
        std::array::from_fn(|a| (high[a].ceil() + 2.0).clamp(1.0, shape[a] as f64) as usize);
    let size = std::array::from_fn(|a| end[a].max(start[a] + 1) - start[a]);
    let block = mask
        .crop(start, size)?
        .map(|v| if inside(v) { 1.0f32 } else { 0.0 });
    Ok(block.resample_linear(grid, 0.0).into_data())
}

/// The least and the largest index of `volume` that the plane `grid` meets.
fn reach(volume: &Geometry, grid: &Geometry) -> [[f64; 3]; 2] {
    let (mut low, mut high) = ([f64::INFINITY; 3], [f64::NEG_INFINITY; 3]);
    let [_, h, w] = grid.shape();
    for corner in [[0, 0], [0, w - 1], [h - 1, 0], [h - 1, w - 1]] {
        let world = grid.index_to_world([0.0, corner[0] as f64, corner[1] as f64]);
        let index = volume.world_to_index(world);
        for a in 0..3 {
            low[a] = low[a].min(index[a]);
            high[a] = high[a].max(index[a]);
        }
    }
    [low, high]
}
