//! Results as files, as a zip, and as a stream.

use crate::support::*;
use multirnet_volume::{Volume, io};
use serde_json::json;
use std::io::Read;

#[test]
fn results_are_what_the_library_gives_and_come_in_every_form() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path());
    let id = server.analysed_scan();
    let base = format!("/api/v1/jobs/{id}");
    let finding = server.get(&format!("{base}/finding")).json();

    // The same as without a server.
    let own_file = scan_file(dir.path());
    let scan = multirnet::open_scan(&own_file, &Default::default()).unwrap();
    let own = analyser();
    let stop = multirnet::StopToken::new();
    let want =
        multirnet::analyse(&own.model, &scan, None, &own.options, &stop, &mut |_| {}).unwrap();
    let found: multirnet::Finding = serde_json::from_value(finding.clone()).unwrap();
    // Reading JSON rounds the last digit.
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-12 * b.abs();
    let pairs = found
        .involvement
        .zones
        .iter()
        .zip(&want.finding.involvement.zones);
    for (a, b) in pairs {
        assert!(
            near(a.lesion_ml, b.lesion_ml) && near(a.lung_ml, b.lung_ml),
            "{a:?} {b:?}"
        );
    }
    let share = want.finding.involvement.both.fraction;
    assert!(share > 0.0 && near(found.involvement.both.fraction, share));
    assert_eq!(found.diagnosis, want.finding.diagnosis);
    assert_eq!(finding["source"]["path"], "phantom");
    let job = server.job(&id);
    assert!(near(job["share_involved"].as_f64().unwrap(), share));

    let listed = server.get(&format!("{base}/files")).json();
    let names: Vec<&str> = listed["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["name"].as_str().unwrap())
        .collect();
    for name in [
        "finding.json",
        "heatmap.nii.gz",
        "lesions.json",
        "lesions.nii.gz",
        "lungs.nii.gz",
        "overview.png",
        "preview/ct.nii.gz",
        "preview/heatmap.nii.gz",
        "preview/lesions.nii.gz",
        "preview/lungs.nii.gz",
        "preview/probability.nii.gz",
        "probability.nii.gz",
        "report.html",
        "report.pdf",
        "thumbnail.png",
    ] {
        assert!(names.contains(&name), "{name} of {names:?}");
    }
    assert!(!names.contains(&"summary.json"));
    for file in listed["files"].as_array().unwrap() {
        let name = file["name"].as_str().unwrap();
        let answer = server.get(&format!("{base}/files/{name}?download"));
        assert_eq!(
            answer.body.len() as u64,
            file["bytes"].as_u64().unwrap(),
            "{name}"
        );
        assert_eq!(
            answer.header("content-type"),
            file["media_type"].as_str().unwrap()
        );
        assert!(
            answer
                .header("content-disposition")
                .starts_with("attachment")
        );
    }
    let report = server.get(&format!("{base}/files/report.html"));
    assert!(!report.header("content-security-policy").contains("script"));
    assert!(report.text().contains("For research use only"));
    assert!(
        server
            .get(&format!("{base}/files/report.pdf"))
            .body
            .starts_with(b"%PDF")
    );
    assert!(
        server
            .get(&format!("{base}/thumbnail"))
            .body
            .starts_with(b"\x89PNG")
    );

    let volume = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        io::read(&path).unwrap()
    };
    let lesions = volume(
        "l.nii.gz",
        &server.get(&format!("{base}/files/lesions.nii.gz")).body,
    );
    assert_eq!(lesions.map(|v| v as u8), want.maps.lesions);
    // The scan at full resolution is the uploaded one.
    let ct = server.get(&format!("{base}/ct.nii"));
    assert_eq!(ct.header("content-length"), ct.body.len().to_string());
    let ct: Volume<f32> = volume("ct.nii", &ct.body);
    assert_eq!(ct.data(), scan.volume.data());
    assert!(ct.geometry().matches(lesions.geometry(), 1e-3));
    // Previews lie on one grid, and shares lie between 0 and 1.
    let preview = |name: &str| {
        let place = format!("{base}/files/preview/{name}.nii.gz");
        volume(&format!("p-{name}.nii.gz"), &server.get(&place).body)
    };
    let probability = preview("probability");
    for name in ["ct", "lungs", "lesions", "heatmap"] {
        assert_eq!(preview(name).geometry(), probability.geometry(), "{name}");
    }
    assert!(probability.data().iter().all(|v| (0.0..=1.0).contains(v)));
    assert!(probability.data().iter().any(|v| *v > 0.5));

    let lesion_list = server.get(&format!("{base}/lesions")).json();
    let list = lesion_list["lesions"].as_array().unwrap();
    assert!(!list.is_empty());
    let ml: f64 = list.iter().map(|l| l["ml"].as_f64().unwrap()).sum();
    let all = want.maps.lesions.data().iter().filter(|v| **v != 0).count() as f64
        * want.maps.lesions.geometry().voxel_mm3()
        / 1000.0;
    assert!((ml - all).abs() < 1e-6, "{ml} {all}");
    let centre: Vec<usize> = list[0]["centre_voxel"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_u64().unwrap() as usize)
        .collect();
    assert_ne!(want.maps.lesions.at([centre[0], centre[1], centre[2]]), 0);
}

#[test]
fn the_zip_holds_every_file_and_every_version() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path());
    let id = server.analysed_scan();
    let base = format!("/api/v1/jobs/{id}");
    let map = server.get(&format!("{base}/files/lesions.nii.gz")).body;
    let upload = server.upload_file("lesions.nii.gz", &map);
    let saved = server.post(
        &format!("{base}/corrections"),
        &json!({ "reviewer": "A", "verdict": "corrected", "upload": upload }),
    );
    assert_eq!(saved.status, 201, "{}", saved.text());
    let answer = server.get(&format!("{base}/results.zip"));
    assert_eq!(
        answer.header("content-disposition"),
        "attachment; filename=\"phantom.zip\""
    );
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(&answer.body)).unwrap();
    let names: Vec<String> = zip.file_names().map(|n| n.unwrap().into_owned()).collect();
    assert!(names.contains(&"preview/ct.nii.gz".to_owned()), "{names:?}");
    assert!(
        names.contains(&"versions/1/lesions.nii.gz".to_owned()),
        "{names:?}"
    );
    let mut bytes = Vec::new();
    zip.by_name("lesions.nii.gz")
        .unwrap()
        .read_to_end(&mut bytes)
        .unwrap();
    assert_eq!(bytes, map);
}

#[test]
fn names_that_lead_elsewhere_find_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path());
    let id = server.analysed_scan();
    for name in [
        "..%2F..%2F..%2Ftoken",
        "%2Fetc%2Fpasswd",
        "..",
        "preview",
        "preview/..%2f..%2fscan",
        ".hidden",
        "a%00b",
        "preview%5C..%5C..",
        "none.txt",
    ] {
        let answer = server.get(&format!("/api/v1/jobs/{id}/files/{name}"));
        assert!(
            [400, 404].contains(&answer.status),
            "{name}: {} {}",
            answer.status,
            answer.text()
        );
        assert!(!answer.text().contains(&server.token));
    }
    assert_eq!(
        server.get("/api/v1/jobs/nobody/files/finding.json").status,
        404
    );
}
