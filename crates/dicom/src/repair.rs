//! Resampling of irregular stacks to a regular grid. Interpolation is linear: along the normal, and
//! in the plane if slices are shifted sideways.

use crate::limits::{AIR_HU, check_voxels};
use crate::stack::Stack;
use crate::{Error, ErrorKind, Result};
use multirnet_volume::Geometry;
use rayon::prelude::*;

/// The regular grid of a stack, and its offset from the first slice.
pub(crate) struct Plan {
    pub geometry: Geometry,
    /// The grid's first row and column, in pixels of the first slice. They are negative if other
    /// slices begin before the first one.
    start: [f64; 2],
}

impl Plan {
    /// Chooses the grid for `stack`.
    ///
    /// # Errors
    /// `TooLarge` if the grid has more than `max_voxels`, `Irregular` if the slices lie more than a slice's
    /// width apart sideways, `Malformed` if the geometry is not usable.
    pub fn new(stack: &Stack, max_voxels: usize) -> Result<Self> {
        let slice = &stack.slices[0];
        let [sy, sx] = slice.spacing_mm;
        let depth = stack.at_mm[stack.at_mm.len() - 1] - stack.at_mm[0];
        let planes = if stack.uniform {
            stack.slices.len()
        } else {
            (depth / stack.step_mm).round() as usize + 1
        };
        let mut size = [slice.rows, slice.columns];
        let mut start = [0.0; 2];
        if let Some(shifts) = &stack.shift_mm {
            for (axis, step) in [sy, sx].into_iter().enumerate() {
                let pixels = shifts.iter().map(|s| s[axis] / step);
                let low = pixels.clone().fold(0.0, f64::min).floor();
                let high = pixels.fold(0.0, f64::max).ceil();
                if high - low > size[axis] as f64 {
                    return Err(Error::new(
                        ErrorKind::Irregular,
                        "the slices lie more than a slice's width apart sideways, so they are not one scan",
                    ));
                }
                size[axis] += (high - low) as usize;
                start[axis] = low;
            }
        }
        let shape = [planes, size[0], size[1]];
        check_voxels(shape, max_voxels)?;
        let [_, column, row] = stack.axes;
        let origin = std::array::from_fn(|k| {
            slice.position[k] + start[0] * sy * column[k] + start[1] * sx * row[k]
        });
        let geometry = Geometry::new(shape, [stack.step_mm, sy, sx], origin, stack.axes)
            .map_err(|e| Error::new(ErrorKind::Malformed, e.to_string()))?;
        Ok(Self { geometry, start })
    }

    /// Whether the stack's slices already are the grid's planes.
    pub fn is_identity(stack: &Stack) -> bool {
        stack.uniform && stack.shift_mm.is_none()
    }

    /// Resamples `data`, the values of one slice after the other, to the grid.
    pub fn resample(&self, stack: &Stack, data: &[f32]) -> Vec<f32> {
        let slice = &stack.slices[0];
        let [_, rows, columns] = self.geometry.shape();
        let source = slice.rows * slice.columns;
        let mut out = vec![0f32; self.geometry.len()];
        out.par_chunks_mut(rows * columns)
            .enumerate()
            .for_each(|(k, plane)| {
                let at = stack.at_mm[0] + k as f64 * stack.step_mm;
                let (a, b, weight) = if stack.uniform {
                    (k, k, 0.0)
                } else {
                    bracket(&stack.at_mm, at)
                };
                for (index, weight) in [(a, 1.0 - weight), (b, weight)] {
                    if weight > 0.0 {
                        let values = &data[index * source..(index + 1) * source];
                        let offset = stack.shift_mm.as_ref().map_or([0.0; 2], |s| {
                            [
                                self.start[0] - s[index][0] / slice.spacing_mm[0],
                                self.start[1] - s[index][1] / slice.spacing_mm[1],
                            ]
                        });
                        let image = Image {
                            values,
                            rows: slice.rows as i64,
                            columns: slice.columns as i64,
                        };
                        image.add(plane, columns, offset, weight as f32);
                    }
                }
            });
        out
    }
}

/// Indices of the slices on both sides of `at`, and the weight of the second.
fn bracket(at_mm: &[f64], at: f64) -> (usize, usize, f64) {
    let last = at_mm.len() - 1;
    let b = at_mm.partition_point(|&p| p < at).min(last);
    let a = b.saturating_sub(1);
    if a == b {
        return (b, b, 0.0);
    }
    let weight = ((at - at_mm[a]) / (at_mm[b] - at_mm[a])).clamp(0.0, 1.0);
    // A plane that lies on a slice keeps the slice's values exactly.
    if weight > 1.0 - 1e-3 {
        (b, b, 0.0)
    } else if weight < 1e-3 {
        (a, a, 0.0)
    } else {
        (a, b, weight)
    }
}

struct Image<'a> {
    values: &'a [f32],
    rows: i64,
    columns: i64,
}

impl Image<'_> {
    fn at(&self, y: i64, x: i64) -> f32 {
        if (0..self.rows).contains(&y) && (0..self.columns).contains(&x) {
            self.values[(y * self.columns + x) as usize]
        } else {
            AIR_HU
        }
    }

    /// Adds `weight` times the image to `plane`. The image is read `offset` pixels further down and
    /// right.
    fn add(&self, plane: &mut [f32], columns: usize, offset: [f64; 2], weight: f32) {
        let whole = offset.map(f64::floor);
        let [fy, fx] = [0, 1].map(|a| (offset[a] - whole[a]) as f32);
        let [y0, x0] = whole.map(|v| v as i64);
        for (y, line) in plane.chunks_exact_mut(columns).enumerate() {
            let y = y as i64 + y0;
            for (x, out) in line.iter_mut().enumerate() {
                let x = x as i64 + x0;
                let mut value = self.at(y, x);
                if fx > 0.0 || fy > 0.0 {
                    let upper = value * (1.0 - fx) + self.at(y, x + 1) * fx;
                    let lower = self.at(y + 1, x) * (1.0 - fx) + self.at(y + 1, x + 1) * fx;
                    value = upper * (1.0 - fy) + lower * fy;
                }
                *out += weight * value;
            }
        }
    }
}
