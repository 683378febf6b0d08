//! The server as a process: what it takes of memory, and what it writes into its messages.

use crate::support::*;
use serde_json::json;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

fn connect(server: &Served) -> TcpStream {
    let stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The first line of the answer.
fn line(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let mut byte = [0];
    while !all.ends_with(b"\r\n") && stream.read(&mut byte).is_ok_and(|n| n > 0) {
        all.push(byte[0]);
    }
    String::from_utf8_lossy(&all).trim().to_owned()
}

/// MiB by which the memory of the process may grow while bodies come that are far larger.
const GROWTH_MIB: u64 = 64;

#[test]
#[cfg(target_os = "linux")]
fn large_bodies_take_no_memory() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("server.toml");
    fs::write(&config, "[limits]\nupload_mib = 2048\nfree_disk_mib = 0\n").unwrap();
    let data = dir.path().join("data");
    let server = Served::start(&["--config", text(&config), "--data", text(&data)]);
    let before = server.resident_mib();
    let mut most = before;
    let bearer = format!("Authorization: Bearer {}\r\n", server.token());
    let piece = vec![0; 1 << 20];
    let mut chunk = b"100000\r\n".to_vec();
    chunk.extend(&piece);
    chunk.extend(b"\r\n");
    // A gibibyte that is refused at its end, since it has no boundary; one that is a single object; one
    // that belongs to an upload of 1 MiB; a JSON text.
    let begin = br#"{"name": "a.nii", "size": 1048576}"#.to_vec();
    let (_, upload) = server.ask("POST", "/api/v1/uploads", "x", begin).unwrap();
    let upload = upload["id"].as_str().unwrap();
    let stow = "Content-Type: multipart/related; type=\"application/dicom\"; boundary=b\r\n";
    let part = "b\r\n--b\r\nContent-Type: application/dicom\r\n\r\n";
    let mut sent = 0;
    for (request, headers, first) in [
        ("POST /api/v1/dicom-web/studies".to_owned(), stow, ""),
        ("POST /api/v1/dicom-web/studies".to_owned(), stow, part),
        (
            format!("PATCH /api/v1/uploads/{upload}"),
            "Upload-Offset: 0\r\n",
            "",
        ),
        (
            "POST /api/v1/jobs".to_owned(),
            "Content-Type: application/json\r\n",
            "",
        ),
    ] {
        let mut stream = connect(&server);
        let head = format!(
            "{request} HTTP/1.1\r\nHost: h\r\n{bearer}{headers}Transfer-Encoding: chunked\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        if !first.is_empty() {
            let length = format!("{:x}\r\n", first.len());
            stream
                .write_all(format!("{length}{first}\r\n").as_bytes())
                .unwrap();
        }
        for i in 0..1024 {
            if stream.write_all(&chunk).is_err() {
                break;
            }
            sent += 1;
            if i % 16 == 0 {
                most = most.max(server.resident_mib());
            }
        }
        let _ = stream.write_all(b"0\r\n\r\n");
        drop(stream);
        most = most.max(server.resident_mib());
    }
    println!("{sent} MiB sent; memory before {before} MiB, at most {most} MiB");
    assert!(sent > 1024, "{sent} MiB were taken");
    assert!(
        most <= before + GROWTH_MIB,
        "{before} MiB grew to {most} MiB"
    );
    assert_eq!(server.get("/api/v1/jobs")["total"], 0);
    let left = |folder: &str| fs::read_dir(data.join(folder)).unwrap().count();
    let begin = Instant::now();
    while left("studies/incoming") > 0 {
        assert!(begin.elapsed() < PATIENCE, "an object that broke off stays");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn hundreds_of_streams_that_nobody_reads_take_little_memory() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("server.toml");
    let limits = "[limits]\nconnections = 900\nevent_streams = 300\nfree_disk_mib = 0\n";
    fs::write(&config, limits).unwrap();
    let data = dir.path().join("data");
    let server = Served::start(&["--config", text(&config), "--data", text(&data)]);
    let id = server.upload("one").unwrap();
    server.wait_until_done(1, PATIENCE);
    let before = server.resident_mib();
    let mut open = 0;
    let streams: Vec<TcpStream> = (0..400)
        .map(|_| {
            let mut stream = connect(&server);
            let get = format!(
                "GET /api/v1/events HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\n\r\n",
                server.token()
            );
            stream.write_all(get.as_bytes()).unwrap();
            open += usize::from(line(&mut stream).contains("200"));
            stream
        })
        .collect();
    assert_eq!(open, 300);
    let place = format!("/api/v1/jobs/{id}/priority");
    for priority in 0..300 {
        let body = json!({ "priority": priority }).to_string().into_bytes();
        assert_eq!(server.ask("POST", &place, "x", body).unwrap().0, 200);
    }
    let after = server.resident_mib();
    println!("300 streams and 300 events: memory before {before} MiB, after {after} MiB");
    assert!(
        after <= before + GROWTH_MIB,
        "{before} MiB grew to {after} MiB"
    );
    drop(streams);
}

#[test]
fn messages_hold_no_names_of_patients_and_no_orders_to_a_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let (data, root) = (dir.path().join("data"), dir.path().join("root"));
    let messages = dir.path().join("messages");
    fs::create_dir(&root).unwrap();
    let arguments = ["--data", text(&data), "--allow-root", text(&root)];
    let server = Served::start_with_messages(&arguments, &messages);
    let planted = "Zephyrine-Patientsen";
    let hostile = format!("{planted}\u{1b}[2J\u{7}\r\nforged line {planted}");
    let key = "planted-key-of-Zephyrine-Patientsen";
    let ask =
        |method: &str, path: &str, body: Vec<u8>| server.ask(method, path, key, body).unwrap();
    // A scan that is analysed, one that cannot be read, one that is not below the root, and one that
    // goes away after it was taken in.
    let upload = |name: &str, bytes: &[u8]| {
        let body = json!({ "name": name, "size": bytes.len() }).to_string();
        let (status, upload) = ask("POST", "/api/v1/uploads", body.into_bytes());
        assert_eq!(status, 201, "{upload}");
        let id = upload["id"].as_str().unwrap().to_owned();
        // Sent by hand, since the client here has no header for the offset.
        let mut stream = connect(&server);
        let head = format!(
            "PATCH /api/v1/uploads/{id} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\n\
             Upload-Offset: 0\r\nContent-Length: {}\r\n\r\n",
            server.token(),
            bytes.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(bytes).unwrap();
        assert!(line(&mut stream).contains("200"));
        id
    };
    let job = |body: serde_json::Value, key: &str| {
        let body = body.to_string().into_bytes();
        let (status, job) = server.ask("POST", "/api/v1/jobs", key, body).unwrap();
        assert_eq!(status, 201, "{job}");
        job["id"].as_str().unwrap().to_owned()
    };
    let good = upload(&format!("{hostile}.nii.gz"), &SCAN);
    let good = job(json!({ "upload": good, "patient": hostile }), "planted-1");
    let bad = upload(&format!("{planted}.zip"), planted.as_bytes());
    job(
        json!({ "upload": bad, "patient": planted, "name": hostile }),
        "planted-2",
    );
    let path = root.join(format!("{planted}.nii.gz"));
    fs::write(&path, &*SCAN).unwrap();
    let by_path = job(json!({ "path": path }), "planted-3");
    let state = |id: &str| server.get(&format!("/api/v1/jobs/{id}"))["state"].clone();
    let begin = Instant::now();
    while [&good, &by_path].iter().any(|id| state(id) != "done") {
        assert!(begin.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(50));
    }
    // The scan is damaged, then gone, when full resolution is asked for.
    let ct = format!("/api/v1/jobs/{by_path}/ct.nii");
    fs::write(&path, "damaged").unwrap();
    assert!(ask("GET", &ct, Vec::new()).0 >= 400);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(ask("GET", &ct, Vec::new()).0 >= 400);
    let wrong = format!("/api/v1/jobs?q={planted}&sort={planted}");
    assert_eq!(ask("GET", &wrong, Vec::new()).0, 400);
    let elsewhere = json!({ "path": format!("/nowhere/{hostile}") }).to_string();
    assert_eq!(ask("POST", "/api/v1/jobs", elsewhere.into_bytes()).0, 403);
    let place = format!("/api/v1/jobs/{good}/corrections");
    let body = json!({ "reviewer": planted, "reason": planted, "verdict": "confirmed" });
    assert_eq!(ask("POST", &place, body.to_string().into_bytes()).0, 201);
    // Files that are missing make faults of the server, which its messages name.
    fs::remove_file(data.join("jobs").join(&good).join("results/finding.json")).unwrap();
    let body = json!({ "reviewer": planted, "verdict": "confirmed" }).to_string();
    assert_eq!(ask("POST", &place, body.into_bytes()).0, 500);
    let metrics = {
        let mut stream = connect(&server);
        let get = format!(
            "GET /api/v1/metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\
             Authorization: Bearer {}\r\n\r\n",
            server.token()
        );
        stream.write_all(get.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    };
    let id = server.id();
    let token = server.token().to_owned();
    assert_eq!(server.end(), Some(130), "{id}");
    let said = fs::read_to_string(&messages).unwrap();
    assert!(
        said.contains("For research use only") && said.contains("finding.json"),
        "{said}"
    );
    for text in [said.as_str(), metrics.as_str()] {
        for part in ["Zephyrine", "Patientsen", "forged", &token] {
            assert!(!text.contains(part), "{part} in {text}");
        }
    }
    // Colours are for terminals; a file gets none.
    let is_odd = |c: char| c.is_control() && c != '\n';
    assert!(!said.chars().any(is_odd), "{said:?}");
}
