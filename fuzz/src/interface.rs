//! Requests to the server's HTTP interface, without a network.

use crate::Target;
use crate::files::folder;
use crate::seeds::texts;
use multirnet::{DEFAULT_MODEL, Diagnosis, load_model};
use multirnet_phantom::PhantomConfig;
use multirnet_server::Analyser;
use multirnet_server::fuzzing::{Interface, analysed};
use multirnet_volume::io;
use std::sync::LazyLock;
use tempfile::TempDir;

/// The target `interface`.
pub static INTERFACE: Target = Target {
    name: "interface",
    about: "requests to the HTTP interface: paths, parameters, headers, bodies",
    longest: 4096,
    fixed: BYTES,
    per_byte: 64,
    has_threads: true,
    prepare,
    parse: request,
    seeds: || texts(&REQUESTS),
};

/// What the largest answer takes: the scan of the one job in HU, and a zip of its results.
pub const BYTES: usize = 64 << 20;
const MATRIX: usize = 96;

struct Served {
    interface: Interface,
    job: String,
    _folder: TempDir,
}

static SERVED: LazyLock<Served> = LazyLock::new(|| {
    assert_eq!(DEFAULT_MODEL.name, "lungs-small");
    let folder = folder();
    let phantom = PhantomConfig::sample(6, Diagnosis::Covid19, MATRIX);
    let phantom = phantom.generate().expect("a phantom");
    let scan = folder.path().join("scan.nii.gz");
    let ct = phantom.ct.map(|hu| hu.round() as i16);
    io::write_nifti(&scan, &ct).expect("room for a phantom");
    let bytes = std::fs::read(&scan).expect("the file that was just written");
    let data = folder.path().join("data");
    let job = analysed(&data, analyser(), &bytes).expect("results of the phantom");
    let interface = Interface::open(&data, analyser()).expect("a server");
    Served {
        interface,
        job,
        _folder: folder,
    }
});

fn analyser() -> Analyser {
    let model = load_model(None).expect("the embedded model");
    Analyser {
        options: model.options(),
        model,
        results: Default::default(),
        idle: || {},
    }
}

fn prepare() {
    LazyLock::force(&SERVED);
}

/// The input is a request as text: a line with method and path, lines with headers, an empty line, and
/// the body. `{job}` and `{upload}` stand for a job that is done and for an upload.
fn request(input: &[u8]) {
    let split = input.windows(2).position(|w| w == b"\n\n");
    let (head, body) = match split {
        Some(at) => (&input[..at], &input[at + 2..]),
        None => (input, &[][..]),
    };
    let head = String::from_utf8_lossy(head)
        .replace("{job}", &SERVED.job)
        .replace("{upload}", &SERVED.interface.upload);
    let body = match std::str::from_utf8(body) {
        Ok(text) => text
            .replace("{job}", &SERVED.job)
            .replace("{upload}", &SERVED.interface.upload)
            .into_bytes(),
        Err(_) => body.to_vec(),
    };
    let mut lines = head.lines();
    let Some((method, path)) = lines.next().and_then(|line| line.split_once(' ')) else {
        return;
    };
    // What the later requests need stays there.
    let is_kept = [&SERVED.job, &SERVED.interface.upload]
        .iter()
        .any(|kept| path.contains(kept.as_str()));
    if method == "DELETE" && is_kept {
        return;
    }
    let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(": ")).collect();
    let Some(status) = SERVED.interface.answer(method, path, &headers, body) else {
        return;
    };
    assert!(
        status < 500 || status == 503 || status == 507,
        "{method} {path} was answered with {status}"
    );
}

const REQUESTS: [&str; 32] = [
    "GET /api/v1/jobs?state=done&sort=created&order=asc&limit=5&offset=1&q=a&diagnosis=cap&reviewed=none",
    "GET /api/v1/jobs/{job}",
    "GET /api/v1/jobs/{job}/finding",
    "GET /api/v1/jobs/{job}/lesions",
    "GET /api/v1/jobs/{job}/thumbnail",
    "GET /api/v1/jobs/{job}/files",
    "GET /api/v1/jobs/{job}/files/preview/ct.nii.gz?download",
    "GET /api/v1/jobs/{job}/files/overview.png\nRange: bytes=0-9",
    "GET /api/v1/jobs/{job}/files/..%2f..%2ftoken",
    "GET /api/v1/jobs/{job}/ct.nii",
    "GET /api/v1/jobs/{job}/results.zip",
    "GET /api/v1/jobs/{job}/previous",
    "GET /api/v1/jobs/{job}/corrections",
    "GET /api/v1/jobs/{job}/corrections/1/lesions.nii.gz",
    "GET /api/v1/jobs/{job}/events",
    "POST /api/v1/jobs/{job}/cancel",
    "POST /api/v1/jobs/{job}/retry",
    "POST /api/v1/jobs/{job}/priority\nContent-Type: application/json\n\n{\"priority\": 10}",
    "POST /api/v1/jobs/{job}/corrections\nContent-Type: application/json\n\n{\"verdict\": \"corrected\", \"diagnosis\": \"cap\", \"upload\": \"{upload}\", \"reviewer\": \"A\", \"reason\": \"border\"}",
    "POST /api/v1/uploads\nContent-Type: application/json\n\n{\"name\": \"a.nii.gz\", \"size\": 5}",
    "GET /api/v1/uploads/{upload}",
    "PATCH /api/v1/uploads/{upload}\nUpload-Offset: 1\n\nabc",
    "POST /api/v1/jobs\nContent-Type: application/json\nIdempotency-Key: k\n\n{\"upload\": \"{upload}\", \"name\": \"n\", \"patient\": \"p\", \"priority\": 1}",
    "POST /api/v1/jobs\nContent-Type: application/json\n\n{\"path\": \"/etc/passwd\"}",
    "POST /api/v1/jobs/upload?name=a.nii.gz&patient=p&priority=0\nIdempotency-Key: k\n\nabc",
    "POST /api/v1/dicom-web/studies\nContent-Type: multipart/related; type=\"application/dicom\"; boundary=b0\n\n--b0\r\nContent-Type: application/dicom\r\n\r\nDICM\r\n--b0--\r\n",
    "POST /api/v1/dicom-web/studies/1.2\nContent-Type: multipart/related; type=\"application/dicom\"; boundary=b0\n\n--b0--\r\n",
    "GET /api/v1/corrections?limit=3",
    "GET /api/v1/corrections/summary",
    "GET /api/v1/server\nAccept: text/html",
    "GET /api/v1/metrics",
    "POST /login\nContent-Type: application/x-www-form-urlencoded\n\ntoken=abc",
];
