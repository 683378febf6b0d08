//! Very many small things, and very large ones.

use crate::raw::*;
use crate::support::*;
use serde_json::json;
use std::fs;
use std::io::{Cursor, Write};
use zip::write::SimpleFileOptions;

const MANY: usize = 10_000;

fn entries(folder: &std::path::Path) -> usize {
    fs::read_dir(folder).map_or(0, Iterator::count)
}

#[test]
fn ten_thousand_tiny_uploads_meet_a_limit_and_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.limits.uploads = 50;
    let server = Running::start_with(config);
    let begun: Vec<String> = std::thread::scope(|scope| {
        let work: Vec<_> = (0..4)
            .map(|_| {
                let server = &server;
                scope.spawn(move || {
                    let mut begun = Vec::new();
                    for i in 0..MANY / 4 {
                        let body = json!({ "name": format!("{i}.nii"), "size": 1 });
                        let answer = server.post("/api/v1/uploads", &body);
                        match answer.status {
                            201 => begun.push(answer.json()["id"].as_str().unwrap().to_owned()),
                            status => assert_eq!(status, 503, "{}", answer.text()),
                        }
                    }
                    begun
                })
            })
            .collect();
        work.into_iter().flat_map(|w| w.join().unwrap()).collect()
    });
    assert_eq!(
        (begun.len(), entries(&dir.path().join("uploads"))),
        (50, 50)
    );
    for id in begun {
        assert_eq!(server.delete(&format!("/api/v1/uploads/{id}")).status, 204);
    }
    assert_eq!(entries(&dir.path().join("uploads")), 0);
}

/// A zip with `count` entries, named and filled by `entry`.
fn zip_of(count: usize, entry: impl Fn(usize) -> (String, Vec<u8>)) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for i in 0..count {
        let (name, bytes) = entry(i);
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(&bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn analysed(server: &Running, name: &str, bytes: Vec<u8>) -> serde_json::Value {
    let place = format!("/api/v1/jobs/upload?name={name}");
    let answer = server.send("POST", &place, &[], bytes);
    assert_eq!(answer.status, 201, "{}", answer.text());
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    server.wait_for(&id, &["done", "failed"])
}

#[test]
fn zips_of_very_many_or_hostile_entries_fail_alone() {
    let dir = tempfile::tempdir().unwrap();
    let outer = dir.path().join("outer");
    fs::create_dir(&outer).unwrap();
    let data = outer.join("data");
    let server = Running::start(&data);
    let tiny = zip_of(MANY, |i| (format!("{i}.dcm"), vec![b'x'; i % 7]));
    let text = zip_of(MANY, |i| (format!("{i}.txt"), vec![b'x']));
    let same = zip_of(1, |_| ("a.dcm".into(), vec![0; 200]));
    let climbing = [
        "../../evil.dcm",
        "/evil.dcm",
        "..\\..\\evil.dcm",
        "a/../../../evil.dcm",
    ];
    let climbing = zip_of(climbing.len(), |i| (climbing[i].into(), b"DICM".repeat(50)));
    // A gigabyte of nothing in a megabyte.
    let bomb = zip_of(1, |_| ("bomb.dcm".into(), vec![0; 1 << 30]));
    assert!(bomb.len() < 4 << 20);
    for (name, bytes) in [
        ("tiny.zip", tiny),
        ("text.zip", text),
        ("same.zip", same),
        ("climbing.zip", climbing),
        ("bomb.zip", bomb),
        ("empty.zip", zip_of(0, |_| unreachable!())),
        ("none.zip", b"PK\x03\x04".to_vec()),
    ] {
        let job = analysed(&server, name, bytes);
        assert_eq!(job["error"]["kind"], "scan", "{name}: {job}");
        let reason = job["error"]["reason"].as_str().unwrap();
        assert!(
            !reason.is_empty() && reason.len() < 2000,
            "{name}: {reason}"
        );
    }
    // Nothing was unpacked anywhere, and the next scan is analysed.
    assert_eq!(entries(&outer), 1);
    assert_eq!(entries(dir.path()), 1);
    assert_eq!(server.job(&server.analysed_scan())["state"], "done");
}

#[test]
fn a_request_of_ten_thousand_tiny_objects_is_answered_for_each_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path());
    let mut body = Vec::new();
    for i in 0..MANY {
        body.extend(b"--b\r\nContent-Type: application/dicom\r\n\r\n");
        body.extend(vec![b'x'; i % 5]);
        body.extend(b"\r\n");
    }
    body.extend(b"--b--\r\n");
    let answer = server.send("POST", "/api/v1/dicom-web/studies", &STOW, body);
    assert_eq!(answer.status, 409);
    let failed = answer.json()["00081198"]["Value"].as_array().unwrap().len();
    assert_eq!(failed, MANY);
    for folder in ["incoming", "studies"] {
        assert_eq!(
            entries(&dir.path().join("studies").join(folder)),
            0,
            "{folder}"
        );
    }
    assert_eq!(server.get("/api/v1/jobs").json()["total"], 0);
}

