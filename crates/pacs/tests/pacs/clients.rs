//! The clients of DICOMweb against a small server, and the doctor.

use crate::support::*;
use dicom_dictionary_std::uids;
use multirnet_base::StopToken;
use multirnet_pacs::client::{StudyQuery, WebClient, search, send_to};
use multirnet_pacs::config::{Login, Node, Secret, WebNode};
use multirnet_pacs::doctor::{Verdict, examine, examine_file};
use multirnet_pacs::store::Outcome;
use multirnet_pacs::{ErrorKind, Probe};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

/// Answers requests by `answer(first line, headers, body) -> (status line, type, body)`.
pub fn serve(
    answer: impl Fn(&str, &str, &[u8]) -> (String, String, Vec<u8>) + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/dicom-web", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || while one_request(&stream, &*answer).is_some() {});
        }
    });
    url
}

type Answer = dyn Fn(&str, &str, &[u8]) -> (String, String, Vec<u8>);

fn one_request(stream: &TcpStream, answer: &Answer) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let (mut first, mut headers) = (String::new(), String::new());
    reader.read_line(&mut first).ok().filter(|n| *n > 0)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        headers.push_str(&line.to_lowercase());
    }
    let length = headers
        .lines()
        .find_map(|l| l.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |l| l.trim().parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    let (status, kind, body) = answer(first.trim(), &headers, &body);
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = stream;
    stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(&body))
        .ok()
}

pub fn ok(kind: &str, body: impl Into<Vec<u8>>) -> (String, String, Vec<u8>) {
    ("200 OK".into(), kind.into(), body.into())
}

pub const JSON: &str = "application/dicom+json";

#[test]
fn studies_are_found_and_fetched() {
    let dir = tempfile::tempdir().unwrap();
    let files = [1, 2].map(|n| {
        fs::read(write_object(
            dir.path(),
            Name(1, 1, n),
            uids::CT_IMAGE_STORAGE,
            JPEG_LOSSLESS,
            1,
        ))
        .unwrap()
    });
    let sent = files.clone();
    let url = serve(move |first, headers, _| {
        assert!(headers.contains("authorization: basic dtpw"), "{headers}");
        if first.starts_with("GET /dicom-web/studies?") {
            assert!(
                first.contains("00100020=P%2A") || first.contains("00100020=P*"),
                "{first}"
            );
            return ok(
                JSON,
                r#"[{"0020000D":{"vr":"UI","Value":["1.2.3.1"]},
                "00100020":{"vr":"LO","Value":["P1"]},"00080061":{"vr":"CS","Value":["CT","SR"]},
                "00201208":{"vr":"IS","Value":[2]},
                "00100010":{"vr":"PN","Value":[{"Alphabetic":"A^B"}]}},
                {"00100020":{"vr":"LO"}}]"#,
            );
        }
        if first.starts_with("GET /dicom-web/studies/1.2.3.1 ") {
            assert!(headers.contains("transfer-syntax=*"));
            let mut body = Vec::new();
            for file in &sent {
                body.extend(b"--xx\r\nContent-Type: application/dicom\r\n\r\n");
                body.extend(file);
                body.extend(b"\r\n");
            }
            body.extend(b"--xx--");
            return ok(
                "multipart/related; type=\"application/dicom\"; boundary=xx",
                body,
            );
        }
        ("404 Not Found".into(), "text/plain".into(), Vec::new())
    });
    let login = Login::Basic {
        user: "u".into(),
        password: Secret::new("p"),
    };
    let node = WebNode {
        login,
        ..WebNode::new(url)
    };
    let query = StudyQuery {
        patient_id: Some("P*".into()),
        ..StudyQuery::default()
    };
    let found = search(&Node::Dicomweb(node.clone()), &query).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].modalities.as_str(), found[0].instances),
        ("CT\\SR", Some(2))
    );
    let client = WebClient::new(&node).unwrap();
    let to = dir.path().join("fetched");
    let fetch = |uid: &str| client.fetch(uid, None, &to, &StopToken::new(), &mut |_| {});
    let fetched = fetch("1.2.3.1").unwrap();
    assert_eq!(fetched.len(), 2);
    for (path, bytes) in fetched.iter().zip(&files) {
        assert_eq!(&fs::read(path).unwrap(), bytes);
    }
    let error = fetch("1.2.3.9").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(
        error.to_string().contains("root of the DICOMweb"),
        "{error}"
    );
    assert!(fetch("../../etc").is_err());
}

