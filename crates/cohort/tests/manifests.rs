//! Manifests are read, checked, joined and written, and bad ones are refused.

mod common;

use common::{files, touch};
use multirnet_cohort::{
    Cohort, ErrorKind, ScanList, Side, Split, SplitConfig, manifest::from_folders, split::folds,
};
use multirnet_volume::Diagnosis;
use std::fs;
use std::path::Path;

#[test]
fn manifests_survive_writing_and_reading_in_both_forms() {
    let folder = tempfile::tempdir().unwrap();
    let classes = Diagnosis::ALL.map(|class| (class, 1));
    let mut cohort = files(folder.path(), &classes);
    cohort.cases[1].mask_values = vec![2, 1];
    cohort.cases[2].study_uid = Some("1.2, \"odd\"".into());
    cohort.cases[0].source = "hospital, east".into();
    cohort.cases[0].spacing_mm = Some([2.5, 0.8125, 0.8]);
    let slices = touch(&folder.path().join("slices.csv"));
    let part = &mut cohort.cases[1];
    part.intensity = multirnet_anatomy::Intensity::Hu;
    (part.slope, part.intercept) = (11.5, -994.25);
    part.slices = Some(slices);
    (part.lungs, part.lungs_all) = (None, true);
    (cohort.cases[2].mask, cohort.cases[2].lesions_known) = (None, false);
    cohort.cases[2].class = None;
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
    touch(&folder.path().join("p.png"));
    let table: [(&str, String, &str); 23] = [
        ("2", format!("{head}a.nii,,unknown,p\n"), "no mask"),
        ("2", format!("{head}p.png,m.nii,cap,p\n"), "spacing_mm"),
        (
            "2",
            "scan,class,patient,slope\na.nii,normal,p,much\n".into(),
            "not a number",
        ),
        (
            "2",
            "scan,class,patient,slope\na.nii,normal,p,-1\n".into(),
            "slope above 0",
        ),
        (
            "2",
            "scan,class,patient,intensity,lungs,intercept\na.nii,normal,p,unit,all,3\n".into(),
            "slope or intercept",
        ),
        (
            "2",
            "scan,class,patient,spacing_mm\na.nii,normal,p,1;2\n".into(),
            "three numbers",
        ),
        (
            "2",
            "scan,class,patient,spacing_mm\na.nii,normal,p,1;0;1\n".into(),
            "0.05 to 50",
        ),
        (
            "2",
            "scan,class,patient,slices\na.nii,normal,p,s.csv\n".into(),
            "the slices",
        ),
        (
            "2",
            "scan,class,patient,spacing_mm,slices\np.png,normal,p,1;1;1,a.nii\n".into(),
            "one slice",
        ),
        (
            "2",
            "scan,mask,class,patient\na.nii,unknown,flu,p\n".into(),
            "unknown class",
        ),
        (
            "2",
            "scan,class,patient,lungs\na.nii,normal,p,l.nii\n".into(),
            "lungs",
        ),
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
                c.class.unwrap().index(),
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
fn paths_may_be_relative_to_the_folder_of_the_data() {
    let folder = tempfile::tempdir().unwrap();
    let scan = touch(&folder.path().join("data/set/a.nii"));
    let manifest = folder.path().join("lists/a.csv");
    touch(&manifest);
    fs::write(&manifest, "scan,class,patient\nset/a.nii,normal,p\n").unwrap();
    let root = folder.path().join("data");
    let cohort = Cohort::read_in(&manifest, Some(&root)).unwrap();
    assert_eq!(cohort.cases[0].scan, scan);
    assert_eq!(Cohort::read(&manifest).unwrap_err().kind(), ErrorKind::Io);
}

#[test]
fn a_patient_is_one_across_manifests_and_sources() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let mut lists = [
        String::from("scan,mask,class,patient,fold,source\n"),
        String::from("scan,mask,class,patient,source\n"),
    ];
    for p in 0..8 {
        for (k, name) in ["east", "west"].into_iter().enumerate() {
            let scan = format!("{name}{p}.nii");
            touch(&folder.path().join(&scan));
            touch(&folder.path().join(format!("{scan}.mask")));
            let fold = if k == 0 {
                format!("{},", p % 4)
            } else {
                String::new()
            };
            // Two of the eight in the west are other patients.
            let patient = if k == 1 && p > 5 { p + 10 } else { p };
            lists[k] += &format!("{scan},{scan}.mask,cap,p{patient},{fold}{name}\n");
        }
    }
    let paths = [
        write("east.csv", &lists[0]),
        write("west.csv", &lists[1]),
        write("again.csv", "scan,class,patient\nwest0.nii,normal,x\n"),
    ];
    let cohort = Cohort::read_all(&paths[..2], None).unwrap();
    assert_eq!(cohort.cases.len(), 16);
    let sources: Vec<_> = cohort.sources().into_iter().collect();
    assert_eq!(sources, [("east", 8), ("west", 8)]);
    let error = Cohort::read_all(&paths, None).unwrap_err().to_string();
    assert!(
        error.contains("again.csv:2") && error.contains("west.csv"),
        "{error}"
    );

    let config = SplitConfig {
        validation_fraction: 0.3,
        ..SplitConfig::default()
    };
    let split = Split::stratified(&cohort, &config).unwrap();
    for p in 0..6 {
        let name = format!("p{p}");
        let of = |i: &usize| cohort.cases[*i].patient == name;
        let sides: Vec<Side> = (0..16).filter(of).map(|i| split.sides[i]).collect();
        assert_eq!(sides.len(), 2);
        assert_eq!(sides[0], sides[1], "{name}");
    }
    // The west has no folds. Its scans follow their patients, and the others are never tested.
    let folds = folds(&cohort, 4, 0).unwrap();
    for (case, fold) in cohort.cases.iter().zip(&folds) {
        let p: usize = case.patient[1..].parse().unwrap();
        assert_eq!(*fold, (p < 10).then_some(p % 4), "{}", case.patient);
    }
    let split = Split::cross_validation(&cohort, &SplitConfig::default(), 1).unwrap();
    assert_eq!(
        split.on(Side::Test).len(),
        4,
        "two scans of patients 1 and 5"
    );
}

/// Checks the project's own manifests. Their data need not be there.
#[test]
fn committed_manifests_parse() {
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/data");
    let mut all = vec![];
    for entry in fs::read_dir(configs).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let cohort = Cohort::parse(&path, &text, Path::new("")).unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let unnamed = cohort.sources().contains_key("");
        assert!(!unnamed, "{name} has scans of no source");
        let one = if name == "patients-train" { 2 } else { 1 };
        assert_eq!(cohort.sources().len(), one, "{name}");
        assert!(cohort.cases.iter().all(|c| c.scan.is_relative()), "{name}");
        assert!(text.starts_with('#'), "{name} does not say what it is");
        all.push((name, cohort));
    }
    let of = |name: &str| &all.iter().find(|(n, _)| n == name).unwrap().1;
    let counts: Vec<usize> = ["coronacases-hu", "covid-ctseg", "mosmed-ct", "normal-lungs"]
        .map(|n| of(n).cases.len())
        .into();
    assert_eq!(counts, [6, 8, 85, 8]);
    assert_eq!(of("medseg98-train").cases.len(), 50);
    assert_eq!(of("medseg98-test").cases.len(), 48);
    let slice = &of("medseg98-train").cases[0];
    assert!(slice.known().kinds && !slice.known().class && slice.is_picture());
    assert!(!of("ricord").cases[0].known().lesion);
    assert!(!of("coronacases-hu").cases[0].known().kinds);
    // `patients-train` lists the same scans without their class. The class would tell the source in
    // a training.
    let mut joined = of("coronacases-hu").cases.clone();
    joined.extend(of("covid-ctseg").cases.clone());
    for (case, trained) in joined.iter().zip(&of("patients-train").cases) {
        let same = (
            &case.scan,
            &case.mask,
            &case.patient,
            &case.source,
            case.fold,
        );
        let other = &trained;
        assert_eq!(
            same,
            (
                &other.scan,
                &other.mask,
                &other.patient,
                &other.source,
                other.fold
            )
        );
        assert_eq!((&case.slices, &case.lungs), (&other.slices, &other.lungs));
        assert!(!trained.known().class);
    }
    // A patient is in the same fold in both folders of the same data.
    let cases = ["coronacases-hu", "covid-ctseg"].map(|n| of(n).cases.clone());
    let joined = Cohort {
        cases: cases.concat(),
    };
    assert_eq!(folds(&joined, 2, 0).unwrap().len(), 14);
}

