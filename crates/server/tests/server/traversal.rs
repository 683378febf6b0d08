//! Names and paths that lead elsewhere.

use crate::raw::*;
use crate::support::*;
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What stands in files that no request may give.
const SECRET: &str = "what nobody may read";

#[test]
fn no_name_in_an_address_leads_to_another_place() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("secret"), SECRET).unwrap();
    let mut config = config(&dir.path().join("data"));
    config.limits.header_seconds = 1;
    let server = Running::start_with(config);
    let id = server.analysed_scan();
    let up = [
        "..",
        "%2e%2e",
        "%2E.",
        ".%2e",
        "..;",
        "%252e%252e",
        "%c0%ae%c0%ae",
        "%u002e",
    ];
    let mut names: Vec<String> = Vec::new();
    for up in up {
        for slash in [
            "/", "%2f", "%5c", "\\", "%c0%af", "%252f", "//", "/./", "%00/",
        ] {
            let climb = format!("{up}{slash}").repeat(4);
            names.push(format!("{climb}secret"));
            names.push(format!("preview{slash}{climb}secret"));
        }
    }
    let absolute = dir.path().join("secret").display().to_string();
    names.push(absolute.replace('/', "%2f"));
    names.push(absolute.clone());
    names.extend(
        [
            "finding.json%00.png",
            "%00",
            "finding.json%0d%0aSet-Cookie:%20a=b",
            "%ff%fe",
            "%ed%a0%80",
            "%f0%82%82%ac",
            "finding.json/",
            "/finding.json",
            "./finding.json",
            ".",
            "..",
            "preview",
            "preview/",
            "con",
            "%",
            "%zz",
            "summary.json/..%2ffinding.json",
        ]
        .map(str::to_owned),
    );
    names.push("a".repeat(5000));
    names.push("%e2%80%ae".repeat(100));
    let description = server.get("/api/openapi.json").json();
    let mut asked = 0;
    let mut requests = String::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        for name in &names {
            if !path.contains('{') {
                continue;
            }
            // The last name of the path is the hostile one, and also the first.
            let last = path.rfind('{').unwrap();
            let known = |part: &str| part.replace("{id}", &id).replace("{version}", "1");
            let mut places = vec![format!("{}{name}", known(&path[..last]))];
            let end = &path[last..][path[last..].find('}').unwrap() + 1..];
            places[0] += end;
            if path.matches('{').count() > 1 {
                places.push(path.replace("{id}", name).replace(['{', '}'], ""));
            }
            for method in methods.as_object().unwrap().keys() {
                for place in &places {
                    // The job itself must stay.
                    if method == "delete" && !place.contains(name.as_str()) {
                        continue;
                    }
                    requests += &format!(
                        "{} {place} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\n\
                         Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}",
                        method.to_uppercase(),
                        server.token
                    );
                    asked += 1;
                    check_answers(&server, &mut requests, 1);
                }
            }
        }
    }
    check_answers(&server, &mut requests, 0);
    assert!(asked > 2000, "{asked}");
    assert_eq!(server.job(&id)["state"], "done");
    assert_eq!(
        fs::read_to_string(dir.path().join("secret")).unwrap(),
        SECRET
    );
}

/// Sends the collected requests once they are many, and looks at all answers.
fn check_answers(server: &Running, requests: &mut String, wait: usize) {
    if wait > 0 && requests.len() < 20_000 {
        return;
    }
    // Each request is one of its own, so that one that closes its connection hides no other.
    for request in std::mem::take(requests).split_inclusive("\r\n\r\n{}") {
        let request = request.replacen("Host: h\r\n", "Host: h\r\nConnection: close\r\n", 1);
        let got = ask(server.address, request.as_bytes());
        assert_eq!(got.len(), 1, "{request}");
        let (status, text) = (got[0].status, got[0].text());
        let line = request.lines().next().unwrap();
        assert!(status < 500, "{line}: {status} {text}");
        assert!(
            !text.contains(SECRET) && !text.contains(&server.token),
            "{line}"
        );
        assert_eq!(got[0].header("set-cookie"), None, "{line}");
        let page = "GET /scan";
        let is_known = line.starts_with("GET") && !line.starts_with(page) && status == 200;
        // What answers with 200 is the file of that very name, once dots are taken out.
        assert!(
            !is_known || text.contains("\"diagnosis\"") || text.contains("\"total\""),
            "{line}: {text}"
        );
    }
}

/// A root with a scan, and a place outside it with another one.
struct Place {
    _dir: tempfile::TempDir,
    root: PathBuf,
    outside: PathBuf,
    data: PathBuf,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
        fs::create_dir(&root).unwrap();
        fs::create_dir(&outside).unwrap();
        scan_file(&root);
        scan_file(&outside);
        Self {
            root,
            outside,
            data: dir.path().join("data"),
            _dir: dir,
        }
    }

    fn serve(&self) -> Running {
        let mut config = config(&self.data);
        config.allow_roots = vec![self.root.clone()];
        Running::start_with(config)
    }
}

