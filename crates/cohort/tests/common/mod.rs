//! Cohorts of files that are never read.
#![allow(dead_code)] // Each test program uses a part of this module.

use multirnet_cohort::{Case, Cohort};
use multirnet_volume::Diagnosis;
use std::fs;
use std::path::{Path, PathBuf};

/// Writes a file that holds its own path.
pub fn touch(path: &Path) -> PathBuf {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, path.to_string_lossy().as_bytes()).unwrap();
    path.to_owned()
}

/// A cohort of files that are never read: `scans[i]` scans of patient `i`.
pub fn files(folder: &Path, scans: &[(Diagnosis, usize)]) -> Cohort {
    let mut cases = vec![];
    for (p, &(class, n)) in scans.iter().enumerate() {
        for k in 0..n {
            let scan = touch(&folder.join(format!("p{p}-{k}.nii")));
            let mask = touch(&folder.join(format!("p{p}-{k}_mask.nii")));
            cases.push(Case::new(scan, Some(mask), class, format!("p{p}")));
        }
    }
    Cohort::new(cases).unwrap()
}
