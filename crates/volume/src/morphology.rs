//! Morphology with balls whose radius is in millimetres. Small balls are applied row by row, and
//! balls that span many rows use the exact distance transform.
//!
//! Space beyond the volume's border is unknown. A mask is therefore not eroded at the border.

use crate::Volume;
use crate::distance::squared_distance;
use rayon::prelude::*;

/// Maximum number of rows of a ball. Larger balls use the distance transform, whose cost does not
/// grow.
const MOST_ROWS: usize = 400;

/// All voxels within `radius_mm` of a voxel of `mask`.
#[must_use]
pub fn dilate(mask: &Volume<u8>, radius_mm: f64) -> Volume<u8> {
    let limit = (radius_mm * radius_mm) as f32;
    match Ball::new(mask.geometry().spacing_mm(), limit) {
        Some(ball) => ball.dilate(mask, |v| v != 0),
        None => squared_distance(mask, |v| v != 0).map(|d| u8::from(d <= limit)),
    }
}

/// All voxels of `mask` that are further than `radius_mm` from every voxel outside it.
#[must_use]
pub fn erode(mask: &Volume<u8>, radius_mm: f64) -> Volume<u8> {
    let limit = (radius_mm * radius_mm) as f32;
    match Ball::new(mask.geometry().spacing_mm(), limit) {
        Some(ball) => {
            let mut out = ball.dilate(mask, |v| v == 0);
            let planes = out.data_mut().par_chunks_mut(1 << 16);
            planes.for_each(|part| part.iter_mut().for_each(|v| *v = 1 - *v));
            out
        }
        None => squared_distance(mask, |v| v == 0).map(|d| u8::from(d > limit)),
    }
}

/// The rows of a ball: per half width in voxels, the offsets `(z, y)` of the rows that have it.
struct Ball(Vec<Vec<[isize; 2]>>);

impl Ball {
    /// The ball of squared radius `limit`; `None` if it spans too many rows.
    fn new(spacing: [f64; 3], limit: f32) -> Option<Self> {
        // Distances are rounded in the same way as in `squared_distance`.
        let square = |i: isize, a: usize| (i as f64 * i as f64 * spacing[a].powi(2)) as f32;
        let reach = |a: usize| (f64::from(limit).sqrt() / spacing[a]) as isize + 1;
        if reach(0) * reach(1) * 3 > MOST_ROWS as isize {
            return None;
        }
        let mut rows: Vec<Vec<[isize; 2]>> = Vec::new();
        for z in -reach(0)..=reach(0) {
            for y in -reach(1)..=reach(1) {
                let fits = |x: usize| {
                    let side = x as f32 * spacing[2] as f32;
                    square(z, 0) + (square(y, 1) + side * side) <= limit
                };
                if fits(0) {
                    let half = (1..).find(|&x| !fits(x))? - 1;
                    rows.resize_with(rows.len().max(half + 1), Vec::new);
                    rows[half].push([z, y]);
                }
            }
        }
        Some(Self(rows))
    }

    /// All voxels that the ball reaches from a voxel for which `on` holds.
    fn dilate(&self, mask: &Volume<u8>, on: impl Fn(u8) -> bool + Sync) -> Volume<u8> {
        let [nz, ny, nx] = mask.shape();
        let source = mask.map(|v| u8::from(on(v)));
        let held: Vec<bool> = source
            .data()
            .par_chunks(nx)
            .with_min_len(64)
            .map(|row| row.iter().any(|&v| v != 0))
            .collect();
        let mut out = mask.map(|_| 0u8);
        let planes = out.data_mut().par_chunks_mut(ny * nx).enumerate();
        planes.for_each_init(
            || vec![0u8; nx + 2],
            |before, (z, plane)| {
                let inside = |i: usize, by: isize, n: usize| {
                    i.checked_add_signed(by).filter(|other| *other < n)
                };
                for (y, out) in plane.chunks_exact_mut(nx).enumerate() {
                    let mut any = false;
                    // Start with the widest rows. The joined mask widens by one voxel to either
                    // side at every step, so each row reaches its own half width in the end.
                    for offsets in self.0.iter().rev() {
                        if any {
                            before[1..=nx].copy_from_slice(out);
                            for (o, near) in out.iter_mut().zip(before.windows(3)) {
                                *o = near[0] | near[1] | near[2];
                            }
                        }
                        for &[dz, dy] in offsets {
                            let (Some(z), Some(y)) = (inside(z, dz, nz), inside(y, dy, ny)) else {
                                continue;
                            };
                            let row = z * ny + y;
                            if held[row] {
                                any = true;
                                let from = &source.data()[row * nx..(row + 1) * nx];
                                for (o, &f) in out.iter_mut().zip(from) {
                                    *o |= f;
                                }
                            }
                        }
                    }
                }
            },
        );
        out
    }
}

/// The part of `mask` that a ball of `radius_mm` inside it can reach. This removes thin parts.
#[must_use]
pub fn open(mask: &Volume<u8>, radius_mm: f64) -> Volume<u8> {
    dilate(&erode(mask, radius_mm), radius_mm)
}

