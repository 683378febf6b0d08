//! The server as a process, and a client.

use crate::common::{multirnet, phantom};
use multirnet_volume::{Diagnosis, io};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use ureq::Agent;
use ureq::http::Request;

/// Longest time that a test waits for something that happens soon on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// A small phantom with lesions, as a file.
pub static SCAN: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ct.nii.gz");
    let ct = phantom(Diagnosis::Covid19, 6)
        .ct
        .map(|hu| hu.round() as i16);
    io::write_nifti(&path, &ct).unwrap();
    std::fs::read(&path).unwrap()
});

/// A server that is killed when the test ends.
pub struct Served {
    child: Child,
    place: String,
    token: String,
    agent: Agent,
}

impl Served {
    pub fn start(arguments: &[&str]) -> Self {
        let mut command = multirnet();
        command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(arguments);
        Self::begin(command)
    }

    /// The same, with its messages in the file `messages`.
    pub fn start_with_messages(arguments: &[&str], messages: &Path) -> Self {
        let mut command = multirnet();
        command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(arguments);
        let file = std::fs::File::create(messages).unwrap();
        Self::begin_with(command, Stdio::from(file))
    }

    /// Starts a command that prints the link of a server.
    pub fn begin(command: std::process::Command) -> Self {
        Self::begin_with(command, Stdio::null())
    }

    fn begin_with(mut command: std::process::Command, messages: Stdio) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(messages)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let link = line
            .trim()
            .strip_prefix("viewer: ")
            .unwrap_or_else(|| panic!("{line:?}"));
        let (place, token) = link.split_once("/?token=").unwrap();
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build()
            .new_agent();
        Self {
            child,
            place: place.to_owned(),
            token: token.to_owned(),
            agent,
        }
    }

    /// An answer, or `None` if the server is gone.
    pub fn ask(&self, method: &str, path: &str, key: &str, body: Vec<u8>) -> Option<(u16, Value)> {
        self.ask_with(method, path, ("idempotency-key", key), body)
    }

    /// As [`Served::ask`], with a header.
    pub fn ask_with(
        &self,
        method: &str,
        path: &str,
        header: (&str, &str),
        body: Vec<u8>,
    ) -> Option<(u16, Value)> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.place))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .header(header.0, header.1);
        let mut answer = self.agent.run(request.body(body).unwrap()).ok()?;
        let text = answer.body_mut().read_to_string().ok()?;
        let value = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).ok()?
        };
        Some((answer.status().as_u16(), value))
    }

    pub fn get(&self, path: &str) -> Value {
        let (status, value) = self.ask("GET", path, "none", Vec::new()).unwrap();
        assert_eq!(status, 200, "{path}: {value}");
        value
    }

    /// Uploads the phantom under `key`; `None` if the answer was lost.
    pub fn upload(&self, key: &str) -> Option<String> {
        let path = format!("/api/v1/jobs/upload?name={key}.nii.gz");
        let (status, job) = self.ask("POST", &path, key, SCAN.clone())?;
        assert_eq!(status, 201, "{job}");
        Some(job["id"].as_str().unwrap().to_owned())
    }

    /// Waits until all jobs are done.
    pub fn wait_until_done(&self, count: u64, patience: Duration) {
        let begin = Instant::now();
        loop {
            let counts = self.get("/api/v1/jobs?limit=1")["counts"].clone();
            assert_eq!(counts["failed"], 0, "{counts}");
            if counts["done"].as_u64() == Some(count) {
                return;
            }
            assert!(begin.elapsed() < patience, "still waiting: {counts}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Address and port.
    pub fn address(&self) -> &str {
        self.place.strip_prefix("http://").unwrap()
    }

    /// The token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// MiB of memory that the process has now.
    pub fn resident_mib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
        let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib / 1024
    }

    /// The number of the process.
    pub fn id(&self) -> String {
        self.child.id().to_string()
    }

    /// Ends the process at once.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks the process to end, and gives its exit code.
    pub fn end(mut self) -> Option<i32> {
        std::process::Command::new("kill")
            .args(["-TERM", &self.id()])
            .status()
            .unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
