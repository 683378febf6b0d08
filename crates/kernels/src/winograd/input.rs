//! The transform of tiles of the input, or of the output's gradient.
//!
//! The transform along z comes first: each of its four results is the sum or the difference of two
//! planes. The rows of such a result are written to one line, each with the positions beside it that
//! its tiles read, so that vectors are full at any width. The transforms along x and y follow.

use super::gather::Gather;
use super::plan::Segment;
use super::points::{a, bt};
use super::tile::{Tile, by_tile};
use crate::simd::{Simd, dispatch};

/// Writes `a + sign · b` to `to`, for `n` positions from `start` on of rows of `w` floats. A row that
/// is null counts as zeros, and so do positions beyond a row's ends.
///
/// # Safety
/// Rows have `w` readable floats, `to` has `n` writable ones, rounded up to vectors.
#[inline(always)]
unsafe fn combine<S: Simd>(
    a: *const f32,
    b: *const f32,
    sign: f32,
    w: usize,
    start: isize,
    n: usize,
    to: *mut f32,
) {
    // SAFETY: only lanes whose positions lie in a row are read.
    unsafe {
        let sign = S::splat(sign);
        // A macro and not a closure, which would be compiled without the instruction set.
        macro_rules! rows {
            ($row:ident => $load:expr) => {
                match (a.is_null(), b.is_null()) {
                    (false, false) => {
                        let $row = a;
                        let of_a = $load;
                        let $row = b;
                        S::fma(sign, $load, of_a)
                    }
                    (false, true) => {
                        let $row = a;
                        $load
                    }
                    (true, false) => {
                        let $row = b;
                        S::mul(sign, $load)
                    }
                    (true, true) => S::zero(),
                }
            };
        }
        let mut j = 0;
        while j < n {
            let at = start + j as isize;
            let v = if at >= 0 && at as usize + S::LANES <= w {
                rows!(row => S::load(row.offset(at)))
            } else {
                let from = (-at).clamp(0, S::LANES as isize) as usize;
                let end = (w as isize - at).clamp(0, S::LANES as isize) as usize;
                if from < end {
                    rows!(row => S::load_part(row.wrapping_offset(at), from, end))
                } else {
                    S::zero()
                }
            };
            S::store(to.add(j), v);
            j += S::LANES;
        }
    }
}

/// Transforms `places` places of `line` along x. Result `k` of tile `i` goes to `to[k · length + i]`.
///
/// # Safety
/// `line` has `M` floats for each place, rounded up to vectors, and for a vector more; `gather` has
/// the places; each of the `M + 2` results has room for the tiles and a vector more.
#[inline(always)]
unsafe fn along_x<S: Simd, const M: usize, const ADJOINT: bool>(
    line: *const f32,
    places: usize,
    gather: &Gather,
    to: *mut f32,
    length: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut now = inputs::<S, M>(line);
        let (mut place, mut tile, mut i) = (0, 0, 0);
        while place < places {
            let next = inputs::<S, M>(line.add(M * (place + S::LANES)));
            let mut x = [S::zero(); 6];
            x[..M].copy_from_slice(&now[..M]);
            if ADJOINT {
                let t = a::<S, M>(x);
                for k in 0..M + 2 {
                    S::store(to.add(k * length + tile), t[k]);
                }
                tile += S::LANES;
            } else {
                // A tile's last two inputs are the first two of the next place.
                x[M] = S::shift(now[0], next[0]);
                x[M + 1] = S::shift(now[1], next[1]);
                let t = bt::<S, M>(x);
                let order = gather.order.as_ptr().add(i * S::LANES);
                for k in 0..M + 2 {
                    S::store(to.add(k * length + tile), S::permute(t[k], order));
                }
                tile += *gather.count.get_unchecked(i);
            }
            now = next;
            place += S::LANES;
            i += 1;
        }
    }
}