#[test]
fn stow_tells_each_object_apart() {
    let dir = tempfile::tempdir().unwrap();
    let files: Vec<PathBuf> = (1..=3)
        .map(|n| write_ct(dir.path(), Name(1, 1, n)))
        .collect();
    let expected = fs::read(&files[0]).unwrap();
    let url = serve(move |first, headers, body| {
        assert!(first.starts_with("POST /dicom-web/studies "));
        let boundary = headers
            .split("boundary=")
            .nth(1)
            .unwrap()
            .lines()
            .next()
            .unwrap();
        let head = format!("--{boundary}\r\nContent-Type: application/dicom\r\n\r\n");
        let object = &body[head.len()..body.len() - boundary.len() - 8];
        let has = |uid: &str| object.windows(uid.len()).any(|w| w == uid.as_bytes());
        if has(&Name(1, 1, 2).instance()) {
            let failed =
                r#"{"00081198":{"vr":"SQ","Value":[{"00081197":{"vr":"US","Value":[42752]}}]}}"#;
            return ("409 Conflict".into(), JSON.into(), failed.into());
        }
        if has(&Name(1, 1, 1).instance()) {
            assert_eq!(object, expected);
        }
        ok(JSON, "{}")
    });
    let node = Node::Dicomweb(WebNode::new(url));
    let mut outcomes = Vec::new();
    let report = send_to(&node, &files, &StopToken::new(), &mut |_, o| {
        outcomes.push(o.clone())
    })
    .unwrap();
    assert_eq!((report.delivered, report.refused), (2, 1));
    assert!(matches!(&outcomes[1], Outcome::Refused(reason) if reason.contains("A700")));
    // Nobody listens on a port that was just given back.
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let node = Node::Dicomweb(WebNode::new(format!("http://{gone}")));
    let error = send_to(&node, &files, &StopToken::new(), &mut |_, _| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
}

#[test]
fn the_doctor_says_what_is_wrong_with_each_node() {
    let dir = tempfile::tempdir().unwrap();
    let archive_dir = dir.path().join("archive");
    fs::create_dir(&archive_dir).unwrap();
    let archive = config(&archive_dir, "[[listener.allow]]\nae_title = \"SCU\"\n", "");
    let web = serve(|first, _, _| match first.starts_with("GET") {
        true => ok(JSON, "[]"),
        false => ("403 Forbidden".into(), JSON.into(), Vec::new()),
    });
    while_listening(&archive, Probe::default(), |address, _| {
        let gone = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let node = |name: &str, place: &str| {
            format!(
                "[[node]]\nname = \"{name}\"\nprotocol = \"dimse\"\nae_title = \"NODE\"\naddress = \"{place}\"\n"
            )
        };
        let rest = format!(
            "[delivery]\nto = [\"good\", \"gone\", \"web\"]\n{}{}[[node]]\nname = \"web\"\n\
             protocol = \"dicomweb\"\nurl = \"{web}\"\n",
            node("good", &address.to_string()),
            node("gone", &gone.to_string())
        );
        let mut own = config(dir.path(), "[[listener.allow]]\n", &rest);
        let told = |own: &multirnet_pacs::config::Config, subject: &str, verdict| {
            let of = examine(own)
                .into_iter()
                .filter(|c| c.subject == subject && c.verdict == verdict);
            of.map(|c| c.finding).collect::<Vec<_>>().join("\n")
        };
        assert!(told(&own, "node gone", Verdict::Wrong).contains("firewall"));
        assert!(told(&own, "node web", Verdict::Fine).contains("QIDO-RS"));
        assert!(told(&own, "node web", Verdict::Wrong).contains("check user, password"));
        assert!(told(&own, "allow-list", Verdict::Warning).contains("every peer"));
        // The archive does not know the title NODE.
        assert!(told(&own, "node good", Verdict::Wrong).contains("tell the peer of the title"));
        if let Some(Node::Dimse(node)) = own.nodes.get_mut("good") {
            node.calling_ae_title = "SCU".into();
        }
        assert_eq!(told(&own, "node good", Verdict::Wrong), "");
        assert!(told(&own, "node good", Verdict::Fine).contains("segmentation, structured report"));
    });
    let checks = examine_file(&dir.path().join("none.toml"));
    assert_eq!(checks[0].verdict, Verdict::Wrong);
}
