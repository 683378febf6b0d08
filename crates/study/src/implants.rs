//! Cohorts of real scans with implanted lesions.

use crate::cohort::scan_seed;
use crate::folder::{read_json, write_json};
use crate::{Error, ErrorKind, Result};
use multirnet_anatomy::{LungConfig, segment_lungs};
use multirnet_base::files::make_dir;
use multirnet_cohort::{Case, Cohort};
use multirnet_phantom::implant::{
    AvoidList, Ground, ImplantConfig, ImplantRecord, Implanted, Region,
};
use multirnet_volume::{Diagnosis, Volume, io};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// The plan of a cohort with implanted lesions in real scans.
#[derive(Debug, Clone)]
pub struct ImplantCohort {
    /// The scans, each of a different patient.
    pub scans: Vec<PathBuf>,
    /// Number of variants of each scan.
    pub variants: u32,
    /// Seed of the cohort.
    pub seed: u64,
    /// Configuration of the implants.
    pub config: ImplantConfig,
    /// Regions of the scans that are left alone.
    pub avoid: AvoidList,
}

/// The content of a variant's `.json`: the request and its result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImplantFile {
    /// A note that the lesions are not those of a patient.
    pub note: String,
    /// The request.
    pub request: ImplantRequest,
    /// The record of the implanted lesions.
    pub record: ImplantRecord,
}

/// The request for a variant. Equal requests give equal variants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImplantRequest {
    /// Name of the scan.
    pub scan: String,
    /// Digest of its values and shape.
    pub digest: u64,
    /// Number of the variant.
    pub variant: u32,
    /// Seed of the variant.
    pub seed: u64,
    /// The intended class.
    pub class: Diagnosis,
    /// Regions that are left alone.
    pub avoid: Vec<Region>,
    /// Configuration of the implants.
    pub config: ImplantConfig,
}

const NOTE: &str = "synthetic lesions in a real scan: not a patient's";
/// The manifest's column `source`.
const SOURCE: &str = "implanted";

impl ImplantCohort {
    /// Makes the cohort in `folder`: `NAME-VV-ct.nii.gz`, `-lungs.nii.gz`, `-lesions.nii.gz` and
    /// `NAME-VV.json` (an [`ImplantFile`]) for each variant, and the manifest `cohort.csv`
    /// with the source `implanted`. Existing variants with the same request are kept.
    ///
    /// `read` gives a scan in HU. `progress` receives the number of finished variants and of all
    /// variants. Raising `stop` ends early.
    ///
    /// # Errors
    /// `Config` for an unusable configuration or no scans; `Cohort` for two scans of one name or a
    /// scan that cannot take lesions; the errors of `read`; `Write` if a file cannot be written;
    /// `Interrupted` if `stop` was raised.
    pub fn make(
        &self,
        folder: &Path,
        read: &mut dyn FnMut(&Path) -> Result<Volume<f32>>,
        progress: &mut dyn FnMut(usize, usize),
        stop: &AtomicBool,
    ) -> Result<Cohort> {
        self.config
            .validate()
            .map_err(|e| Error::caused(ErrorKind::Config, e))?;
        if self.scans.is_empty() || self.variants == 0 {
            return Err(Error::new(ErrorKind::Config, "the cohort has no scans"));
        }
        let names = self.names()?;
        make_dir(folder)?;
        let total = names.len() * self.variants as usize;
        let mut cases = Vec::new();
        for (path, name) in self.scans.iter().zip(&names) {
            let scan = read(path)?;
            let failed =
                |e: &dyn std::fmt::Display| Error::new(ErrorKind::Cohort, e.to_string()).at(path);
            let avoid = self.avoid.regions_in(name).to_vec();
            let digest = digest(&scan);
            // The lungs are segmented only if a variant is missing.
            let mut ground: Option<Ground> = None;
            for variant in 0..self.variants {
                if stop.load(Ordering::Relaxed) {
                    return Err(Error::interrupted());
                }
                let start = scan_seed(self.seed, Diagnosis::Normal, digest >> 3);
                let class = self.config.class_of(start, u64::from(variant));
                let request = ImplantRequest {
                    scan: name.clone(),
                    digest,
                    variant,
                    seed: scan_seed(start, Diagnosis::Normal, u64::from(variant)),
                    class,
                    avoid: avoid.clone(),
                    config: self.config.clone(),
                };
                let id = format!("{name}-{variant:02}");
                let record = folder.join(format!("{id}.json"));
                let there: Option<ImplantFile> = read_json(&record).unwrap_or(None);
                let class = match there.filter(|file| file.request == request) {
                    Some(file) => file.record.class,
                    None => {
                        if ground.is_none() {
                            let lungs = segment_lungs(&scan, &LungConfig::default())
                                .map_err(|e| failed(&e))?;
                            ground = Some(
                                Ground::new(&scan, &lungs, &avoid, &self.config)
                                    .map_err(|e| failed(&e))?,
                            );
                        }
                        let Some(ground) = &ground else { continue };
                        let made = ground
                            .implant(&self.config, class, request.seed)
                            .map_err(|e| failed(&e))?;
                        save(folder, &id, request, &made)?;
                        made.class
                    }
                };
                let file = |what: &str| folder.join(format!("{id}-{what}.nii.gz"));
                let mut case = Case::new(file("ct"), Some(file("lesions")), class, name.as_str());
                case.lungs = Some(file("lungs"));
                case.mask_values = vec![1, 2];
                SOURCE.clone_into(&mut case.source);
                cases.push(case);
                progress(cases.len(), total);
            }
        }
        let manifest = folder.join("cohort.csv");
        let cohort = Cohort::new(cases).map_err(Error::cohort)?;
        cohort.write(&manifest).map_err(Error::cohort)?;
        Ok(cohort)
    }

