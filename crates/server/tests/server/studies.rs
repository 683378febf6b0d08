//! Studies by STOW-RS.

use crate::support::*;
use serde_json::json;

#[test]
fn a_stowed_study_is_analysed_once_it_is_quiet_and_has_dicom_results() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path());
    let objects = slices("PATIENT-7");
    let place = "/api/v1/dicom-web/studies";
    let stored = server.send("POST", place, &STOW, multipart(&objects[..5]));
    assert_eq!(
        (stored.status, stored.header("content-type").as_str()),
        (200, "application/dicom+json")
    );
    assert_eq!(
        stored.json()["00081199"]["Value"].as_array().unwrap().len(),
        5
    );
    // The rest in another request, with the first ones again and something that is not an object.
    let mut rest = objects.clone();
    rest.push(b"nonsense".to_vec());
    let stored = server.send("POST", place, &STOW, multipart(&rest));
    assert_eq!(stored.status, 202, "{}", stored.text());
    assert_eq!(
        stored.json()["00081199"]["Value"].as_array().unwrap().len(),
        objects.len()
    );
    assert_eq!(
        stored.json()["00081198"]["Value"].as_array().unwrap().len(),
        1
    );
    let job = || server.get("/api/v1/jobs").json()["jobs"][0].clone();
    wait_until("a job of the quiet study", || job()["id"].is_string());
    let id = job()["id"].as_str().unwrap().to_owned();
    let done = server.wait_for(&id, &["done", "failed"]);
    assert_eq!(
        (&done["state"], &done["source"], &done["format"]),
        (&json!("done"), &json!("network"), &json!("dicom")),
        "{done}"
    );
    assert_eq!(done["patient"], "PATIENT-7");
    for name in ["segmentation", "measurements", "overview", "report"] {
        let file = server.get(&format!("/api/v1/jobs/{id}/files/dicom/{name}.dcm"));
        assert_eq!(
            (file.status, &file.body[128..132]),
            (200, b"DICM".as_slice()),
            "{name}"
        );
    }
    assert_eq!(server.get("/api/v1/jobs").json()["total"], 1);

    // A corrected map becomes a segmentation of its own.
    let map = server
        .get(&format!("/api/v1/jobs/{id}/files/lesions.nii.gz"))
        .body;
    let upload = server.upload_file("lesions.nii.gz", &map);
    let body = json!({ "reviewer": "Dr. A^B", "verdict": "corrected", "upload": upload });
    let saved = server.post(&format!("/api/v1/jobs/{id}/corrections"), &body);
    assert_eq!(saved.status, 201, "{}", saved.text());
    let corrected = server
        .get(&format!("/api/v1/jobs/{id}/corrections/1/segmentation.dcm"))
        .body;
    let model = server
        .get(&format!("/api/v1/jobs/{id}/files/dicom/segmentation.dcm"))
        .body;
    let has = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|w| w == text.as_bytes());
    assert!(has(&corrected, "SEMIAUTOMATIC") && has(&corrected, "Dr. AB"));
    assert!(!has(&model, "SEMIAUTOMATIC"));
}

#[test]
fn bodies_that_are_not_stow_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path());
    let place = "/api/v1/dicom-web/studies";
    let json_kind = [("content-type", "application/json")];
    assert_eq!(
        server
            .send("POST", place, &json_kind, b"{}".to_vec())
            .status,
        400
    );
    assert_eq!(
        server
            .send("POST", place, &STOW, b"--b--\r\n".to_vec())
            .status,
        400
    );
    let whole = multipart(&slices("P")[..2]);
    let cut = whole[..whole.len() - 20].to_vec();
    assert_eq!(server.send("POST", place, &STOW, cut).status, 400);
    let nothing = server.send("POST", place, &STOW, multipart(&[b"x".to_vec()]));
    assert_eq!(
        (
            nothing.status,
            nothing.json()["00081198"]["Value"].is_array()
        ),
        (409, true)
    );
    let other = server.send(
        "POST",
        "/api/v1/dicom-web/studies/1.2.3",
        &STOW,
        multipart(&slices("P")[..1]),
    );
    assert_eq!(other.status, 409, "{}", other.text());
}
