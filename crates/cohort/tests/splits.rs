//! Splits keep patients on one side, keep classes in proportion, and refuse leakage.

mod common;

use common::files;
use multirnet_cohort::{ErrorKind, Side, Split, SplitConfig, split::folds};
use multirnet_volume::Diagnosis;

#[test]
fn splits_keep_patients_together_and_classes_in_proportion() {
    let folder = tempfile::tempdir().unwrap();
    let mut scans = vec![(Diagnosis::Normal, 1); 20];
    scans.extend([(Diagnosis::Cap, 1); 14]);
    scans.extend([(Diagnosis::Cap, 3); 2]);
    scans.extend([(Diagnosis::Covid19, 2); 10]);
    let cohort = files(folder.path(), &scans);
    let config = SplitConfig {
        validation_fraction: 0.2,
        ..SplitConfig::default()
    };
    let split = Split::stratified(&cohort, &config).unwrap();
    for class in Diagnosis::ALL {
        let on = |side| {
            let of_class = |i: &usize| cohort.cases[*i].class == Some(class);
            split.on(side).into_iter().filter(of_class).count()
        };
        assert_eq!(on(Side::Test), 6, "{class} test");
        assert!(
            (2..=4).contains(&on(Side::Validation)),
            "{class} validation"
        );
    }
    assert_eq!(split, Split::stratified(&cohort, &config).unwrap());
    let other = SplitConfig {
        seed: 1,
        ..config.clone()
    };
    assert_ne!(split, Split::stratified(&cohort, &other).unwrap());

    let folds = folds(&cohort, 4, 0).unwrap();
    for class in Diagnosis::ALL {
        for fold in 0..4 {
            let n = (0..folds.len())
                .filter(|&i| folds[i] == Some(fold) && cohort.cases[i].class == Some(class))
                .count();
            assert!((4..=6).contains(&n), "fold {fold} has {n} of {class}");
        }
    }
    for fold in 0..4 {
        let split = Split::cross_validation(&cohort, &config, fold).unwrap();
        let test: Vec<usize> = (0..folds.len())
            .filter(|&i| folds[i] == Some(fold))
            .collect();
        assert_eq!(split.on(Side::Test), test);
        assert!(!split.on(Side::Validation).is_empty());
    }
    let error = Split::cross_validation(&cohort, &config, 4).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[test]
fn leakage_is_refused_by_patient_study_and_content() {
    let folder = tempfile::tempdir().unwrap();
    let mut cohort = files(folder.path(), &[(Diagnosis::Cap, 2), (Diagnosis::Cap, 2)]);
    let sides = |s: [Side; 4]| Split { sides: s.to_vec() };
    use Side::{Test, Train, Validation};
    let good = sides([Train, Train, Test, Test]);
    good.check(&cohort, None).unwrap();
    let error = sides([Train, Validation, Test, Test])
        .check(&cohort, None)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Leakage);
    assert!(
        error.to_string().contains("p0-1.nii (validation)"),
        "{error}"
    );

    let digests = ["a", "b", "a", "c"].map(str::to_owned);
    let error = good.check(&cohort, Some(&digests)).unwrap_err();
    assert!(error.to_string().contains("content"), "{error}");

    cohort.cases[1].study_uid = Some("1.2.3".into());
    cohort.cases[2].study_uid = Some("1.2.3".into());
    let error = good.check(&cohort, None).unwrap_err();
    assert!(error.to_string().contains("1.2.3"), "{error}");
    cohort.cases[2].study_uid = None;

    for (case, fold) in cohort.cases.iter_mut().zip([0, 1, 1, 1]) {
        case.fold = Some(fold);
    }
    let error = Split::cross_validation(&cohort, &SplitConfig::default(), 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Leakage, "{error}");
}

#[test]
fn too_few_patients_or_bad_shares_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let cohort = files(
        folder.path(),
        &[(Diagnosis::Cap, 1), (Diagnosis::Normal, 1)],
    );
    assert_eq!(folds(&cohort, 3, 0).unwrap_err().kind(), ErrorKind::Config);
    let config = SplitConfig {
        test_fraction: 1.0,
        ..SplitConfig::default()
    };
    let error = Split::stratified(&cohort, &config).unwrap_err();
    assert!(error.to_string().contains("test_fraction"), "{error}");
    // A class with one patient keeps it for training.
    let split = Split::stratified(&cohort, &SplitConfig::default()).unwrap();
    assert_eq!(split.on(Side::Train), [0, 1]);
}

#[test]
fn patients_of_unknown_class_are_divided_by_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let mut cohort = files(folder.path(), &[(Diagnosis::Cap, 1); 20]);
    for case in &mut cohort.cases[..10] {
        case.class = None;
    }
    let split = Split::stratified(&cohort, &SplitConfig::default()).unwrap();
    let unknown = split.on(Side::Test).into_iter().filter(|i| *i < 10).count();
    assert_eq!((unknown, split.on(Side::Test).len()), (3, 6));
    assert!(split.to_csv(&cohort).contains("\"p0\",unknown,"));
    assert_eq!(cohort.class_counts(), [0, 10, 0]);
}
