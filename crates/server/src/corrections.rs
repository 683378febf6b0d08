//! Corrections: a reader's version of a result, beside the model's.

use crate::data::{remove, sync_tree};
use crate::database::{Correction, Measured, NewCorrection};
use crate::job::{ClassName, Verdict};
use crate::queue::{Queue, is_plain, link};
use crate::{Error, ErrorKind, Result};
use multirnet::dicom::{CorrectedMap, corrected_segmentation};
use multirnet::{Diagnosis, Finding, Scan, Volume};
use multirnet_base::files;
use multirnet_finding::{LesionKind, involvement, kind_involvement, lesion_changes};
use multirnet_volume::io::{read_labels, write_nifti};
use serde::Deserialize;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use utoipa::ToSchema;

/// The lesion map of a result, and of a version.
pub(crate) const LESIONS: &str = "lesions.nii.gz";
/// The corrected segmentation of a DICOM scan.
pub(crate) const SEGMENTATION: &str = "segmentation.dcm";
/// Planned bytes a voxel while a map is compared with the model's.
const BYTES_A_VOXEL: u64 = 8;
/// Further bytes a voxel while the scan is read for its DICOM references.
const SCAN_BYTES_A_VOXEL: u64 = 8;
const LONGEST_NAME: usize = 80;
const LONGEST_REASON: usize = 500;

/// What a reader says of a result.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewVersion {
    /// Who; ignored where the server knows the person.
    #[serde(default)]
    #[schema(max_length = 80)]
    pub reviewer: String,
    /// Why.
    #[serde(default)]
    #[schema(max_length = 500)]
    pub reason: String,
    /// Whether the model's result is right.
    pub verdict: Verdict,
    /// The right class: `normal`, `cap` or `covid19`; the model's if left out.
    #[schema(value_type = Option<ClassName>)]
    pub diagnosis: Option<Diagnosis>,
    /// A complete upload with the corrected lesion map, on the scan's grid and labelled as the model's.
    pub upload: Option<String>,
}

/// Versions get their numbers one after the other.
static SAVING: Mutex<()> = Mutex::new(());

impl Queue {
    /// Saves a reader's version of a result. The model's result stays as it is.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` if the job has no results or the upload is not complete; `Invalid` for a
    /// map that does not fit the scan, or a request that contradicts itself; `Full`, `Write`.
    pub fn correct(&self, id: &str, new: &NewVersion) -> Result<Correction> {
        self.done(id)?;
        check(new)?;
        self.check_disk()?;
        let finding = self.finding(id)?;
        let _alone = SAVING.lock().unwrap_or_else(PoisonError::into_inner);
        let version = self.database.next_version(id)?;
        let folder = self.data.version(id, version);
        let staged = folder.with_extension("part");
        // What a kill left before its row was written.
        remove(&folder);
        remove(&staged);
        files::make_dir_synced(&staged)?;
        let measured = match &new.upload {
            Some(upload) => self
                .take_map(id, upload, &finding, new, version, &staged)
                .map(Some),
            None => Ok(None),
        };
        let saved = measured.and_then(|measured| {
            sync_tree(&staged)?;
            fs::rename(&staged, &folder)
                .map_err(|e| Error::write(&folder, "publish the version", e))?;
            files::sync_dir(files::parent(&folder))?;
            let row = NewCorrection {
                reviewer: new.reviewer.trim().to_owned(),
                reason: new.reason.trim().to_owned(),
                verdict: new.verdict,
                diagnosis: new.diagnosis,
                measured,
                model: finding.provenance.model.clone(),
                model_diagnosis: finding.diagnosis,
            };
            self.database.add_correction(id, version, &row)
        });
        if saved.is_err() {
            remove(&staged);
            remove(&folder);
        }
        let saved = saved?;
        if let Some(upload) = &new.upload {
            self.forget_upload(upload);
        }
        let _ = self.tell(id);
        Ok(saved)
    }

    /// What the model found.
    pub(crate) fn finding(&self, id: &str) -> Result<Finding> {
        read_finding(&self.data.results(id))
    }

