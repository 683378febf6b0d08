//! Cohorts: read from a manifest, or made of synthetic phantoms.

use crate::config::{CohortConfig, MoreScans, PhantomCohort};
use crate::folder::{Folder, read_json};
use crate::{Error, ErrorKind, Result};
use multirnet_base::files::make_dir;
use multirnet_cohort::{Case, Cohort};
use multirnet_phantom::{Phantom, PhantomConfig};
use multirnet_volume::{Diagnosis, io};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

impl PhantomCohort {
    /// Scans of each class in logit order.
    pub fn counts(&self) -> [u32; 3] {
        [self.normal, self.cap, self.covid19]
    }

    /// Makes the cohort in `folder` with its manifest `cohort.csv`. Existing scans are kept.
    /// `progress` receives the number of finished scans and of all scans. Raising `stop` ends early.
    ///
    /// # Errors
    /// `Config` for an empty cohort or a size out of range, `Write` if a file cannot be written,
    /// `Interrupted` if `stop` was raised.
    pub fn make(
        &self,
        folder: &Path,
        progress: &mut dyn FnMut(usize, usize),
        stop: &AtomicBool,
    ) -> Result<Cohort> {
        let total: u32 = self.counts().iter().sum();
        if total == 0 || !(96..=1024).contains(&self.matrix) {
            return Err(Error::new(
                ErrorKind::Config,
                "the phantom cohort is empty or its matrix is not within 96 to 1024",
            ));
        }
        make_dir(folder)?;
        let mut cases = Vec::new();
        // The classes alternate, so an unfinished cohort has all of them.
        for index in 0..self.counts().into_iter().max().unwrap_or(0) {
            for class in Diagnosis::ALL {
                if index >= self.counts()[class.index()] {
                    continue;
                }
                if stop.load(Ordering::Relaxed) {
                    return Err(Error::interrupted());
                }
                let id = format!("{}-{index:04}", class.name());
                let file = |name: &str| folder.join(format!("{id}-{name}"));
                // `phantom.json` is written last. If it exists, the whole scan does.
                let seed = scan_seed(self.seed, class, u64::from(index));
                let config = PhantomConfig::sample(seed, class, self.matrix.into());
                let there: Option<PhantomConfig> = read_json(&file("phantom.json")).unwrap_or(None);
                if there.as_ref() != Some(&config) {
                    let made = config
                        .generate()
                        .map_err(|e| Error::caused(ErrorKind::Cohort, e))?;
                    write_phantom(folder, &format!("{id}-"), &config, &made)?;
                }
                let patient = format!("phantom-{:x}-{id}", self.seed);
                let lesions = Some(file("lesions.nii.gz"));
                let mut case = Case::new(file("ct.nii.gz"), lesions, class, patient);
                case.source = "phantoms".to_owned();
                // Phantoms tell ground glass from consolidation.
                case.mask_values = vec![1, 2];
                cases.push(case);
                progress(cases.len(), total as usize);
            }
        }
        let manifest = folder.join("cohort.csv");
        let cohort = Cohort::new(cases).map_err(Error::cohort)?;
        cohort.write(&manifest).map_err(Error::cohort)?;
        Ok(cohort)
    }
}

