//! Cohorts with implanted lesions, made from a phantom.

use multirnet_cohort::Cohort;
use multirnet_phantom::PhantomConfig;
use multirnet_phantom::implant::{AvoidList, ImplantConfig, Region, ScanRegions};
use multirnet_study::{ErrorKind, ImplantCohort, ImplantFile, Result};
use multirnet_volume::{Diagnosis, Volume, io};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

fn cohort() -> ImplantCohort {
    let mut config = ImplantConfig::default();
    // Coarse grids are quick to fill.
    config.background.pixel_mm = [3.0, 4.0];
    config.background.slice_mm = [5.0, 7.0];
    ImplantCohort {
        scans: vec!["a_ct.nii.gz".into()],
        variants: 4,
        seed: 3,
        config,
        avoid: AvoidList::default(),
    }
}

fn scan() -> Volume<f32> {
    let mut config = PhantomConfig::sample(21, Diagnosis::Normal, 112);
    config.confounders = Default::default();
    config.effusions.clear();
    let config = config.with_slices(50).unwrap();
    config.generate().unwrap().ct
}

fn make(cohort: &ImplantCohort, folder: &Path, ct: &Volume<f32>) -> Result<Cohort> {
    cohort.make(
        folder,
        &mut |_| Ok(ct.clone()),
        &mut |_, _| {},
        &AtomicBool::new(false),
    )
}

#[test]
fn a_cohort_is_made_once_and_goes_on_where_it_stopped() {
    let (folder, ct, cohort) = (tempfile::tempdir().unwrap(), scan(), cohort());
    let stop = AtomicBool::new(false);
    let stopped = cohort.make(
        folder.path(),
        &mut |_| Ok(ct.clone()),
        &mut |done, total| {
            assert_eq!(total, 4);
            stop.store(done == 2, Ordering::Relaxed);
        },
        &stop,
    );
    assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Interrupted);
    assert!(!folder.path().join("cohort.csv").exists());
    // An existing variant is kept: a mark on it survives.
    let first = folder.path().join("a-00-lungs.nii.gz");
    std::fs::write(&first, b"mark").unwrap();
    make(&cohort, folder.path(), &ct).unwrap();
    assert_eq!(std::fs::read(&first).unwrap(), b"mark");

    let made = Cohort::read(&folder.path().join("cohort.csv")).unwrap();
    assert_eq!(made.cases.len(), 4);
    for case in &made.cases[1..] {
        assert_eq!(
            (case.source.as_str(), case.patient.as_str()),
            ("implanted", "a")
        );
        assert_eq!(case.mask_values, [1, 2]);
        let ct = io::read(&case.scan).unwrap();
        let lungs = io::read_labels(case.lungs.as_ref().unwrap()).unwrap();
        let lesions = io::read_labels(case.mask.as_ref().unwrap()).unwrap();
        ct.check_same_grid(&lungs).unwrap();
        ct.check_same_grid(&lesions).unwrap();
        let empty = lesions.data().iter().all(|&l| l == 0);
        assert_eq!(empty, case.class == Some(Diagnosis::Normal));
    }
    let text = std::fs::read_to_string(folder.path().join("a-01.json")).unwrap();
    let file: ImplantFile = serde_json::from_str(&text).unwrap();
    assert_eq!((file.request.variant, file.request.scan.as_str()), (1, "a"));
    assert_eq!(file.request.config, cohort.config);

    // A variant of another request replaces it.
    let mut other = cohort;
    other.variants = 1;
    other.avoid.scan.push(ScanRegions {
        name: "a".into(),
        avoid: vec![Region {
            side: None,
            slices: [0, 3],
            reason: String::new(),
        }],
    });
    make(&other, folder.path(), &ct).unwrap();
    assert_ne!(std::fs::read(&first).unwrap(), b"mark");
}

#[test]
fn scans_that_cannot_be_used_are_named() {
    let (folder, ct) = (tempfile::tempdir().unwrap(), scan());
    let mut twice = cohort();
    twice.scans.push("other/a-ct.nrrd".into());
    let error = make(&twice, folder.path(), &ct).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cohort);
    assert!(error.to_string().contains("other/a-ct.nrrd"));

    let no_lungs = ct.map(|_| 40.0f32);
    let error = make(&cohort(), folder.path(), &no_lungs).unwrap_err();
    assert!(error.to_string().contains("a_ct.nii.gz"));

    let mut none = cohort();
    none.scans.clear();
    assert_eq!(
        make(&none, folder.path(), &ct).unwrap_err().kind(),
        ErrorKind::Config
    );
    let mut wrong = cohort();
    wrong.config.clear_share = 2.0;
    assert_eq!(
        make(&wrong, folder.path(), &ct).unwrap_err().kind(),
        ErrorKind::Config
    );
}

#[test]
fn a_record_that_cannot_be_replaced_is_a_failure_to_write() {
    let (folder, ct, cohort) = (tempfile::tempdir().unwrap(), scan(), cohort());
    // The first variant's record is a folder here, which cannot be removed as a file.
    std::fs::create_dir(folder.path().join("a-00.json")).unwrap();
    let error = make(&cohort, folder.path(), &ct).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Write, "{error}");
    assert!(error.to_string().contains("a-00.json"), "{error}");
}
