//! What is left of a patient after a deletion: nothing that names them.

use crate::support::*;
use multirnet_server::config::ServerConfig;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// Texts that name a patient, a reader or a file. Each occurs nowhere else.
const FILE: &str = "Quentin-Fileborough";
const SHOWN: &str = "Ottoline Shownworth";
const PATIENT: &str = "Zephyrine-Patientsen";
const READER: &str = "Dr. Xanthippe Readerly";
const REASON: &str = "Wolfram said so at the bedside";
const KEY: &str = "key-of-Yolanda-Keyes";
/// In the headers of slices: the patient's name (8 bytes) and ID (16 bytes at most).
const HEADER_NAME: &[u8; 8] = b"QXVZ^JKW";
const HEADER_ID: &str = "PLANTED-ID-7731";

const ALL: [&str; 8] = [
    FILE, SHOWN, PATIENT, READER, REASON, KEY, "QXVZ^JKW", HEADER_ID,
];

/// Every file below `folder`.
fn files(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        match path.is_dir() && !path.is_symlink() {
            true => files(&path, all),
            false => all.push(path),
        }
    }
}

/// Where the planted texts stand below `folder`: in names and in contents.
fn traces(folder: &Path) -> Vec<String> {
    let mut all = Vec::new();
    files(folder, &mut all);
    let mut found = Vec::new();
    for path in all {
        let name = path.display().to_string();
        let bytes = fs::read(&path).unwrap_or_default();
        for text in ALL {
            let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let is_there = find(&bytes, text.as_bytes()).is_some()
                || find(&bytes, &utf16).is_some()
                || name.contains(text);
            if is_there {
                found.push(format!("{text} in {name}"));
            }
        }
    }
    found
}

/// Waits until nothing is left; the disk is looked at, and not what the server says.
fn expect_nothing(folder: &Path) {
    let begin = std::time::Instant::now();
    loop {
        let left = traces(folder);
        if left.is_empty() {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "{left:#?}");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}

/// A job that was uploaded, analysed and corrected under planted names.
fn planted_job(server: &Running) -> String {
    let upload = server.upload_file(&format!("{FILE}.nii.gz"), &scan_bytes());
    let body = json!({ "upload": upload, "name": SHOWN, "patient": PATIENT }).to_string();
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", KEY),
    ];
    let made = server.send("POST", "/api/v1/jobs", &headers, body.into_bytes());
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(server.wait_for(&id, &["done", "failed"])["state"], "done");
    let map = server
        .get(&format!("/api/v1/jobs/{id}/files/lesions.nii.gz"))
        .body;
    let upload = server.upload_file(&format!("{FILE}.nii.gz"), &map);
    for body in [
        json!({ "reviewer": READER, "reason": REASON, "verdict": "corrected", "upload": upload }),
        json!({ "reviewer": READER, "reason": REASON, "verdict": "confirmed" }),
    ] {
        let saved = server.post(&format!("/api/v1/jobs/{id}/corrections"), &body);
        assert_eq!(saved.status, 201, "{}", saved.text());
    }
    id
}

fn planted_slices() -> Vec<Vec<u8>> {
    let plain = slices(HEADER_ID).into_iter();
    plain
        .map(|s| replaced(s, b"PHANTOM ", HEADER_NAME))
        .collect()
}

#[test]
fn a_deleted_job_leaves_no_name_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path());
    // Others stay, before and behind it in the database.
    let before = server.analysed_scan();
    let id = planted_job(&server);
    let after = server.analysed_scan();
    let found = traces(dir.path());
    for text in [SHOWN, PATIENT, READER, REASON, KEY] {
        assert!(
            found.iter().any(|f| f.starts_with(text)),
            "{text}: {found:?}"
        );
    }
    assert_eq!(server.delete(&format!("/api/v1/jobs/{id}")).status, 204);
    // Not only soon: with the answer it is gone.
    assert_eq!(traces(dir.path()), [""; 0]);
    for text in ALL {
        assert!(!server.get("/api/v1/metrics").text().contains(text));
        assert!(!server.get("/api/v1/jobs").text().contains(text));
        assert!(!server.get("/api/v1/corrections").text().contains(text));
    }
    for other in [before, after] {
        assert_eq!(server.job(&other)["state"], "done");
    }
    server.end().unwrap();
    assert_eq!(traces(dir.path()), [""; 0]);
}

