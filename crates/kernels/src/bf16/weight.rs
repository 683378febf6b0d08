//! The gradient of the weights: for each tap, a product of two matrices over all positions.
//!
//! The left matrix has a row for each input channel, the right one a column for each output channel; both go
//! along the lines of a plane. The input is packed as lines of each channel, split into phases for strided
//! convolutions, so that a tap reads it at an offset. The gradient is packed as tiles. Positions between its
//! rows are zero.
//!
//! Slices are split into parts that depend on the shape alone. Each part has its own sums, and these are added
//! in order. Results are therefore bit-identical for any number of threads.

use rayon::prelude::*;

use super::block::{DEPTH, KEPT, Ready, SIDE, Tile, accumulate};
use super::convert::narrow_on;
use super::unit::Bf16Unit;
use super::{Values, as_bf16};
use crate::conv::Conv;
use crate::pointer::Pointer;
use crate::scratch::Scratch;

/// Positions of a part. Their channels then fit the L2 cache.
const PART: usize = 10_000;
/// Most floats of the parts' sums (16 MiB).
const PARTIAL: usize = 4 << 20;

/// The shapes of the packed arrays.
struct Shapes {
    /// Positions from one row of a plane to the next.
    pitch: usize,
    /// Positions of a plane of gradients, a multiple of 32.
    line: usize,
    /// Planes of the packed input.
    planes: usize,
    /// Numbers of a channel's line in a phase of a plane of the packed input.
    x_line: usize,
    /// Input channels, rounded up to tiles.
    x_channels: usize,
    /// Output channels, in tiles.
    g_tiles: usize,
    /// Zeros before the input on each axis.
    front: [usize; 3],
}

impl Shapes {
    fn new(conv: &Conv) -> Self {
        let front = conv.borders();
        let [_, h, w] = conv.output();
        let s = conv.stride;
        let padded = [0, 1, 2].map(|a| conv.input[a] + 2 * front[a]);
        let pitch = padded[2].div_ceil(s);
        let line = ((h - 1) * pitch + w).next_multiple_of(DEPTH);
        let reach = (conv.kernel - 1) / s * (pitch + 1);
        let rows = padded[1].div_ceil(s) * pitch;
        // Lines of a large power of two would share the cache's sets.
        let x_line = (line + reach).max(rows).next_multiple_of(DEPTH);
        Self {
            pitch,
            line,
            planes: padded[0],
            x_line: x_line + if x_line.is_multiple_of(256) { DEPTH } else { 0 },
            x_channels: conv.channels_in.next_multiple_of(SIDE),
            g_tiles: conv.channels_out.div_ceil(SIDE),
            front,
        }
    }

    /// Numbers of a plane of the packed input.
    fn x_plane(&self, stride: usize) -> usize {
        stride * stride * self.x_channels * self.x_line
    }

    /// Tiles of a plane of the packed gradient.
    fn g_plane(&self) -> usize {
        self.g_tiles * self.line / DEPTH
    }
}

