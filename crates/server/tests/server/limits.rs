//! Each limit has a stated behaviour.

use crate::support::*;
use serde_json::json;

#[test]
fn what_is_too_large_or_too_much_is_refused_with_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.limits.upload_mib = 1;
    config.limits.uploads = 2;
    let server = Running::start_with(config);
    let begin = |name: &str, size: u64| {
        server.post("/api/v1/uploads", &json!({ "name": name, "size": size }))
    };
    let large = begin("a.nii", (1 << 20) + 1);
    assert_eq!(
        (large.status, &large.json()["error"]["kind"]),
        (413, &json!("too_large"))
    );
    assert_eq!(begin("a.nii", 0).status, 400);
    assert_eq!(begin("a.exe", 5).status, 400);
    assert_eq!(begin("", 5).status, 400);
    assert_eq!(begin("a.nii", 5).status, 201);
    assert_eq!(begin("b.nii", 5).status, 201);
    let full = begin("c.nii", 5);
    assert_eq!(
        (full.status, full.header("retry-after").as_str()),
        (503, "30"),
        "{}",
        full.text()
    );
    assert!(
        full.reason().contains("2 unfinished uploads"),
        "{}",
        full.reason()
    );
    let large = server.send(
        "POST",
        "/api/v1/jobs/upload?name=a.nii",
        &[],
        vec![0; (1 << 20) + 1],
    );
    assert_eq!(large.status, 413, "{}", large.text());
    let metrics = server.get("/api/v1/metrics").text();
    assert!(
        metrics.contains("multirnet_refused_total{reason=\"toolarge\"}"),
        "{metrics}"
    );
}

#[test]
fn a_full_queue_and_a_full_list_refuse_new_jobs() {
    let dir = tempfile::tempdir().unwrap();
    let scans = dir.path().join("scans");
    std::fs::create_dir(&scans).unwrap();
    let scan = scan_file(&scans);
    let mut config = config(&dir.path().join("data"));
    config.allow_roots = vec![scans];
    config.limits.jobs = 2;
    let server = Running::start_with(config);
    let ask = || server.post("/api/v1/jobs", &json!({ "path": scan }));
    let first = ask().json()["id"].as_str().unwrap().to_owned();
    assert_eq!(ask().status, 201);
    let full = ask();
    assert_eq!(
        (full.status, full.reason().contains("2 jobs already")),
        (503, true),
        "{}",
        full.text()
    );
    server.wait_for(&first, &["done"]);
    assert_eq!(server.delete(&format!("/api/v1/jobs/{first}")).status, 204);
    assert_eq!(ask().status, 201);
    let jobs = std::fs::read_dir(dir.path().join("data/jobs"))
        .unwrap()
        .count();
    assert_eq!(jobs, 2);
}

#[test]
fn a_scan_that_needs_more_memory_than_there_is_fails_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.analysis.memory_mib = Some(1);
    let server = Running::start_with(config);
    let id = server.upload_scan()["id"].as_str().unwrap().to_owned();
    let job = server.wait_for(&id, &["done", "failed"]);
    assert_eq!(job["error"]["kind"], "memory", "{job}");
    assert!(
        job["error"]["reason"]
            .as_str()
            .unwrap()
            .contains("analyses may take 1 MiB"),
        "{job}"
    );
    assert!(
        job["error"]["hint"]
            .as_str()
            .unwrap()
            .contains("memory_mib")
    );
}

#[test]
fn a_nearly_full_disk_takes_nothing_in_and_is_not_ready() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.limits.free_disk_mib = 1 << 30;
    let server = Running::start_with(config);
    let answer = server.send(
        "POST",
        "/api/v1/jobs/upload?name=a.nii.gz",
        &[],
        scan_bytes(),
    );
    assert_eq!(
        (answer.status, answer.reason().contains("MiB free")),
        (503, true),
        "{}",
        answer.text()
    );
    assert_eq!(
        server
            .raw("GET", "/api/v1/health/ready", &[], Vec::new())
            .status,
        503
    );
    assert_eq!(
        server.raw("GET", "/api/v1/health", &[], Vec::new()).status,
        200
    );
}
