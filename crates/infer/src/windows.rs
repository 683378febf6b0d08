//! The placement of fine windows.

use multirnet_volume::Volume;
use rayon::prelude::*;

/// First voxels `(z, y, x)` of windows of `shape` voxels that together contain every non-zero voxel
/// of `wanted`.
///
/// Neighbours share at least `overlap` of a window. Windows follow the wanted region: the z starts
/// span its height, within each such slab the y starts span the slab's depth, and likewise x. No
/// window is therefore wasted beside the lungs. Along an axis on which the volume is at least as
/// large as a window, windows lie inside it. Along a shorter axis the start is negative, and the
/// window extends beyond the volume on both sides.
pub fn plan_windows(wanted: &Volume<u8>, shape: [usize; 3], overlap: f64) -> Vec<[i64; 3]> {
    let place = |axis: usize, span, n| {
        let starts = axis_starts(span, n, shape[axis], overlap);
        starts.into_iter().map(|s| (s, shape[axis])).collect()
    };
    let plan = cover(wanted, place);
    plan.into_iter().map(|region| region.start).collect()
}

/// A box of the working grid. It may extend beyond the volume's border.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Region {
    /// First voxel `(z, y, x)`.
    pub(crate) start: [i64; 3],
    /// Voxels per axis.
    pub(crate) shape: [usize; 3],
}

/// The part of an axis (end excluded) that holds wanted voxels.
type Span = (usize, usize);

/// Regions that hold every non-zero voxel of `wanted`.
///
/// `place(axis, span, n)` covers a span of an axis of `n` voxels by pieces `(start, length)`. It is
/// called for the height first, for each piece of the height with the wanted depth, and for each
/// piece of the depth with the wanted width.
pub(crate) fn cover(
    wanted: &Volume<u8>,
    place: impl Fn(usize, Span, usize) -> Vec<(i64, usize)>,
) -> Vec<Region> {
    let [nz, ny, nx] = wanted.shape();
    let rows: Vec<Option<Span>> = wanted
        .data()
        .par_chunks_exact(nx)
        .with_min_len(64)
        .map(|row| {
            let first = row.iter().position(|&v| v != 0)?;
            let last = row.iter().rposition(|&v| v != 0)?;
            Some((first, last + 1))
        })
        .collect();
    let pieces = |axis: usize, span: Option<Span>, n: usize| {
        span.map_or_else(Vec::new, |span| place(axis, span, n))
    };
    let mut regions = Vec::new();
    let planes = span((0..nz).filter(|z| rows[z * ny..(z + 1) * ny].iter().any(Option::is_some)));
    for (z, depth) in pieces(0, planes, nz) {
        let slab = clip(z, depth, nz);
        let lines =
            span((0..ny).filter(|y| slab.clone().any(|z: usize| rows[z * ny + y].is_some())));
        for (y, height) in pieces(1, lines, ny) {
            let band = clip(y, height, ny);
            let mut columns = vec![false; nx];
            for row in slab
                .clone()
                .flat_map(|z| band.clone().map(move |y| z * ny + y))
            {
                if let Some((first, end)) = rows[row] {
                    let values = &wanted.data()[row * nx + first..row * nx + end];
                    for (column, &v) in columns[first..end].iter_mut().zip(values) {
                        *column |= v != 0;
                    }
                }
            }
            for (x, width) in pieces(2, span((0..nx).filter(|&x| columns[x])), nx) {
                if clip(x, width, nx).any(|x| columns[x]) {
                    regions.push(Region {
                        start: [z, y, x],
                        shape: [depth, height, width],
                    });
                }
            }
        }
    }
    regions
}

/// The part of `start..start + length` that lies in `0..n`.
pub(crate) fn clip(start: i64, length: usize, n: usize) -> std::ops::Range<usize> {
    let end = (start + length as i64).clamp(0, n as i64) as usize;
    (start.max(0) as usize).min(end)..end
}

fn span(mut wanted: impl Iterator<Item = usize>) -> Option<Span> {
    let first = wanted.next()?;
    Some((first, wanted.last().unwrap_or(first) + 1))
}