/// The complement of what a ball of `radius_mm` outside `mask` can reach. This fills narrow gaps
/// and holes.
///
/// The volume is treated as if empty space lay around it. The mask therefore does not stick to the
/// border.
#[must_use]
pub fn close(mask: &Volume<u8>, radius_mm: f64) -> Volume<u8> {
    let spacing = mask.geometry().spacing_mm();
    let [nz, ny, nx] = mask.shape();
    let margin = spacing.map(|s| (radius_mm / s).ceil() as usize + 1);
    let Some((low, high)) = bounds(mask) else {
        return mask.clone();
    };
    let start: [i64; 3] = std::array::from_fn(|a| low[a] as i64 - margin[a] as i64);
    let shape: [usize; 3] = std::array::from_fn(|a| high[a] - low[a] + 1 + 2 * margin[a]);
    let Ok(window) = mask.window(start, shape, 0) else {
        return mask.clone();
    };
    let closed = erode(&dilate(&window, radius_mm), radius_mm);
    let mut out = mask.clone();
    for z in low[0]..=high[0].min(nz - 1) {
        for y in low[1]..=high[1].min(ny - 1) {
            let to = (z * ny + y) * nx;
            let from = closed.offset([
                (z as i64 - start[0]) as usize,
                (y as i64 - start[1]) as usize,
                margin[2],
            ]);
            let width = high[2] - low[2] + 1;
            let source = &closed.data()[from..from + width];
            let target = &mut out.data_mut()[to + low[2]..to + low[2] + width];
            for (o, &c) in target.iter_mut().zip(source) {
                *o |= c;
            }
        }
    }
    out
}

/// First and last index per axis of the voxels that are not 0, or `None` if all are 0.
#[must_use]
pub fn bounds(mask: &Volume<u8>) -> Option<([usize; 3], [usize; 3])> {
    let [_, ny, nx] = mask.shape();
    let (mut low, mut high) = ([usize::MAX; 3], [0; 3]);
    for (row, line) in mask.data().chunks_exact(nx).enumerate() {
        let Some(first) = line.iter().position(|&v| v != 0) else {
            continue;
        };
        let last = line.iter().rposition(|&v| v != 0).unwrap_or(first);
        let span = [[row / ny; 2], [row % ny; 2], [first, last]];
        for a in 0..3 {
            low[a] = low[a].min(span[a][0]);
            high[a] = high[a].max(span[a][1]);
        }
    }
    (low[0] != usize::MAX).then_some((low, high))
}

/// The voxels of each plane across `axis` that a walk within the plane over voxels that are 0
/// cannot reach from the plane's border: `mask` with its holes filled, plane by plane.
#[must_use]
pub fn fill_planes(mask: &Volume<u8>, axis: usize) -> Volume<u8> {
    let shape = mask.shape();
    let stride = [shape[1] * shape[2], shape[2], 1];
    let (u, v) = [(1, 2), (0, 2), (0, 1)][axis.min(2)];
    let (nu, nv) = (shape[u], shape[v]);
    let mut out = mask.clone();
    let mut plane = vec![0u8; nu * nv];
    let mut stack = Vec::new();
    for i in 0..shape[axis.min(2)] {
        let base = i * stride[axis.min(2)];
        let mut any = false;
        for a in 0..nu {
            for b in 0..nv {
                let value = mask.data()[base + a * stride[u] + b * stride[v]];
                plane[a * nv + b] = u8::from(value != 0);
                any |= value != 0;
            }
        }
        if !any {
            continue;
        }
        flood_border(&mut plane, nu, nv, 2, &mut stack);
        for a in 0..nu {
            for b in 0..nv {
                let voxel = &mut out.data_mut()[base + a * stride[u] + b * stride[v]];
                if *voxel == 0 {
                    *voxel = u8::from(plane[a * nv + b] == 0);
                }
            }
        }
    }
    out
}

/// Sets every 0 that is connected (edges included) to the border of a `rows` × `columns` plane to
/// `mark`.
pub fn flood_border(
    plane: &mut [u8],
    rows: usize,
    columns: usize,
    mark: u8,
    stack: &mut Vec<usize>,
) {
    stack.clear();
    let push = |plane: &mut [u8], stack: &mut Vec<usize>, i: usize| {
        if plane[i] == 0 {
            plane[i] = mark;
            stack.push(i);
        }
    };
    for column in 0..columns {
        push(plane, stack, column);
        push(plane, stack, (rows - 1) * columns + column);
    }
    for row in 0..rows {
        push(plane, stack, row * columns);
        push(plane, stack, row * columns + columns - 1);
    }
    while let Some(i) = stack.pop() {
        let column = i % columns;
        if column > 0 {
            push(plane, stack, i - 1);
        }
        if column + 1 < columns {
            push(plane, stack, i + 1);
        }
        if i >= columns {
            push(plane, stack, i - columns);
        }
        if i + columns < plane.len() {
            push(plane, stack, i + columns);
        }
    }
}

