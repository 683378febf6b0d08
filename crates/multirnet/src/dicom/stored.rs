//! A folder of results, read again.

use crate::{Error, ErrorKind, Result};
use multirnet_finding::{Finding, Maps, NativeBox, NativeMap, Prediction, SCHEMA};
use multirnet_volume::{Volume, content_sha256, io};
use std::path::Path;

/// Reads what [`write_results`](crate::write_results) wrote of the scan `volume` into `folder`.
///
/// # Errors
/// `Io` if a file cannot be read, `Scan` if a file is not what was written there, or if the results
/// are those of another scan.
pub fn read_results(folder: &Path, volume: &Volume<f32>) -> Result<Prediction> {
    let path = folder.join("finding.json");
    let text = std::fs::read(&path).map_err(|e| Error::io(&path, "read the finding", e))?;
    let bad =
        |reason: String, hint: &str| Err(Error::new(ErrorKind::Scan, reason).hint(hint).at(&path));
    let again = "analyse the scan again";
    let finding: Finding = match serde_json::from_slice(&text) {
        Ok(finding) => finding,
        Err(e) => return bad(format!("this is not a finding: {e}"), again),
    };
    if finding.schema != SCHEMA {
        let reason = format!("the finding has schema {}, not {SCHEMA}", finding.schema);
        return bad(reason, again);
    }
    if finding.source.content_sha256 != content_sha256(volume) {
        return bad(
            "the results are those of another scan".to_owned(),
            "give the scan that was analysed, read with the same options",
        );
    }
    let labels = |name: &str| on_grid(&folder.join(name), volume, io::read_labels);
    let heatmap = folder.join("heatmap.nii.gz");
    let map = |path: &Path| on_grid(path, volume, io::read).map(NativeMap::from);
    let maps = Maps {
        lungs: labels("lungs.nii.gz")?,
        lesions: labels("lesions.nii.gz")?,
        probability: map(&folder.join("probability.nii.gz"))?,
        heatmap: match heatmap.exists() {
            true => Some(heat(&heatmap, volume)?),
            false => None,
        },
    };
    Ok(Prediction { finding, maps })
}

/// Reads a heat map, which lies on the scan's grid or on a grid of its own.
fn heat(path: &Path, scan: &Volume<f32>) -> Result<NativeMap> {
    let map = io::read(path)?;
    if map.check_same_grid(scan).is_ok() {
        return Ok(NativeMap::from(map.with_geometry(*scan.geometry())?));
    }
    let block = NativeBox::around(scan.geometry(), map.geometry())?.ok_or_else(|| {
        let reason = "the heat map lies outside the scan";
        Error::new(ErrorKind::Scan, reason)
            .hint("analyse the scan again")
            .at(path)
    })?;
    Ok(NativeMap::new(vec![map], block, None))
}

/// Reads a map that must lie on the scan's grid.
fn on_grid<T: multirnet_volume::Voxel>(
    path: &Path,
    scan: &Volume<f32>,
    read: impl Fn(&Path) -> multirnet_volume::Result<Volume<T>>,
) -> Result<Volume<T>> {
    let map = read(path)?;
    map.check_same_grid(scan)
        .map_err(|e| Error::from(e).at(path))?;
    // NIfTI rounds positions to single precision, and DICOM objects must lie where the slices lie.
    Ok(map.with_geometry(*scan.geometry())?)
}
