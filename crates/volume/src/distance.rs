//! Exact Euclidean distances in millimetres: the distance transform of a mask, and the distances
//! from some voxels only to others.
//!
//! The lower envelope of parabolas (Felzenszwalb and Huttenlocher, "Distance Transforms of
//! Sampled Functions", Theory of Computing 8, 2012), one axis after the other, parallel over
//! planes. Spacing may differ per axis; the axes are taken as orthogonal.

use crate::{Error, ErrorKind, Result, Volume};
use rayon::prelude::*;

/// Distance in millimetres from every voxel's centre to the centre of the nearest voxel of `mask`
/// that is not 0; 0 on the mask itself, infinite everywhere if the mask is empty.
#[must_use]
pub fn distance_to_mask(mask: &Volume<u8>) -> Volume<f32> {
    let squared = squared_distance(mask, |v| v != 0);
    root(squared)
}

/// Distance in millimetres from every voxel of `mask` that is not 0 to the nearest voxel that is
/// 0; 0 outside the mask, infinite everywhere if nothing is outside. What lies beyond the volume
/// does not count as outside.
#[must_use]
pub fn distance_to_background(mask: &Volume<u8>) -> Volume<f32> {
    let squared = squared_distance(mask, |v| v == 0);
    root(squared)
}

fn root(mut squared: Volume<f32>) -> Volume<f32> {
    squared
        .data_mut()
        .par_chunks_mut(1 << 14)
        .for_each(|chunk| chunk.iter_mut().for_each(|v| *v = v.sqrt()));
    squared
}

/// Squared distance in square millimetres to the nearest voxel for which `target` holds; infinite
/// everywhere if it holds for none.
#[must_use]
pub fn squared_distance(mask: &Volume<u8>, target: impl Fn(u8) -> bool + Sync) -> Volume<f32> {
    let [nz, ny, nx] = mask.shape();
    let [dz, dy, dx] = mask.geometry().spacing_mm();
    let mut plane_wise = mask.map(|_| 0.0f32);
    plane_wise
        .data_mut()
        .par_chunks_mut(ny * nx)
        .zip(mask.data().par_chunks(ny * nx))
        .for_each_init(Envelope::default, |envelope, (out, mask)| {
            for (out, mask) in out.chunks_exact_mut(nx).zip(mask.chunks_exact(nx)) {
                along_row(mask, &target, dx as f32, out);
            }
            let mut column = vec![0.0; ny];
            for x in 0..nx {
                for y in 0..ny {
                    column[y] = out[y * nx + x];
                }
                envelope.transform(&mut column, dy);
                for y in 0..ny {
                    out[y * nx + x] = column[y];
                }
            }
        });
    if nz == 1 {
        return plane_wise;
    }

    // Columns along z, gathered as planes (y; z, x), so that threads write apart.
    let data = plane_wise.data();
    let mut turned = vec![0.0f32; data.len()];
    turned.par_chunks_mut(nz * nx).enumerate().for_each_init(
        Envelope::default,
        |envelope, (y, out)| {
            let mut column = vec![0.0; nz];
            for x in 0..nx {
                for z in 0..nz {
                    column[z] = data[(z * ny + y) * nx + x];
                }
                envelope.transform(&mut column, dz);
                for z in 0..nz {
                    out[z * nx + x] = column[z];
                }
            }
        },
    );
    plane_wise
        .data_mut()
        .par_chunks_mut(ny * nx)
        .enumerate()
        .for_each(|(z, out)| {
            for (y, line) in out.chunks_exact_mut(nx).enumerate() {
                let from = (y * nz + z) * nx;
                line.copy_from_slice(&turned[from..from + nx]);
            }
        });
    plane_wise
}

/// Squared distances within one row: a sweep each way.
fn along_row(mask: &[u8], target: &impl Fn(u8) -> bool, step: f32, out: &mut [f32]) {
    let mut far = f32::INFINITY;
    for (o, &v) in out.iter_mut().zip(mask) {
        far = if target(v) { 0.0 } else { far + 1.0 };
        *o = far;
    }
    far = f32::INFINITY;
    for (o, &v) in out.iter_mut().zip(mask).rev() {
        far = if target(v) { 0.0 } else { far + 1.0 };
        let nearest = o.min(far) * step;
        *o = nearest * nearest;
    }
}

