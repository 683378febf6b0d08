//! A running server, a client, and phantoms.

use multirnet::{DEFAULT_MODEL, Diagnosis, StopToken, Volume, load_model};
use multirnet_dicom::write::{SyntheticScan, write_synthetic_slice};
use multirnet_pacs::ListenerOptions;
use multirnet_phantom::{Phantom, PhantomConfig};
use multirnet_server::config::ServerConfig;
use multirnet_server::{Analyser, Server};
use multirnet_volume::io;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use ureq::Agent;
use ureq::http::Request;

/// Longest time that a test waits for something that happens soon on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// A small phantom with lesions.
pub static PHANTOM: LazyLock<Phantom> = LazyLock::new(|| {
    PhantomConfig::sample(6, Diagnosis::Covid19, 96)
        .generate()
        .unwrap()
});

/// The phantom as a file.
pub fn scan_file(folder: &Path) -> PathBuf {
    let path = folder.join("phantom.nii.gz");
    io::write_nifti(&path, &scan_volume()).unwrap();
    path
}

pub fn scan_volume() -> Volume<i16> {
    PHANTOM.ct.map(|hu| hu.round() as i16)
}

/// The phantom with half the voxel size, so eight times as large, as bytes of a packed NIfTI file.
pub fn fine_scan_bytes() -> Vec<u8> {
    let scan = scan_volume();
    let spacing = scan.geometry().spacing_mm().map(|mm| mm / 2.0);
    let fine = scan.geometry().with_spacing(spacing).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fine.nii.gz");
    io::write_nifti(&path, &scan.resample_nearest(&fine, -1024)).unwrap();
    std::fs::read(path).unwrap()
}

pub fn scan_bytes() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::read(scan_file(dir.path())).unwrap()
}

/// The phantom as slices of the patient `id`.
pub fn slices(id: &str) -> Vec<Vec<u8>> {
    let volume = scan_volume();
    let scan = SyntheticScan {
        volume: &volume,
        id,
        description: id,
    };
    (0..volume.shape()[0])
        .map(|z| write_synthetic_slice(&scan, z).unwrap())
        .collect()
}

/// A body for STOW-RS, whose type is [`STOW`].
pub fn multipart(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut body = Vec::new();
    for object in objects {
        body.extend(b"--b\r\nContent-Type: application/dicom\r\n\r\n");
        body.extend(object);
        body.extend(b"\r\n");
    }
    body.extend(b"--b--\r\n");
    body
}

pub const STOW: [(&str, &str); 1] = [(
    "content-type",
    "multipart/related; type=\"application/dicom\"; boundary=b",
)];

/// `bytes` with `to` in every place of `from`, which is as long.
pub fn replaced(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut at = 0;
    while let Some(found) = find(&bytes[at..], from) {
        bytes[at + found..][..to.len()].copy_from_slice(to);
        at += found + to.len();
    }
    bytes
}

/// Where `part` stands in `bytes`.
pub fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|w| w == part)
}

pub fn analyser() -> Analyser {
    assert_eq!(DEFAULT_MODEL.name, "lungs-small");
    let model = load_model(None).unwrap();
    Analyser {
        options: model.options(),
        model,
        results: Default::default(),
        idle: || {},
    }
}

/// A configuration on the folder `data`, on a free port, with nothing kept free on the disk.
pub fn config(data: &Path) -> ServerConfig {
    let mut config = ServerConfig {
        data: data.to_owned(),
        listen: "127.0.0.1:0".parse().unwrap(),
        ..ServerConfig::default()
    };
    config.limits.free_disk_mib = 0;
    config.analysis.workers = 1;
    config
}

/// A server that runs until it is dropped.
pub struct Running {
    pub address: SocketAddr,
    pub token: String,
    pub link: String,
    pub queue: multirnet_server::Queue,
    stop: StopToken,
    thread: Option<JoinHandle<multirnet_server::Result<()>>>,
    agent: Agent,
}

impl Running {
    pub fn start(data: &Path) -> Self {
        Self::start_with(config(data))
    }

