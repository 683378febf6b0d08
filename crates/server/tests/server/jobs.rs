//! Jobs: taken in, watched, listed, cancelled, tried again, deleted.

use crate::support::*;
use serde_json::json;
use std::io::{BufRead, BufReader};

#[test]
fn a_scan_is_uploaded_in_pieces_after_a_break_and_analysed_once() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path());
    let bytes = scan_bytes();
    let begun = server.post(
        "/api/v1/uploads",
        &json!({ "name": "../a b.nii.gz", "size": bytes.len() }),
    );
    assert_eq!(
        (begun.status, begun.json()["name"].as_str()),
        (201, Some("a b.nii.gz"))
    );
    let id = begun.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/uploads/{id}");
    let half = bytes.len() / 2;
    let piece = |offset: usize, part: &[u8]| {
        server.send(
            "PATCH",
            &path,
            &[("upload-offset", &offset.to_string())],
            part.to_vec(),
        )
    };
    assert_eq!(piece(0, &bytes[..half]).json()["offset"], half);
    // A piece that begins elsewhere is not taken, and the answer says where to go on.
    let wrong = piece(half - 5, &bytes[half - 5..]);
    assert_eq!(
        (wrong.status, wrong.json()["offset"].as_u64()),
        (409, Some(half as u64))
    );
    let early = server.post("/api/v1/jobs", &json!({ "upload": id }));
    assert_eq!(early.status, 409, "{}", early.text());
    // More than was said is not taken.
    let long = [&bytes[half..], b"more"].concat();
    let refused = piece(half, &long);
    assert_eq!(refused.status, 413, "{}", refused.text());
    let now = server.get(&path).json()["offset"].as_u64().unwrap() as usize;
    assert!(now >= half && now <= bytes.len());
    if now < bytes.len() {
        assert_eq!(piece(now, &bytes[now..]).status, 200);
    }
    let key = [
        ("idempotency-key", "k1"),
        ("content-type", "application/json"),
    ];
    let request = json!({ "upload": id, "patient": "P 1", "priority": 3 })
        .to_string()
        .into_bytes();
    let first = server.send("POST", "/api/v1/jobs", &key, request.clone());
    assert_eq!(first.status, 201, "{}", first.text());
    let again = server.send("POST", "/api/v1/jobs", &key, request);
    assert_eq!(first.json()["id"], again.json()["id"]);
    assert_eq!(server.get(&path).status, 404);
    let job = server.wait_for(first.json()["id"].as_str().unwrap(), &["done", "failed"]);
    assert_eq!(job["state"], "done", "{job}");
    assert_eq!(
        (&job["name"], &job["patient"], &job["priority"]),
        (&json!("a b"), &json!("P 1"), &json!(3))
    );
    assert_eq!(server.get("/api/v1/jobs").json()["total"], 1);
}

#[test]
fn only_paths_below_an_allowed_folder_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let (open, closed) = (dir.path().join("open"), dir.path().join("closed"));
    std::fs::create_dir_all(&open).unwrap();
    std::fs::create_dir_all(&closed).unwrap();
    let (inside, outside) = (scan_file(&open), scan_file(&closed));
    let mut config = config(&dir.path().join("data"));
    config.allow_roots = vec![open.clone()];
    let server = Running::start_with(config);
    let ask = |path: &std::path::Path| server.post("/api/v1/jobs", &json!({ "path": path }));
    let mut refused = vec![
        outside.clone(),
        open.join("../closed/phantom.nii.gz"),
        open.join("none.nii"),
    ];
    #[cfg(unix)]
    {
        let link = open.join("link.nii.gz");
        std::os::unix::fs::symlink(&outside, &link).unwrap();
        refused.push(link);
    }
    for path in refused {
        let answer = ask(&path);
        // What is not there and what is elsewhere look the same.
        assert_eq!(
            (answer.status, answer.reason().contains("not below")),
            (403, true),
            "{path:?}"
        );
    }
    let job = ask(&inside).json();
    let job = server.wait_for(job["id"].as_str().unwrap(), &["done", "failed"]);
    assert_eq!(
        (&job["state"], &job["source"], &job["name"]),
        (&json!("done"), &json!("path"), &json!("phantom"))
    );
}

