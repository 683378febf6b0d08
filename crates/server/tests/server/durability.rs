//! Restarts in the middle of anything, and two servers on one folder. The tests of the command kill the
//! program itself.

use crate::support::*;
use multirnet::StopToken;
use multirnet_server::{ErrorKind, Queue, Server};
use serde_json::json;
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;

#[test]
fn a_second_server_on_the_same_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path());
    let second = Server::bind(
        config(dir.path()),
        analyser(),
        None,
        Default::default(),
        StopToken::new(),
    );
    let error = second.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Write);
    assert!(
        error
            .to_string()
            .contains("another program uses this data folder"),
        "{error}"
    );
    server.end().unwrap();
    Running::start(dir.path()).end().unwrap();
}

#[test]
fn jobs_that_wait_or_run_when_the_server_ends_are_done_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path());
    let ids: Vec<String> = (0..3)
        .map(|_| server.upload_scan()["id"].as_str().unwrap().to_owned())
        .collect();
    server.wait_for(&ids[0], &["running", "done"]);
    let begin = std::time::Instant::now();
    server.end().unwrap();
    assert!(begin.elapsed().as_secs() < 60);
    let server = Running::start(dir.path());
    for id in &ids {
        let job = server.wait_for(id, &["done", "failed"]);
        assert_eq!(job["state"], "done", "{job}");
    }
    assert_eq!(server.get("/api/v1/jobs").json()["total"], 3);
}

/// A queue without workers, and with a job whose row says that it is running.
fn interrupted(data: &Path) -> String {
    let server = Running::start(data);
    let id = server.analysed_scan();
    server.end().unwrap();
    let database = rusqlite::Connection::open(data.join("server.db")).unwrap();
    let sql =
        "UPDATE jobs SET state = 'running', finished_ms = NULL, diagnosis = NULL WHERE id = ?1";
    assert_eq!(database.execute(sql, [&id]).unwrap(), 1);
    id
}

#[test]
fn published_results_of_a_job_whose_row_was_not_written_count() {
    let dir = tempfile::tempdir().unwrap();
    let id = interrupted(dir.path());
    let results = dir.path().join("jobs").join(&id).join("results");
    let before = fs::metadata(results.join("finding.json"))
        .unwrap()
        .modified()
        .unwrap();
    let queue = Queue::open(config(dir.path()), analyser(), StopToken::new()).unwrap();
    let job = queue.job(&id).unwrap();
    assert_eq!((job.state.name(), job.diagnosis.is_some()), ("done", true));
    assert_eq!(
        fs::metadata(results.join("finding.json"))
            .unwrap()
            .modified()
            .unwrap(),
        before
    );
}

#[test]
fn half_results_never_count_and_what_belongs_to_nothing_goes() {
    let dir = tempfile::tempdir().unwrap();
    let id = interrupted(dir.path());
    let own = dir.path().join("jobs").join(&id);
    fs::rename(own.join("results"), own.join("attempt")).unwrap();
    let unknown = dir.path().join("jobs/unknown/scan");
    fs::create_dir_all(&unknown).unwrap();
    fs::write(dir.path().join("uploads/unknown"), b"x").unwrap();
    fs::create_dir_all(dir.path().join("trash/old")).unwrap();
    let queue = Queue::open(config(dir.path()), analyser(), StopToken::new()).unwrap();
    assert_eq!(queue.job(&id).unwrap().state.name(), "queued");
    for gone in ["jobs/unknown", "uploads/unknown", "trash/old"] {
        assert!(!dir.path().join(gone).exists(), "{gone}");
    }
    assert!(!own.join("attempt").exists());
    drop(queue);
    let server = Running::start(dir.path());
    assert_eq!(server.wait_for(&id, &["done", "failed"])["state"], "done");
}

#[test]
fn a_scan_that_ends_the_program_again_and_again_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let id = interrupted(dir.path());
    fs::remove_dir_all(dir.path().join("jobs").join(&id).join("results")).unwrap();
    let database = rusqlite::Connection::open(dir.path().join("server.db")).unwrap();
    database.execute("UPDATE jobs SET starts = 3", []).unwrap();
    drop(database);
    let server = Running::start(dir.path());
    let job = server.wait_for(&id, &["failed"]);
    assert!(
        job["error"]["reason"].as_str().unwrap().contains("3 times"),
        "{job}"
    );
    // A person may ask for another try.
    assert_eq!(
        server
            .post(&format!("/api/v1/jobs/{id}/retry"), &json!({}))
            .status,
        200
    );
    assert_eq!(server.wait_for(&id, &["done", "failed"])["state"], "done");
}

