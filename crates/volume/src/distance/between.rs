//! Distances from some voxels only to others.

use super::envelope::Envelope;
use crate::{Error, ErrorKind, Result};
use rayon::prelude::*;

/// Distance in millimetres from each voxel that `from` marks to the nearest voxel that `to` marks,
/// each with its mark. The order is that of the array, plane by plane. Distances are infinite if
/// `to` marks no voxel.
///
/// `from(z, y, row)` and `to(z, y, row)` write the marks of one row of a grid of `shape` voxels: 0
/// for unmarked, any other number for marked. The grid need not exist as a volume. Results are in
/// double precision; squares are added along z, then y, then x. Between the passes two bytes per
/// voxel are held. Planes whose distances are all short are searched around each voxel; other
/// planes are transformed.
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

/// Number of voxels to search per voxel of a plane before the plane is transformed instead.
const EFFORT: usize = 4;

/// As [`distances_between`], with `effort` in place of [`EFFORT`].
pub(super) fn distances_by(
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

/// Number of planes to the nearest marked voxel of the same column, as rows `(y, z; x)`. In this
/// order each thread writes its own rows.
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

/// Scratch memory of one thread for one plane.
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

    /// Searches around each marked voxel of the rows `wanted`. Returns `None` once it has visited
    /// `budget` voxels.
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

    /// Squared distance from one voxel. Visits rows and columns at growing distance until no
    /// further one can be nearer than the nearest mark found.
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
