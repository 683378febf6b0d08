//! The memory that a prediction takes, estimated before it starts.

use crate::tiles::candidates;
use crate::{Error, ErrorKind, Network, Pipeline, PredictOptions, Result};
use multirnet_volume::{Geometry, Orientation};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The memory that one phase of a prediction holds at its peak.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemoryPhase {
    /// Name of the phase: `lungs`, `prepare`, `network`, `restore`, or `write` (the caller writes
    /// the results).
    pub name: String,
    /// What the phase holds: names and bytes.
    pub parts: Vec<(String, u64)>,
}

impl MemoryPhase {
    /// Sum of the parts in bytes.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|(_, bytes)| bytes).sum()
    }
}

/// Upper estimate of the memory that a prediction takes, the scan itself included.
///
/// The lung box is not known beforehand. The plan uses the whole scan in its place, but at most a
/// chest (400 × 300 × 400 mm; 300 mm is the extent from front to back).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemoryPlan {
    /// The phases, in order.
    pub phases: Vec<MemoryPhase>,
    /// The configured limit in bytes.
    pub limit: Option<u64>,
}

/// The tiles and the batch that fit into a plan.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Room {
    /// Shapes of tiles that fit.
    pub(crate) tiles: Vec<[usize; 3]>,
    /// Number of windows that go through the network together.
    pub(crate) batch: usize,
}

/// Largest lung box that is planned for, in millimetres `(z, y, x)`.
const CHEST_MM: [f64; 3] = [400.0, 300.0, 400.0];
/// Bytes that the lung segmentation takes per voxel of its coarse grid. The value was measured and
/// rounded up.
const SEGMENTATION_BYTES: u64 = 48;
/// Bytes of the program itself and of its threads' stacks.
const PROGRAM_BYTES: u64 = 24 << 20;
/// Bytes that drawing the overview and its page takes.
const DRAWING_BYTES: u64 = 48 << 20;
/// Number of maps that are written at the same time, and of blocks of each map that a thread holds.
const WRITTEN: [u64; 2] = [3, 3];
/// Smallest size of such a block.
const BLOCK_BYTES: u64 = 1 << 19;
/// The allocator keeps freed memory for the next stages, which cannot use all of it. The unused
/// part is one in this many of the memory that is held. The value was measured and rounded up.
const KEPT_PART: u64 = 6;
/// Bytes that tiles may take even if no other phase takes as much. With half as much again a scan took as long.
const TILE_BYTES: u64 = 256 << 20;

impl MemoryPlan {
    /// The plan for a scan on the grid `scan`, analysed by `network` with `options`. `lungs_given`
    /// tells whether the caller supplies the lung mask.
    pub fn new(
        scan: &Geometry,
        lungs_given: bool,
        network: &dyn Network,
        options: &PredictOptions,
    ) -> Self {
        Self::with_room(scan, lungs_given, network, options).0
    }

