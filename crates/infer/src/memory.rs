//! How much memory a prediction takes, known before it starts.

use crate::{Error, ErrorKind, Network, Pipeline, PredictOptions, Result};
use multirnet_volume::{Geometry, Orientation};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is held in memory at one time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemoryPhase {
    /// What is being done: `prepare`, `network` or `restore`.
    pub name: String,
    /// What is held meanwhile, in bytes.
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
/// The lung box is not known beforehand, so the whole scan stands in for it, no larger than a
/// chest (400 × 300 × 400 mm, from the front to the back 300).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemoryPlan {
    /// The phases, in order.
    pub phases: Vec<MemoryPhase>,
    /// The configured limit in bytes.
    pub limit: Option<u64>,
}

/// Largest lung box that is planned for, millimetres `(z, y, x)`.
const CHEST_MM: [f64; 3] = [400.0, 300.0, 400.0];
/// Bytes that finding the lungs takes besides the mask: per voxel of the scan, and per voxel of
/// the coarse grid that it works on. Measured, rounded up.
const SEGMENTATION_BYTES: [u64; 2] = [8, 24];
/// The program itself and its threads' stacks.
const PROGRAM_BYTES: u64 = 24 << 20;

impl MemoryPlan {
    /// For a scan on `scan`, a given lung mask or none, and `network` under `options`.
    pub fn new(
        scan: &Geometry,
        lungs_given: bool,
        network: &dyn Network,
        options: &PredictOptions,
    ) -> Self {
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
        let boxed = extent(canonical.spacing_mm()).min(voxels);
        let global: u64 = options
            .prepare
            .global_shape
            .iter()
            .map(|&n| n as u64)
            .product();
        let channels = network.lesion_channels() as u64;
        let part = |name: &str, bytes: u64| (name.to_owned(), bytes);
        let scan_part = part("scan", 4 * voxels);
        let lungs_part = part("lung mask", voxels * if lungs_given { 2 } else { 1 });
        let views = part("views", 5 * (local + global));

        let mut prepare = vec![scan_part.clone(), lungs_part.clone()];
        if !lungs_given {
            let mm3 = voxels as f64 * scan.voxel_mm3();
            let coarse = (mm3 / options.prepare.lungs.coarse_mm.max(0.1).powi(3)) as u64;
            let [fine, rough] = SEGMENTATION_BYTES;
            prepare.push(part("finding the lungs", fine * voxels + rough * coarse));
        }
        prepare.push(part("lung box", 5 * boxed));
        prepare.push(views.clone());

        let mut windows = 0;
        if options.pipeline != Pipeline::Global {
            windows = network.bytes(options.window_shape, options.batch);
        }
        if options.pipeline != Pipeline::Windows {
            windows = windows.max(network.bytes(options.prepare.global_shape, 1));
        }
        // Per working voxel: sums per channel, weights, coverage and its blur, coarse map, masks.
        let maps = local * (4 * (2 * channels + 3) + 4);
        let run = vec![
            scan_part.clone(),
            lungs_part.clone(),
            views,
            part("network", windows),
            part("working maps", maps),
        ];

        let mut restore = vec![
            scan_part,
            lungs_part,
            part("working maps", 4 * local * (channels + 1)),
            part("probability", 4 * voxels),
            part("lesion mask", voxels),
            // Probabilities, then heat, then zones and masks; not all at the same time.
            part("box on the scan's grid", boxed * (4 * channels + 4)),
        ];
        if options.explain {
            restore.push(part("heat map", 4 * voxels));
        }
        let phase = |name: &str, mut parts: Vec<(String, u64)>| {
            parts.push(part("program", PROGRAM_BYTES));
            MemoryPhase {
                name: name.to_owned(),
                parts,
            }
        };
        Self {
            phases: vec![
                phase("prepare", prepare),
                phase("network", run),
                phase("restore", restore),
            ],
            limit: options
                .memory_limit_mib
                .map(|mib| mib.saturating_mul(1 << 20)),
        }
    }

    /// The largest phase's bytes.
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
    /// `Memory` that names the largest phase, its parts, the limit and what helps.
    pub fn check(&self) -> Result<()> {
        let Some(limit) = self.limit.filter(|limit| self.peak() > *limit) else {
            return Ok(());
        };
        let worst = self.phases.iter().max_by_key(|p| p.bytes());
        let detail = worst.map_or_else(String::new, |p| format!(" in phase {p}"));
        Err(Error::new(
            ErrorKind::Memory,
            format!(
                "{} MiB are needed{detail}, the limit is {} MiB",
                mib(self.peak()),
                limit >> 20
            ),
        )
        .hint(
            "raise memory_limit_mib, switch the heat map off, use batch 1 or a smaller model, or \
             crop the scan",
        ))
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