/// The gradient of the weights `[co, ci, …kernel]`, given the input and the output's gradient.
///
/// # Panics
/// If an array has another length than the convolution's shape.
pub(crate) fn weight_grad(unit: Bf16Unit, conv: &Conv, x: Values, g: Values) -> Vec<f32> {
    assert_eq!([x.len(), g.len()], [conv.input_len(), conv.output_len()]);
    let shapes = Shapes::new(conv);
    let (ci, taps) = (conv.channels_in, conv.taps());
    let [depth, ..] = conv.output();
    let [sz, s, _] = conv.strides();
    let (x_image, g_image) = (shapes.planes * shapes.x_plane(s), depth * shapes.g_plane());
    let tile = SIDE * DEPTH;
    let group = conv.group((x_image + g_image * tile).div_ceil(2));
    // A tile of sums for each tap, input tile and output tile: `[output tile][input tile][tap]`.
    let x_tiles = shapes.x_channels / SIDE;
    let sums_len = taps * shapes.x_channels * shapes.g_tiles * SIDE;
    let per_part = (PART / shapes.line)
        .max((group * depth * sums_len).div_ceil(PARTIAL))
        .max(1);
    let places = places(conv, &shapes);
    let mut total = vec![0f32; sums_len];
    for first in (0..conv.batch).step_by(group) {
        let images = group.min(conv.batch - first);
        // Rows of the last tile reach past the channels, into whatever lies behind them.
        let mut packed = Scratch::take((images * x_image).div_ceil(2));
        pack_input(unit, conv, &shapes, x, first, as_bf16(&mut packed));
        let mut tiles = Scratch::take(images * g_image * tile / 2);
        pack_gradient(unit, conv, &shapes, g, first, as_tiles(&mut tiles));
        let (x, g) = (&*as_bf16(&mut packed), &*as_tiles(&mut tiles));
        let slices: Vec<[usize; 2]> = (0..images * depth)
            .map(|i| {
                let (n, z) = (i / depth, i % depth);
                [
                    n * x_image + sz * z * shapes.x_plane(s),
                    i * shapes.g_plane(),
                ]
            })
            .collect();
        // The products' raw pointers rely on these bounds.
        let reach = places.iter().flatten().max().copied().unwrap_or(0);
        assert!(slices.iter().all(|[at, tile]| {
            at + reach + (SIDE - 1) * shapes.x_line + shapes.line <= x.len()
                && tile + shapes.g_plane() <= g.len()
        }));
        let parts = slices.len().div_ceil(per_part);
        let mut sums = Scratch::take(parts * sums_len);
        let target = Pointer(sums.as_mut_ptr());
        let steps = shapes.line / DEPTH;
        (0..parts * shapes.g_tiles).into_par_iter().for_each(|i| {
            let (part, o) = (i / shapes.g_tiles, i % shapes.g_tiles);
            let slices = &slices[part * per_part..((part + 1) * per_part).min(slices.len())];
            let from = part * sums_len + o * taps * x_tiles * SIDE * SIDE;
            // SAFETY: the processor has the unit.
            let ready = unsafe { Ready::new(unit) };
            let mut first = 0;
            for places in &places {
                // SAFETY: this part's sums of this output tile; each place has its own tile of them.
                let c = unsafe { { target }.0.add(from + first * SIDE * SIDE) };
                // SAFETY: as above.
                unsafe { c.write_bytes(0, places.len() * SIDE * SIDE) };
                for &[at, tile] in slices {
                    let b = &g[tile + o * steps..][..steps];
                    // SAFETY: the unit is ready; the rows lie in `x` as asserted above.
                    unsafe { accumulate(unit, x[at..].as_ptr(), shapes.x_line, places, b, c) };
                }
                first += places.len();
            }
            drop(ready);
        });
        total
            .par_chunks_mut(1024)
            .enumerate()
            .for_each(|(i, total)| {
                for part in sums.chunks_exact(sums_len) {
                    let part = &part[i * 1024..][..total.len()];
                    total.iter_mut().zip(part).for_each(|(a, b)| *a += b);
                }
            });
    }
    // Sums lie as `[output tile][place][input channel of the tile][output channel of the tile]`.
    let order = order(conv, &shapes);
    let mut dw = vec![0f32; conv.weight_len()];
    dw.par_chunks_mut(ci * taps)
        .enumerate()
        .for_each(|(o, dw)| {
            for (place, &[tap, x_tile]) in order.iter().enumerate() {
                let from = ((o / SIDE) * taps * x_tiles + place) * SIDE * SIDE + o % SIDE;
                for c in 0..SIDE.min(ci - x_tile * SIDE) {
                    dw[(x_tile * SIDE + c) * taps + tap] = total[from + c * SIDE];
                }
            }
        });
    dw
}

/// Pairs of tap and input tile, in the order of the sums: taps of a row and two tiles together, since they
/// read the same lines.
fn order(conv: &Conv, shapes: &Shapes) -> Vec<[usize; 2]> {
    let [_, _, columns] = conv.kernel_shape();
    let tiles = shapes.x_channels / SIDE;
    let mut order = Vec::new();
    for first in (0..tiles).step_by(2) {
        for row in 0..conv.taps() / columns {
            for tile in first..(first + 2).min(tiles) {
                order.extend((0..columns).map(|x| [row * columns + x, tile]));
            }
        }
    }
    order
}

/// Offsets in the packed input of the pairs of [`order`], as many together as are kept.
fn places(conv: &Conv, shapes: &Shapes) -> Vec<Vec<usize>> {
    let s = conv.stride;
    let [_, rows, columns] = conv.kernel_shape();
    let offsets: Vec<usize> = order(conv, shapes)
        .into_iter()
        .map(|[tap, tile]| {
            let (z, y, x) = (tap / (rows * columns), tap / columns % rows, tap % columns);
            let phase = y % s * s + x % s;
            z * shapes.x_plane(s)
                + (phase * shapes.x_channels + tile * SIDE) * shapes.x_line
                + y / s * shapes.pitch
                + x / s
        })
        .collect();
    let [_, _, columns] = conv.kernel_shape();
    let together = (KEPT / columns).max(1) * columns.min(KEPT);
    offsets.chunks(together).map(<[usize]>::to_vec).collect()
}

fn as_tiles(buffer: &mut [f32]) -> &mut [Tile] {
    assert!(buffer.as_ptr().cast::<Tile>().is_aligned());
    let tiles = buffer.len() / (size_of::<Tile>() / size_of::<f32>());
    // SAFETY: the slice covers a part of the same bytes, is aligned, and every content is valid.
    unsafe { std::slice::from_raw_parts_mut(buffer.as_mut_ptr().cast(), tiles) }
}