fn submit(server: &Running, path: &Path) -> Answer {
    server.post("/api/v1/jobs", &json!({ "path": path }))
}

/// Submits a path that is taken in, and gives the job once it is finished.
fn finished(server: &Running, path: &Path) -> serde_json::Value {
    let taken = submit(server, path);
    assert_eq!(taken.status, 201, "{}", taken.text());
    let id = taken.json()["id"].as_str().unwrap().to_owned();
    server.wait_for(&id, &["done", "failed"])
}

#[test]
fn paths_out_of_the_root_are_refused_however_they_are_written() {
    let place = Place::new();
    let server = place.serve();
    let root = place.root.display().to_string();
    let beside = place.root.with_file_name("root-beside");
    fs::create_dir(&beside).unwrap();
    scan_file(&beside);
    symlink(&place.outside, place.root.join("folder")).unwrap();
    symlink(
        place.outside.join("phantom.nii.gz"),
        place.root.join("link.nii.gz"),
    )
    .unwrap();
    symlink("link.nii.gz", place.root.join("link-of-link.nii.gz")).unwrap();
    symlink("circle", place.root.join("circle")).unwrap();
    for path in [
        format!("{root}/../outside/phantom.nii.gz"),
        format!("{root}/folder/phantom.nii.gz"),
        format!("{root}/folder"),
        format!("{root}/link.nii.gz"),
        format!("{root}/link-of-link.nii.gz"),
        format!("{root}/circle"),
        format!("{root}-beside/phantom.nii.gz"),
        format!("{root}/nobody.nii.gz"),
        format!("{root}\0/phantom.nii.gz"),
        format!("{root}/{}", "a".repeat(10_000)),
        format!("{root}/phantom.nii.gz/"),
        format!("{root}/phantom.nii.gz/.."),
        "phantom.nii.gz".into(),
        "".into(),
        ".".into(),
        "/".into(),
        "/etc/passwd".into(),
        "/dev/zero".into(),
        "/proc/self/environ".into(),
        "/proc/self/cwd".into(),
        "/proc/self/fd/0".into(),
        "/proc/self/root/etc/passwd".into(),
        "~/phantom.nii.gz".into(),
        "file:///etc/passwd".into(),
    ] {
        let path = path.as_str();
        // The root itself may be named; it is a folder.
        if path == format!("{root}/phantom.nii.gz/..") {
            continue;
        }
        let answer = submit(&server, Path::new(path));
        assert_eq!(answer.status, 403, "{path:?}: {}", answer.text());
        assert!(!answer.text().contains("outside"), "{}", answer.text());
    }
    // Nothing of a path that is not allowed can be told from one that is not there.
    let there = submit(&server, &place.outside.join("phantom.nii.gz")).text();
    assert_eq!(
        there,
        submit(&server, &place.outside.join("nobody.nii.gz")).text()
    );
    assert_eq!(server.get("/api/v1/jobs").json()["total"], 0);
}

#[test]
fn a_root_that_is_a_link_is_the_folder_that_it_leads_to() {
    let place = Place::new();
    let link = place.root.with_file_name("link");
    symlink(&place.root, &link).unwrap();
    let mut config = config(&place.data);
    config.allow_roots = vec![link.clone()];
    let server = Running::start_with(config);
    for root in [&link, &place.root] {
        let job = finished(&server, &root.join("phantom.nii.gz"));
        assert_eq!(job["state"], "done", "{job}");
    }
    assert_eq!(
        submit(&server, &place.outside.join("phantom.nii.gz")).status,
        403
    );
}

#[test]
fn a_path_that_changes_after_it_was_taken_in_is_looked_at_again() {
    let place = Place::new();
    let server = place.serve();
    // The worker is busy with the first scan while the second one is replaced.
    let busy = submit(&server, &place.root.join("phantom.nii.gz"));
    assert_eq!(busy.status, 201);
    let changed = place.root.join("changed.nii.gz");
    fs::copy(place.root.join("phantom.nii.gz"), &changed).unwrap();
    let taken = submit(&server, &changed);
    assert_eq!(taken.status, 201);
    fs::remove_file(&changed).unwrap();
    symlink(place.outside.join("phantom.nii.gz"), &changed).unwrap();
    let id = taken.json()["id"].as_str().unwrap().to_owned();
    let job = server.wait_for(&id, &["done", "failed"]);
    assert_eq!(job["error"]["kind"], "scan", "{job}");
    let reason = job["error"]["reason"].as_str().unwrap();
    assert!(reason.contains("not below an allowed folder"), "{reason}");
    assert!(!job.to_string().contains("outside"), "{job}");
    // The same later, when full resolution of a finished scan is asked for.
    let scan = place.root.join("phantom.nii.gz");
    let id = busy.json()["id"].as_str().unwrap().to_owned();
    server.wait_for(&id, &["done"]);
    fs::remove_file(&scan).unwrap();
    symlink(place.outside.join("phantom.nii.gz"), &scan).unwrap();
    let ct = server.get(&format!("/api/v1/jobs/{id}/ct.nii"));
    assert_eq!(ct.status, 403, "{}", ct.text());
}