#[test]
fn a_list_of_scans_needs_no_labels_and_no_files() {
    let folder = tempfile::tempdir().unwrap();
    let read = |name: &str, text: &str, root: Option<&Path>| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        ScanList::read(&path, root)
    };
    let list = read("a.csv", "scan\n# remark\nx/a.nii\n/b.nii\n", None).unwrap();
    let written: Vec<_> = list.scans.iter().map(|s| s.written.as_str()).collect();
    assert_eq!(written, ["x/a.nii", "/b.nii"]);
    assert_eq!(list.scans[0].path, folder.path().join("x/a.nii"));
    assert_eq!(list.scans[1].path, Path::new("/b.nii"));
    assert_eq!(list.scans[1].line, 4);
    // A manifest of a training serves as well, and so does TOML.
    let full = "scan,mask,class,patient,intensity\na.nii,,normal,p,hu\n";
    let list = read("b.csv", full, Some(Path::new("/data"))).unwrap();
    assert_eq!(list.scans[0].path, Path::new("/data/a.nii"));
    let list = read("c.toml", "[[case]]\nscan = \"a.nii\"\n", None).unwrap();
    assert_eq!(list.scans.len(), 1);

    for (text, line, said) in [
        ("scan\n", None, "lists no scan"),
        ("file\na\n", Some(1), "unknown column"),
        ("class\ncap\n", Some(1), "\"scan\" is missing"),
        ("scan\na\nb\na\n", Some(4), "listed twice (first in line 2)"),
        ("scan,class\na,cap\n,cap\n", Some(3), "is empty"),
        ("scan,intensity\na,unit\n", Some(2), "\"intensity\""),
        ("scan,slope\na,2\n", Some(2), "\"slope\""),
    ] {
        let error = read("bad.csv", text, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{text:?}");
        let message = error.to_string();
        let place = line.map_or("bad.csv: ".into(), |l| format!("bad.csv:{l}: "));
        assert!(message.contains(&place), "{text:?}: {message}");
        assert!(message.contains(said), "{text:?}: {message}");
    }
    let error = ScanList::read(&folder.path().join("none.csv"), None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
}