/// Distance in millimetres from each voxel that `from` marks to the nearest voxel that `to` marks,
/// plane by plane in the order of the array, each with its mark; infinite if `to` marks none.
///
/// `from(z, y, row)` and `to(z, y, row)` write the marks of a row of a grid of `shape` voxels: 0 for
/// none, else any number. The grid need not exist as a volume. The result is in double precision,
/// the squares summed along z, then y, then x; between the passes two bytes per voxel are held.
/// Planes in which all distances are short are searched around each voxel, the others transformed.
///
/// # Errors
/// `Unsupported` beyond 65,534 planes.
pub fn distances_between(
    shape: [usize; 3],
    spacing_mm: [f64; 3],
    from: impl Fn(usize, usize, &mut [u8]) + Sync,
    to: impl Fn(usize, usize, &mut [u8]) + Sync,
) -> Result<Vec<(u8, f64)>> {
    distances_by(EFFORT, shape, spacing_mm, from, to)
}

/// Voxels looked at per voxel of a plane before it is transformed instead.
const EFFORT: usize = 4;

fn distances_by(
    effort: usize,
    shape: [usize; 3],
    spacing_mm: [f64; 3],
    from: impl Fn(usize, usize, &mut [u8]) + Sync,
    to: impl Fn(usize, usize, &mut [u8]) + Sync,
) -> Result<Vec<(u8, f64)>> {
    let nz = shape[0];
    if nz >= usize::from(FAR) {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("{nz} planes are too many to measure distances in"),
        )
        .hint("at most 65,534 planes are supported"));
    }
    let steps = steps_along_z(shape, to);
    let planes: Vec<Vec<(u8, f64)>> = (0..nz)
        .into_par_iter()
        .map_init(
            || PlaneScratch::new(shape, spacing_mm),
            |scratch, z| scratch.measure(z, effort, &steps, &from),
        )
        .collect();
    Ok(planes.concat())
}

/// No marked voxel in the column.
const FAR: u16 = u16::MAX;

/// Number of planes to the nearest marked voxel of the same column, as rows `(y, z; x)`, so that
/// threads write apart.
fn steps_along_z(shape: [usize; 3], marks: impl Fn(usize, usize, &mut [u8]) + Sync) -> Vec<u16> {
    let [nz, ny, nx] = shape;
    let mut steps = vec![FAR; nz * ny * nx];
    steps.par_chunks_mut(nz * nx).enumerate().for_each_init(
        || vec![0u8; nx],
        |row, (y, out)| {
            let mut before: Option<&[u16]> = None;
            for (z, line) in out.chunks_exact_mut(nx).enumerate() {
                marks(z, y, row);
                match before {
                    Some(before) => {
                        for ((o, &m), &b) in line.iter_mut().zip(&*row).zip(before) {
                            *o = if m == 0 { b.saturating_add(1) } else { 0 };
                        }
                    }
                    None => {
                        for (o, &m) in line.iter_mut().zip(&*row) {
                            *o = if m == 0 { FAR } else { 0 };
                        }
                    }
                }
                before = Some(line);
            }
            let mut after: Option<&[u16]> = None;
            for line in out.chunks_exact_mut(nx).rev() {
                if let Some(after) = after {
                    for (o, &a) in line.iter_mut().zip(after) {
                        *o = (*o).min(a.saturating_add(1));
                    }
                }
                after = Some(line);
            }
        },
    );
    steps
}

/// What one thread needs for a plane.
struct PlaneScratch {
    shape: [usize; 3],
    spacing_mm: [f64; 3],
    /// Per axis, the square of each number of steps along it, in mm².
    squares: [Vec<f64>; 3],
    marks: Vec<u8>,
    steps: Vec<u16>,
    squared: Vec<f64>,
    envelope: Envelope,
}

impl PlaneScratch {
    fn new(shape: [usize; 3], spacing_mm: [f64; 3]) -> Self {
        let [_, ny, nx] = shape;
        let square = |i: usize, a: usize| (i as f64 * spacing_mm[a]).powi(2);
        Self {
            shape,
            spacing_mm,
            squares: std::array::from_fn(|a| (0..shape[a]).map(|i| square(i, a)).collect()),
            marks: vec![0; ny * nx],
            steps: vec![0; ny * nx],
            squared: Vec::new(),
            envelope: Envelope::default(),
        }
    }

    /// The distances from the marked voxels of plane `z`.
    fn measure(
        &mut self,
        z: usize,
        effort: usize,
        steps: &[u16],
        from: &impl Fn(usize, usize, &mut [u8]),
    ) -> Vec<(u8, f64)> {
        let [nz, ny, nx] = self.shape;
        for (y, row) in self.marks.chunks_exact_mut(nx).enumerate() {
            from(z, y, row);
        }
        let marked = |row: &[u8]| row.iter().any(|&m| m != 0);
        let wanted: Vec<usize> = (0..ny)
            .filter(|y| marked(&self.marks[y * nx..][..nx]))
            .collect();
        if wanted.is_empty() {
            return Vec::new();
        }
        for (y, row) in self.steps.chunks_exact_mut(nx).enumerate() {
            row.copy_from_slice(&steps[(y * nz + z) * nx..][..nx]);
        }
        self.search_all(&wanted, effort * ny * nx)
            .unwrap_or_else(|| self.transform(&wanted))
    }