#[test]
fn a_bad_scan_fails_with_a_reason_and_blocks_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path());
    let bad = server
        .send(
            "POST",
            "/api/v1/jobs/upload?name=x.nii.gz",
            &[],
            b"not a scan".to_vec(),
        )
        .json();
    let good = server.upload_scan();
    let bad = server.wait_for(bad["id"].as_str().unwrap(), &["done", "failed"]);
    assert_eq!(
        (&bad["state"], &bad["error"]["kind"]),
        (&json!("failed"), &json!("scan")),
        "{bad}"
    );
    let reason = bad["error"]["reason"].as_str().unwrap();
    assert!(
        !reason.is_empty() && !reason.contains(&*dir.path().to_string_lossy()),
        "{reason}"
    );
    let good = server.wait_for(good["id"].as_str().unwrap(), &["done", "failed"]);
    assert_eq!(good["state"], "done");
    let id = bad["id"].as_str().unwrap();
    assert_eq!(
        server.get(&format!("/api/v1/jobs/{id}/finding")).status,
        409
    );
    let again = server.post(&format!("/api/v1/jobs/{id}/retry"), &json!({}));
    assert_eq!((again.status, &again.json()["error"]), (200, &json!(null)));
    assert_eq!(server.wait_for(id, &["failed"])["state"], "failed");
    let metrics = server.get("/api/v1/metrics").text();
    assert!(
        metrics.contains("multirnet_jobs_failed_total{reason=\"scan\"} 2"),
        "{metrics}"
    );
    assert!(
        metrics.contains("multirnet_jobs{state=\"done\"} 1"),
        "{metrics}"
    );
    assert!(
        metrics.contains("multirnet_stage_duration_seconds_bucket"),
        "{metrics}"
    );
}

#[test]
fn waiting_and_running_jobs_are_cancelled_and_go_on_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path());
    let ids: Vec<String> = (0..3)
        .map(|_| server.upload_scan()["id"].as_str().unwrap().to_owned())
        .collect();
    let ask = |id: &str, what: &str| server.post(&format!("/api/v1/jobs/{id}/{what}"), &json!({}));
    let last = &ids[2];
    assert_eq!(ask(last, "cancel").json()["state"], "cancelled");
    assert_eq!(ask(last, "cancel").status, 409);
    server.wait_for(&ids[0], &["running", "done"]);
    let running = ask(&ids[0], "cancel").status;
    let ended = server.wait_for(&ids[0], &["cancelled", "done"]);
    assert!(running == 200 || ended["state"] == "done");
    assert_eq!(server.delete(&format!("/api/v1/jobs/{last}")).status, 204);
    assert_eq!(server.get(&format!("/api/v1/jobs/{last}")).status, 404);
    assert!(!dir.path().join("jobs").join(last).exists());
    if ended["state"] == "cancelled" {
        assert_eq!(ask(&ids[0], "retry").status, 200);
        assert_eq!(
            server.wait_for(&ids[0], &["done", "failed"])["state"],
            "done"
        );
    }
    assert_eq!(
        server.wait_for(&ids[1], &["done", "failed"])["state"],
        "done"
    );
    assert_eq!(ask(&ids[1], "retry").status, 409);
    for what in ["cancel", "retry"] {
        assert_eq!(ask("nobody", what).status, 404);
    }
}

#[test]
fn a_higher_priority_comes_first() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path());
    let ids: Vec<String> = (0..4)
        .map(|_| server.upload_scan()["id"].as_str().unwrap().to_owned())
        .collect();
    let answer = server.post(
        &format!("/api/v1/jobs/{}/priority", ids[3]),
        &json!({ "priority": 9 }),
    );
    assert_eq!(answer.json()["priority"], 9);
    let finished: Vec<i64> = ids
        .iter()
        .map(|id| {
            server.wait_for(id, &["done"])["finished_ms"]
                .as_i64()
                .unwrap()
        })
        .collect();
    assert!(finished[3] < finished[2], "{finished:?}");
}