/// The inputs of a vector of places: value `k` of each.
///
/// # Safety
/// `line` has `M` vectors.
#[inline(always)]
unsafe fn inputs<S: Simd, const M: usize>(line: *const f32) -> [S::V; 4] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut x = [S::zero(); 4];
        for i in 0..M {
            x[i] = S::load(line.add(i * S::LANES));
        }
        if M == 2 {
            let [a, b] = S::deinterleave([x[0], x[1]]);
            [a, b, x[2], x[3]]
        } else {
            S::deinterleave(x)
        }
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn tiles<S: Simd, const M: usize, const FLAT: bool, const ADJOINT: bool>(
    x: *const f32,
    [d, h, w]: [usize; 3],
    segment: &Segment,
    gather: &Gather,
    buffer: *mut f32,
    v: *mut f32,
    point: usize,
) {
    let alpha = M + 2;
    // Rows that a tile reads, and how far they begin before its outputs.
    let (ny, before) = if ADJOINT { (M, 0) } else { (M + 2, 1) };
    let width = segment.width;
    let columns = segment.rows * width;
    let places = if ADJOINT { width } else { width + 1 };
    let lines = segment.rows * M + ny - M;
    // Rows with the same remainder by M follow each other, so that the tiles' rows do.
    let first = |r: usize| segment.rows * (r % M) + (r % M).min(ny - M);
    let at = |r: usize| first(r) + r / M;
    let length = lines * width + 2 * S::LANES;
    let start = (segment.x * M) as isize - before as isize;
    let n = width * M + ny - M;
    // SAFETY: `buffer` has `Gather::floats` floats: those of the line first, then `length` for each
    // result along x. Planes and rows outside the volume are null, hence not read.
    unsafe {
        let results = buffer.add((lines * places + 3 * S::LANES) * M);
        for z in 0..if FLAT { 1 } else { 4 } {
            // The planes and the sign of `Bᵀ` and `A` at the points 0, 1, −1 and ∞.
            let (p, q, sign) = match (ADJOINT, z) {
                _ if FLAT => (Some(0), None, 1.0),
                (false, 0) => (Some(0), Some(2), -1.0),
                (false, 1) => (Some(1), Some(2), 1.0),
                (false, 2) => (Some(2), Some(1), -1.0),
                (false, _) => (Some(1), Some(3), -1.0),
                (true, 0) => (Some(0), None, 1.0),
                (true, 1) => (Some(0), Some(1), 1.0),
                (true, 2) => (Some(0), Some(1), -1.0),
                (true, _) => (None, Some(1), -1.0),
            };
            let plane = |p: Option<usize>| {
                p.map(|p| match FLAT {
                    true => segment.z,
                    false => (2 * segment.z + p).wrapping_sub(before),
                })
                .filter(|z| *z < d)
            };
            let (p, q) = (plane(p), plane(q));
            // Rows are written in the order of their places, since a row's last vector reaches into
            // the next row.
            let mut to = buffer;
            for q0 in 0..M {
                for r in (q0..lines).step_by(M) {
                    let y = (M * segment.y + r).wrapping_sub(before);
                    let row = |plane: Option<usize>| match plane {
                        Some(z) if y < h => x.add((z * h + y) * w),
                        _ => std::ptr::null(),
                    };
                    combine::<S>(row(p), row(q), sign, w, start, n, to);
                    to = to.add(places * M);
                }
            }
            along_x::<S, M, ADJOINT>(buffer, lines * places, gather, results, length);
            for k in 0..alpha {
                let from = results.add(k * length);
                let mut j = 0;
                while j < columns {
                    let mut x = [S::zero(); 6];
                    for r in 0..ny {
                        x[r] = S::load(from.add(at(r) * width + j));
                    }
                    let t = if ADJOINT { a::<S, M>(x) } else { bt::<S, M>(x) };
                    for p in 0..alpha {
                        let to = v.add(((z * alpha + p) * alpha + k) * point + j);
                        if j + S::LANES <= columns {
                            S::store(to, t[p]);
                        } else {
                            S::store_part(to, t[p], columns - j);
                        }
                    }
                    j += S::LANES;
                }
            }
        }
    }
}

/// The array that tiles are cut from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// The input: tiles overlap, and the transform is `Bᵀ`.
    Input,
    /// The output's gradient: tiles do not overlap, and the transform is `A`.
    Gradient,
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn transform_generic<S: Simd>(
    tile: Tile,
    of: Of,
    x: *const f32,
    size: [usize; 3],
    segment: &Segment,
    gather: &Gather,
    buffer: *mut f32,
    v: *mut f32,
    point: usize,
) {
    debug_assert_eq!(gather.width, segment.width);
    // SAFETY: the caller promises the instruction set and that all positions lie in their arrays.
    unsafe {
        match of {
            Of::Input => {
                by_tile!(
                    tile,
                    tiles::<S, false>(x, size, segment, gather, buffer, v, point)
                );
            }
            Of::Gradient => {
                by_tile!(
                    tile,
                    tiles::<S, true>(x, size, segment, gather, buffer, v, point)
                );
            }
        }
    }
}

dispatch! {
    /// Transforms the tiles of `segment` in one channel `x` of `size`. Point `p` of the tile in
    /// column `j` goes to `v[p · point + j]`.
    ///
    /// # Safety
    /// The processor has `isa`; the segment lies within the tiles of `size`; `gather` is that of the
    /// segment's width, its rows and the lanes of `isa`; `buffer` has `Plan::row_floats` floats; `v`
    /// has the segment's columns at every point.
    pub(super) unsafe fn transform = transform_generic(
        tile: Tile,
        of: Of,
        x: *const f32,
        size: [usize; 3],
        segment: &Segment,
        gather: &Gather,
        buffer: *mut f32,
        v: *mut f32,
        point: usize,
    )
}
