//! Winograd convolutions: 3³ kernels, stride 1, padding 1.
//!
//! A tile of `2 × m × m` outputs needs `4 × (m+2) × (m+2)` inputs. Transformed, the convolution of
//! a tile is one product per point, summed over input channels: 64 products for 8 outputs
//! (`m = 2`, F(2³,3³)) or 144 for 32 (`m = 4`) instead of 27 per output. The sums over channels
//! are matrix products over many tiles, with 16 neighbouring tiles in a vector, so that arrays
//! stay dense `[batch, channel, depth, height, width]` and no channel count needs padding.
//!
//! The points of `m = 4` are 0, ±1/√2, ±√2 and ∞. Their transforms lose less precision than the
//! usual 0, ±1, ±2 and ∞ (about 1e-6 of the largest output; `tests/winograd.rs`).
//!
//! Source: Lavin and Gray, "Fast algorithms for convolutional neural networks" (2016), extended to
//! a third axis.

mod filter;
mod input;
mod output;
mod plan;
mod points;
mod product;
mod weight;

pub(crate) use filter::Filter;
pub(crate) use output::{Epilogue, Residual, Target};
pub(crate) use plan::{Plan, Tile};

use crate::scratch::Scratch;
use crate::simd::Isa;
use rayon::prelude::*;

/// Output channels whose products are kept at a time.
const GROUP: usize = 32;

/// Where inputs lie: channel `c` of image `n` at `n · image + c · (d·h·w)`.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub x: &'a [f32],
    pub image: usize,
}

impl Plan {
    /// The convolution, with `epilogue` applied to each result.
    ///
    /// # Panics
    /// If a slice is shorter than the plan's shape.
    pub(crate) fn forward(
        &self,
        isa: Isa,
        source: Source,
        filter: &Filter,
        target: Target,
        epilogue: &Epilogue,
    ) {
        let volume: usize = self.size.iter().product();
        let (ci, co) = (filter.channels_in, filter.channels_out);
        assert_eq!(filter.tile, self.tile);
        assert!((self.batch - 1) * source.image + ci * volume <= source.x.len());
        assert!((self.batch - 1) * target.image + co * volume <= target.len);
        epilogue.check(self.batch, co, volume);
        let points = self.tile.points();
        let group = GROUP
            .next_multiple_of(filter.block)
            .min(co.next_multiple_of(filter.block));
        (0..self.chunks()).into_par_iter().for_each(|i| {
            let chunk = self.chunk(i);
            let columns = chunk.vectors * self.lanes;
            let channel = channel_floats(points, columns);
            let mut v = Scratch::take(ci * channel);
            let mut m = Scratch::take(group * channel);
            let mut rows = Scratch::take(self.row_floats());
            for segment in &chunk.segments {
                for c in 0..ci {
                    // SAFETY: the processor has `isa`; the segment lies in the plan's tiles, the
                    // channel in the source as asserted; `v` has a row of `columns` for every
                    // point and channel, `rows` what `row_floats` says.
                    unsafe {
                        input::input(
                            isa,
                            self.tile,
                            source
                                .x
                                .as_ptr()
                                .add(segment.image * source.image + c * volume),
                            self.size,
                            segment,
                            rows.as_mut_ptr(),
                            v.as_mut_ptr().add(c * channel + segment.column),
                            columns,
                        );
                    }
                }
            }
            for first in (0..co).step_by(group) {
                let count = group.min(co - first);
                // SAFETY: `v` is filled above, the filter has the asserted tile and channels, `m`
                // has a row of `columns` for every point and channel of the group.
                unsafe {
                    product::products(
                        isa,
                        points,
                        v.as_ptr(),
                        ci,
                        chunk.vectors,
                        filter
                            .weights
                            .as_ptr()
                            .add(first / filter.block * filter.block_floats()),
                        filter.point_floats(),
                        count.div_ceil(filter.block),
                        m.as_mut_ptr(),
                        channel,
                    );
                }
                for o in 0..count {
                    // SAFETY: rows of `m` as above; the target's bounds are asserted, and no
                    // other task writes this chunk's tiles.
                    unsafe {
                        output::output(
                            isa,
                            self.tile,
                            m.as_ptr().add(o * channel),
                            columns,
                            &chunk.segments,
                            self.size,
                            rows.as_mut_ptr(),
                            first + o,
                            target,
                            epilogue,
                        );
                    }
                }
            }
        });
    }
}

/// Floats between channels of transformed tiles `[channel][point][column]`: all points of a
/// channel lie together, so that a transform stays in the L1 cache, and the line between channels
/// keeps them from sharing its sets.
fn channel_floats(points: usize, columns: usize) -> usize {
    points * columns + 16
}