#[test]
fn those_who_watch_see_progress_and_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path());
    let bearer = format!("Bearer {}", server.token);
    let watch = |path: &str| {
        let request = ureq::get(server.url(path)).header("authorization", &bearer);
        BufReader::new(request.call().unwrap().into_body().into_reader())
    };
    let mut all = watch("/api/v1/events").lines();
    assert_eq!(all.next().unwrap().unwrap(), "event: hello");
    let id = server.upload_scan()["id"].as_str().unwrap().to_owned();
    let own: Vec<String> = watch(&format!("/api/v1/jobs/{id}/events"))
        .lines()
        .map(|l| l.unwrap())
        .collect();
    let states: Vec<serde_json::Value> = own
        .iter()
        .filter_map(|l| l.strip_prefix("data: "))
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    // The stream of one job ends with its end.
    assert_eq!(states.last().unwrap()["state"], "done");
    let progress: Vec<f64> = states
        .iter()
        .filter(|s| s["state"] == "running")
        .map(|s| s["progress"].as_f64().unwrap())
        .collect();
    assert!(progress.windows(2).all(|w| w[0] <= w[1]), "{progress:?}");
    assert_eq!(server.delete(&format!("/api/v1/jobs/{id}")).status, 204);
    let removed = all.map(|l| l.unwrap()).find(|l| l == "event: removed");
    assert!(removed.is_some());
}

#[test]
fn the_list_is_filtered_sorted_and_paged() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path());
    for (name, patient) in [
        ("Beta.nii.gz", "p1"),
        ("alpha.nii.gz", "p2"),
        ("gamma.nii.gz", "p1"),
    ] {
        let path = format!("/api/v1/jobs/upload?name={name}&patient={patient}");
        let job = server.send("POST", &path, &[], scan_bytes()).json();
        server.wait_for(job["id"].as_str().unwrap(), &["done"]);
    }
    let names = |query: &str| -> Vec<String> {
        let list = server.get(&format!("/api/v1/jobs?{query}")).json();
        let jobs = list["jobs"].as_array().unwrap().clone();
        jobs.iter()
            .map(|j| j["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names("sort=name&order=asc"), ["alpha", "Beta", "gamma"]);
    assert_eq!(names(""), ["gamma", "alpha", "Beta"]);
    assert_eq!(names("q=ALP"), ["alpha"]);
    assert_eq!(names("q=p1&order=asc"), ["Beta", "gamma"]);
    assert_eq!(names("q=%25"), Vec::<String>::new());
    assert_eq!(names("limit=1&offset=1"), ["alpha"]);
    assert_eq!(names("state=failed"), Vec::<String>::new());
    assert_eq!(names("reviewed=none").len(), 3);
    let list = server.get("/api/v1/jobs?limit=1").json();
    assert_eq!(
        (&list["total"], &list["counts"]["done"]),
        (&json!(3), &json!(3))
    );
    for bad in [
        "sort=size",
        "state=none",
        "limit=x",
        "unknown=1",
        "order=up",
    ] {
        let answer = server.get(&format!("/api/v1/jobs?{bad}"));
        assert_eq!(
            (answer.status, &answer.json()["error"]["kind"]),
            (400, &json!("invalid")),
            "{bad}"
        );
    }
    // The earlier scans of the same patient.
    let all = server.get("/api/v1/jobs?q=p1&order=asc").json()["jobs"].clone();
    let previous = |i: usize| {
        let id = all[i]["id"].as_str().unwrap().to_owned();
        server.get(&format!("/api/v1/jobs/{id}/previous")).json()["jobs"]
            .as_array()
            .unwrap()
            .clone()
    };
    assert!(previous(0).is_empty());
    assert_eq!(
        (previous(1).len(), &previous(1)[0]["name"]),
        (1, &json!("Beta"))
    );
}