    /// Checks and measures the map of an upload, and writes what the version keeps into `out`.
    fn take_map(
        &self,
        id: &str,
        upload: &str,
        finding: &Finding,
        new: &NewVersion,
        version: u32,
        out: &Path,
    ) -> Result<Measured> {
        self.complete_upload(upload)?;
        let is_dicom = finding.source.format == "dicom";
        let voxels = finding.geometry.len() as u64;
        // The scan of a DICOM study is read for the references of its corrected segmentation.
        let (scan, _admission) = match is_dicom {
            true => {
                let bytes = voxels * (BYTES_A_VOXEL + SCAN_BYTES_A_VOXEL);
                let (scan, admission) = self.read_scan(id, bytes)?;
                (Some(scan), admission)
            }
            false => {
                let admission = self.memory.admit(voxels * BYTES_A_VOXEL, &self.stop);
                let refusal = || Error::new(ErrorKind::Full, "there is not enough memory");
                (None, admission.ok_or_else(refusal)?)
            }
        };
        let map = self.read_map(upload, out)?;
        let results = self.data.results(id);
        let lungs = read_labels(&results.join("lungs.nii.gz"))?;
        if let Some(difference) = map.geometry().difference(lungs.geometry()) {
            return Err(
                Error::invalid(format!("the map is not on the scan's grid: {difference}"))
                    .hint("start from the model's lesions.nii.gz"),
            );
        }
        let map = map.with_geometry(*lungs.geometry())?;
        let has_kinds = !finding.lesion_kinds.is_empty();
        let most = if has_kinds {
            LesionKind::ALL.len() as u8
        } else {
            1
        };
        if let Some(label) = map.data().iter().find(|v| **v > most) {
            return Err(Error::invalid(format!(
                "the map has the label {label}, and {most} is the largest"
            ))
            .hint("use the labels of the model's lesions.nii.gz"));
        }
        let model = read_labels(&results.join(LESIONS))?;
        let measured = Measured {
            changes: lesion_changes(&model, &map)?,
            involvement: involvement(&lungs, &map)?,
            lesion_kinds: match has_kinds {
                true => kind_involvement(&lungs, &map)?,
                false => Vec::new(),
            },
        };
        drop(model);
        write_nifti(&out.join(LESIONS), &map)?;
        if let Some(scan) = scan {
            self.write_segmentation(
                &scan,
                finding,
                (&lungs, &map),
                (&new.reviewer, version),
                out,
            )?;
        }
        Ok(measured)
    }

    fn read_map(&self, upload: &str, out: &Path) -> Result<Volume<u8>> {
        let name = self.upload(upload)?.name.to_ascii_lowercase();
        let ending = [".nii.gz", ".nii"].into_iter().find(|e| name.ends_with(e));
        let ending =
            ending.ok_or_else(|| Error::invalid("a corrected map is a .nii or .nii.gz file"))?;
        // The reader tells formats by their names.
        let path = out.join(format!("upload{ending}"));
        link(&self.data.upload(upload), &path)?;
        let map = read_labels(&path).map_err(|e| {
            // The caller knows nothing of places on the server.
            Error::invalid(format!("the map cannot be read: {}", e.reason()))
        });
        // The version's folder must not keep it.
        fs::remove_file(&path).map_err(|e| Error::write(&path, "remove the copy of the map", e))?;
        map
    }

    /// Writes the corrected map as a DICOM object. A series that was resampled gets none.
    fn write_segmentation(
        &self,
        scan: &Scan,
        finding: &Finding,
        (lungs, lesions): (&Volume<u8>, &Volume<u8>),
        (reviewer, version): (&str, u32),
        out: &Path,
    ) -> Result<()> {
        if scan.series.as_ref().is_none_or(|s| s.grid.is_none()) {
            return Ok(());
        }
        let map = CorrectedMap {
            lungs,
            lesions,
            reviewer,
            version,
        };
        let options = self.analyser.dicom(&[])?;
        let object = corrected_segmentation(scan, finding, &map, &options)?;
        Ok(files::write(&out.join(SEGMENTATION), &object.bytes)?)
    }
}

/// The model's finding in a folder of results.
///
/// # Errors
/// `Read`.
pub(crate) fn read_finding(results: &Path) -> Result<Finding> {
    let path = results.join("finding.json");
    let text = files::read_text(&path, "finding")?;
    serde_json::from_str(&text).map_err(|e| {
        let reason = format!("the finding is damaged: {e}");
        Error::new(ErrorKind::Read, reason).at(&path)
    })
}

fn check(new: &NewVersion) -> Result<()> {
    let is_text = |text: &str, least: usize, most: usize| {
        let length = text.trim().chars().count();
        (least..=most).contains(&length) && text.chars().all(|c| is_plain(c) || c == '\n')
    };
    if !is_text(&new.reviewer, 1, LONGEST_NAME) || new.reviewer.contains('\n') {
        return Err(Error::invalid(format!(
            "the reader's name must have 1 to {LONGEST_NAME} plain characters in one line"
        )));
    }
    if !is_text(&new.reason, 0, LONGEST_REASON) {
        let reason = format!("the reason must have at most {LONGEST_REASON} plain characters");
        return Err(Error::invalid(reason));
    }
    let changes = new.upload.is_some() || new.diagnosis.is_some();
    match (new.verdict, changes) {
        (Verdict::Confirmed, true) => Err(Error::invalid("a confirmation changes nothing")
            .hint("leave out class and map, or say corrected")),
        (Verdict::Corrected, false) => Err(Error::invalid("a correction needs a class or a map")),
        _ => Ok(()),
    }
}