    /// The scans' names: file names without endings.
    fn names(&self) -> Result<Vec<String>> {
        let mut names: Vec<String> = Vec::new();
        for path in &self.scans {
            let name = name_of(path);
            if names.contains(&name) {
                return Err(
                    Error::new(ErrorKind::Cohort, format!("two scans are called {name}"))
                        .at(path)
                        .hint("rename one of the files"),
                );
            }
            names.push(name);
        }
        Ok(names)
    }
}

/// A scan's name: its file's name without the ending of a volume format and without a final `_ct` or
/// `-ct`. Characters that a manifest would have to quote become `_`.
fn name_of(path: &Path) -> String {
    let file = path
        .file_name()
        .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let endings = [".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".zip"];
    let stem = endings
        .iter()
        .find_map(|e| file.strip_suffix(e))
        .unwrap_or(&file);
    ["_ct", "-ct"]
        .iter()
        .find_map(|e| stem.strip_suffix(e))
        .unwrap_or(stem)
        .replace([',', '"', '\n', '\r', '#', ' '], "_")
}

/// A digest of all values (FNV-1a over their bits) and the shape.
fn digest(scan: &Volume<f32>) -> u64 {
    let shape = scan.shape().map(|n| n as u64);
    let values = scan.data().iter().map(|v| u64::from(v.to_bits()));
    shape
        .into_iter()
        .chain(values)
        .fold(0xcbf2_9ce4_8422_2325, |hash, v| {
            (hash ^ v).wrapping_mul(0x0100_0000_01b3)
        })
}

/// Writes a variant. Its `.json` is written last: if it exists, the whole variant does.
fn save(folder: &Path, id: &str, request: ImplantRequest, made: &Implanted) -> Result<()> {
    let output = |e: multirnet_volume::Error| Error::caused(ErrorKind::Write, e);
    let file = |name: &str| folder.join(format!("{id}{name}"));
    let record = file(".json");
    match std::fs::remove_file(&record) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::write(&record, "replace the file", e));
        }
        _ => {}
    }
    // HU are whole numbers. 16-bit integers take half the space of 32-bit values.
    io::write_nifti(&file("-ct.nii.gz"), &made.ct.map(|hu| hu.round() as i16)).map_err(output)?;
    io::write_nifti(&file("-lungs.nii.gz"), &made.lungs).map_err(output)?;
    io::write_nifti(&file("-lesions.nii.gz"), &made.lesions).map_err(output)?;
    let whole = ImplantFile {
        note: NOTE.to_owned(),
        request,
        record: made.record.clone(),
    };
    write_json(&record, &whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_without_endings() {
        for (path, name) in [
            ("a/b_ct.nii.gz", "b"),
            ("b-ct.nrrd", "b"),
            ("x,y.mha", "x_y"),
            ("folder", "folder"),
        ] {
            assert_eq!(name_of(Path::new(path)), name);
        }
    }
}