/// The seed of a cohort's scan. SplitMix64 mixes the cohort's seed and the scan's position, so
/// neighbouring cohorts do not share scans.
pub fn scan_seed(cohort: u64, class: Diagnosis, index: u64) -> u64 {
    let position = index * 3 + class.index() as u64;
    let mut z = cohort
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(position.wrapping_add(1).wrapping_mul(0xD1B5_4A32_D192_ED03));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Writes a phantom to `folder`: `ct.nii.gz`, `lungs.nii.gz`, `lesions.nii.gz` and, last,
/// `phantom.json`, with `prefix` before their names.
///
/// # Errors
/// `Write` if a file cannot be written.
pub fn write_phantom(
    folder: &Path,
    prefix: &str,
    config: &PhantomConfig,
    made: &Phantom,
) -> Result<()> {
    let output = |e: multirnet_volume::Error| Error::caused(ErrorKind::Write, e);
    let name = |n: &str| folder.join(format!("{prefix}{n}"));
    // HU are whole numbers. 16-bit integers take half the space of 32-bit values.
    io::write_nifti(&name("ct.nii.gz"), &made.ct.map(|hu| hu.round() as i16)).map_err(output)?;
    io::write_nifti(&name("lungs.nii.gz"), &made.lungs).map_err(output)?;
    io::write_nifti(&name("lesions.nii.gz"), &made.lesions).map_err(output)?;
    crate::folder::write_json(&name("phantom.json"), config)
}

/// The scans of a study.
#[derive(Debug, Clone, PartialEq)]
pub struct StudyCohort {
    /// First the scans that are divided, then those that are only tested, and last those that are
    /// only trained on.
    pub cohort: Cohort,
    /// Number of scans that are divided.
    pub divided: usize,
    /// Number of scans that are only tested.
    pub tested: usize,
}

impl StudyCohort {
    /// The scans that are divided.
    pub fn divided(&self) -> Cohort {
        Cohort {
            cases: self.cohort.cases[..self.divided].to_vec(),
        }
    }

    /// Number of scans per class in logit order, of those that are divided or tested.
    pub fn class_counts(&self) -> [usize; 3] {
        let cases = self.cohort.cases[..self.divided + self.tested].to_vec();
        Cohort { cases }.class_counts()
    }
}

/// The study's scans. Makes missing phantoms.
pub(crate) fn open(
    config: &CohortConfig,
    folder: &Folder,
    progress: &mut dyn FnMut(usize, usize),
    stop: &AtomicBool,
) -> Result<StudyCohort> {
    gather(config, folder, &mut |phantoms, to| {
        phantoms.make(to, progress, stop)
    })
}

/// The study's scans, which must all exist.
pub(crate) fn existing(config: &CohortConfig, folder: &Folder) -> Result<StudyCohort> {
    gather(config, folder, &mut |_, at| {
        Cohort::read(&at.join("cohort.csv")).map_err(|e| Error::caused(ErrorKind::Cohort, e))
    })
}

/// Reads the manifests and gets phantoms from `make`.
fn gather(
    config: &CohortConfig,
    folder: &Folder,
    make: &mut dyn FnMut(&PhantomCohort, &Path) -> Result<Cohort>,
) -> Result<StudyCohort> {
    let mut scans = |scans: &MoreScans, to: &Path| match (&scans.manifest, &scans.phantoms) {
        (Some(path), _) => Cohort::read_in(path, scans.data.as_deref())
            .map_err(|e| Error::caused(ErrorKind::Cohort, e)),
        (None, Some(phantoms)) => make(phantoms, to),
        (None, None) => Err(Error::new(ErrorKind::Config, "the study has no scans")),
    };
    let own = MoreScans {
        manifest: config.manifest.clone(),
        phantoms: config.phantoms.clone(),
        data: config.data.clone(),
    };
    let mut cases = scans(&own, &folder.cohort())?.cases;
    let divided = cases.len();
    let mut tested = 0;
    for (name, all) in [("test", &config.test), ("training", &config.training)] {
        for (i, more) in all.iter().enumerate() {
            let mut more = scans(more, &folder.more(name, i))?.cases;
            for case in &mut more {
                // Scans that are not divided do not have a fold.
                case.fold = None;
            }
            cases.append(&mut more);
        }
        if name == "test" {
            tested = cases.len() - divided;
        }
    }
    Ok(StudyCohort {
        cohort: Cohort { cases },
        divided,
        tested,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn cohorts_share_no_seed() {
        let seeds: HashSet<u64> = (0..8)
            .flat_map(|cohort| {
                (0..200).flat_map(move |i| Diagnosis::ALL.map(|c| scan_seed(cohort, c, i)))
            })
            .collect();
        assert_eq!(seeds.len(), 8 * 200 * 3);
    }
}
