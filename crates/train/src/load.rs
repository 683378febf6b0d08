//! From a case of the manifest to its prepared views.

use crate::{Case, Error, ErrorKind, Result};
use multirnet_anatomy::{Intensity, PrepareConfig};
use multirnet_volume::{Diagnosis, Volume};
use std::path::Path;

/// Reads a scan from a file or folder; the caller decides what it can read (DICOM, NIfTI, …).
pub type Reader<'a> = dyn Fn(&Path) -> std::result::Result<Volume<f32>, String> + Sync + 'a;

/// One view of a scan as training uses it.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Intensities of [0, 1] times 65535: a step is 1.5e-5, 0.02 HU with the usual window.
    pub image: Volume<u16>,
    /// Lesion labels, 0 none.
    pub lesions: Volume<u8>,
    /// Lung labels, 0 none.
    pub lungs: Volume<u8>,
    /// Positions of the lesion voxels in the arrays.
    pub lesion_voxels: Vec<u32>,
}

impl View {
    /// A view of three arrays on one grid.
    ///
    /// # Errors
    /// `Scan` if the grids differ or are too large.
    pub fn new(image: Volume<u16>, lesions: Volume<u8>, lungs: Volume<u8>) -> Result<Self> {
        let scan = |e: multirnet_volume::Error| Error::new(ErrorKind::Scan, e.to_string());
        image.check_same_grid(&lesions).map_err(scan)?;
        image.check_same_grid(&lungs).map_err(scan)?;
        if u32::try_from(image.data().len()).is_err() {
            return Err(Error::new(ErrorKind::Scan, "the view has too many voxels"));
        }
        let lesion_voxels = lesions
            .data()
            .iter()
            .enumerate()
            .filter(|(_, l)| **l != 0)
            .map(|(i, _)| i as u32)
            .collect();
        Ok(Self {
            image,
            lesions,
            lungs,
            lesion_voxels,
        })
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.image.data().len() * 4 + self.lesion_voxels.len() * 4
    }
}

/// A prepared case.
#[derive(Debug, Clone, PartialEq)]
pub struct PreparedCase {
    /// The lung box at the working spacing.
    pub local: View,
    /// The lung box at the window's shape.
    pub global: View,
    /// SHA-256 of the scan's values and shape, whatever file format held them.
    pub content: String,
    /// What the input gate warned of.
    pub warnings: Vec<String>,
}

impl PreparedCase {
    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.local.bytes() + self.global.bytes()
    }
}

/// Reads the case's files, maps their values, and prepares both views.
///
/// # Errors
/// `Scan`, naming the file: unreadable, refused by the input gate, a mask on another grid, a normal
/// scan with lesions, or a mask without any of the values that the manifest names.
pub fn load_case(case: &Case, config: &PrepareConfig, read: &Reader) -> Result<PreparedCase> {
    let fail = |path: &Path, reason: String| Error::new(ErrorKind::Scan, reason).at(path);
    let scan = read(&case.scan).map_err(|e| fail(&case.scan, e))?;
    let lungs = read_lungs(case)?;
    let config = PrepareConfig {
        intensity: case.intensity,
        ..config.clone()
    };
    let prepared = multirnet_anatomy::prepare(&scan, lungs.as_ref(), &config).map_err(|e| {
        fail(&case.scan, e.to_string()).hint(match case.intensity {
            Intensity::Hu => "remove the scan from the manifest if it cannot be mended",
            Intensity::Unit => "check the columns lungs and lungs_values",
        })
    })?;
    let (local, global) = match read_lesions(case)? {
        None => (
            Volume::filled(0, *prepared.local.geometry()),
            Volume::filled(0, *prepared.global.geometry()),
        ),
        Some(mask) => {
            let path = case.mask.as_deref().unwrap_or(&case.scan);
            prepared
                .labels(&mask)
                .map_err(|e| fail(path, e.to_string()))?
        }
    };
    let quantise = |v: &Volume<f32>| v.map(|x| (x.clamp(0.0, 1.0) * 65535.0).round() as u16);
    Ok(PreparedCase {
        local: View::new(quantise(&prepared.local), local, prepared.local_lungs)?,
        global: View::new(quantise(&prepared.global), global, prepared.global_lungs)?,
        content: content_digest(&scan),
        warnings: prepared.report.warnings,
    })
}

fn read_labels(path: &Path) -> Result<Volume<u8>> {
    multirnet_volume::io::read_labels(path)
        .map_err(|e| Error::new(ErrorKind::Scan, e.to_string()).at(path))
}

/// The lung mask that the manifest gives for the case, if any: the listed values only, sides as
/// they are in the file if none are listed.
///
/// # Errors
/// `Scan` if the file is unreadable.
pub fn read_lungs(case: &Case) -> Result<Option<Volume<u8>>> {
    let Some(path) = &case.lungs else {
        return Ok(None);
    };
    let labels = read_labels(path)?;
    let values = &case.lungs_values;
    // A value that is lung, but of which side is not known: 3.
    let keep = |v: u8| if values.contains(&v) { 3 } else { 0 };
    Ok(Some(if values.is_empty() {
        labels
    } else {
        labels.map(keep)
    }))
}

/// The case's lesion labels on the scan's grid, `None` if the manifest names no mask.
///
/// # Errors
/// `Scan` if the file is unreadable, or holds lesions although the class is normal.
pub fn read_lesions(case: &Case) -> Result<Option<Volume<u8>>> {
    let Some(path) = &case.mask else {
        return Ok(None);
    };
    let mask = lesion_labels(read_labels(path)?, &case.mask_values);
    let count = mask.data().iter().filter(|v| **v != 0).count();
    if case.class == Diagnosis::Normal && count > 0 {
        return Err(Error::new(
            ErrorKind::Scan,
            format!("the scan is of class normal, but its mask has {count} lesion voxels"),
        )
        .at(path)
        .hint("correct the class, the mask, or mask_values"));
    }
    Ok(Some(mask))
}

/// Labels 1, 2, … for the listed values in their order, or the mask as it is.
fn lesion_labels(mask: Volume<u8>, values: &[u8]) -> Volume<u8> {
    if values.is_empty() {
        return mask;
    }
    let label = |v: u8| {
        values
            .iter()
            .position(|x| *x == v)
            .map_or(0, |k| k as u8 + 1)
    };
    mask.map(label)
}

fn content_digest(scan: &Volume<f32>) -> String {
    let shape = format!("{:?}", scan.shape());
    let bytes: Vec<u8> = scan.data().iter().flat_map(|v| v.to_le_bytes()).collect();
    crate::files::digest_parts([shape.as_bytes(), &bytes])
}
