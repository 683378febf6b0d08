//! Packing: copies of an input with its zero border, split into phases for strided convolutions.
//!
//! A convolution of stride `s` reads its padded input at positions `s·o + t`. Packing splits the
//! input into `s` phases along each axis (positions with the same remainder by `s`). Each tap then reads one phase
//! at `o + t/s`, so neighbouring outputs read neighbouring floats at any stride. The kernels treat
//! a plane as one line of `rows · pitch` positions, border included. They discard the few results
//! that straddle two rows, and no width needs a special case.

use rayon::prelude::*;

use crate::simd::{Isa, Simd, dispatch, phases};

/// Floats that kernels may read past the last position of a packed array.
pub(crate) const SLACK: usize = 64;

/// The packed grid of one channel: a phase of `size` positions for each position of a box of `stride`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grid {
    pub size: [usize; 3],
    pub stride: [usize; 3],
}

impl Grid {
    pub fn plane(&self) -> usize {
        self.size[1] * self.size[2]
    }

    pub fn phase(&self) -> usize {
        self.size[0] * self.plane()
    }

    pub fn channel(&self) -> usize {
        self.phase() * self.stride.iter().product::<usize>()
    }

    /// Offset of the tap at `t` (three axes) within a channel.
    pub fn tap(&self, t: [usize; 3]) -> usize {
        let s = self.stride;
        let phase = (t[0] % s[0] * s[1] + t[1] % s[1]) * s[2] + t[2] % s[2];
        let [z, y, x] = [0, 1, 2].map(|a| t[a] / s[a]);
        phase * self.phase() + (z * self.size[1] + y) * self.size[2] + x
    }
}

/// The positions of a box of size `n`, last axis fastest.
pub(crate) fn positions(n: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    (0..n[0] * n[1] * n[2]).map(move |t| [t / (n[1] * n[2]), t / n[2] % n[1], t % n[2]])
}

/// Copies channels of size `dims` from `src` into packed grids. The first `front` positions on each
/// axis become zeros, and so do positions beyond the input. Phases that no tap of a `kernel`
/// reaches keep their old content.
pub(crate) fn pack(
    isa: Isa,
    src: &[f32],
    dims: [usize; 3],
    front: [usize; 3],
    kernel: [usize; 3],
    grid: Grid,
    dst: &mut [f32],
) {
    let [d, h, w] = dims;
    let s = grid.stride;
    let channels = src.len() / (d * h * w);
    let used = channels * grid.channel();
    let (body, slack) = dst.split_at_mut(used);
    slack.fill(0.0);
    let per_channel = s.iter().product::<usize>() * grid.size[0];
    let pitch = grid.size[2];
    body.par_chunks_mut(grid.plane())
        .enumerate()
        .for_each(|(i, plane)| {
            let (c, r) = (i / per_channel, i % per_channel);
            let (phase, q) = (r / grid.size[0], r % grid.size[0]);
            let [fd, fh, fw] = [phase / (s[1] * s[2]), phase / s[2] % s[1], phase % s[2]];
            if fd >= kernel[0] || fh >= kernel[1] || fw >= kernel[2] {
                return; // no tap reads this phase
            }
            let Some(z) = (q * s[0] + fd).checked_sub(front[0]).filter(|&z| z < d) else {
                plane.fill(0.0);
                return;
            };
            for (qh, row) in plane.chunks_exact_mut(pitch).enumerate() {
                let Some(y) = (qh * s[1] + fh).checked_sub(front[1]).filter(|&y| y < h) else {
                    row.fill(0.0);
                    continue;
                };
                let line = &src[((c * d + z) * h + y) * w..][..w];
                if s[2] == 1 {
                    let lead = front[2].min(pitch);
                    let n = w.min(pitch - lead);
                    row[..lead].fill(0.0);
                    row[lead..lead + n].copy_from_slice(&line[..n]);
                    row[lead + n..].fill(0.0);
                } else if s[2] == 2 {
                    // SAFETY: the processor has `isa`; the line has `w` floats, the row `row_len`.
                    unsafe {
                        let start = fw as isize - front[2] as isize;
                        let row_len = row.len();
                        every_second(isa, line.as_ptr(), w, start, row.as_mut_ptr(), row_len);
                    }
                } else {
                    for (qw, v) in row.iter_mut().enumerate() {
                        let x = (qw * s[2] + fw).checked_sub(front[2]);
                        *v = x.and_then(|x| line.get(x)).copied().unwrap_or(0.0);
                    }
                }
            }
        });
}

#[inline(always)]
unsafe fn every_second_generic<S: Simd>(
    line: *const f32,
    w: usize,
    start: isize,
    to: *mut f32,
    n: usize,
) {
    let mut j = 0;
    // SAFETY: the caller promises the instruction set and that all positions lie in their arrays.
    unsafe {
        while j < n {
            let x = phases::<S, 2>(line, w, start + 2 * j as isize);
            S::store_part(to.add(j), x[0], S::LANES.min(n - j));
            j += S::LANES;
        }
    }
}

dispatch! {
    /// Sets `to[j]`, `j < n`, to position `start + 2j` of a line of `w` floats; zero beyond its
    /// ends.
    ///
    /// # Safety
    /// The processor has `isa`; `line` has `w` readable floats, `to` `n` writable ones.
    unsafe fn every_second = every_second_generic(
        line: *const f32,
        w: usize,
        start: isize,
        to: *mut f32,
        n: usize,
    )
}

/// Copies gradients of size `dims` into rows of `pitch` positions and planes of `plane` positions,
/// with zeros between the rows.
pub(crate) fn pack_rows(
    src: &[f32],
    dims: [usize; 3],
    pitch: usize,
    plane: usize,
    dst: &mut [f32],
) {
    let [_, h, w] = dims;
    let planes = src.len() / (h * w);
    dst[..planes * plane]
        .par_chunks_mut(plane)
        .zip(src.par_chunks(h * w))
        .for_each(|(to, from)| {
            let mut end = 0;
            for (y, line) in from.chunks_exact(w).enumerate() {
                to[end..y * pitch].fill(0.0);
                end = y * pitch + w;
                to[y * pitch..end].copy_from_slice(line);
            }
            to[end..].fill(0.0);
        });
}