/// Writes a series of slices into a new folder.
fn write_slices(folder: &Path) {
    fs::create_dir(folder).unwrap();
    for (z, slice) in slices("P").iter().enumerate() {
        fs::write(folder.join(format!("{z:03}.dcm")), slice).unwrap();
    }
}

#[test]
fn pipes_sockets_and_links_among_the_slices_are_refused_and_nothing_waits_for_them() {
    let place = Place::new();
    let server = place.serve();
    let study = place.root.join("study");
    write_slices(&study);
    let foreign = place.outside.join("foreign.dcm");
    fs::rename(study.join("003.dcm"), &foreign).unwrap();
    let odd = study.join("003.dcm");
    let mkfifo = |path: &Path| {
        let made = Command::new("mkfifo").arg(path).status();
        assert!(made.unwrap().success());
    };
    // A link that leads out of the root, in the place of a slice; also for a file beside it.
    symlink(&foreign, &odd).unwrap();
    for path in [study.clone(), study.join("000.dcm")] {
        let job = finished(&server, &path);
        let reason = job["error"]["reason"].as_str().unwrap_or_default();
        assert!(reason.contains("leads out of the allowed folder"), "{job}");
    }
    fs::remove_file(&odd).unwrap();
    mkfifo(&odd);
    for path in [study.clone(), study.join("000.dcm")] {
        let job = finished(&server, &path);
        let reason = job["error"]["reason"].as_str().unwrap_or_default();
        assert!(reason.contains("neither a file nor a folder"), "{job}");
    }
    fs::remove_file(&odd).unwrap();
    let socket = UnixListener::bind(&odd).unwrap();
    let job = finished(&server, &study);
    assert_eq!(job["state"], "failed", "{job}");
    drop(socket);
    fs::remove_file(&odd).unwrap();
    // Named themselves, they are not taken in.
    let pipe = place.root.join("pipe.nii.gz");
    mkfifo(&pipe);
    let _socket = UnixListener::bind(place.root.join("socket.dcm")).unwrap();
    for name in ["pipe.nii.gz", "socket.dcm"] {
        let answer = submit(&server, &place.root.join(name));
        assert_eq!(answer.status, 403, "{}", answer.text());
    }
    // A link that stays below the root is a slice like others.
    fs::rename(&foreign, place.root.join("moved.dcm")).unwrap();
    symlink("../moved.dcm", &odd).unwrap();
    let job = finished(&server, &study);
    assert_eq!(job["state"], "done", "{job}");
}

#[test]
fn the_reader_itself_does_not_wait_for_a_pipe_among_slices() {
    let dir = tempfile::tempdir().unwrap();
    let study = dir.path().join("study");
    write_slices(&study);
    let made = Command::new("mkfifo").arg(study.join("pipe")).status();
    assert!(made.unwrap().success());
    let scan = multirnet::open_scan(&study, &Default::default()).unwrap();
    assert_eq!(scan.volume.shape(), scan_volume().shape());
}

#[test]
fn names_of_uploads_never_become_paths() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Running::start(&data);
    for name in [
        "../../../evil.nii.gz",
        "/tmp/evil.nii.gz",
        "..\\..\\evil.nii.gz",
        "C:\\evil.nii.gz",
        ".nii.gz",
        "..nii.gz",
        "a/../../evil.dcm",
        "%2e%2e%2fevil.nii",
    ] {
        let id = server.upload_file(name, b"not a scan");
        let job = server.post("/api/v1/jobs", &json!({ "upload": id }));
        assert_eq!(job.status, 201, "{name}: {}", job.text());
        let shown = job.json()["name"].as_str().unwrap().to_owned();
        assert!(!shown.contains(['/', '\\']) && !shown.is_empty(), "{shown}");
        let id = job.json()["id"].as_str().unwrap().to_owned();
        server.wait_for(&id, &["failed"]);
        let scan: Vec<_> = fs::read_dir(data.join("jobs").join(&id).join("scan"))
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        assert!(scan.len() == 1 && scan[0].starts_with("scan."), "{scan:?}");
    }
    let all: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(all.len(), 1, "{all:?}");
    assert!(!Path::new("/tmp/evil.nii.gz").exists());
}
