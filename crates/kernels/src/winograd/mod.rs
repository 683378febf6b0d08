//! Winograd convolutions: 3³ kernels, stride 1, padding 1.
//!
//! A tile of `2 × m × m` outputs needs `4 × (m+2) × (m+2)` inputs. After the transform, the
//! convolution of a tile is one product per point, summed over input channels: 64 products for 8
//! outputs (`m = 2`, F(2³,3³)) or 144 for 32 (`m = 4`) instead of 27 per output. The sums over
//! channels are matrix products over many tiles. A vector holds neighbouring tiles, so arrays stay
//! dense `[batch, channel, depth, height, width]` and no number of channels needs padding.
//!
//! The points of `m = 4` are 0, ±1/√2, ±√2 and ∞. Their transforms lose less precision than those
//! of the usual 0, ±1, ±2 and ∞ (about 1e-6 of the largest output; `benches/winograd_error.py`
//! prints the errors).
//!
//! Source: Lavin and Gray, "Fast algorithms for convolutional neural networks" (2016), extended to
//! a third axis.

mod bf16;
mod filter;
mod gather;
mod input;
mod output;
mod plan;
mod points;
mod product;
mod tile;
mod weight;

pub(crate) use filter::Filter;
pub(crate) use plan::{Plan, direct_cycles};
pub(crate) use tile::Tile;

use input::{Of, transform};

use crate::epilogue::{Epilogue, EpilogueSource, Target};
use crate::pointer::Pointer;
use crate::scratch::Scratch;
use crate::simd::Isa;
use rayon::prelude::*;

/// Number of output channels whose products are kept at a time.
const GROUP: usize = 32;

impl Plan {
    /// The convolution, with `epilogue` applied to each result.
    ///
    /// # Panics
    /// If a slice is shorter than the plan's shape.
    pub(crate) fn forward(
        &self,
        isa: Isa,
        source: EpilogueSource,
        filter: &Filter,
        target: Target,
        epilogue: &Epilogue,
    ) {
        let volume: usize = self.size.iter().product();
        let (ci, co) = (filter.channels_in, filter.channels_out);
        assert_eq!(filter.tile, self.tile);
        source.check(self.batch, ci, volume);
        target.check(self.batch, co, volume);
        epilogue.check(self.batch, co, volume);
        let points = self.tile.points();
        let group = GROUP
            .next_multiple_of(filter.block)
            .min(co.next_multiple_of(filter.block));
        let parts = self.parts_of_a_chunk();
        let gathers = self.gathers(isa.lanes());
        (0..self.chunks()).into_par_iter().for_each(|i| {
            let chunk = self.chunk(i);
            let columns = chunk.vectors * self.lanes;
            let channel = channel_floats(points, columns);
            let mut v = Scratch::take(ci * channel);
            let mut m = Scratch::take(group * channel);
            let to = Pointer(v.as_mut_ptr());
            split(ci, parts, |channels| {
                let mut rows = Scratch::take(self.row_floats());
                for s in &chunk.segments {
                    for c in channels.clone() {
                        let from = source.x[s.image * source.image + c * volume..].as_ptr();
                        // SAFETY: the processor has `isa`; the segment lies in the plan's tiles,
                        // the channel in the source as asserted; `v` has `columns` for every
                        // point and channel, each written by one task; `rows` has `row_floats`
                        // floats.
                        unsafe {
                            let to = { to }.0.add(c * channel + s.column);
                            let rows = rows.as_mut_ptr();
                            transform(
                                isa,
                                self.tile,
                                Of::Input,
                                from,
                                self.size,
                                s,
                                gathers.of(s),
                                rows,
                                to,
                                columns,
                            );
                        }
                    }
                }
            });
            for first in (0..co).step_by(group) {
                let count = group.min(co - first);
                let blocks = count.div_ceil(filter.block);
                let skipped = first / filter.block;
                let products = Pointer(m.as_mut_ptr());
                let v = &*v;
                split(points, parts, |points| {
                    let (p, n) = (points.start, points.len());
                    #[cfg(target_arch = "x86_64")]
                    if !filter.pairs.is_empty() {
                        let pairs = ci.div_ceil(2) * filter.block;
                        let point = filter.channels_out.div_ceil(filter.block) * pairs;
                        let mut panel = Scratch::take(pairs * columns);
                        // SAFETY: the arrays are those of the call below; a filter has pairs only
                        // if the processor multiplies them, and the panel has a vector for each
                        // pair and 16 columns.
                        unsafe {
                            bf16::products(
                                n,
                                v[p * columns..].as_ptr(),
                                ci,
                                chunk.vectors,
                                filter.pairs[p * point + skipped * pairs..].as_ptr(),
                                point,
                                blocks,
                                { products }.0.add(p * columns),
                                channel,
                                panel.as_mut_ptr(),
                            );
                        }
                        return;
                    }
                    let weights = &filter.weights[skipped * filter.block_floats()..];
                    // SAFETY: `v` is filled above; the filter has the asserted tile and channels;
                    // `m` has `columns` for every point and channel of the group, and one task
                    // writes each point.
                    unsafe {
                        product::products(
                            isa,
                            n,
                            v[p * columns..].as_ptr(),
                            ci,
                            chunk.vectors,
                            weights[p * filter.point_floats()..].as_ptr(),
                            filter.point_floats(),
                            blocks,
                            { products }.0.add(p * columns),
                            channel,
                        );
                    }
                });
                let m = &*m;
                split(count, parts, |channels| {
                    let mut rows = Scratch::take(self.row_floats());
                    for o in channels {
                        // SAFETY: `m` has the rows written above; the target's bounds are asserted,
                        // and no other task writes this channel of this chunk's tiles.
                        unsafe {
                            output::output(
                                isa,
                                self.tile,
                                m[o * channel..].as_ptr(),
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
                });
            }
        });
    }

    /// Number of floats of working memory that a thread takes for a chunk.
    pub(crate) fn chunk_floats(&self, channels_in: usize, channels_out: usize) -> usize {
        let channel = channel_floats(self.tile.points(), self.most_columns());
        let group = GROUP.min(channels_out.next_multiple_of(8));
        (channels_in + group) * channel + self.row_floats()
    }

    /// Number of tasks that a chunk is split into: 1 if there are enough chunks for all threads.
    fn parts_of_a_chunk(&self) -> usize {
        let threads = rayon::current_num_threads();
        if self.chunks() >= 2 * threads {
            1
        } else {
            threads
        }
    }
}

/// Splits `0..n` into `parts` ranges and calls `work` with them in parallel.
fn split(n: usize, parts: usize, work: impl Fn(std::ops::Range<usize>) + Sync) {
    if parts <= 1 {
        work(0..n);
    } else {
        (0..parts)
            .into_par_iter()
            .for_each(|i| work(i * n / parts..(i + 1) * n / parts));
    }
}

/// Floats from one channel to the next of transformed tiles `[channel][point][column]`. All points
/// of a channel lie together, so that a transform stays in the L1 cache. The cache line between
/// channels keeps them from sharing the cache's sets.
fn channel_floats(points: usize, columns: usize) -> usize {
    points * columns + 16
}
