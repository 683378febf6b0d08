//! Clients that are slow, many, or never read.

use crate::raw::*;
use crate::support::*;
use multirnet_server::config::ServerConfig;
use serde_json::json;
use std::path::Path;
use std::time::Duration;

fn impatient(dir: &Path) -> ServerConfig {
    let mut config = config(dir);
    config.limits.header_seconds = 1;
    config.limits.stall_seconds = 1;
    config
}

/// Sends `bytes` one by one until the server closes the connection. A server that waits for ever fails.
fn trickle(raw: &mut Raw, bytes: &[u8]) {
    let rounds = PATIENCE.as_millis() as usize / 50;
    for i in 0..rounds {
        if !raw.send(&bytes[i % bytes.len()..][..1]) {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("the server waits for ever");
}

#[test]
fn headers_and_bodies_that_come_byte_by_byte_are_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start_with(impatient(dir.path()));
    let mut raw = Raw::open(server.address);
    raw.send(b"GET /api/v1/health HTTP/1.1\r\nX: ");
    trickle(&mut raw, b"x");
    // A connection that says nothing at all.
    assert!(Raw::open(server.address).is_closed_soon());
    // Bodies of every kind: a whole file, a piece, JSON, objects, and one that is refused anyway.
    let upload = server.post("/api/v1/uploads", &json!({ "name": "a.nii", "size": 1000 }));
    let upload = upload.json()["id"].as_str().unwrap().to_owned();
    let stow = "Content-Type: multipart/related; type=\"application/dicom\"; boundary=b\r\n";
    let part = "--b\r\nContent-Type: application/dicom\r\n\r\n";
    for (line, headers, begin) in [
        ("POST /api/v1/jobs/upload?name=a.nii", "", ""),
        ("POST /api/v1/jobs/upload?name=a.exe", "", ""),
        (
            &format!("PATCH /api/v1/uploads/{upload}"),
            "Upload-Offset: 0\r\n",
            "",
        ),
        (
            "POST /api/v1/jobs",
            "Content-Type: application/json\r\n",
            "{",
        ),
        ("POST /api/v1/dicom-web/studies", stow, part),
        ("POST /api/v1/dicom-web/studies", "", ""),
    ] {
        let mut raw = Raw::open(server.address);
        let head = format!(
            "{line} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\nContent-Length: 1000\r\n\
             {headers}\r\n{begin}",
            server.token
        );
        raw.send(head.as_bytes());
        trickle(&mut raw, b" ");
    }
    // Nothing of it is left but the piece, which its client may go on with.
    let files = |folder: &str| std::fs::read_dir(dir.path().join(folder)).unwrap().count();
    wait_until("the uploads to end", || files("uploads") == 1);
    assert_eq!((files("jobs"), files("studies/incoming")), (0, 0));
    assert_eq!(server.get("/api/v1/jobs").json()["total"], 0);
}

#[test]
fn who_never_reads_a_download_gives_its_memory_and_place_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    // Long enough for a busy machine to see that a download is under way.
    config.limits.stall_seconds = 20;
    let server = Running::start_with(config);
    // More than all buffers between the work and the client hold, so that the work waits for the client.
    let id = server.wait_until_done(&server.upload_nifti(fine_scan_bytes()));
    let planned = || server.get("/api/v1/server").json()["queue"]["memory_planned_bytes"].clone();
    let held: Vec<Raw> = ["ct.nii", "results.zip", "ct.nii"]
        .into_iter()
        .map(|name| {
            let mut raw = Raw::open_from(server.address, "127.0.0.1", Some(2048));
            let get = format!(
                "GET /api/v1/jobs/{id}/{name} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\n\r\n",
                server.token
            );
            raw.send(get.as_bytes());
            let head = raw.until(|b| b.windows(4).any(|w| w == b"\r\n\r\n"));
            let head = String::from_utf8_lossy(&head);
            assert!(head.starts_with("HTTP/1.1 200"), "{name}: {head}");
            raw
        })
        .collect();
    assert_ne!(planned(), json!(0));
    wait_until("the downloads to end", || planned() == json!(0));
    // The clients are still there: the server gave up.
    for mut raw in held {
        assert!(raw.is_closed_soon());
    }
    let ct = server.get(&format!("/api/v1/jobs/{id}/ct.nii"));
    assert_eq!(ct.status, 200);
}