#[test]
fn an_upload_goes_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = scan_bytes();
    let server = Running::start(dir.path());
    let begun = server.post(
        "/api/v1/uploads",
        &json!({ "name": "a.nii.gz", "size": bytes.len() }),
    );
    let id = begun.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/uploads/{id}");
    let sent = server.send(
        "PATCH",
        &path,
        &[("upload-offset", "0")],
        bytes[..1000].to_vec(),
    );
    assert_eq!(sent.json()["offset"], 1000);
    server.end().unwrap();
    let server = Running::start(dir.path());
    assert_eq!(server.get(&path).json()["offset"], 1000);
    let sent = server.send(
        "PATCH",
        &path,
        &[("upload-offset", "1000")],
        bytes[1000..].to_vec(),
    );
    assert_eq!(sent.json()["offset"], bytes.len());
    let job = server.post("/api/v1/jobs", &json!({ "upload": id })).json();
    assert_eq!(
        server.wait_for(job["id"].as_str().unwrap(), &["done", "failed"])["state"],
        "done"
    );
}

#[test]
fn an_upload_in_one_request_that_a_kill_broke_off_is_gone_after_the_start() {
    let (dir, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let uploads = |data: &Path| -> Vec<u64> {
        let entries = fs::read_dir(data.join("uploads")).unwrap();
        let lengths = entries.map(|e| e.unwrap().metadata().unwrap().len());
        lengths.collect()
    };
    let server = Running::start(dir.path());
    let begun = json!({ "name": "a.nii.gz", "size": 5 });
    let begun = server.post("/api/v1/uploads", &begun).json();
    let path = format!("/api/v1/uploads/{}", begun["id"].as_str().unwrap());
    let mut sender = TcpStream::connect(server.address).unwrap();
    let head = format!(
        "POST /api/v1/jobs/upload?name=b.nii.gz HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\n\
         content-length: 1000\r\n\r\n",
        server.token
    );
    sender.write_all(head.as_bytes()).unwrap();
    wait_until("the second upload", || uploads(dir.path()).len() == 2);
    // What a kill at this moment leaves.
    fs::create_dir(killed.path().join("uploads")).unwrap();
    for from in [dir.path().to_owned(), dir.path().join("uploads")] {
        for entry in fs::read_dir(&from).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let place = path.strip_prefix(dir.path()).unwrap();
                fs::copy(&path, killed.path().join(place)).unwrap();
            }
        }
    }
    let server = Running::start(killed.path());
    assert_eq!(uploads(killed.path()), [0]);
    assert_eq!(server.get(&path).json()["offset"], 0);
    let database = rusqlite::Connection::open(killed.path().join("server.db")).unwrap();
    let sql = "SELECT count(*) FROM uploads";
    let count: i64 = database.query_row(sql, [], |r| r.get(0)).unwrap();
    assert_eq!(count, 1);
}

#[test]
fn an_upload_whose_key_has_a_job_already_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path());
    let bytes = scan_bytes();
    let uploads = [(); 2].map(|()| server.upload_file("a.nii.gz", &bytes));
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", "k"),
    ];
    let submit = |upload: &String| {
        let body = json!({ "upload": upload }).to_string().into_bytes();
        let answer = server.send("POST", "/api/v1/jobs", &headers, body);
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()["id"].clone()
    };
    let job = submit(&uploads[0]);
    // The client did not get the answer, sends the scan again, and repeats the request.
    assert_eq!(submit(&uploads[1]), job);
    assert_eq!(submit(&uploads[1]), job);
    for upload in &uploads {
        assert_eq!(server.get(&format!("/api/v1/uploads/{upload}")).status, 404);
    }
    assert_eq!(fs::read_dir(dir.path().join("uploads")).unwrap().count(), 0);
}

#[test]
fn a_database_of_a_later_program_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    Running::start(dir.path()).end().unwrap();
    let database = rusqlite::Connection::open(dir.path().join("server.db")).unwrap();
    database.pragma_update(None, "user_version", 99).unwrap();
    drop(database);
    let error = Queue::open(config(dir.path()), analyser(), StopToken::new())
        .err()
        .unwrap();
    assert!(error.to_string().contains("later version"), "{error}");
    fs::write(
        dir.path().join("server.db"),
        b"this is not a database at all, but long enough",
    )
    .unwrap();
    let _ = fs::remove_file(dir.path().join("server.db-wal"));
    let error = Queue::open(config(dir.path()), analyser(), StopToken::new())
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::Database, "{error}");
}