    /// Looks around each marked voxel of the rows `wanted`; `None` once `budget` voxels have been
    /// looked at.
    fn search_all(&self, wanted: &[usize], mut budget: usize) -> Option<Vec<(u8, f64)>> {
        let nx = self.shape[2];
        let mut found = Vec::new();
        for &y in wanted {
            for (x, &mark) in self.marks[y * nx..][..nx].iter().enumerate() {
                if mark != 0 {
                    found.push((mark, self.search(y, x, &mut budget)?.sqrt()));
                }
            }
        }
        Some(found)
    }

    /// Squared distance from one voxel: rows and columns further and further away, until none can
    /// be nearer than what was found.
    fn search(&self, y: usize, x: usize, budget: &mut usize) -> Option<f64> {
        let [_, ny, nx] = self.shape;
        let [z_square, y_square, x_square] = &self.squares;
        let mut best = f64::INFINITY;
        for (dy, &yy) in y_square.iter().enumerate() {
            if yy >= best {
                break;
            }
            let rows = [
                y.checked_sub(dy),
                Some(y + dy).filter(|&r| dy > 0 && r < ny),
            ];
            for row in rows.into_iter().flatten() {
                let row = &self.steps[row * nx..][..nx];
                let mut seen = 0;
                for (dx, &xx) in x_square.iter().enumerate() {
                    if xx + yy >= best {
                        break;
                    }
                    seen += 1;
                    let columns = [x.checked_sub(dx), Some(x + dx)];
                    for steps in columns.into_iter().flatten().filter_map(|c| row.get(c)) {
                        if let Some(zz) = z_square.get(usize::from(*steps)) {
                            best = best.min(xx + (yy + zz));
                        }
                    }
                }
                *budget = budget.checked_sub(seen)?;
            }
        }
        Some(best)
    }

    /// The two remaining passes of the transform, for the rows `wanted`.
    fn transform(&mut self, wanted: &[usize]) -> Vec<(u8, f64)> {
        let [_, ny, nx] = self.shape;
        let [_, dy, dx] = self.spacing_mm;
        self.squared.resize(ny * nx, 0.0);
        for x in 0..nx {
            let column = (0..ny).filter_map(|y| {
                let steps = usize::from(self.steps[y * nx + x]);
                Some((y, *self.squares[0].get(steps)?))
            });
            self.envelope.build(column, dy);
            for &y in wanted {
                self.squared[y * nx + x] = self.envelope.at(y, dy);
            }
        }
        let mut found = Vec::new();
        for &y in wanted {
            let line = self.squared[y * nx..][..nx].iter().copied().enumerate();
            self.envelope.build(line.filter(|(_, v)| v.is_finite()), dx);
            for (x, &mark) in self.marks[y * nx..][..nx].iter().enumerate() {
                if mark != 0 {
                    found.push((mark, self.envelope.at(x, dx).sqrt()));
                }
            }
        }
        found
    }
}

/// The lower envelope of the parabolas over one line.
#[derive(Default)]
struct Envelope {
    /// Each parabola's position, the height of its apex, and where it takes over from the one
    /// before.
    parabolas: Vec<(f64, f64, f64)>,
    /// The parabola that the last position asked for lies on.
    current: usize,
}

impl Envelope {
    /// Builds the envelope of parabolas at rising positions, `step` apart.
    #[inline]
    fn build(&mut self, line: impl Iterator<Item = (usize, f64)>, step: f64) {
        self.parabolas.clear();
        self.current = 0;
        let scale = 0.5 / (step * step);
        for (i, value) in line {
            let p = i as f64;
            let mut start = f64::NEG_INFINITY;
            while let Some(&(q, height, from)) = self.parabolas.last() {
                let meet = (value - height) * scale / (p - q) + (p + q) / 2.0;
                if meet > from {
                    start = meet;
                    break;
                }
                self.parabolas.pop();
            }
            self.parabolas.push((p, value, start));
        }
    }

    /// Distance in steps to the apex of the lowest parabola at `i`, and its height. Positions must
    /// be asked for in rising order.
    #[inline]
    fn nearest(&mut self, i: usize) -> Option<(f64, f64)> {
        let i = i as f64;
        while self
            .parabolas
            .get(self.current + 1)
            .is_some_and(|next| next.2 < i)
        {
            self.current += 1;
        }
        let &(apex, height, _) = self.parabolas.get(self.current)?;
        Some((i - apex, height))
    }

