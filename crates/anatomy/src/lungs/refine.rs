//! The lungs' border on the scan's own grid.

use multirnet_volume::Volume;
use rayon::prelude::*;

/// Masks found on the coarse grid, in the scan's axis order.
pub(super) struct Cells {
    /// The lungs with all that belongs to them.
    pub lungs: Volume<u8>,
    /// Their aerated part.
    pub aerated: Volume<u8>,
    /// Trachea and main bronchi.
    pub airways: Volume<u8>,
}

/// How the voxels of a cell are labelled.
#[derive(Clone, Copy, PartialEq)]
enum Cell {
    Outside,
    Inside(u8),
    /// A border cell: its aerated voxels are lung, and the interpolated mask decides the others.
    Border {
        label: u8,
        /// Whether the cell is lung that is not aerated.
        dense: bool,
    },
}

/// Draws the lungs of `cells`, which are blocks of `factor` voxels, on the grid of `scan`. In a
/// border cell, voxels below `border_hu` are lung, and interpolation between cells decides the
/// others.
pub(super) fn refine(
    scan: &Volume<f32>,
    cells: &Cells,
    factor: [usize; 3],
    border_hu: f32,
) -> Volume<u8> {
    let kinds = classify(cells);
    let [_, ny, nx] = scan.shape();
    let [_, cy, cx] = cells.lungs.shape();
    let mut out = Volume::filled(0u8, *scan.geometry());
    out.data_mut()
        .par_chunks_mut(ny * nx)
        .zip(scan.data().par_chunks(ny * nx))
        .enumerate()
        .for_each(|(z, (plane, hu))| {
            for y in 0..ny {
                let row = (z / factor[0] * cy + y / factor[1]) * cx;
                for c in 0..cx {
                    let kind = kinds[row + c];
                    let from = y * nx + c * factor[2];
                    let to = y * nx + ((c + 1) * factor[2]).min(nx);
                    match kind {
                        Cell::Outside => {}
                        Cell::Inside(label) => plane[from..to].fill(label),
                        Cell::Border { label, dense } => {
                            for i in from..to {
                                let x = i - y * nx;
                                if hu[i] < border_hu
                                    || interpolate(&cells.lungs, label, [z, y, x], factor)
                                        >= if dense { 0.5 } else { 0.8 }
                                {
                                    plane[i] = label;
                                }
                            }
                        }
                    }
                }
            }
        });
    out
}

fn classify(cells: &Cells) -> Vec<Cell> {
    let [nz, ny, nx] = cells.lungs.shape();
    let lungs = cells.lungs.data();
    let airways = cells.airways.data();
    let mut kinds = vec![Cell::Outside; lungs.len()];
    kinds
        .par_chunks_mut(ny * nx)
        .enumerate()
        .for_each(|(z, plane)| {
            for y in 0..ny {
                for x in 0..nx {
                    let i = (z * ny + y) * nx + x;
                    let own = lungs[i];
                    let around = [
                        (z > 0).then(|| i - ny * nx),
                        (z + 1 < nz).then(|| i + ny * nx),
                        (y > 0).then(|| i - nx),
                        (y + 1 < ny).then(|| i + nx),
                        (x > 0).then(|| i - 1),
                        (x + 1 < nx).then(|| i + 1),
                    ];
                    let mut near = around.iter().flatten();
                    plane[y * nx + x] = if own != 0 {
                        if near.all(|&j| lungs[j] == own) {
                            Cell::Inside(own)
                        } else {
                            let dense = cells.aerated.data()[i] == 0;
                            Cell::Border { label: own, dense }
                        }
                    } else if airways[i] == 0
                        && around.iter().flatten().all(|&j| airways[j] == 0)
                        && let Some(&j) = around
                            .iter()
                            .flatten()
                            .find(|&&j| cells.aerated.data()[j] != 0 && lungs[j] != 0)
                    {
                        // A cell of the wall may hold voxels of the lung.
                        let label = lungs[j];
                        Cell::Border { label, dense: true }
                    } else {
                        Cell::Outside
                    };
                }
            }
        });
    kinds
}

/// The share of `label` among the cells around a voxel, weighted linearly.
fn interpolate(cells: &Volume<u8>, label: u8, voxel: [usize; 3], factor: [usize; 3]) -> f32 {
    let shape = cells.shape();
    let mut low = [0usize; 3];
    let mut high = [0usize; 3];
    let mut weight = [0.0f32; 3];
    for a in 0..3 {
        let place = (voxel[a] as f32 + 0.5) / factor[a] as f32 - 0.5;
        let place = place.clamp(0.0, (shape[a] - 1) as f32);
        low[a] = place as usize;
        high[a] = (low[a] + 1).min(shape[a] - 1);
        weight[a] = place - low[a] as f32;
    }
    let mut sum = 0.0;
    for corner in 0..8 {
        let mut share = 1.0;
        let index = std::array::from_fn(|a| {
            if corner >> a & 1 == 1 {
                share *= weight[a];
                high[a]
            } else {
                share *= 1.0 - weight[a];
                low[a]
            }
        });
        if share > 0.0 && cells.at(index) == label {
            sum += share;
        }
    }
    sum
}
