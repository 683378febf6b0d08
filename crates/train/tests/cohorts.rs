//! Manifests and splits.

mod common;

use common::cohort;
use multirnet_train::manifest::from_folders;
use multirnet_train::split::folds;
use multirnet_train::{Case, Cohort, ErrorKind, Side, Split, SplitConfig};
use multirnet_volume::Diagnosis;
use std::fs;
use std::path::{Path, PathBuf};

fn touch(path: &Path) -> PathBuf {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, path.to_string_lossy().as_bytes()).unwrap();
    path.to_owned()
}

/// A cohort of files that are never read: `scans[i]` scans of patient `i`.
fn files(folder: &Path, scans: &[(Diagnosis, usize)]) -> Cohort {
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

#[test]
fn manifests_survive_writing_and_reading_in_both_forms() {
    let folder = tempfile::tempdir().unwrap();
    let mut cohort = cohort(folder.path(), 1);
    cohort.cases[1].mask_values = vec![2, 1];
    cohort.cases[2].study_uid = Some("1.2, \"odd\"".into());
    for (k, case) in cohort.cases.iter_mut().enumerate() {
        case.fold = Some(k);
    }
    for name in ["cohort.csv", "cohort.toml"] {
        let path = folder.path().join(name);
        cohort.write(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            !text.contains(&*folder.path().to_string_lossy()),
            "paths are relative"
        );
        let mut back = Cohort::read(&path).unwrap();
        assert!(back.cases.iter().all(|c| c.line > 0));
        back.cases.iter_mut().for_each(|c| c.line = 0);
        assert_eq!(back, cohort);
    }
}

#[test]
fn bad_manifests_are_refused_with_file_line_reason_and_remedy() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.nii", "b.nii", "m.nii"] {
        touch(&folder.path().join(name));
    }
    let head = "scan,mask,class,patient\n";
    let table: [(&str, String, &str); 12] = [
        (
            "1",
            "scan,mask,class,patient,colour\na.nii,m.nii,cap,p,red\n".into(),
            "colour",
        ),
        (
            "1",
            "scan,mask,patient\na.nii,m.nii,p\n".into(),
            "\"class\" is missing",
        ),
        (
            "1",
            "scan,scan,class,patient\na.nii,a.nii,cap,p\n".into(),
            "twice",
        ),
        (
            "3",
            format!("{head}a.nii,m.nii,cap,p\nb.nii,m.nii,flu,q\n"),
            "flu",
        ),
        (
            "2",
            format!("{head}nowhere.nii,m.nii,cap,p\n"),
            "does not exist",
        ),
        ("2", format!("{head}a.nii,gone.nii,cap,p\n"), "mask"),
        (
            "3",
            format!("{head}a.nii,m.nii,cap,p\na.nii,m.nii,cap,p\n"),
            "listed twice",
        ),
        ("2", format!("{head}a.nii,,covid19,p\n"), "no mask"),
        ("2", format!("{head}a.nii,m.nii,cap,\n"), "patient"),
        ("2", format!("{head}a.nii,m.nii,cap\n"), "fields"),
        (
            "2",
            "scan,class,patient,intensity\na.nii,normal,p,unit\n".into(),
            "lung",
        ),
        (
            "3",
            "scan,class,patient,fold\na.nii,normal,p,0\nb.nii,normal,q,\n".into(),
            "fold",
        ),
    ];
    let path = folder.path().join("cohort.csv");
    for (line, text, word) in &table {
        fs::write(&path, text).unwrap();
        let error = Cohort::read(&path).unwrap_err().to_string();
        assert!(
            error.contains(&format!("cohort.csv:{line}:")),
            "{line} in {error}"
        );
        assert!(error.contains(word), "{word} in {error}");
    }
    fs::write(&path, head).unwrap();
    assert!(
        Cohort::read(&path)
            .unwrap_err()
            .to_string()
            .contains("no scan")
    );
    let toml = folder.path().join("cohort.toml");
    for (text, line) in [
        (
            "[[case]]\nscan = \"a.nii\"\nclass = \"normal\"\npatient = \"p\"\nage = 3\n",
            ":1:",
        ),
        ("[[case]]\nscan = \"a.nii\"\n[[case]]\n", ":1:"),
        ("cases = 3\n", ":1:"),
    ] {
        fs::write(&toml, text).unwrap();
        let error = Cohort::read(&toml).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.to_string().contains(line), "{error}");
    }
    let error = Cohort::read(&folder.path().join("none.csv")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
}

#[test]
fn folders_become_a_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let file = |p: &str| touch(&folder.path().join(p));
    file("normal/n1.nii.gz");
    file("cap/c1.nii.gz");
    file("cap/c1_seg.nii.gz");
    file("covid19/patient7/scan_ct.nrrd");
    file("covid19/patient7/scan_mask.nrrd");
    file("covid19/patient7/scan_lungs.nrrd");
    file("covid19/patient8/series/1.dcm");
    file("covid19/patient8/series_mask.nii");
    let cohort = from_folders(folder.path()).unwrap();
    let show: Vec<_> = cohort
        .cases
        .iter()
        .map(|c| {
            (
                c.name(),
                c.mask.is_some(),
                c.lungs.is_some(),
                c.class.index(),
                c.patient.clone(),
            )
        })
        .collect();
    let row = |s: &str, m, l, c, p: &str| (s.to_owned(), m, l, c, p.to_owned());
    assert_eq!(
        show,
        [
            row("c1.nii.gz", true, false, 1, "c1"),
            row("scan_ct.nrrd", true, true, 2, "patient7"),
            row("series", true, false, 2, "patient8"),
            row("n1.nii.gz", false, false, 0, "n1"),
        ]
    );
    file("influenza/x.nii");
    let error = from_folders(folder.path()).unwrap_err();
    assert!(error.to_string().contains("influenza"), "{error}");
}

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
            let of_class = |i: &usize| cohort.cases[*i].class == class;
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
                .filter(|&i| folds[i] == fold && cohort.cases[i].class == class)
                .count();
            assert!((4..=6).contains(&n), "fold {fold} has {n} of {class}");
        }
    }
    for fold in 0..4 {
        let split = Split::cross_validation(&cohort, &config, fold).unwrap();
        let test: Vec<usize> = (0..folds.len()).filter(|&i| folds[i] == fold).collect();
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