    /// The envelope's height at `i`, infinite without parabolas; as [`Self::nearest`].
    #[inline]
    fn at(&mut self, i: usize, step: f64) -> f64 {
        self.nearest(i).map_or(f64::INFINITY, |(away, height)| {
            let away = away * step;
            away * away + height
        })
    }

    /// Replaces `line[i]` by the minimum over j of `line[j] + ((i - j) step)²`.
    fn transform(&mut self, line: &mut [f32], step: f64) {
        if line.iter().all(|&v| v == 0.0) {
            return;
        }
        let values = line.iter().map(|&v| f64::from(v)).enumerate();
        self.build(values.filter(|(_, v)| v.is_finite()), step);
        let square = step * step;
        for (i, value) in line.iter_mut().enumerate() {
            if let Some((away, height)) = self.nearest(i) {
                *value = (away * away * square) as f32 + height as f32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Geometry;

    /// The definition itself.
    fn naive(mask: &Volume<u8>) -> Vec<f32> {
        let spacing = mask.geometry().spacing_mm();
        let indices: Vec<[usize; 3]> = {
            let mut all = Vec::new();
            Volume::from_fn(*mask.geometry(), |i| {
                all.push(i);
                0u8
            });
            all
        };
        indices
            .iter()
            .map(|p| {
                indices
                    .iter()
                    .filter(|&&q| mask.at(q) != 0)
                    .map(|q| {
                        (0..3)
                            .map(|a| ((p[a] as f64 - q[a] as f64) * spacing[a]).powi(2))
                            .sum::<f64>()
                    })
                    .fold(f64::INFINITY, f64::min)
                    .sqrt() as f32
            })
            .collect()
    }

    #[test]
    fn equals_the_definition() {
        for (seed, shape, density) in [
            (1u32, [5, 7, 6], 40),
            (2, [1, 9, 8], 10),
            (3, [9, 1, 4], 20),
            (4, [6, 6, 6], 3),
            (5, [4, 3, 11], 90),
        ] {
            let geometry = Geometry::axial(shape, [2.5, 0.7, 1.3]).expect("a valid grid");
            let mut state = seed;
            let mask = Volume::from_fn(geometry, |_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                u8::from((state >> 16) % 100 < density)
            });
            let fast = distance_to_mask(&mask);
            for (a, b) in fast.data().iter().zip(naive(&mask)) {
                assert!(a == &b || (a - b).abs() < 1e-4, "{a} is not {b}");
            }
            let inverse = mask.map(|v| u8::from(v == 0));
            assert_eq!(distance_to_background(&inverse), fast);
        }
    }

    #[test]
    fn without_a_target_it_is_infinitely_far() {
        let geometry = Geometry::axial([2, 3, 4], [1.0; 3]).expect("a valid grid");
        let empty = Volume::filled(0u8, geometry);
        assert!(
            distance_to_mask(&empty)
                .data()
                .iter()
                .all(|v| v.is_infinite())
        );
    }

    #[test]
    fn between_marked_voxels_as_by_the_definition() {
        for (seed, shape, density) in [
            (1u32, [5, 7, 6], 20),
            (2, [1, 9, 8], 10),
            (3, [9, 1, 4], 30),
            (4, [7, 6, 1], 3),
        ] {
            let spacing = [5.0, 0.7, 0.9];
            let geometry = Geometry::axial(shape, spacing).expect("a valid grid");
            let mut state = seed;
            let mut marks = || {
                Volume::from_fn(geometry, |_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let r = (state >> 16) % 100;
                    if r < density { 1 + (r % 3) as u8 } else { 0 }
                })
            };
            let (a, b) = (marks(), marks());
            let [_, ny, nx] = shape;
            let rows = |v: &Volume<u8>| {
                let data = v.data().to_vec();
                move |z: usize, y: usize, row: &mut [u8]| {
                    row.copy_from_slice(&data[(z * ny + y) * nx..][..nx]);
                }
            };
            let by = |effort| {
                distances_by(effort, shape, spacing, rows(&a), rows(&b)).expect("few planes")
            };
            let (fast, searched) = (by(0), by(1 << 20));
            for ((m, d), (n, e)) in fast.iter().zip(&searched) {
                assert!(m == n && (d == e || (d - e).abs() < 1e-12 * d), "{d} {e}");
            }
            let far = naive(&b);
            let marked = a.data().iter().zip(far).filter(|(m, _)| **m != 0);
            assert_eq!(fast.len(), marked.clone().count());
            for ((mark, distance), (m, d)) in fast.into_iter().zip(marked) {
                assert_eq!(mark, *m);
                let d = f64::from(d);
                assert!(
                    distance == d || (distance - d).abs() < 1e-5 * d,
                    "{distance} {d}"
                );
            }
        }
    }
}
