//! Loading of a case: from the manifest's row to its prepared views.

mod read;
mod reader;
mod slices;

pub use read::{CaseScan, read_case};
pub use reader::Reader;

use crate::{Case, Error, ErrorKind, Result};
use multirnet_anatomy::PrepareConfig;
use multirnet_volume::Volume;

/// One view of a scan as training uses it.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Intensities in [0, 1], multiplied by 65535. A step is 1.5e-5, or 0.02 HU with the default
    /// `window_hu`.
    pub image: Volume<u16>,
    /// Lesion labels; 0 is not a lesion.
    pub lesions: Volume<u8>,
    /// Lung labels; 0 is not lung.
    pub lungs: Volume<u8>,
    /// Positions of the lesion voxels in the arrays.
    pub lesion_voxels: Vec<u32>,
    /// Number of planes (along the first axis) with lesion voxels.
    pub lesion_planes: usize,
}

impl View {
    /// A view of three arrays on one grid.
    ///
    /// # Errors
    /// `Scan` if the grids differ, or if the number of voxels does not fit into a `u32`.
    pub fn new(image: Volume<u16>, lesions: Volume<u8>, lungs: Volume<u8>) -> Result<Self> {
        image.check_same_grid(&lesions)?;
        image.check_same_grid(&lungs)?;
        if u32::try_from(image.data().len()).is_err() {
            return Err(Error::new(ErrorKind::Scan, "the view has too many voxels"));
        }
        let lesion_voxels: Vec<u32> = lesions
            .data()
            .iter()
            .enumerate()
            .filter(|(_, l)| **l != 0)
            .map(|(i, _)| i as u32)
            .collect();
        let planes = 0..lesions.shape()[0];
        let lesion_planes = planes
            .filter(|&z| lesions.plane(z).iter().any(|l| *l != 0))
            .count();
        Ok(Self {
            image,
            lesions,
            lungs,
            lesion_voxels,
            lesion_planes,
        })
    }

    /// Size in memory, in bytes.
    pub fn bytes(&self) -> usize {
        self.image.data().len() * 4 + self.lesion_voxels.len() * 4
    }
}

/// A prepared stack of slices without a gap.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Number of the scan's slices in the stack.
    pub planes: usize,
    /// The box around the lungs at the working spacing.
    pub local: View,
    /// The box around the lungs, resampled to `global_shape` of the configuration.
    pub global: View,
}

/// A case whose scan is prepared for training.
#[derive(Debug, Clone, PartialEq)]
pub struct PreparedCase {
    /// Its stacks without a gap that contain lung; at least one. A scan without gaps has one stack,
    /// the whole scan.
    pub parts: Vec<Part>,
    /// SHA-256 of the scan's values and shape. It does not depend on the file's format.
    pub content: String,
    /// Warnings of the input gate.
    pub warnings: Vec<String>,
}

impl PreparedCase {
    /// Size in memory, in bytes.
    pub fn bytes(&self) -> usize {
        let part = |p: &Part| p.local.bytes() + p.global.bytes();
        self.parts.iter().map(part).sum()
    }
}

/// Reads the case's files, maps their values, and prepares both views of each stack without a gap.
///
/// # Errors
/// `Scan`, with the file, as [`read_case`], and if the input gate refuses a stack or no slice holds
/// lung.
pub fn load_case(case: &Case, config: &PrepareConfig, read: &Reader) -> Result<PreparedCase> {
    let whole = read_case(case, read, config)?;
    let content = content_digest(&whole.scan);
    let mut prepared = PreparedCase {
        parts: vec![],
        content,
        warnings: vec![],
    };
    for run in &whole.runs {
        let (scan, lungs, lesions) = whole.cut(run)?;
        // A stack may lie above or below the lungs. A whole scan without lungs is an error.
        if whole.runs.len() > 1 && lungs.data().iter().all(|&l| l == 0) {
            continue;
        }
        let (part, warnings) = part(case, &whole.prepare, &scan, &lungs, lesions.as_ref())?;
        prepared.parts.push(part);
        for warning in warnings {
            if !prepared.warnings.contains(&warning) {
                prepared.warnings.push(warning);
            }
        }
    }
    if prepared.parts.is_empty() {
        return Err(Error::new(ErrorKind::Scan, "no slice of the scan holds lung").at(&case.scan));
    }
    Ok(prepared)
}

fn part(
    case: &Case,
    config: &PrepareConfig,
    scan: &Volume<f32>,
    lungs: &Volume<u8>,
    lesions: Option<&Volume<u8>>,
) -> Result<(Part, Vec<String>)> {
    let prepared = multirnet_anatomy::prepare(scan, Some(lungs), config)
        .map_err(|e| read::refused(case, e))?;
    let (local, global) = match lesions {
        None => (
            Volume::filled(0, *prepared.local.geometry()),
            Volume::filled(0, *prepared.global.geometry()),
        ),
        Some(mask) => prepared
            .labels(mask)
            .map_err(|e| Error::from(e).at(&case.scan))?,
    };
    let quantise = |v: &Volume<f32>| v.map(|x| (x.clamp(0.0, 1.0) * 65535.0).round() as u16);
    let part = Part {
        planes: scan.shape()[0],
        local: View::new(quantise(&prepared.local), local, prepared.local_lungs)?,
        global: View::new(quantise(&prepared.global), global, prepared.global_lungs)?,
    };
    Ok((part, prepared.report.warnings))
}

fn content_digest(scan: &Volume<f32>) -> String {
    let shape = format!("{:?}", scan.shape());
    let bytes: Vec<u8> = scan.data().iter().flat_map(|v| v.to_le_bytes()).collect();
    multirnet_base::digest::sha256_of_parts([shape.as_bytes(), &bytes])
}