#[test]
fn ten_gigabytes_are_refused_before_a_byte_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.limits.upload_mib = 1;
    let server = Running::start_with(config);
    let size = 10_u64 << 30;
    let begun = server.post("/api/v1/uploads", &json!({ "name": "a.nii", "size": size }));
    assert_eq!(begun.status, 413, "{}", begun.text());
    assert!(begun.reason().contains("at most 1048576 are allowed"));
    let bearer = format!("Authorization: Bearer {}\r\n", server.token);
    let head = |length: u64, more: &str| {
        format!(
            "POST /api/v1/jobs/upload?name=a.nii HTTP/1.1\r\nHost: h\r\n{bearer}\
             Content-Length: {length}\r\n{more}\r\n"
        )
    };
    // The answer comes before the body, also to a client that waits for leave to send it.
    for (length, more) in [
        (size, ""),
        (size, "Expect: 100-continue\r\n"),
        (2 << 20, "Expect: 100-continue\r\n"),
    ] {
        let mut raw = Raw::open(server.address);
        raw.send(head(length, more).as_bytes());
        let got = raw.until(|b| b.ends_with(b"}"));
        let text = String::from_utf8_lossy(&got);
        assert!(text.starts_with("HTTP/1.1 413"), "{text}");
        assert!(!text.contains("100 Continue"), "{text}");
    }
    // Without a length there is nothing to wait for.
    let chunked = format!(
        "POST /api/v1/jobs/upload?name=a.nii HTTP/1.1\r\nHost: h\r\n{bearer}\
         Transfer-Encoding: chunked\r\n\r\n"
    );
    let mut raw = Raw::open(server.address);
    raw.send(chunked.as_bytes());
    let got = raw.until(|b| b.ends_with(b"}"));
    assert!(got.starts_with(b"HTTP/1.1 411"));
    // A body that goes on after its announced end: what fits stays, and the rest is not read for ever.
    let id = server.post(
        "/api/v1/uploads",
        &json!({ "name": "a.nii", "size": 100_000 }),
    );
    let id = id.json()["id"].as_str().unwrap().to_owned();
    let mut raw = Raw::open(server.address);
    let head = format!(
        "PATCH /api/v1/uploads/{id} HTTP/1.1\r\nHost: h\r\n{bearer}Upload-Offset: 0\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    );
    raw.send(head.as_bytes());
    let chunk = [b"100000\r\n".as_slice(), &vec![0; 1 << 20], b"\r\n"].concat();
    let mut sent = 0_u64;
    while sent < size && raw.send(&chunk) {
        sent += 1 << 20;
    }
    assert!(sent < 200 << 20, "{sent} bytes were taken");
    let bytes = fs::metadata(dir.path().join("uploads").join(&id))
        .unwrap()
        .len();
    assert!(bytes <= 100_000, "{bytes}");
    assert_eq!(entries(&dir.path().join("uploads")), 1);
}

#[test]
fn an_upload_that_the_disk_has_no_room_for_is_refused_at_its_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.limits.upload_mib = 1 << 20;
    let server = Running::start_with(config);
    // A tebibyte, which the largest of these disks does not have free twice.
    let begun = server.post(
        "/api/v1/uploads",
        &json!({ "name": "a.nii", "size": (1_u64 << 40) - 1 }),
    );
    if begun.status == 201 {
        println!("skipped: this disk has a tebibyte free");
        return;
    }
    assert_eq!(begun.status, 503, "{}", begun.text());
    assert!(begun.reason().contains("MiB free"), "{}", begun.reason());
    assert_eq!(entries(&dir.path().join("uploads")), 0);
}