/// `mask` with its holes filled. A hole is one in the planes across at least two of the three
/// axes. Cavities and vessels are filled; the liver's dome, which only axial planes enclose, is
/// not.
#[must_use]
pub fn fill_holes(mask: &Volume<u8>) -> Volume<u8> {
    let filled: Vec<Volume<u8>> = (0..3).map(|axis| fill_planes(mask, axis)).collect();
    let mut out = mask.clone();
    for (i, voxel) in out.data_mut().iter_mut().enumerate() {
        if *voxel == 0 {
            let votes: u8 = filled.iter().map(|f| f.data()[i].min(1)).sum();
            *voxel = u8::from(votes >= 2);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Geometry;

    fn grid(shape: [usize; 3]) -> Geometry {
        Geometry::axial(shape, [2.0, 1.0, 1.0]).expect("a valid grid")
    }

    fn count(mask: &Volume<u8>) -> usize {
        mask.data().iter().filter(|&&v| v != 0).count()
    }

    #[test]
    fn a_point_grows_by_millimetres_not_voxels() {
        let point = Volume::from_fn(grid([5, 9, 9]), |i| u8::from(i == [2, 4, 4]));
        // Within 2 mm there are 13 voxels in the plane and one on either side along z.
        assert_eq!(count(&dilate(&point, 2.0)), 15);
        assert_eq!(count(&erode(&dilate(&point, 2.0), 2.0)), 1);
    }

    #[test]
    fn rows_and_distances_say_the_same() {
        let mut state = 3u32;
        let mut draw = move |n: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) % n
        };
        for _ in 0..200 {
            let shape = std::array::from_fn(|_| 1 + draw(12) as usize);
            let spacing = std::array::from_fn(|_| 0.5 + f64::from(draw(30)) / 10.0);
            let geometry = Geometry::axial(shape, spacing).expect("a valid grid");
            let share = 1 + draw(40);
            let mask = Volume::from_fn(geometry, |_| u8::from(draw(40) < share));
            let radius = f64::from(draw(80)) / 10.0;
            let limit = (radius * radius) as f32;
            let Some(ball) = Ball::new(spacing, limit) else {
                continue;
            };
            for target in [0u8, 1] {
                let far = squared_distance(&mask, |v| v == target);
                assert_eq!(
                    ball.dilate(&mask, |v| v == target),
                    far.map(|d| u8::from(d <= limit)),
                    "{shape:?} {spacing:?} {radius}"
                );
            }
        }
    }

    #[test]
    fn opening_takes_a_plate_away_and_keeps_a_block() {
        let mask = Volume::from_fn(grid([9, 20, 20]), |[_, y, x]| {
            u8::from(y < 10 || (y == 15 && x < 20))
        });
        let opened = open(&mask, 2.0);
        assert_eq!(opened.at([4, 5, 10]), 1);
        assert_eq!(opened.at([4, 15, 10]), 0);
    }

    #[test]
    fn closing_fills_a_gap_of_less_than_its_diameter_only() {
        let gap = |width: usize| {
            Volume::from_fn(grid([9, 30, 40]), move |[z, y, x]| {
                u8::from((2..7).contains(&z) && y > 5 && y < 25 && !(15..15 + width).contains(&x))
            })
        };
        assert_eq!(close(&gap(4), 4.0).at([4, 15, 17]), 1);
        assert_eq!(close(&gap(12), 4.0).at([4, 15, 20]), 0);
        let empty = Volume::filled(0u8, grid([2, 2, 2]));
        assert_eq!(close(&empty, 3.0), empty);
    }

    #[test]
    fn closing_does_not_stick_to_the_border() {
        let mask = Volume::from_fn(grid([9, 9, 9]), |[_, _, x]| u8::from(x == 3));
        assert_eq!(close(&mask, 5.0), mask);
    }

    #[test]
    fn a_cavity_is_filled_and_a_dome_is_not() {
        let shell = Volume::from_fn(grid([9, 9, 9]), |i| {
            u8::from(i.iter().all(|&v| (1..8).contains(&v)) && i != [4, 4, 4])
        });
        assert_eq!(fill_holes(&shell).at([4, 4, 4]), 1);
        assert_eq!(fill_holes(&shell).at([0, 4, 4]), 0);
        // A tunnel along z that is closed only above, like the dome within the lung's base.
        let dome = Volume::from_fn(grid([9, 9, 9]), |[z, y, x]| {
            let inside = [z, y, x].iter().all(|v| (1..8).contains(v));
            u8::from(inside && !(z < 5 && (3..6).contains(&y) && (3..6).contains(&x)))
        });
        assert_eq!(fill_holes(&dome).at([2, 4, 4]), 0);
        assert_eq!(fill_planes(&dome, 0).at([2, 4, 4]), 1);
    }

    #[test]
    fn bounds_are_the_outermost_voxels() {
        let mask = Volume::from_fn(grid([4, 5, 6]), |i| {
            u8::from(i == [1, 2, 5] || i == [3, 0, 2])
        });
        assert_eq!(bounds(&mask), Some(([1, 0, 2], [3, 2, 5])));
        assert_eq!(bounds(&Volume::filled(0u8, grid([1, 1, 1]))), None);
    }
}