    pub fn start_with(config: ServerConfig) -> Self {
        let stop = StopToken::new();
        let options = ListenerOptions::default();
        let server = Server::bind(config, analyser(), None, options, stop.clone()).unwrap();
        let (address, link) = (server.address(), server.link());
        let queue = server.queue().clone();
        let token = link.split("token=").nth(1).unwrap_or_default().to_owned();
        let thread = std::thread::spawn(move || server.run());
        // Answers of any status are answers, and a redirect is one to look at.
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .build()
            .new_agent();
        Self {
            address,
            token,
            link,
            queue,
            stop,
            thread: Some(thread),
            agent,
        }
    }

    /// Ends the server in order, and gives what it said.
    pub fn end(mut self) -> multirnet_server::Result<()> {
        self.stop.raise();
        self.thread.take().unwrap().join().unwrap()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Sends a request with these headers and no others.
    pub fn raw(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let mut request = Request::builder().method(method).uri(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.agent.run(request.body(body).unwrap()).unwrap();
        let (parts, mut body) = response.into_parts();
        let limited = body.with_config().limit(1 << 30).read_to_vec();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: limited.unwrap_or_default(),
        }
    }

    /// Sends a request with the token.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let mut all = vec![("authorization", bearer.as_str())];
        all.extend(headers);
        self.raw(method, path, &all, body)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], Vec::new())
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        let json = [("content-type", "application/json")];
        self.send("POST", path, &json, body.to_string().into_bytes())
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], Vec::new())
    }

    /// Uploads the phantom in one request and gives the job.
    pub fn upload_scan(&self) -> Value {
        self.upload_nifti(scan_bytes())
    }

    /// Uploads a packed NIfTI file in one request and gives the job.
    pub fn upload_nifti(&self, bytes: Vec<u8>) -> Value {
        let answer = self.send(
            "POST",
            "/api/v1/jobs/upload?name=phantom.nii.gz",
            &[],
            bytes,
        );
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()
    }

    /// Begins an upload of `bytes` and sends all of them.
    pub fn upload_file(&self, name: &str, bytes: &[u8]) -> String {
        let begun = self.post(
            "/api/v1/uploads",
            &json!({ "name": name, "size": bytes.len() }),
        );
        assert_eq!(begun.status, 201, "{}", begun.text());
        let id = begun.json()["id"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/uploads/{id}");
        let sent = self.send("PATCH", &path, &[("upload-offset", "0")], bytes.to_vec());
        assert_eq!(sent.status, 200, "{}", sent.text());
        id
    }

    pub fn job(&self, id: &str) -> Value {
        self.get(&format!("/api/v1/jobs/{id}")).json()
    }

    /// Waits until the job is in one of these states.
    pub fn wait_for(&self, id: &str, states: &[&str]) -> Value {
        let begin = Instant::now();
        loop {
            let job = self.job(id);
            if states.contains(&job["state"].as_str().unwrap()) {
                return job;
            }
            assert!(begin.elapsed() < PATIENCE, "still waiting: {job}");
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Uploads the phantom and waits for its results. Gives the job's name.
    pub fn analysed_scan(&self) -> String {
        self.wait_until_done(&self.upload_scan())
    }

    /// Waits for the results of a job and gives its name.
    pub fn wait_until_done(&self, job: &Value) -> String {
        let id = job["id"].as_str().unwrap().to_owned();
        let job = self.wait_for(&id, &["done", "failed"]);
        assert_eq!(job["state"], "done", "{job}");
        id
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.raise();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// An answer.
pub struct Answer {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> String {
        self.headers
            .get(name)
            .map_or_else(String::new, |v| v.to_str().unwrap().to_owned())
    }

    /// The reason of a problem.
    pub fn reason(&self) -> String {
        self.json()["error"]["reason"].as_str().unwrap().to_owned()
    }
}

/// Waits until `is_so`.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "waited for: {what}");
        std::thread::sleep(Duration::from_millis(30));
    }
}