#[test]
fn connections_have_a_limit_and_one_address_half_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.limits.connections = 8;
    let server = Running::start_with(config);
    let ask = |own: &str| {
        let mut raw = Raw::open_from(server.address, own, None);
        raw.send(b"GET /api/v1/health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        let mut got = answers(&raw.until_closed());
        assert_eq!(got.len(), 1);
        got.remove(0)
    };
    let hold = |own: &str| -> Vec<Raw> {
        (0..4)
            .map(|_| Raw::open_from(server.address, own, None))
            .collect()
    };
    let first = hold("127.0.0.2");
    wait_until("the address to be full", || ask("127.0.0.2").status == 503);
    let refused = ask("127.0.0.2");
    assert_eq!(refused.header("retry-after"), Some("30"));
    assert!(refused.text().contains("too many connections"));
    // Others come in until all places are taken.
    assert_eq!(ask("127.0.0.3").status, 200);
    let second = hold("127.0.0.4");
    wait_until("the server to be full", || ask("127.0.0.3").status == 503);
    drop((first, second));
    wait_until("places", || ask("127.0.0.2").status == 200);
    let metrics = server.get("/api/v1/metrics").text();
    assert!(metrics.contains("multirnet_refused_total{reason=\"full\"}"));
}

#[test]
fn streams_of_events_have_a_limit_and_other_requests_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.limits.connections = 800;
    config.limits.event_streams = 150;
    config.analysis.workers = 1;
    let server = Running::start_with(config);
    let id = server.upload_scan()["id"].as_str().unwrap().to_owned();
    let open = |path: &str| {
        let mut raw = Raw::open(server.address);
        let get = format!(
            "GET {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\n\r\n",
            server.token
        );
        raw.send(get.as_bytes());
        let head = raw.until(|b| b.windows(4).any(|w| w == b"\r\n\r\n"));
        let line = String::from_utf8_lossy(&head);
        (
            line.contains("HTTP/1.1 200"),
            line.contains("HTTP/1.1 503"),
            raw,
        )
    };
    let held: Vec<_> = (0..300).map(|_| open("/api/v1/events")).collect();
    assert_eq!(held.iter().filter(|h| h.0).count(), 150);
    assert_eq!(held.iter().filter(|h| h.1).count(), 150);
    let of_job = open(&format!("/api/v1/jobs/{id}/events"));
    assert!(of_job.1);
    // Nobody reads, and the server goes on.
    let done = server.wait_for(&id, &["done", "failed"]);
    assert_eq!(done["state"], "done");
    for priority in 0..50 {
        let place = format!("/api/v1/jobs/{id}/priority");
        assert_eq!(
            server.post(&place, &json!({ "priority": priority })).status,
            200
        );
    }
    drop((held, of_job));
    wait_until("a place", || open("/api/v1/events").0);
}

#[test]
fn a_stream_that_nobody_reads_ends_and_gives_its_place_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = impatient(dir.path());
    config.limits.event_streams = 1;
    let server = Running::start_with(config);
    let name = "n".repeat(110);
    let upload = server.upload_file(&format!("{name}.nii"), b"not a scan");
    let body = json!({ "upload": upload, "patient": "p".repeat(110) });
    let id = server.post("/api/v1/jobs", &body).json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    server.wait_for(&id, &["failed"]);
    let mut raw = Raw::open_from(server.address, "127.0.0.1", Some(2048));
    let get = |head: &str| {
        format!(
            "GET /api/v1/events HTTP/1.1\r\nHost: h\r\n{head}Authorization: Bearer {}\r\n\r\n",
            server.token
        )
    };
    raw.send(get("").as_bytes());
    let head = raw.until(|b| b.windows(4).any(|w| w == b"\r\n\r\n"));
    assert!(head.starts_with(b"HTTP/1.1 200"));
    let is_free = || {
        let mut other = Raw::open(server.address);
        other.send(get("Connection: close\r\n").as_bytes());
        let head = other.until(|b| b.windows(4).any(|w| w == b"\r\n\r\n"));
        head.starts_with(b"HTTP/1.1 200")
    };
    assert!(!is_free());
    let place = format!("/api/v1/jobs/{id}/priority");
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let is_over = &is_over;
        let (server, place) = (&server, &place);
        for _ in 0..4 {
            scope.spawn(|| {
                let mut priority = 0;
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    priority += 1;
                    server.post(place, &json!({ "priority": priority }));
                }
            });
        }
        let begin = std::time::Instant::now();
        let is_freed = loop {
            if is_free() {
                break true;
            }
            if begin.elapsed() > PATIENCE {
                break false;
            }
            std::thread::sleep(Duration::from_millis(200));
        };
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(is_freed, "the stream keeps its place");
    });
    drop(raw);
}