#[test]
fn jobs_that_grow_too_old_leave_no_name_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path());
    let upload = server.upload_file(&format!("{FILE}.nii.gz"), &scan_bytes());
    let body = json!({ "upload": upload, "name": SHOWN, "patient": PATIENT });
    let id = server.post("/api/v1/jobs", &body).json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    server.wait_for(&id, &["done"]);
    // An upload that nobody goes on with.
    server.upload_file(&format!("{FILE}-again.nii.gz"), b"never a job");
    server.end().unwrap();
    assert!(!traces(dir.path()).is_empty());
    let database = rusqlite::Connection::open(dir.path().join("server.db")).unwrap();
    let ago = "UPDATE uploads SET touched_ms = touched_ms - 1000 * 3600 * 25";
    database.execute(ago, []).unwrap();
    drop(database);
    let mut config: ServerConfig = config(dir.path());
    config.limits.keep_days = Some(0);
    let server = Running::start_with(config);
    // The server does this after ten minutes, since a clock may be wrong at the start.
    server.queue.retain().unwrap();
    expect_nothing(dir.path());
    assert_eq!(server.get("/api/v1/jobs").json()["total"], 0);
    assert_eq!(fs::read_dir(dir.path().join("uploads")).unwrap().count(), 0);
}

#[test]
fn a_deleted_upload_and_a_refused_one_leave_no_name_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path());
    let upload = server.upload_file(&format!("{FILE}.nii.gz"), b"whatever");
    assert_eq!(
        server.delete(&format!("/api/v1/uploads/{upload}")).status,
        204
    );
    // A job whose scan cannot be read, and whose error may name it.
    let zip = {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        zip.start_file(format!("{FILE}.dcm"), options).unwrap();
        std::io::Write::write_all(&mut zip, PATIENT.as_bytes()).unwrap();
        zip.finish().unwrap().into_inner()
    };
    let upload = server.upload_file("study.zip", &zip);
    let made = server.post(
        "/api/v1/jobs",
        &json!({ "upload": upload, "patient": PATIENT }),
    );
    let id = made.json()["id"].as_str().unwrap().to_owned();
    server.wait_for(&id, &["failed"]);
    assert_eq!(server.delete(&format!("/api/v1/jobs/{id}")).status, 204);
    expect_nothing(dir.path());
}

#[test]
fn a_deleted_job_of_a_received_study_takes_the_study_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path());
    let place = "/api/v1/dicom-web/studies";
    let stored = server.send("POST", place, &STOW, multipart(&planted_slices()));
    assert_eq!(stored.status, 200, "{}", stored.text());
    // Nothing of the names stands in the store's own records or in the paths.
    let found = traces(&dir.path().join("studies"));
    assert!(
        !found.is_empty() && found.iter().all(|f| f.ends_with(".dcm")),
        "{found:?}"
    );
    let job = || server.get("/api/v1/jobs").json()["jobs"][0].clone();
    wait_until("a job of the quiet study", || job()["id"].is_string());
    let id = job()["id"].as_str().unwrap().to_owned();
    server.wait_for(&id, &["done"]);
    let map = server
        .get(&format!("/api/v1/jobs/{id}/files/lesions.nii.gz"))
        .body;
    let upload = server.upload_file("lesions.nii.gz", &map);
    let body = json!({ "reviewer": READER, "verdict": "corrected", "upload": upload });
    let saved = server.post(&format!("/api/v1/jobs/{id}/corrections"), &body);
    assert_eq!(saved.status, 201, "{}", saved.text());
    assert_eq!(server.delete(&format!("/api/v1/jobs/{id}")).status, 204);
    expect_nothing(dir.path());
    // The record knows the study by its numbers, so the same objects are not analysed again.
    let stored = server.send("POST", place, &STOW, multipart(&planted_slices()));
    assert_eq!(stored.status, 200, "{}", stored.text());
    std::thread::sleep(std::time::Duration::from_secs(12));
    assert_eq!(server.get("/api/v1/jobs").json()["total"], 0);
}
