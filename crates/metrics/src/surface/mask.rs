//! The surface of a mask, row by row.

use super::area;
use super::convention::Convention;
use multirnet_volume::Volume;
use rayon::prelude::*;

/// The part of a volume that holds a label, or any label.
#[derive(Clone, Copy)]
pub(super) struct Mask<'a> {
    volume: &'a Volume<u8>,
    label: Option<u8>,
}

/// A block of voxels: its first voxel, and its number of voxels per axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    start: [usize; 3],
    shape: [usize; 3],
}

impl<'a> Mask<'a> {
    pub(super) fn new(volume: &'a Volume<u8>, label: Option<u8>) -> Self {
        Self { volume, label }
    }

    #[inline]
    fn holds(label: Option<u8>, value: u8) -> bool {
        label.map_or(value != 0, |l| value == l)
    }

    /// First and last index per axis of the voxels inside; `None` if there are none.
    fn bounds(&self) -> Option<[[usize; 2]; 3]> {
        let [_, ny, nx] = self.volume.shape();
        let label = self.label;
        let planes = self.volume.data().par_chunks(ny * nx).enumerate();
        planes
            .filter_map(|(z, plane)| {
                let mut found: Option<[[usize; 2]; 3]> = None;
                for (y, row) in plane.chunks_exact(nx).enumerate() {
                    if !row.iter().any(|&v| Self::holds(label, v)) {
                        continue;
                    }
                    let first = row.iter().position(|&v| Self::holds(label, v))?;
                    let last = row.iter().rposition(|&v| Self::holds(label, v))?;
                    let here = [[z, z], [y, y], [first, last]];
                    found = Some(found.map_or(here, |f| join(f, here)));
                }
                found
            })
            .reduce_with(join)
    }

    /// The smallest block that holds both masks; `None` if both are empty.
    pub(super) fn joint_block(&self, other: &Self) -> Option<Block> {
        let bounds = match (self.bounds(), other.bounds()) {
            (Some(a), Some(b)) => join(a, b),
            (a, b) => a.or(b)?,
        };
        Some(Block {
            start: bounds.map(|b| b[0]),
            shape: bounds.map(|b| b[1] - b[0] + 1),
        })
    }

    /// Calls `each(x, inside)` for the voxels of the block's row `(z, y)`. A row beyond the block
    /// is outside and makes no calls.
    #[inline]
    fn row(&self, block: &Block, z: isize, y: isize, mut each: impl FnMut(usize, u8)) {
        let within = |i: isize, a: usize| usize::try_from(i).ok().filter(|&i| i < block.shape[a]);
        if let (Some(z), Some(y)) = (within(z, 0), within(y, 1)) {
            let [sz, sy, sx] = block.start;
            let from = self.volume.offset([sz + z, sy + y, sx]);
            let row = &self.volume.data()[from..from + block.shape[2]];
            match self.label {
                None => (0..).zip(row).for_each(|(x, &v)| each(x, u8::from(v != 0))),
                Some(l) => (0..).zip(row).for_each(|(x, &v)| each(x, u8::from(v == l))),
            }
        }
    }
}

fn join(a: [[usize; 2]; 3], b: [[usize; 2]; 3]) -> [[usize; 2]; 3] {
    std::array::from_fn(|i| [a[i][0].min(b[i][0]), a[i][1].max(b[i][1])])
}

/// The surface of a mask within a block, on the grid that the convention measures on.
pub(super) struct Surface<'a> {
    mask: Mask<'a>,
    block: Block,
    convention: Convention,
}

impl<'a> Surface<'a> {
    pub(super) fn new(mask: Mask<'a>, block: Block, convention: Convention) -> Self {
        Self {
            mask,
            block,
            convention,
        }
    }

    /// Shape of the grid that the surface's elements lie on.
    pub(super) fn shape(&self) -> [usize; 3] {
        match self.convention {
            Convention::Area => self.block.shape.map(|n| n + 1),
            Convention::Voxel6 => self.block.shape,
        }
    }

    /// Writes the kind of surface element at each point of row `(z, y)`, 0 for none. The kind is an
    /// index into [`Self::weights`].
    pub(super) fn row(&self, z: usize, y: usize, out: &mut [u8]) {
        let (z, y) = (z as isize, y as isize);
        out.fill(0);
        match self.convention {
            Convention::Area => {
                // The low four bits of `out[x]` are the four voxels of column `x` that meet at the
                // row.
                for (bit, (dz, dy)) in [(-1, -1), (-1, 0), (0, -1), (0, 0)].into_iter().enumerate()
                {
                    self.mask
                        .row(&self.block, z + dz, y + dy, |x, v| out[x] |= v << bit);
                }
                let mut below = 0;
                for v in out.iter_mut() {
                    let here = *v;
                    let code = below | here << 4;
                    below = here;
                    *v = if code == u8::MAX { 0 } else { code };
                }
            }
            Convention::Voxel6 => {
                // Counts the neighbours inside; bit 4 marks the voxel itself.
                let n = out.len();
                for (dz, dy) in [(-1, 0), (1, 0), (0, -1), (0, 1)] {
                    self.mask
                        .row(&self.block, z + dz, y + dy, |x, v| out[x] += v);
                }
                self.mask.row(&self.block, z, y, |x, v| {
                    out[x] += v * 0x10;
                    if x > 0 {
                        out[x - 1] += v;
                    }
                    if x + 1 < n {
                        out[x + 1] += v;
                    }
                });
                for v in out.iter_mut() {
                    *v = u8::from(*v & 0x10 != 0 && *v != 0x16);
                }
            }
        }
    }

    /// Weight of each kind of surface element: its area in mm², or 1.
    pub(super) fn weights(convention: Convention, spacing_mm: [f64; 3]) -> [f64; 256] {
        match convention {
            Convention::Area => area::table(spacing_mm),
            Convention::Voxel6 => std::array::from_fn(|kind| f64::from(u8::from(kind == 1))),
        }
    }
}
