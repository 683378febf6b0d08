//! Texts of patients and callers that try to be something else where they are shown.

use crate::support::*;
use serde_json::json;
use std::io::{Cursor, Write};

/// Texts that are markup, orders to a terminal, a reversal of the reading direction, or several lines.
const TEXTS: [&str; 8] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "</title><svg onload=alert(1)>",
    "\u{1b}[2J\u{1b}]52;c;cm0gLXJm\u{7}clear",
    "nii.\u{202e}gnp.scan\u{2066}x\u{2028}y",
    "one\r\nSet-Cookie: a=b\r\n\r\n<h1>two",
    "null\0byte\u{9b}31m",
    "=HYPERLINK(\"http://evil.example\")",
];

/// Whether a text is safe to write into a log or to a terminal, and reads as it stands.
fn is_plain(text: &str) -> bool {
    !text.chars().any(|c| {
        c.is_control()
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}'
                | '\u{61c}' | '\u{2028}' | '\u{2029}')
    })
}

#[test]
fn hostile_names_of_uploads_are_plain_text_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path());
    for text in TEXTS {
        // The slash of a name begins its last part.
        let upload = server.upload_file(&format!("{text}.nii.gz"), b"not a scan");
        let body = json!({ "upload": upload, "name": text, "patient": text });
        let made = server.post("/api/v1/jobs", &body);
        assert_eq!(made.status, 201, "{}", made.text());
        let job = made.json();
        for field in ["name", "patient"] {
            let shown = job[field].as_str().unwrap_or_default();
            assert!(is_plain(shown), "{field} of {text:?}: {shown:?}");
        }
    }
    // Two of them with results: markup, and orders to a terminal.
    let scan = scan_bytes();
    for text in [TEXTS[1], TEXTS[3]] {
        let upload = server.upload_file(&format!("{text}.nii.gz"), &scan);
        let body = json!({ "upload": upload, "patient": text });
        let id = server.post("/api/v1/jobs", &body).json()["id"]
            .as_str()
            .unwrap()
            .to_owned();
        assert_eq!(server.wait_for(&id, &["done", "failed"])["state"], "done");
        let base = format!("/api/v1/jobs/{id}");
        let report = server.get(&format!("{base}/files/report.html")).text();
        for markup in ["<script", "<img src=x"] {
            assert!(!report.contains(markup), "{text:?} in the report");
        }
        assert!(report.chars().all(|c| !c.is_control() || c.is_whitespace()));
        let zip = server.get(&format!("{base}/results.zip"));
        let place = zip.header("content-disposition");
        let name = place.strip_prefix("attachment; filename=\"").unwrap();
        let name = name.strip_suffix(".zip\"").unwrap();
        let is_safe = |c: char| c.is_ascii_alphanumeric() || "._- ".contains(c);
        assert!(name.chars().all(is_safe), "{name:?}");
        let archive = zip::ZipArchive::new(Cursor::new(zip.body)).unwrap();
        for entry in archive.file_names() {
            let entry = entry.unwrap();
            assert!(!entry.contains("..") && !entry.starts_with('/'), "{entry}");
            assert!(!entry.contains([':', '\\']), "{entry}");
        }
    }
}

#[test]
fn what_readers_write_is_plain_text_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path());
    let id = server.analysed_scan();
    let place = format!("/api/v1/jobs/{id}/corrections");
    let mut taken = 0;
    for text in TEXTS {
        for (reviewer, reason) in [(text, "a"), ("a", text)] {
            let body = json!({ "reviewer": reviewer, "reason": reason, "verdict": "confirmed" });
            let saved = server.post(&place, &body);
            match saved.status {
                201 => {
                    taken += 1;
                    assert!(is_plain(text), "{text:?}");
                    assert_eq!(saved.json()["reason"], reason);
                }
                status => assert_eq!(status, 400, "{text:?}"),
            }
        }
    }
    // Markup is text like any other, and the pages show it as text.
    assert_eq!(taken, 2 * TEXTS.iter().filter(|t| is_plain(t)).count());
    let many_lines = json!({ "reviewer": "a", "reason": "one\ntwo", "verdict": "confirmed" });
    assert_eq!(server.post(&place, &many_lines).status, 201);
    // Refusals name what was sent, as JSON and not as a page.
    for text in TEXTS {
        let body = json!({ "name": format!("{text}.exe"), "size": 1 });
        let refused = server.post("/api/v1/uploads", &body);
        assert_eq!(
            (refused.status, refused.header("content-type").as_str()),
            (400, "application/json")
        );
        assert!(is_plain(&refused.reason()), "{:?}", refused.reason());
    }
}

/// A zip of slices whose patient's ID and whose description are `text`, of 16 bytes or fewer. The writer
/// would refuse most of these texts, so they take the place of another one.
fn study(text: &str) -> Vec<u8> {
    let place = "0123456789abcdef";
    let text = format!("{text:16}");
    let slices = slices(place).into_iter();
    let slices = slices.map(|slice| replaced(slice, place.as_bytes(), text.as_bytes()));
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for (z, slice) in slices.enumerate() {
        zip.start_file(format!("{z}.dcm"), options).unwrap();
        zip.write_all(&slice).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn hostile_headers_of_slices_are_plain_text() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path());
    // DICOM files may hold any byte, whatever their standard says.
    for text in [
        "<img src=x o=a>",
        "\u{1b}[2Jp\u{1b}]0;x\u{7}",
        "a\r\nb",
        "=1+1",
    ] {
        let place = "/api/v1/jobs/upload?name=study.zip";
        let made = server.send("POST", place, &[], study(text));
        let id = made.json()["id"].as_str().unwrap().to_owned();
        let job = server.wait_for(&id, &["done", "failed"]);
        assert_eq!(job["state"], "done", "{job}");
        for field in ["name", "patient", "description"] {
            let shown = job[field].as_str().unwrap_or_default();
            assert!(is_plain(shown), "{field} of {text:?}: {shown:?}");
        }
        let finding = server.get(&format!("/api/v1/jobs/{id}/finding")).json();
        let path = finding["source"]["path"].as_str().unwrap();
        assert!(is_plain(path), "{path:?}");
        let report = server.get(&format!("/api/v1/jobs/{id}/files/report.html"));
        assert!(!report.text().contains("<img src=x"), "{text:?}");
    }
}