    /// The plan, and the tiles and batch that fit into it.
    pub(crate) fn with_room(
        scan: &Geometry,
        lungs_given: bool,
        network: &dyn Network,
        options: &PredictOptions,
    ) -> (Self, Room) {
        let voxels = scan.len() as u64;
        let canonical = scan.reoriented(Orientation::CANONICAL);
        let extent = |spacing: [f64; 3]| -> u64 {
            let own = canonical.spacing_mm();
            (0..3)
                .map(|a| {
                    let scan_mm = canonical.shape()[a] as f64 * own[a];
                    let room = 2.0 * options.prepare.margin_mm;
                    ((scan_mm.min(CHEST_MM[a]) + room) / spacing[a]).ceil() as u64 + 1
                })
                .product()
        };
        let local = extent(options.prepare.spacing_mm);
        let boxed = extent(canonical.spacing_mm());
        let global: u64 = options
            .prepare
            .global_shape
            .iter()
            .map(|&n| n as u64)
            .product();
        let channels = network.lesion_channels() as u64;
        let part = |name: &str, bytes: u64| (name.to_owned(), bytes);
        let held = [
            part("scan", 4 * voxels),
            part("lung mask", voxels * if lungs_given { 2 } else { 1 }),
            part("program", PROGRAM_BYTES),
        ];
        let phase = |name: &str, parts: Vec<(String, u64)>| {
            let mut parts: Vec<_> = held.iter().cloned().chain(parts).collect();
            let sum = parts.iter().map(|(_, bytes)| bytes).sum::<u64>();
            parts.push(part("kept for reuse", sum / KEPT_PART));
            MemoryPhase {
                name: name.to_owned(),
                parts,
            }
        };
        let views = part("views", 5 * (local + global));

        let mut lungs = Vec::new();
        if !lungs_given {
            let mm3 = voxels as f64 * scan.voxel_mm3();
            let coarse = (mm3 / options.prepare.lungs.coarse_mm.max(0.1).powi(3)) as u64;
            lungs.push(part("finding the lungs", SEGMENTATION_BYTES * coarse));
        }
        let prepare = vec![part("lung box", 5 * boxed), views.clone()];

        // Each working voxel has sums and a coarse map per channel, weights, coverage and its blur,
        // and masks.
        let working = part("working maps", local * (4 * (2 * channels + 3) + 4));
        let kept = vec![
            part("working maps", 4 * (local * channels + global)),
            part("lesion mask", voxels),
            part("lung mask of the box", boxed),
        ];
        let restore = kept.clone();
        let mut write = kept;
        let plane = scan.shape()[1..].iter().product::<usize>() as u64;
        let [maps, blocks] = WRITTEN;
        let threads = rayon::current_num_threads() as u64;
        let block = (4 * plane).max(BLOCK_BYTES);
        write.push(part("files", maps * blocks * threads * block));
        write.push(part("drawing", DRAWING_BYTES));
        let others = [
            phase("lungs", lungs),
            phase("prepare", prepare),
            phase("restore", restore),
            phase("write", write),
        ];

        let limit = options
            .memory_limit_mib
            .map(|mib| mib.saturating_mul(1 << 20));
        let mut run = phase("network", vec![views, working]);
        // Tiles may take as much as the largest other phase takes anyway, but no more than the
        // limit.
        let most = others.iter().map(MemoryPhase::bytes).max().unwrap_or(0);
        let room = most.saturating_sub(run.bytes()).max(TILE_BYTES);
        let budget = limit.map_or(room, |l| l.saturating_sub(run.bytes()).min(room));
        let tiles = candidates(network, options, budget);
        // A smaller batch gives the same result. The plan therefore reduces the batch before it
        // exceeds the limit.
        let window = |batch| network.peak_memory_bytes(options.window_shape, batch);
        let fits = |batch: &usize| limit.is_none_or(|l| window(*batch) + run.bytes() <= l);
        let batch = (1..=options.batch).rev().find(fits).unwrap_or(1);
        let mut bytes = 0;
        if options.pipeline != Pipeline::Global {
            bytes = if options.uses_tiles() {
                let shapes = tiles
                    .iter()
                    .map(|&shape| network.peak_memory_bytes(shape, 1));
                shapes.max().unwrap_or(0)
            } else {
                window(batch)
            };
        }
        if options.pipeline != Pipeline::Windows {
            bytes = bytes.max(network.peak_memory_bytes(options.prepare.global_shape, 1));
        }
        run.parts.push(part("network", bytes));
        let [lungs, prepare, restore, write] = others;
        let plan = Self {
            phases: vec![lungs, prepare, run, restore, write],
            limit,
        };
        (plan, Room { tiles, batch })
    }

    /// Bytes of the largest phase.
    pub fn peak(&self) -> u64 {
        self.phases
            .iter()
            .map(MemoryPhase::bytes)
            .max()
            .unwrap_or(0)
    }

    /// Refuses a plan over its limit.
    ///
    /// # Errors
    /// `Memory` if the peak is above the limit; the message names the largest phase, its parts, the
    /// limit and what helps.
    pub fn check(&self) -> Result<()> {
        let Some(limit) = self.limit.filter(|limit| self.peak() > *limit) else {
            return Ok(());
        };
        let worst = self.phases.iter().max_by_key(|p| p.bytes());
        let detail = worst.map_or_else(String::new, |p| format!(" in phase {p}"));
        Err(Error::new(
            ErrorKind::Memory,
            format!(
                "the prediction needs {} MiB{detail}, but the limit is {} MiB",
                mib(self.peak()),
                limit >> 20
            ),
        )
        .hint("raise memory_limit_mib, use smaller tiles or a smaller model, or crop the scan"))
    }
}

fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

impl fmt::Display for MemoryPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self
            .parts
            .iter()
            .map(|(name, bytes)| format!("{name} {}", mib(*bytes)))
            .collect();
        write!(
            f,
            "{} {} MiB ({})",
            self.name,
            mib(self.bytes()),
            parts.join(", ")
        )
    }
}

impl fmt::Display for MemoryPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "memory: at most {} MiB", mib(self.peak()))?;
        if let Some(limit) = self.limit {
            write!(f, " of {} MiB", limit >> 20)?;
        }
        for phase in &self.phases {
            write!(f, "\n  {phase}")?;
        }
        Ok(())
    }
}
