//! The transform of tiles of the input, or of the output's gradient.

use super::plan::{Segment, Tile};
use super::points::{a, bt};
use crate::simd::{Simd, dispatch, phases};

/// Transforms one row of the volume along x into `m + 2` rows of `width` tiles.
///
/// # Safety
/// `row` has `w` readable floats; every `to[k]` has `width` writable ones.
#[inline(always)]
unsafe fn line<S: Simd, const M: usize, const ADJOINT: bool>(
    row: *const f32,
    w: usize,
    first: usize,
    width: usize,
    to: [*mut f32; 6],
) {
    // SAFETY: `phases` reads only positions within the row; stores stay within `width`.
    unsafe {
        let start = (first * M) as isize - isize::from(!ADJOINT);
        let step = (S::LANES * M) as isize;
        let mut at = start;
        let mut j = 0;
        let mut now = phases::<S, M>(row, w, at);
        while j < width {
            let mut x = [S::zero(); 6];
            x[..M].copy_from_slice(&now[..M]);
            at += step;
            if !ADJOINT {
                // The last tile's last two inputs are shifted in from the next lane. If the vector
                // has lanes beyond the last tile, that lane is in the vector itself.
                if width - j >= S::LANES {
                    now = phases::<S, M>(row, w, at);
                }
                x[M] = S::shift(x[0], now[0]);
                x[M + 1] = S::shift(x[1], now[1]);
            } else if j + S::LANES < width {
                now = phases::<S, M>(row, w, at);
            }
            let t = if ADJOINT { a::<S, M>(x) } else { bt::<S, M>(x) };
            if j + S::LANES <= width {
                for k in 0..M + 2 {
                    S::store(to[k].add(j), t[k]);
                }
            } else {
                for k in 0..M + 2 {
                    S::store_part(to[k].add(j), t[k], width - j);
                }
            }
            j += S::LANES;
        }
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn tiles<S: Simd, const M: usize, const ADJOINT: bool>(
    x: *const f32,
    [d, h, w]: [usize; 3],
    segment: &Segment,
    rows: *mut f32,
    v: *mut f32,
    point: usize,
) {
    let alpha = M + 2;
    // Number of inputs of a tile along z and y, and how far they begin before its outputs.
    let (nz, ny, before) = if ADJOINT { (2, M, 0) } else { (4, M + 2, 1) };
    let columns = segment.rows * segment.width;
    let length = (segment.rows + 1) * segment.width + S::LANES;
    let at = |z: usize, k: usize, r: usize| {
        ((z * alpha + k) * M + r % M) * length + r / M * segment.width
    };
    // SAFETY: `at` stays within 4 · alpha · M · length floats, and each row of tiles takes `width`
    // of them; the last vector of a line ends within the `LANES` floats of slack.
    unsafe {
        for z in 0..nz {
            let plane = (2 * segment.z + z).wrapping_sub(before);
            for r in 0..segment.rows * M + ny - M {
                let y = (M * segment.y + r).wrapping_sub(before);
                let mut to = [rows; 6];
                for (k, to) in to.iter_mut().enumerate().take(alpha) {
                    *to = rows.add(at(z, k, r));
                }
                if plane < d && y < h {
                    line::<S, M, ADJOINT>(
                        x.add((plane * h + y) * w),
                        w,
                        segment.x,
                        segment.width,
                        to,
                    );
                } else {
                    for to in to.into_iter().take(alpha) {
                        to.write_bytes(0, segment.width);
                    }
                }
            }
        }
        for k in 0..alpha {
            let mut j = 0;
            while j < columns {
                let mut t = [[S::zero(); 6]; 4];
                for z in 0..nz {
                    let mut x = [S::zero(); 6];
                    for r in 0..ny {
                        x[r] = S::load(rows.add(at(z, k, r) + j));
                    }
                    t[z] = if ADJOINT { a::<S, M>(x) } else { bt::<S, M>(x) };
                }
                for p in 0..alpha {
                    let x = [t[0][p], t[1][p], t[2][p], t[3][p], t[0][p], t[0][p]];
                    let q = if ADJOINT { a::<S, 2>(x) } else { bt::<S, 2>(x) };
                    for z in 0..4 {
                        let to = v.add(((z * alpha + p) * alpha + k) * point + j);
                        if j + S::LANES <= columns {
                            S::store(to, q[z]);
                        } else {
                            S::store_part(to, q[z], columns - j);
                        }
                    }
                }
                j += S::LANES;
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
    rows: *mut f32,
    v: *mut f32,
    point: usize,
) {
    // SAFETY: the caller promises the instruction set and that all positions lie in their arrays.
    unsafe {
        match (tile, of) {
            (Tile::Small, Of::Input) => tiles::<S, 2, false>(x, size, segment, rows, v, point),
            (Tile::Large, Of::Input) => tiles::<S, 4, false>(x, size, segment, rows, v, point),
            (Tile::Small, Of::Gradient) => tiles::<S, 2, true>(x, size, segment, rows, v, point),
            (Tile::Large, Of::Gradient) => tiles::<S, 4, true>(x, size, segment, rows, v, point),
        }
    }
}

dispatch! {
    /// Transforms the tiles of `segment` in one channel `x` of `size`. Point `p` of the tile in
    /// column `j` goes to `v[p · point + j]`.
    ///
    /// # Safety
    /// The processor has `isa`; the segment lies within the tiles of `size`; `rows` has
    /// `Plan::row_floats` floats; `v` has the segment's columns at every point.
    pub(super) unsafe fn transform = transform_generic(
        tile: Tile,
        of: Of,
        x: *const f32,
        size: [usize; 3],
        segment: &Segment,
        rows: *mut f32,
        v: *mut f32,
        point: usize,
    )
}
