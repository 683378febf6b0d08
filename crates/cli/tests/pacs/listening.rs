//! Studies come in, and their results arrive at the archive.

use crate::support::*;
use std::fs;
use std::path::Path;

/// Whether a file has these bytes.
fn has(path: &Path, text: &str) -> bool {
    let bytes = fs::read(path).unwrap();
    bytes.windows(text.len()).any(|w| w == text.as_bytes())
}

/// The SOP class of each file, sorted, by its last number.
fn classes(files: &[std::path::PathBuf]) -> Vec<String> {
    let class = |path: &std::path::PathBuf| {
        let identity = multirnet_dicom::FileIdentity::read(path).unwrap();
        identity
            .object
            .sop_class_uid
            .replace("1.2.840.10008.5.1.4.1.1.", "")
    };
    let mut classes: Vec<String> = files.iter().map(class).collect();
    classes.sort();
    classes
}

const REPORT: &str = "88.34";
const SECONDARY_CAPTURE: &str = "7";

#[test]
fn a_study_gets_its_results_once_and_a_grown_one_gets_new_ones() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    let files = study(folder, 1);
    with_archive(folder, |archive, _| {
        let config = configure(folder, archive, 3);
        let mut listener = Running::start(&config);
        // Two slices at the end are missing at first.
        let (first, rest) = files.split_at(files.len() - 2);
        assert_eq!(listener.send(first), first.len());
        wait_until("four results", || results(folder, 1).len() == 4);
        let found = results(folder, 1);
        assert_eq!(classes(&found), ["104.1", "66.4", "7", "88.34"]);
        wait_until("deliveries noted", || {
            audited(folder, "delivered").len() == 4
        });

        // The same objects again change nothing.
        assert_eq!(listener.send(first), first.len());
        // The rest makes a new result that names the earlier one.
        assert_eq!(listener.send(rest), rest.len());
        wait_until("eight results", || results(folder, 1).len() == 8);
        let news: Vec<_> = results(folder, 1)
            .into_iter()
            .filter(|f| !found.contains(f))
            .collect();
        assert_eq!(classes(&news), classes(&found));
        for new in &news {
            let class = classes(std::slice::from_ref(new));
            let old = found
                .iter()
                .find(|f| classes(std::slice::from_ref(f)) == class)
                .unwrap();
            let old = multirnet_dicom::FileIdentity::read(old).unwrap().object;
            assert!(has(new, &old.sop_instance_uid), "{class:?}");
        }
        listener.wait_for("has grown since job 1");
        assert_eq!(audited(folder, "job_analysed").len(), 2);

        let said = listener.said();
        for text in [
            "research",
            "Memory: at most",
            "% of the lungs are involved",
            "4 results after",
        ] {
            assert!(said.contains(text), "{text}: {said}");
        }
        for secret in ["PHANTOM1", "PHANTOM"] {
            let log = fs::read_to_string(folder.join("audit.jsonl")).unwrap();
            assert!(!log.contains(secret) && !said.contains(secret), "{secret}");
        }
        assert_eq!(listener.end(), Some(130));
    });
}

#[test]
fn what_cannot_be_analysed_gets_an_answer_that_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    with_archive(folder, |archive, _| {
        let config = configure(folder, archive, 3);
        let listener = Running::start(&config);
        // A slice in the middle is missing.
        let mut files = study(folder, 1);
        files.remove(files.len() / 2);
        // A phantom of water is not a chest.
        let water = SCAN.map(|_| 0_i16);
        crate::common::dicom::write_series(&folder.join("water"), &water, 2);
        // Both come in turns, as two scanners send them.
        let water = files_below(&folder.join("water"));
        for (one, other) in files.chunks(8).zip(water.chunks(8)) {
            assert_eq!(listener.send(one), one.len());
            assert_eq!(listener.send(other), other.len());
        }
        for study in [1, 2] {
            wait_until("two answers", || results(folder, study).len() == 2);
            let found = results(folder, study);
            assert_eq!(classes(&found), [SECONDARY_CAPTURE, REPORT]);
            assert!(found.iter().any(|f| has(f, "Could not be analysed")));
        }
        assert_eq!(audited(folder, "job_analysed").len(), 2);
        assert!(listener.said().contains("not analysed"));
    });
}

#[test]
fn results_wait_for_an_archive_that_is_down_and_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    let files = study(folder, 1);
    // An address where nobody answers.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let config = configure(folder, nobody, 3);
    let mut listener = Running::start(&config);
    assert_eq!(listener.send(&files), files.len());
    listener.wait_for("it will be sent again");
    drop(listener);
    with_archive(folder, |archive, _| {
        let config = configure(folder, archive, 3);
        let _listener = Running::start(&config);
        wait_until("four results", || results(folder, 1).len() == 4);
    });
    assert_eq!(audited(folder, "job_analysed").len(), 1);
}

#[test]
fn a_study_of_two_thousand_slices_is_analysed() {
    use multirnet_volume::Volume;
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    // Each slice of the phantom stands for several thin ones.
    let [slices, rows, columns] = SCAN.shape();
    let count = 2000;
    let spacing = SCAN.geometry().spacing_mm();
    let thin = [
        spacing[0] * slices as f64 / count as f64,
        spacing[1],
        spacing[2],
    ];
    let grid = multirnet_volume::Geometry::axial([count, rows, columns], thin).unwrap();
    let data = (0..count).flat_map(|z| SCAN.plane(z * slices / count).to_vec());
    let scan = Volume::new(data.collect(), grid).unwrap();
    crate::common::dicom::write_series(&folder.join("thin"), &scan, 1);
    let files = files_below(&folder.join("thin"));
    with_archive(folder, |archive, _| {
        let config = configure(folder, archive, 3);
        let listener = Running::start(&config);
        assert_eq!(listener.send(&files), count);
        wait_until("four results", || results(folder, 1).len() == 4);
        assert_eq!(
            classes(&results(folder, 1)),
            ["104.1", "66.4", "7", "88.34"]
        );
    });
}
