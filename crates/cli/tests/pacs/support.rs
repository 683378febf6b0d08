//! An archive, studies, and the listener as a process.

use crate::common::{self, dicom, multirnet};
use multirnet_base::StopToken;
use multirnet_pacs::client::send_to;
use multirnet_pacs::config::{Config, DimseNode, Node};
use multirnet_pacs::store::{Outcome, ReceivedStudy, Store};
use multirnet_pacs::{AnalysisError, Listener, ListenerOptions};
use multirnet_volume::{Diagnosis, Volume};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

/// Longest time that a test waits for something that happens soon on an idle machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A phantom of a patient with lesions.
pub static SCAN: LazyLock<Volume<i16>> = LazyLock::new(|| {
    let phantom = common::phantom(Diagnosis::Covid19, 6);
    phantom.ct.map(|hu| hu.round() as i16)
});

/// Writes the scan as study number `study` and gives its files.
pub fn study(folder: &Path, study: u8) -> Vec<PathBuf> {
    let folder = folder.join(format!("study{study}"));
    dicom::write_series(&folder, &SCAN, study);
    files_below(&folder)
}

/// Runs `work` beside an archive that takes everything. `work` gets its address and its store.
pub fn with_archive<T>(folder: &Path, work: impl FnOnce(SocketAddr, &Store) -> T) -> T {
    let text = "[listener]\nae_title = \"ARCHIVE\"\naddress = \"127.0.0.1:0\"\n[[listener.allow]]\n\
                [store]\nfolder = \"archive\"\nquiet_seconds = 86400\n";
    let config = Config::parse(text, folder).unwrap();
    let listener = Listener::bind(&config, ListenerOptions::default()).unwrap();
    let (address, store, stop) = (
        listener.address().unwrap(),
        listener.store().clone(),
        StopToken::new(),
    );
    let nothing =
        |_: &ReceivedStudy, _: &Path, _: &StopToken| Ok::<Vec<PathBuf>, AnalysisError>(Vec::new());
    std::thread::scope(|scope| {
        let running = scope.spawn(|| listener.run(&nothing, &stop));
        let guard = RaisedOnDrop(&stop);
        let result = work(address, &store);
        drop(guard);
        running.join().unwrap().unwrap();
        result
    })
}

/// Ends the archive also when a test fails; the test would hang otherwise.
struct RaisedOnDrop<'a>(&'a StopToken);

impl Drop for RaisedOnDrop<'_> {
    fn drop(&mut self) {
        self.0.raise();
    }
}

/// Writes a configuration whose results go to `archive`, and gives its path.
pub fn configure(folder: &Path, archive: SocketAddr, quiet_seconds: u32) -> PathBuf {
    let path = folder.join("pacs.toml");
    let text = format!(
        "[listener]\nae_title = \"MULTIRNET\"\naddress = \"127.0.0.1:0\"\n\
         [[listener.allow]]\nae_title = \"SCANNER\"\naddresses = [\"127.0.0.1\"]\n\
         [store]\nfolder = \"store\"\nquiet_seconds = {quiet_seconds}\n\
         [analysis]\nattempts = 1\n\
         [results]\nstation = \"test\"\n\
         [delivery]\nto = [\"archive\"]\nretry_seconds = 1\nlongest_retry_seconds = 1\n\
         [retention]\ndays = 30\n\
         [audit]\nfile = \"audit.jsonl\"\n\
         [[node]]\nname = \"archive\"\nprotocol = \"dimse\"\nae_title = \"ARCHIVE\"\n\
         address = \"{archive}\"\ntimeout_seconds = 10\n"
    );
    fs::write(&path, text).unwrap();
    path
}

/// The listener as a process, which is killed when the test ends.
pub struct Running {
    child: Child,
    pub address: SocketAddr,
    said: Arc<Mutex<String>>,
}

impl Running {
    pub fn start(config: &Path) -> Self {
        let mut command = multirnet();
        command.arg("listen").arg(config);
        Self::begin(command)
    }

    /// Starts a command that runs a listener.
    pub fn begin(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let (lines, heard) = (BufReader::new(child.stderr.take().unwrap()), said.clone());
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                *heard.lock().unwrap() += &format!("{line}\n");
            }
        });
        let mut running = Self {
            child,
            address: "127.0.0.1:0".parse().unwrap(),
            said,
        };
        running.wait_for("answers on");
        let said = running.said();
        let line = said.lines().find(|l| l.contains("answers on")).unwrap();
        let place = line.split(" on ").nth(1).unwrap();
        running.address = place.split(". ").next().unwrap().parse().unwrap();
        running
    }

    /// What it printed so far.
    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until it has printed `text`.
    pub fn wait_for(&mut self, text: &str) {
        let begin = Instant::now();
        while !self.said().contains(text) {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "ended with {ended:?}: {}", self.said());
            assert!(
                begin.elapsed() < PATIENCE,
                "no {text:?} in: {}",
                self.said()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends files to it as a scanner does, and gives how many were acknowledged.
    pub fn send(&self, files: &[PathBuf]) -> usize {
        let node = Node::Dimse(DimseNode::new(
            "MULTIRNET",
            self.address.to_string(),
            "SCANNER",
        ));
        let mut acknowledged = 0;
        // It may be killed meanwhile.
        let _ = send_to(&node, files, &StopToken::new(), &mut |_, outcome| {
            acknowledged += usize::from(*outcome == Outcome::Delivered);
        });
        acknowledged
    }

    /// Its process number.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, as a service manager does, and gives its exit code.
    pub fn end(mut self) -> Option<i32> {
        let kill = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        assert!(kill.unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    /// Kills it at once, whatever it does.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until `holds`.
pub fn wait_until(what: &str, holds: impl FnMut() -> bool) {
    wait_within(PATIENCE, what, holds);
}

/// Waits at most `patience` until `holds`.
pub fn wait_within(patience: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < patience, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The results that an archive in `folder` has of study number `study`, with their paths.
pub fn results(folder: &Path, study: u8) -> Vec<PathBuf> {
    let dir = folder.join("archive/studies").join(study_uid(study));
    files_below(&dir.join("objects"))
}

/// The UID of study number `study`.
pub fn study_uid(study: u8) -> String {
    let id = format!("PHANTOM{study}");
    multirnet_dicom::write::uid::derive(&["multirnet", "synthetic scan", &id, "study"])
}

/// The files in a folder and in those in it, in the order of their names.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(files_below(&path)),
            path => found.push(path),
        }
    }
    found.sort();
    found
}

/// The events of the audit log with this name.
pub fn audited(folder: &Path, event: &str) -> Vec<serde_json::Value> {
    let log = fs::read_to_string(folder.join("audit.jsonl")).unwrap_or_default();
    let lines = log.lines().map(|l| serde_json::from_str(l).unwrap());
    lines
        .filter(|v: &serde_json::Value| v["event"] == event)
        .collect()
}