/// Evenly spaced starts of windows that cover `span` (end excluded) of an axis of `n` voxels.
fn axis_starts((first, end): Span, n: usize, window: usize, overlap: f64) -> Vec<i64> {
    let (n, window) = (n as i64, window as i64);
    let (first, length) = (first as i64, (end - first) as i64);
    if n <= window {
        return vec![-(window - n) / 2];
    }
    if length <= window {
        return vec![(first - (window - length) / 2).clamp(0, n - window)];
    }
    let stride = ((window as f64 * (1.0 - overlap)).floor() as i64).max(1);
    let room = length - window;
    let steps = (room + stride - 1) / stride;
    // Neighbours are at most `stride` apart despite integer rounding, as room / steps <= stride.
    (0..=steps)
        .map(|k| first + (k * room + steps / 2) / steps)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use multirnet_volume::Geometry;

    fn volume(shape: [usize; 3], wanted: impl Fn([usize; 3]) -> bool) -> Volume<u8> {
        Volume::from_fn(Geometry::axial(shape, [1.0; 3]).unwrap(), |i| {
            u8::from(wanted(i))
        })
    }

    #[test]
    fn nothing_wanted_needs_no_window() {
        assert!(plan_windows(&volume([5, 6, 7], |_| false), [4, 4, 4], 0.5).is_empty());
    }

    #[test]
    fn a_small_volume_is_centred_in_one_window() {
        let plan = plan_windows(&volume([5, 6, 7], |_| true), [16, 16, 16], 0.5);
        assert_eq!(plan, [[-5, -5, -4]]);
    }

    #[test]
    fn a_small_region_gets_one_window_around_it() {
        let wanted = volume([64, 64, 64], |[z, y, x]| {
            z == 30 && (20..24).contains(&y) && x > 60
        });
        assert_eq!(
            plan_windows(&wanted, [16, 16, 16], 0.5),
            [[23, 14, 48]],
            "centred, and pushed in from the border"
        );
    }

    #[test]
    fn a_gap_wider_than_a_window_stays_empty() {
        let wanted = volume([16, 16, 96], |[_, _, x]| !(8..88).contains(&x));
        let plan = plan_windows(&wanted, [16, 16, 16], 0.0);
        assert_eq!(plan, [[0, 0, 0], [0, 0, 80]]);
    }

    #[test]
    fn starts_keep_the_overlap() {
        for (n, overlap) in [(96, 0.5), (97, 0.5), (100, 0.25), (240, 0.9), (33, 0.0)] {
            let starts = axis_starts((0, n), n, 32, overlap);
            assert_eq!(starts[0], 0);
            assert_eq!(*starts.last().unwrap(), n as i64 - 32);
            let stride = (32.0 * (1.0 - overlap)).floor() as i64;
            assert!(
                starts
                    .windows(2)
                    .all(|w| w[1] - w[0] <= stride && w[1] > w[0]),
                "{n} {overlap}: {starts:?}"
            );
        }
    }

    #[test]
    fn every_wanted_voxel_is_covered_and_no_window_is_idle() {
        let mut draw = crate::testing::Draw(1);
        for _ in 0..300 {
            let shape: [usize; 3] = std::array::from_fn(|_| draw.within(1, 24));
            let window: [usize; 3] = std::array::from_fn(|_| draw.within(1, 12));
            let overlap = draw.within(0, 90) as f64 / 100.0;
            let mut wanted = volume(shape, |_| false);
            for _ in 0..draw.within(0, 40) {
                let at = draw.within(0, wanted.data().len() - 1);
                wanted.data_mut()[at] = 1;
            }
            let plan = plan_windows(&wanted, window, overlap);
            let mut covered = volume(shape, |_| false);
            for start in &plan {
                let [rz, ry, rx] = std::array::from_fn(|a| clip(start[a], window[a], shape[a]));
                let mut useful = false;
                for z in rz {
                    for y in ry.clone() {
                        for x in rx.clone() {
                            let at = covered.offset([z, y, x]);
                            covered.data_mut()[at] = 1;
                            useful |= wanted.data()[at] != 0;
                        }
                    }
                }
                assert!(useful, "{start:?} of {window:?} in {shape:?} holds nothing");
            }
            let all = wanted
                .data()
                .iter()
                .zip(covered.data())
                .all(|(w, c)| w <= c);
            assert!(all, "{window:?} in {shape:?} at overlap {overlap}");
        }
    }
}