/// Packs images from `first` on as `[plane][phase][channel][line]`.
fn pack_input(
    unit: Bf16Unit,
    conv: &Conv,
    shapes: &Shapes,
    x: Values,
    first: usize,
    to: &mut [u16],
) {
    let s = conv.stride;
    let [depth, height, width] = conv.input;
    let volume = conv.volume();
    let [front, top, left] = shapes.front;
    to.par_chunks_mut(shapes.x_plane(s))
        .enumerate()
        .for_each(|(i, plane)| {
            let (image, z) = (first + i / shapes.planes, i % shapes.planes);
            let Some(z) = z.checked_sub(front).filter(|&z| z < depth) else {
                plane.fill(0);
                return;
            };
            let mut row = vec![0u16; width];
            for (p, channels) in plane
                .chunks_exact_mut(shapes.x_channels * shapes.x_line)
                .enumerate()
            {
                let (fy, fx) = (p / s, p % s);
                for (c, line) in channels.chunks_exact_mut(shapes.x_line).enumerate() {
                    line.fill(0);
                    if c >= conv.channels_in || fy.max(fx) >= conv.kernel {
                        continue;
                    }
                    for (q, to) in line.chunks_exact_mut(shapes.pitch).enumerate() {
                        let Some(y) = (q * s + fy).checked_sub(top).filter(|&y| y < height) else {
                            continue;
                        };
                        let at = (image * conv.channels_in + c) * volume + (z * height + y) * width;
                        if s == 1 {
                            copy(unit, x, at, &mut to[left..left + width]);
                        } else {
                            copy(unit, x, at, &mut row);
                            every(s, &row, fx, left, to);
                        }
                    }
                }
            }
        });
}

/// The values from `at` on in bf16.
fn copy(unit: Bf16Unit, x: Values, at: usize, to: &mut [u16]) {
    match x {
        _ if to.is_empty() => {}
        Values::F32(x) => narrow_on(unit, &x[at..][..to.len()], to),
        Values::Bf16(x) => to.copy_from_slice(&x[at..][..to.len()]),
    }
}

/// Sets `to[j]` to position `j · stride + phase − front` of a row, where there is one.
fn every(stride: usize, row: &[u16], phase: usize, front: usize, to: &mut [u16]) {
    // The first place with a position, and that position.
    let skipped = front.saturating_sub(phase).div_ceil(stride);
    let start = skipped * stride + phase - front;
    let Some(to) = to.get_mut(skipped..) else {
        return;
    };
    let Some(row) = row.get(start..) else {
        return;
    };
    if stride == 2 {
        let pairs = row.chunks_exact(2);
        let last = pairs.remainder();
        let whole = pairs.len();
        for (to, pair) in to.iter_mut().zip(pairs) {
            *to = pair[0];
        }
        if let (Some(to), [last]) = (to.get_mut(whole), last) {
            *to = *last;
        }
        return;
    }
    for (to, v) in to.iter_mut().zip(row.iter().step_by(stride)) {
        *to = *v;
    }
}

/// Packs images from `first` on as tiles `[plane][output tile][32 positions]`.
fn pack_gradient(
    unit: Bf16Unit,
    conv: &Conv,
    shapes: &Shapes,
    g: Values,
    first: usize,
    to: &mut [Tile],
) {
    let [depth, height, width] = conv.output();
    let volume = depth * height * width;
    let steps = shapes.line / DEPTH;
    to.par_chunks_mut(shapes.g_plane())
        .enumerate()
        .for_each(|(i, plane)| {
            let (image, z) = (first + i / depth, i % depth);
            let mut lines = Scratch::take(SIDE * shapes.line / 2);
            let lines = as_bf16(&mut lines);
            for (o, tiles) in plane.chunks_exact_mut(steps).enumerate() {
                for (c, line) in lines.chunks_exact_mut(shapes.line).enumerate() {
                    let channel = o * SIDE + c;
                    if channel >= conv.channels_out {
                        line.fill(0);
                        continue;
                    }
                    let at = (image * conv.channels_out + channel) * volume + z * height * width;
                    for (y, row) in line.chunks_mut(shapes.pitch).enumerate() {
                        let n = if y < height { width } else { 0 };
                        let (row, between) = row.split_at_mut(n);
                        copy(unit, g, at + y * width, row);
                        between.fill(0);
                    }
                }
                for (step, tile) in tiles.iter_mut().enumerate() {
                    turn(unit, &lines[step * DEPTH..], shapes.line, tile);
                }
            }
        });
}

/// Turns 16 lines of 32 numbers into a tile, whose columns they are.
fn turn(unit: Bf16Unit, lines: &[u16], line: usize, tile: &mut Tile) {
    match unit {
        #[cfg(target_arch = "x86_64")]
        Bf16Unit::Amx | Bf16Unit::Avx512 => {
            assert!((SIDE - 1) * line + DEPTH <= lines.len());
            // A pair of positions is moved as one number of 32 bits.
            // SAFETY: the processor has AVX-512; the lines lie in the slice as asserted; addresses need no
            // alignment.
            unsafe {
                let (from, to) = (lines.as_ptr().cast(), tile.0.as_mut_ptr().cast());
                crate::simd::transpose16(crate::simd::Isa::Avx512, from, line / 2, to, SIDE);
            }
        }
        _ => {
            for (c, line) in lines.chunks(line).take(SIDE).enumerate() {
                for (k, v) in line[..DEPTH].iter().enumerate() {
                    tile.0[(k / 2 * SIDE + c) * 2 + k % 2] = *v;
                }
            }
        }
    }
}
